"""Corners of data: pure pixels where there are some, else those of the signal's subspace."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.search.endmembers import Pixels, subspace
from tests.helpers.planted_factors import angles, pure

WAYS = {"SPA": fu.SPA, "VCA": fu.VCA, "NFINDR": fu.NFINDR}
K = 3


def peaks(channels: int = 60) -> np.ndarray:
    """Spectra (channel, K) of one peak each: in every one some channels are empty."""
    E = np.arange(channels)[:, None]
    return np.exp(-0.5 * ((E - np.array([12.0, 28.0, 45.0])) / 4) ** 2)


def mixed(rng: np.random.Generator, pixels: int = 400) -> np.ndarray:
    """Maps (pixel, K), every pixel a mixture: no component above 60 %."""
    C = rng.dirichlet([2.0] * K, 20 * pixels)
    return C[C.max(1) <= 0.6][:pixels]


@pytest.mark.parametrize("way", WAYS)
def test_pure_pixels_are_found_without_noise(way):
    rng = np.random.default_rng(0)
    C, S = pure(rng, 80), pure(rng, 30)
    data = fu.Dataset("a", C @ S.T)
    result = fu.fit(NMF(data, K), Frobenius(data), init=WAYS[way](), max_steps=0, progress=False)
    assert angles(result.factors["S"], S).max() < 0.5


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("noise", [False, True])
def test_the_subspace_has_pure_spectra_where_no_pixel_is_pure(way, noise):
    rng = np.random.default_rng(1)
    C, S = mixed(rng), peaks()
    mean = 2000 * C @ S.T / S.sum(0).mean()
    data = fu.Dataset("a", rng.poisson(mean).astype(float) if noise else mean)
    found = {}
    for points in (Pixels(), fu.SSS()):
        told = {"init": WAYS[way](points=points), "max_steps": 0, "progress": False}
        factors = fu.fit(NMF(data, K), Frobenius(data), **told).factors
        found[type(points)] = angles(factors["S"], S).max()
    assert found[fu.SSS] < (4 if noise else 0.5)
    assert noise or found[Pixels] > 15


def test_pure_maps_are_found_by_exchanging_pixels_and_channels():
    """Every channel has all three, but each component is alone somewhere in the image."""
    rng = np.random.default_rng(2)
    C, S = pure(rng, 80), 0.5 + rng.random((40, K))
    data = fu.Dataset("a", C @ S.T)
    init = fu.PureMaps(fu.VCA(points=fu.SSS()))
    result = fu.fit(NMF(data, K), Frobenius(data), init=init, max_steps=0, progress=False)
    assert angles(result.factors["C"], C).max() < 2


def test_scaling_by_counts_keeps_the_unit_and_empty_rows():
    rng = np.random.default_rng(3)
    X = torch.from_numpy(rng.poisson(mixed(rng) @ peaks().T * 50).astype(float))
    X[3], X[:, 5] = 0, 0
    space = subspace(X, K)
    assert torch.isfinite(space.low).all()
    assert torch.isfinite(space.basis).all()
    lost = X - space.low @ space.basis.T
    least = np.sum(np.linalg.svd(X.numpy(), compute_uv=False)[K:] ** 2)
    assert least <= float(lost.square().sum()) < 1.1 * least


def test_the_same_answer_in_another_unit():
    rng = np.random.default_rng(4)
    X = rng.poisson(mixed(rng) @ peaks().T * 50).astype(float)
    found = []
    for scale in (1e-6, 1.0, 1e6):
        data = fu.Dataset("a", scale * X)
        init = fu.VCA(points=fu.SSS())
        told = {"init": init, "max_steps": 0, "progress": False}
        found.append(fu.fit(NMF(data, K), Frobenius(data), **told).factors["S"])
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[2] == pytest.approx(found[1], abs=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_data_without_a_positive_spectrum_have_no_corners_and_say_so(way):
    data = fu.Dataset("a", -np.ones((4, 5, 8)) - np.arange(8.0))
    with pytest.raises(ValueError, match=r"none of 20 spectra has a sum above 0"):
        fu.fit(NMF(data, 2), Frobenius(data), init=WAYS[way](), progress=False)


@pytest.mark.parametrize("way", [*WAYS.values(), fu.NNDSVD], ids=lambda way: way.__name__)
@pytest.mark.parametrize("model", ["NMF", "WithBackground"])
def test_a_start_read_off_the_data_is_of_their_size_whichever_factor_has_unit_columns(way, model):
    rng = np.random.default_rng(0)
    X = 1e6 * pure(rng, 80) * [1.0, 3.0, 0.3] @ peaks().T
    data = fu.Dataset("a", X, axes=["x", fu.Axis("energy", offset=100, units="eV")])
    made = NMF(data, K) if model == "NMF" else fu.models.WithBackground(data, None, K)
    begun = fu.fit(made, Frobenius(data), init=way(), max_steps=0, compress=False, progress=False)
    assert begun.explained_variance["a"] > 0.5
