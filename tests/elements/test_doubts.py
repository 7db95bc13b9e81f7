"""What speaks against a composition is told, and nothing where all is well."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science.edxs_simulator import molar_masses
from fusion.elements import KFactors
from fusion.elements.doubts import charges_of_the_other_kind
from fusion.losses import Poisson
from tests.elements.two_oxides import ELEMENTS, TRUTH, dataset, k_factors

MASSES = molar_masses(ELEMENTS)


def said(atomic, error, kind, elements=ELEMENTS):
    errors = np.where(atomic > 0, error, 0.0)
    masses = molar_masses(elements)
    return list(charges_of_the_other_kind(elements, masses, atomic, errors, kind))


def per_cent(atomic):
    return 100 * atomic / atomic.sum(1, keepdims=True)


@pytest.mark.parametrize("kind", ["atomic", "weight"])
def test_charges_that_would_add_up_by_the_other_kind_are_told(kind):
    wrong = per_cent(TRUTH * MASSES if kind == "atomic" else TRUTH / MASSES)
    (told,) = said(wrong, 1.0, kind)
    assert (
        f"with k factors for { {'atomic': 'weight', 'weight': 'atomic'}[kind] } fractions" in told
    )


@pytest.mark.parametrize("kind", ["atomic", "weight"])
@pytest.mark.parametrize("error", [0.3, 1.0, 5.0])
def test_charges_that_add_up_as_found_are_not_doubted(kind, error):
    assert said(TRUTH, error, kind) == []


def test_nothing_is_said_where_charges_say_nothing():
    alloy = np.array([[60.0, 40.0, 0.0], [30.0, 0.0, 70.0]])
    assert said(alloy, 0.5, "atomic", ("Ni", "Al", "Fe")) == []  # no oxygen
    wrong = per_cent(TRUTH * MASSES)
    assert said(wrong, 15.0, "atomic") == []  # as little is known
    mixed = np.vstack([wrong[:1], TRUTH[1:]])
    assert said(mixed, 1.0, "atomic") == []  # one of them is right


def test_k_factors_for_weight_taken_for_atomic_are_told_by_a_fit():
    data, found = dataset(300), k_factors()
    by_weight = {}
    for name, k in found.values.items():
        by_weight[name] = k * MASSES[ELEMENTS.index(name.split()[0])]
    model = fu.models.Compositions(data, ELEMENTS, 2, k_factors=KFactors(by_weight))
    made = fu.fit(model, Poisson(data), starts=1, progress=False).composition(progress=False)
    assert any("of the wrong kind" in message for message in made.messages)
