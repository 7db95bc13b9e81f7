"""Reference spectra: how they are given, brought onto the channels of the data, and refused."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.reference_data import named, scan, spectra


def test_references_are_arrays_data_sets_or_energies_with_values():
    rng = np.random.default_rng(16)
    data, S = scan(rng), spectra()
    at = data.channels[0].values
    ref = fu.Dataset("r", np.stack([S[:, 1]] * 4), axes=("x", data.channels[0]))
    shuffled = rng.permutation(60)
    fit = fu.mlls(data, {"a": S[:, 0], "b": ref, "c": (at[shuffled], S[shuffled, 2])})
    assert fit.names == ("a", "b", "c")
    assert fit.maps == pytest.approx(fu.mlls(data, named(S)).maps, abs=1e-9)
    assert fit["b"].shape == (12, 10)
    assert any("'b': the mean of 4 pixels" in m for m in fit.messages)


def test_another_axis_is_resampled_with_a_message():
    data = scan(np.random.default_rng(17))

    def peak(E):
        return np.exp(-0.5 * ((E - 112) / 4) ** 2)

    fine, coarse = np.arange(95, 135, 0.05), np.arange(95, 135, 2.0)
    fit = fu.mlls(data, {"fine": (fine, peak(fine))})
    at = data.channels[0].values
    mean = np.stack([peak(at + d) for d in np.linspace(-0.25, 0.25, 101)]).mean(0)
    assert fit.spectra[:, 0] == pytest.approx(mean, abs=1e-4)
    assert any("resampled from 800 values" in m and "coarse" not in m for m in fit.messages)
    fit = fu.mlls(data, {"coarse": (coarse, peak(coarse))})
    assert fit.spectra[:, 0] == pytest.approx(np.interp(at, coarse, peak(coarse)), abs=1e-12)
    assert any("4.0 times that of the data" in m for m in fit.messages)


def bad_references():
    at = 100 + 0.5 * np.arange(60)
    one = np.ones(60)
    keV = fu.Dataset("r", one, axes=(fu.Axis("energy loss", 0.0005, 0.1, "keV"),))
    yield {}, ["references", "{name: spectrum}"]
    yield {"a": one[:50]}, ["'a'", "(50,)", "(60,)"]
    yield {"a": np.where(np.arange(60) == 3, np.nan, 1)}, ["'a'", "1 of 60", "NaN"]
    yield {"a": 0 * one}, ["'a'", "zero"]
    yield {"a": keV}, ["'a'", "keV", "eV", "convert"]
    yield {"a": (at + 500, one)}, ["'a'", "600", "do not overlap"]
    yield {"a": (at[:40], one[:40])}, ["'a'", "20 of 60", "energy_loss=(100, 119.5)"]
    yield {"a": (at, one[:3])}, ["'a'", "(60,)", "(3,)"]
    yield {"a": one, "b": at, "c": one + 2 * at}, ["'a'", "'b'", "'c'", "mixtures"]


@pytest.mark.parametrize(("references", "words"), list(bad_references()))
def test_references_that_do_not_fit_are_refused(references, words):
    with pytest.raises(ValueError) as error:
        fu.mlls(scan(np.random.default_rng(18)), references)
    assert all(word in str(error.value) for word in ["mlls", *words]), error.value
