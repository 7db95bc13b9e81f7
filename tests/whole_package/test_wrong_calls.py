"""Calls that cannot be are refused in one line of the package's own, with what was meant."""

from __future__ import annotations

import inspect
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu
from fusion import models
from fusion.constraints import NonNegative
from fusion.losses import ARD, L1, Frobenius
from tests.helpers.short_fits import complaint, counts

DATA = fu.Dataset("a", counts())
OTHER = fu.Dataset("b", counts((4, 5, 6)))
REFERENCES = {"p": np.arange(1.0, 9.0), "q": np.ones(8)}


def fit(loss=None, **options):
    loss = Frobenius(DATA) if loss is None else loss
    options = {"progress": False, "max_steps": 2} | options
    return fu.fit(models.NMF(DATA, 2), loss, **options)


@cache
def answer() -> fu.Result:
    return fu.fit(models.NMF(DATA, 2), Frobenius(DATA), starts=1, seed=0, progress=False)


UNKNOWN = {
    "n_starts": (lambda: fit(n_starts=3), "`fit`", "'n_starts'", "use `starts=`"),
    "max_iter": (lambda: fit(max_iter=3), "`fit`", "'max_iter'", "use `max_steps=`"),
    "tol": (lambda: fit(tol=1e-3), "'tol'", "solver=GaussNewton(tolerance=1e-9)"),
    "k of a fit": (lambda: fit(k=3), "'k'", "NMF(data, K=3)"),
    "n_components of a fit": (lambda: fit(n_components=3), "'n_components'", "NMF(data, K=3)"),
    "nearly": (lambda: fit(max_step=3), "'max_step'", "use `max_steps=`"),
    "nothing like it": (lambda: fit(foo=3), "'foo'", "there are model, loss, solver, starts"),
    "a loss": (lambda: fu.fit(models.NMF(DATA, 2)), "`fit`: loss missing", "fit(model, loss"),
    "n_components": (lambda: models.NMF(DATA, n_components=2), "`NMF`", "use `K=`"),
    "k": (lambda: models.CPD(DATA, k=2), "`CPD`", "'k'", "use `K=`"),
    "k of several": (lambda: models.SharedMaps(DATA, OTHER, k=2), "`SharedMaps`", "use `K=`"),
    "three values": (lambda: models.NMF(DATA, 2, 3), "`NMF`: 3 values", "`NMF(data, K)`."),
    "a weight": (lambda: ARD("C", alpha=2), "`ARD`", "0.1 * L1('C')"),
    "an inherited one": (lambda: Frobenius(DATA, weight=2), "`Frobenius`", "before the term"),
    "of a solver": (lambda: fu.GaussNewton(max_iter=3), "`GaussNewton`", "use `max_steps=`"),
    "of an axis": (lambda: fu.Axis("x", unit="eV"), "`Axis`", "use `units=`"),
    "of rank": (lambda: fu.rank(DATA, criteria=["x"]), "`rank`", "there are dataset, held_out"),
    "of a plot": (lambda: fit().plot(kind="x"), "`plot`", "'kind'", "there are factors"),
    "of none": (lambda: DATA.estimate_variance(gain=1), "`estimate_variance`", "it has progress"),
    "a number for an axis": (lambda: DATA.bin(2), "`bin`", "`bin(name=factor)`"),
    "of a method": (lambda: DATA.remove_spikes(sigma=1), "`remove_spikes`", "there are threshold"),
}


@pytest.mark.filterwarnings("ignore::fusion.ClaimWarning")
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_a_call_does_not_have_is_named_with_what_was_meant(name):
    call, *words = UNKNOWN[name]
    with pytest.raises(TypeError, match=complaint(*words)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "unexpected keyword" not in str(caught.value)


REFUSED = {
    "a loss in quotes": (lambda: fit("frobenius"), "fit(model, 'frobenius')", "Frobenius(data)"),
    "the class of a loss": (lambda: fit(Frobenius), "fit(model, Frobenius)", "Frobenius(data)"),
    "data as a loss": (lambda: fit(DATA), "fit(model, Dataset)", "Frobenius(data)"),
    "half precision": (lambda: fit(dtype=torch.float16), "torch.float16", "torch.float32"),
    "whole numbers": (lambda: fit(dtype=torch.int32), "torch.int32", "torch.float64"),
    "a type in quotes": (lambda: fit(dtype="float32"), "dtype=float32", "torch.float32"),
    "half a start": (lambda: fit(starts=1.5), "fit(starts=1.5)", "whole number of 1 or more"),
    "no start": (lambda: fit(starts=0), "fit(starts=0)", "1 or more"),
    "starts in quotes": (lambda: fit(starts="3"), "fit(starts='3')", "whole number"),
    "half a step": (lambda: fit(max_steps=2.5), "fit(max_steps=2.5)", "whole number"),
    "seconds in quotes": (lambda: fit(max_seconds="5"), "max_seconds='5'", "seconds"),
    "a seed that is none": (lambda: fit(seed=None), "fit(seed=None)", "give a whole number."),
    "a callback": (lambda: fit(callback=3), "fit(callback=3)", "function"),
    "a start in quotes": (lambda: fit(init="nndsvd"), "fit(init='nndsvd')", "`NNDSVD()`"),
    "a factor that is none": (lambda: fit(init={"X": np.ones((8, 2))}), "'X'", "it has C, S"),
    "no tolerance": (
        lambda: fit(solver=fu.GaussNewton(tolerance=float("nan"))),
        *("GaussNewton(tolerance=nan)", "0 or more"),
    ),
    "half a size": (lambda: fu.Factor((5.5, 2)), "Factor((5.5, 2)", "whole number"),
    "two sizes": (lambda: fu.Factor(5), "Factor(5", "in one tuple"),
    "a constraint's class": (lambda: fu.Factor((5, 2), NonNegative), "`NonNegative()`"),
    "the name last": (lambda: fu.Dataset(counts(), "a"), "Dataset(ndarray", "name comes first"),
    "a mask in quotes": (lambda: fu.Dataset("a", counts(), mask="m"), "'m'", "real numbers"),
    "values and scale": (lambda: fu.Axis("x", scale=2, values=[1, 2]), "leave scale and offset"),
    "components in quotes": (lambda: DATA.denoise("pca"), "denoise('pca')", "give 1 to 8"),
    "components that are none": (lambda: answer().plot(components="x"), "components='x'", "1 to 2"),
    "elements without energies": (
        lambda: answer().plot(elements=["Fe"]),
        *("plot(elements=['Fe'])", "keV or eV"),
    ),
    "elements of a page": (
        lambda: answer().report(elements=["Fe"]),
        *("report(elements=['Fe'])", "keV or eV"),
    ),
    "data of a page": (lambda: answer().report(data=3), "report(data=…)", "int is no data set"),
    "an array for a path": (lambda: fu.load(counts()), "load(ndarray)", "Dataset('name', array)"),
    "a share in quotes": (lambda: DATA.sample_pixels("x"), "sample_pixels('x'", "at most 1"),
    "a threshold in quotes": (lambda: DATA.remove_spikes(threshold="x"), "'x'", "positive"),
    "K is true": (lambda: models.NMF(DATA, True), "K=True", "1 to 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_means_nothing_is_refused_before_the_first_step(name):
    call, *words = REFUSED[name]
    with pytest.raises(ValueError, match=complaint(*words)) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::fusion.ClaimWarning")
def test_a_factor_that_a_result_lacks_is_named_with_those_it_has():
    with pytest.raises(KeyError, match="no factor 'X'; the result has C, S"):
        fit()["X"]


@pytest.mark.filterwarnings("ignore::fusion.ClaimWarning")
def test_numpys_whole_numbers_are_numbers():
    two = np.int64(2)
    assert fit(starts=two, max_steps=two, seed=two).losses.shape == (2,)
    for model in (models.NMF(DATA, two), models.CPD(DATA, two), models.Tucker(DATA, (two,) * 3)):
        assert model.factors
    soft = models.SoftlyCoupled(DATA, OTHER, two)
    assert soft.C.shape[1] == 2
    assert DATA.bin(channel=two).shape == (4, 5, 4)
    assert fu.Factor((np.int64(5), two)).shape == (5, 2)


def test_one_masked_spectrum_has_its_amounts_from_what_is_seen():
    spectrum = 3 * REFERENCES["p"] + 2
    spectrum[0] = 1e6
    data = fu.Dataset("one", spectrum, mask=np.arange(8) == 0)
    found = fu.mlls(data, REFERENCES)
    assert float(found["p"]) == pytest.approx(3)
    assert float(found["q"]) == pytest.approx(2)


def test_half_precision_data_are_read_as_they_are():
    data = fu.Dataset("a", torch.as_tensor(counts()).half())
    result = fu.fit(models.NMF(data, 2), Frobenius(data), starts=2, progress=False)
    same = fu.fit(models.NMF(DATA, 2), Frobenius(DATA), starts=2, progress=False)
    assert result.loss == pytest.approx(same.loss)


def test_signatures_are_those_that_were_written():
    assert list(inspect.signature(models.NMF).parameters) == ["data", "K"]
    assert "starts" in inspect.signature(fu.fit).parameters
    assert list(inspect.signature(L1).parameters) == ["factor"]
