"""A fit that sets out from a result keeps the names of its components, with their spectra."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, SquaredNorm
from fusion.models import NMF, WithReferences
from tests.helpers.short_fits import counts

DATA = fu.Dataset("eels", counts((6, 7, 20)))
NAMES = ("shell", "Kern", "基板")


def fit(K=3, loss=None, **options):
    loss = Frobenius(DATA) if loss is None else loss
    return fu.fit(NMF(DATA, K), loss, starts=1, progress=False, **options)


@cache
def named() -> fu.Result:
    return fit(max_steps=5).renamed(NAMES)


@pytest.mark.parametrize("init", [named, lambda: [named()], lambda: [named(), named()]])
def test_names_go_on(init):
    result = fit(init=init(), max_steps=3)
    assert result.components == [*NAMES]


def test_names_go_on_from_a_saved_answer(tmp_path):
    named().save(tmp_path / "a.npz")
    assert fit(init=fu.Result.load(tmp_path / "a.npz"), max_steps=3).components == [*NAMES]


def test_a_name_stays_with_its_spectrum_where_components_changed_places():
    first = named()
    order = [2, 0, 1]
    factors = {name: F[:, order] for name, F in first.factors.items()}
    moved = replace(first, factors=factors, component_names=tuple(NAMES[k] for k in order))
    result = fit(init=moved, max_steps=0)
    for name in NAMES:
        np.testing.assert_allclose(
            result.spectrum(name), first.spectrum(name), rtol=1e-6, atol=1e-12
        )


def test_what_has_no_name_keeps_the_number_of_its_place():
    some = fit(max_steps=5).renamed({2: "core"})
    assert fit(init=some, max_steps=3).components == ["1", "core", "3"]


def test_starts_of_different_names_give_none():
    other = named().renamed({"shell": "rim"})
    assert fit(init=[named(), other], max_steps=2).components == ["1", "2", "3"]


def test_arrays_and_results_without_names_give_none():
    plain = fit(max_steps=5)
    assert fit(init=plain, max_steps=2).component_names == ()
    assert fit(init=[{"S": plain["S"]}], max_steps=2).component_names == ()


def test_a_model_that_knows_names_keeps_those_that_were_not_given_anew():
    spectra = {"flat": np.ones(20)}
    model, loss = WithReferences(DATA, spectra, K=1), Frobenius(DATA) + SquaredNorm("C", 1e-9)
    first = fu.fit(model, loss, starts=1, max_steps=5, progress=False)
    new = first.renamed({2: "new"})
    again = fu.fit(model, loss, init=new, starts=1, max_steps=3, progress=False)
    assert again.components == new.components


def test_a_decomposition_whose_components_have_no_names_is_fitted_as_ever():
    tucker = fu.models.Tucker(DATA, (3, 3, 3))
    start = replace(named(), factors={})
    result = fu.fit(tucker, Frobenius(DATA), init=start, starts=1, max_steps=2, progress=False)
    assert result.component_names == ()
