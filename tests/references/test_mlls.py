"""`mlls`: amounts and errors against their equations, masks, units, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from scipy.special import gammaincc

import fusion as fu
from fusion.constraints import Exp, Free, NonNegative
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.plots.drawing import Picture
from tests.helpers.paths import shared_file
from tests.helpers.reference_data import amounts, named, scan, silicon, spectra


@pytest.mark.parametrize("kind", ["none", "channel", "pixel", "entry", "mask"])
def test_amounts_are_those_of_scipy_under_every_weight(kind):
    rng = np.random.default_rng(3)
    data = scan(rng)
    v = {
        "channel": 0.2 + rng.random(60),
        "pixel": 0.2 + rng.random((12, 10, 1)),
        "entry": 0.2 + rng.random((12, 10, 60)),
    }.get(kind)
    mask = rng.random((12, 10, 60)) < 0.2 if kind == "mask" else None
    data = fu.Dataset("eels", data.numpy(), variance=v, mask=mask)
    S = spectra()
    fit = fu.mlls(data, named(S))
    w = np.ones((120, 60)) if v is None else np.broadcast_to(1 / v, (12, 10, 60)).reshape(120, 60)
    w = w if mask is None else w * ~mask.reshape(120, 60)
    for i, x in enumerate(data.matrix.numpy()):
        c, rest = nnls(np.sqrt(w[i])[:, None] * S, np.sqrt(w[i]) * x)
        assert fit.maps[i] == pytest.approx(c, abs=1e-10)
        P = c > 0
        left = (w[i] > 0).sum() - P.sum()
        scale = 1.0 if v is not None else rest**2 / left
        error = np.sqrt(scale * np.diag(np.linalg.inv(S[:, P].T @ (w[i][:, None] * S[:, P]))))
        assert fit.errors[i, P] == pytest.approx(error, rel=1e-8)
        for k in np.flatnonzero(~P):
            wider = np.flatnonzero(P | (np.arange(3) == k))
            G = S[:, wider].T @ (w[i][:, None] * S[:, wider])
            one = np.sqrt(scale * np.linalg.inv(G).diagonal()[list(wider).index(k)])
            assert fit.errors[i, k] == pytest.approx(one, rel=1e-8)
        assert (fit.at_zero[i] == ~P).all()
        if v is not None:
            assert fit.reduced_chi2[i] == pytest.approx(rest**2 / left)
            assert fit.p[i] == pytest.approx(gammaincc(left / 2, rest**2 / 2), rel=1e-6)


def test_signed_amounts_are_linear_least_squares():
    data, S = scan(np.random.default_rng(4)), spectra()
    fit = fu.mlls(data, named(S), constraint=Free())
    expected = np.linalg.lstsq(S, data.matrix.numpy().T, rcond=None)[0].T
    assert fit.maps == pytest.approx(expected, abs=1e-10)
    assert (fit.maps < 0).any()
    assert not fit.at_zero.any()
    assert (fit.interval()[0] < 0).any()


def test_nearly_parallel_references_keep_ten_digits():
    """The Gram matrix alone would lose half of them."""
    rng = np.random.default_rng(5)
    S = rng.random((50, 3))
    S[:, 2] = S[:, 1] + 1e-4 * rng.random(50)
    C = 1 + rng.random((40, 3))
    with_errors = fu.mlls(fu.Dataset("a", C @ S.T), named(S))
    assert with_errors.maps == pytest.approx(C, abs=1e-9)
    assert any("hard to tell" in m and "'ref 1'" in m for m in with_errors.messages)


def test_likeliest_amounts_of_counts_are_those_of_scipy():
    rng = np.random.default_rng(6)
    S = spectra() + 0.05
    X = rng.poisson(0.3 * amounts(rng, 40) @ S.T).astype(float)
    X[0] = 0
    fit = fu.mlls(Poisson(fu.Dataset("edxs", X)), named(S))
    for i, x in enumerate(X):
        told = minimize(
            lambda c, x=x: np.sum(S @ c - x * np.log(S @ c + 1e-300)),
            np.full(3, 0.5),
            jac=lambda c, x=x: S.T @ (1 - x / (S @ c + 1e-300)),
            bounds=[(0, None)] * 3,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000},
        )
        m = S @ fit.maps[i]
        mine = np.sum(m) - np.sum(x[x > 0] * np.log(m[x > 0]))
        assert mine <= told.fun + 1e-9
        slope = S.T @ (1 - np.where(x > 0, x / np.maximum(m, 1e-300), 0))
        assert slope.min() > -1e-6
        assert np.abs(slope * fit.maps[i]).max() < 1e-6
    assert (fit.maps[0] == 0).all()
    assert np.isfinite(fit.errors).all()


def test_sparse_counts_are_fitted_like_dense_ones():
    rng = np.random.default_rng(7)
    S = spectra() + 0.05
    X = torch.from_numpy(rng.poisson(0.02 * amounts(rng, 30) @ S.T).astype(float))
    for kind in (Poisson, Frobenius):
        dense, sparse = (
            fu.mlls(kind(fu.Dataset("a", x)), named(S)) for x in (X, X.to_sparse_coo())
        )
        assert sparse.maps == pytest.approx(dense.maps, abs=1e-9)
        assert sparse.spectrum([1]) == pytest.approx(X[[1]].numpy())


@pytest.mark.parametrize("kind", ["variance", "residual", "counts"])
def test_intervals_cover_the_truth_as_often_as_they_say(kind):
    """95 % intervals of amounts away from the bound; an amount at zero lies below its limit."""
    rng = np.random.default_rng(8)
    C, S = amounts(rng, 4000), 4 * spectra() + 0.1
    mean = C @ S.T
    if kind == "counts":
        fit = fu.mlls(Poisson(fu.Dataset("a", rng.poisson(mean).astype(float))), named(S))
    else:
        X = mean + 2 * rng.standard_normal(mean.shape)
        variance = 4.0 * np.ones(60) if kind == "variance" else None
        fit = fu.mlls(fu.Dataset("a", X, variance=variance), named(S))
    low, high = fit.interval(0.95)
    inside = (low <= C) & (high >= C)
    away = fit.maps > 3 * fit.errors
    assert 0.93 <= inside[away].mean() <= 0.97
    assert inside[fit.at_zero].mean() >= 0.95
    assert fit.at_zero.sum() > 1000


def test_masked_pixels_are_nan_and_masked_entries_are_not_read():
    rng = np.random.default_rng(13)
    data = scan(rng)
    X, mask = data.numpy().copy(), np.zeros((12, 10, 60), dtype=bool)
    mask[0, 0], mask[:, :, 7], mask[3, 4, 20:30] = True, True, True
    X[mask] = np.nan
    fit = fu.mlls(fu.Dataset("a", X, mask=mask), named(spectra()))
    assert np.isnan(fit.maps[0]).all()
    assert np.isfinite(fit.maps[1:]).all()
    assert any("1 of 120 pixels" in m for m in fit.messages)
    seen = np.flatnonzero(~mask[3, 4])
    assert fit.maps[34] == pytest.approx(nnls(spectra()[seen], X[3, 4, seen])[0], abs=1e-10)
    assert np.isnan(fit.residual([34])[0, 7])


def test_counts_in_masked_pixels_and_channels_are_not_read():
    rng = np.random.default_rng(26)
    S = spectra() + 0.05
    X = rng.poisson(amounts(rng, 30) @ S.T).astype(float)
    mask = np.zeros(X.shape, dtype=bool)
    mask[4], mask[:, 9] = True, True
    fit = fu.mlls(Poisson(fu.Dataset("a", X, mask=mask)), named(S))
    assert np.isnan(fit.maps[4]).all()
    assert np.isnan(fit.p[4])
    seen, rest = np.arange(60) != 9, np.arange(30) != 4
    alone = fu.mlls(Poisson(fu.Dataset("a", X[rest][:, seen])), named(S[seen]))
    assert fit.maps[rest] == pytest.approx(alone.maps, abs=1e-8)


def test_what_a_mask_leaves_undetermined_is_nan_and_the_rest_is_not():
    S = np.zeros((8, 2))
    S[:4, 0], S[4:, 1] = 1, 1
    mask = np.zeros((3, 8), dtype=bool)
    mask[0, 4:] = True
    data = fu.Dataset("a", np.ones((3, 8)) + 0.1 * np.arange(8), mask=mask)
    fit = fu.mlls(data, {"a": S[:, 0], "b": S[:, 1]})
    assert np.isnan(fit.maps[0, 1])
    assert fit.maps[0, 0] == pytest.approx(1.15)
    assert np.isfinite(fit.maps[1:]).all()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_another_unit_of_data_or_references_scales_the_maps_alone(scale):
    rng = np.random.default_rng(14)
    data, S = scan(rng), spectra()
    one = fu.mlls(data, named(S))
    other = fu.mlls(fu.Dataset("a", scale * data.numpy()), named(S))
    assert other.maps / scale == pytest.approx(one.maps, abs=1e-9)
    assert other.errors / scale == pytest.approx(one.errors, rel=1e-6)
    S[:, 1] *= scale
    third = fu.mlls(data, named(S))
    assert third.maps[:, 1] * scale == pytest.approx(one.maps[:, 1], abs=1e-9)


def test_types_of_data_and_a_single_spectrum():
    rng = np.random.default_rng(15)
    S = spectra()
    X = rng.poisson(5 * amounts(rng, 9) @ S.T)
    expected = fu.mlls(fu.Dataset("a", X.astype(float)), named(S)).maps
    for made in (X.astype(np.uint16), X.astype(np.float32), X.astype(">i4")):
        assert fu.mlls(fu.Dataset("a", made), named(S)).maps == pytest.approx(expected, abs=1e-6)
    single = fu.mlls(fu.Dataset("a", X[4]), named(S))
    assert single.maps == pytest.approx(expected[4:5], abs=1e-9)
    assert isinstance(single.plot(), Picture)


def test_data_without_noise_and_without_channels_to_spare_are_no_case_for_words():
    rng = np.random.default_rng(25)
    C, S = amounts(rng, 50), spectra()
    exact = fu.mlls(fu.Dataset("a", C @ S.T), named(S))
    assert exact.maps == pytest.approx(C, abs=1e-10)
    assert not any("suffice" in m or "largest" in m for m in exact.messages)
    full = fu.mlls(fu.Dataset("a", C @ S[[10, 25, 40]].T + 1), named(S[[10, 25, 40]]))
    free = ~full.at_zero.any(1)
    assert np.isnan(full.p[free]).all()
    assert "ref 2: mean" in full.summary()


def test_masked_channels_need_no_reference():
    rng = np.random.default_rng(19)
    data = scan(rng, mask=np.arange(60) >= 40)
    at = data.channels[0].values[:40]
    fit = fu.mlls(data, {k: (at, s[:40]) for k, s in named(spectra()).items()})
    expected = np.stack([nnls(spectra()[:40], x)[0] for x in data.matrix.numpy()[:, :40]])
    assert fit.maps == pytest.approx(expected, abs=1e-10)


def test_what_no_likelihood_of_counts_can_use_is_refused():
    S = named(spectra() + 0.1)
    data = fu.Dataset("a", np.full((2, 60), 3.0))
    negative = fu.Dataset("a", np.full((2, 60), -3.0))
    for fit, references, constraint, words in (
        (Poisson(negative), S, None, "negative"),
        (Poisson(data), {"a": -spectra()[:, 0]}, None, "negative"),
        (Poisson(data), {"a": np.eye(60)[0]}, None, "59 channels hold 354 counts"),
        (Poisson(data), S, Free(), "no negative means"),
        (data, S, Exp(), "`NonNegative()` or `Free()`"),
        (data.numpy(), S, NonNegative(), "ndarray"),
        (fu.Dataset("image", np.ones((3, 4)), signal=0), S, None, "image"),
    ):
        with pytest.raises(ValueError, match="mlls") as error:
            fu.mlls(fit, references, constraint=constraint)
        assert words in str(error.value)


def test_a_variance_known_up_to_a_factor_weighs_but_the_residual_tells_the_errors():
    rng = np.random.default_rng(20)
    v = 0.1 + rng.random(60)
    data = scan(rng)
    known, scaled = (fu.Dataset("a", data.numpy(), variance=f * v) for f in (1, 100))
    one, two, three = (
        fu.mlls(fit, named(spectra())) for fit in (known, Gaussian(known), Gaussian(scaled))
    )
    assert two.maps == pytest.approx(one.maps, abs=1e-12)
    assert three.errors == pytest.approx(two.errors)
    assert one.variance_known
    assert not two.variance_known
    assert any("estimate_variance" in m for m in two.messages)


def test_the_summary_names_every_reference_and_the_plot_draws_every_map():
    rng = np.random.default_rng(21)
    fit = fu.mlls(scan(rng, variance=np.full(60, 0.25)), named(spectra()))
    assert all(f"ref {k}: mean" in fit.summary() for k in range(3))
    assert "p < 0.001 in" in fit.summary()
    figure = fit.plot(worst=2)
    titles = [panel.get_title() for panel in figure.axes]
    assert sum(title.startswith("ref ") for title in titles) == 3
    assert sum(title.startswith("y ") for title in titles) == 2
    bars = [a for panel in figure.axes for a in panel.artists]
    assert len(bars) == 5  # a scale bar in every map
    with pytest.raises(ValueError, match="'ref 7'"):
        fit["ref 7"]
    with pytest.raises(ValueError, match="interval"):
        fit.interval(95)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", [Frobenius, Poisson])
def test_a_gpu_gives_the_same(kind):
    rng = np.random.default_rng(22)
    S = spectra() + 0.05
    data = fu.Dataset("a", rng.poisson(amounts(rng, 300) @ S.T).astype(float))
    here, there = (fu.mlls(kind(data), named(S), device=d) for d in ("cpu", "cuda"))
    assert there.maps == pytest.approx(here.maps, abs=1e-8)
    assert there.p == pytest.approx(here.p, abs=1e-8)


def test_the_true_spectra_suffice_where_the_background_is_known():
    data, known, C = silicon("counts")
    fit = fu.mlls(data, known)
    assert np.nanmedian(fit.reduced_chi2) == pytest.approx(1, abs=0.05)
    assert (fit.p < 1e-3).mean() < 0.005
    low, high = fit.interval()
    away = fit.maps > 3 * fit.errors
    assert 0.93 <= ((low <= C) & (high >= C))[away].mean() <= 0.97


def test_real_manganese_spectra_are_of_their_valence_once_their_energies_are_right():
    """As they come, 3 to 4 eV off, they look like Mn⁴⁺: it is the residual that says so."""
    folder = shared_file("mn_l23_references")
    X = np.load(folder / "mn2_eels_448.npz")["data"].astype(float)
    with np.load(folder / "mn_l23_digitized.npz") as file:
        known = {n: tuple(file[n]) for n in ("Mn2_27", "Mn3_29", "Mn4_31")}
    fits = []
    for offset in (0.0, 3.2):
        axes = ("pixel", fu.Axis("energy loss", 0.1, 615 - offset, "eV"))
        fits.append(fu.mlls(fu.Dataset("Mn", X, axes=axes).crop(energy=(636.5, 658.5)), known))
    as_is, aligned = fits
    assert sum("resampled" in m for m in aligned.messages) == 3
    assert (aligned.maps.argmax(1) == 0).mean() > 0.95
    assert (as_is.maps.argmax(1) == 0).mean() < 0.05
    assert any("mean of all pixels" in m and "above the fit" in m for m in as_is.messages)
    assert np.mean(as_is.residual_map**2) > 5 * np.mean(aligned.residual_map**2)
