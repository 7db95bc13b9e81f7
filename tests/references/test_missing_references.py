"""Where the references do not suffice, and how it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Poisson
from fusion.references.residual_shape import Residuals
from tests.helpers.reference_data import ENERGY, amounts, named, scan, spectra


def test_sums_of_residuals_by_products_are_those_of_the_residuals():
    rng = np.random.default_rng(27)
    r, d, S = (torch.from_numpy(rng.standard_normal(s)) for s in ((50, 20), (50, 3), (20, 3)))
    g, v = torch.from_numpy(rng.random((50, 1))), torch.from_numpy(rng.random(20))
    g[3], v[5] = 0, 0
    seen = (g > 0) & (v > 0)
    direct = Residuals.of(g * v.sqrt() * (r + d @ S.T), r, seen.expand_as(r))
    quick = Residuals.of_products(r, r.square(), g, v, d, S)
    for one, other in zip(quick, direct, strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), abs=1e-12)


def test_noise_alone_is_no_missing_reference():
    rng = np.random.default_rng(9)
    fit = fu.mlls(scan(rng, shape=(40, 40), variance=np.full(60, 0.25)), named(spectra()))
    assert fit.messages == ()
    assert np.median(fit.reduced_chi2) == pytest.approx(1, abs=0.05)
    assert stats_uniform(fit.p)


def stats_uniform(p: np.ndarray) -> bool:
    """Whether the shares below a tenth, a half and nine tenths are near these."""
    return all(abs((p < q).mean() - q) < 0.04 for q in (0.1, 0.5, 0.9))


@pytest.mark.parametrize("kind", ["variance", "residual", "counts"])
def test_a_missing_reference_is_told_with_its_place(kind):
    rng = np.random.default_rng(10)
    C, S = amounts(rng, 400, 4), spectra(K=4)
    C[:, 3] = np.where(np.arange(400) < 100, 8.0, 0.0)  # in a quarter of the scan
    mean, axes = 3 * C @ S.T + 2.0, ("x", ENERGY)
    X = rng.poisson(mean) if kind == "counts" else mean + 2 * rng.standard_normal(mean.shape)
    variance = np.full(60, 4.0) if kind == "variance" else None
    data = fu.Dataset("eels", X.astype(float), axes=axes, variance=variance)
    references = {**named(S[:, :3]), "flat": np.ones(60)}
    fit = fu.mlls(Poisson(data) if kind == "counts" else data, references)
    said = next(m for m in fit.messages if "do not suffice" in m)
    place = float(said.split("largest at ")[1].split(" eV")[0])
    assert place == pytest.approx(ENERGY.offset + 0.5 * 50, abs=4)
    assert "above the fit" in said
    assert set(fit.worst(20)) <= set(range(100))
    assert np.median(fit.reduced_chi2[:100]) > 2 * np.median(fit.reduced_chi2[100:])
    complete = {**references, "missing": S[:, 3]}
    whole = fu.mlls(Poisson(data) if kind == "counts" else data, complete)
    assert not any("suffice" in m or "leave is largest" in m for m in whole.messages)


def test_a_weak_one_that_no_pixel_shows_is_told_by_all_together():
    rng = np.random.default_rng(11)
    S = spectra(K=4)
    C = amounts(rng, 2000, 4)
    C[:, 3] = 0.3
    X = C @ S.T + rng.standard_normal((2000, 60))
    fit = fu.mlls(fu.Dataset("a", X, variance=np.ones(60)), named(S[:, :3]))
    assert (fit.p < 1e-3).mean() < 0.01
    assert any("mean of all pixels" in m and "channel 5" in m for m in fit.messages)


def test_a_noise_that_is_underrated_is_no_missing_reference():
    rng = np.random.default_rng(12)
    fit = fu.mlls(scan(rng, shape=(20, 20), variance=np.full(60, 0.05)), named(spectra()))
    assert any("no shape in common" in m and "noise is larger" in m for m in fit.messages)
    assert not any("missing" in m for m in fit.messages)
