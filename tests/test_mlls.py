"""Reference spectra in every pixel: amounts, errors, and where the references do not suffice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from scipy.special import gammaincc
from scipy.stats import poisson

import fusion as fu
from fusion.constraints import Exp, Free, NonNegative
from fusion.engine.batched_nnls import nnls as batched
from fusion.engine.poisson_pixels import deviance
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.models import WithReferences
from fusion.plots.drawing import Picture
from fusion.references.residual_shape import Shape
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import angles

ENERGY = fu.Axis("energy loss", scale=0.5, offset=100.0, units="eV")


def spectra(channels: int = 60, K: int = 3) -> np.ndarray:
    """Overlapping peaks (channel, K), K up to 4."""
    E = np.arange(channels)[:, None]
    return np.exp(-0.5 * ((E - np.array([15.0, 25.0, 38.0, 50.0])[:K]) / 7) ** 2)


def amounts(rng: np.random.Generator, n: int, K: int = 3) -> np.ndarray:
    """Maps (n, K), about a third of the entries zero."""
    return 10 * rng.random((n, K)) * (rng.random((n, K)) > 0.35)


def named(S: np.ndarray) -> dict[str, np.ndarray]:
    return {f"ref {k}": column for k, column in enumerate(S.T)}


def scan(rng, sigma: float = 0.5, shape=(12, 10), K: int = 3, **options) -> fu.Dataset:
    """Spectra of `amounts` with Gaussian noise."""
    C, S = amounts(rng, shape[0] * shape[1], K), spectra(K=K)
    X = (C @ S.T + sigma * rng.standard_normal((len(C), len(S)))).reshape(*shape, -1)
    axes = (fu.Axis("y", 2.0, units="nm"), fu.Axis("x", 2.0, units="nm"), ENERGY)
    return fu.Dataset("eels", X, axes=axes, **options)


# the solver


@pytest.mark.parametrize("K", [1, 2, 5, 12])
def test_batched_nnls_is_that_of_scipy(K):
    rng = np.random.default_rng(K)
    A, X = rng.random((40, K)), rng.standard_normal((300, 40))
    x, free = batched(torch.from_numpy(A.T @ A), torch.from_numpy(X @ A))
    expected = np.stack([nnls(A, row)[0] for row in X])
    assert np.abs(x.numpy() - expected).max() < 1e-10
    assert ((x > 0) <= free).all()


def test_a_gram_matrix_of_its_own_for_every_row_is_solved_likewise():
    rng = np.random.default_rng(0)
    A, X = rng.random((200, 15, 4)), rng.standard_normal((200, 15))
    G, b = np.einsum("nij,nik->njk", A, A), np.einsum("nij,ni->nj", A, X)
    x, _ = batched(torch.from_numpy(G), torch.from_numpy(b))
    expected = np.stack([nnls(a, row)[0] for a, row in zip(A, X, strict=True)])
    assert np.abs(x.numpy() - expected).max() < 1e-9


def test_degenerate_rows_end_and_meet_the_conditions_of_a_minimum():
    """Zero right sides, exact zeros of the answer, and nearly parallel columns."""
    rng = np.random.default_rng(1)
    A = rng.random((30, 6))
    A[:, 5] = A[:, 4] + 1e-4 * rng.random(30)
    X = np.concatenate([np.zeros((3, 30)), amounts(rng, 200, 6) @ A.T, -rng.random((3, 30))])
    G, b = torch.from_numpy(A.T @ A), torch.from_numpy(X @ A)
    x, _ = batched(G, b)
    slope = x @ G - b
    assert (x >= 0).all()
    assert float(slope.min()) > -1e-10 * float(b.abs().max())
    assert float((x * slope).abs().max()) < 1e-8


def test_more_than_a_machine_word_of_unknowns():
    rng = np.random.default_rng(2)
    A, X = rng.random((200, 70)), rng.standard_normal((20, 200))
    x, _ = batched(torch.from_numpy(A.T @ A), torch.from_numpy(X @ A))
    expected = np.stack([nnls(A, row)[0] for row in X])
    assert np.abs(x.numpy() - expected).max() < 1e-10


# amounts and errors against their equations


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


@pytest.mark.parametrize("mean", [0.01, 0.3, 5.0, 200.0])
def test_the_deviance_of_counts_has_its_moments(mean):
    x = np.arange(2000)
    chance = poisson.pmf(x, mean)
    d = 2 * (np.where(x > 0, x * np.log(np.maximum(x, 1) / mean), 0) - x + mean)
    m, one = torch.full((1, 1), mean, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    value, expected, variance = deviance(one * 3, one, m)
    assert float(value) == pytest.approx(2 * (3 * np.log(3 / mean) - 3 + mean))
    assert float(expected) == pytest.approx(np.sum(chance * d), rel=1e-2)
    assert float(variance) == pytest.approx(
        np.sum(chance * d**2) - np.sum(chance * d) ** 2, rel=2e-2
    )


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


# where the references do not suffice


def test_sums_of_residuals_by_products_are_those_of_the_residuals():
    rng = np.random.default_rng(27)
    r, d, S = (torch.from_numpy(rng.standard_normal(s)) for s in ((50, 20), (50, 3), (20, 3)))
    g, v = torch.from_numpy(rng.random((50, 1))), torch.from_numpy(rng.random(20))
    g[3], v[5] = 0, 0
    seen = (g > 0) & (v > 0)
    direct = Shape.of(g * v.sqrt() * (r + d @ S.T), r, seen.expand_as(r))
    quick = Shape.of_products(r, r.square(), g, v, d, S)
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


# masks and bad input


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


def test_data_without_noise_and_without_channels_to_spare_are_no_case_for_words():
    rng = np.random.default_rng(25)
    C, S = amounts(rng, 50), spectra()
    exact = fu.mlls(fu.Dataset("a", C @ S.T), named(S))
    assert exact.maps == pytest.approx(C, abs=1e-10)
    assert not any("suffice" in m or "largest" in m for m in exact.messages)
    full = fu.mlls(fu.Dataset("a", C @ S[[10, 25, 40]].T + 1), named(S[[10, 25, 40]]))
    free = ~full.at_zero.any(1)
    assert np.isnan(full.p[free]).all()
    assert "ref 2: mean" in str(full)


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


# words and pictures


def test_the_summary_names_every_reference_and_the_plot_draws_every_map():
    rng = np.random.default_rng(21)
    fit = fu.mlls(scan(rng, variance=np.full(60, 0.25)), named(spectra()))
    assert all(f"ref {k}: mean" in str(fit) for k in range(3))
    assert "p < 0.001 in" in str(fit)
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


# known references beside unknown components


@pytest.mark.parametrize("scale", [1.0, 1e5])
@pytest.mark.parametrize("kind", [Frobenius, Poisson])
def test_a_planted_unknown_is_found_beside_known_references(kind, scale):
    rng = np.random.default_rng(23)
    S = spectra(K=4)
    C = amounts(rng, 300, 4)
    C[:, 3] = np.where(rng.random(300) < 0.4, 20 * rng.random(300), 0)
    mean = 5 * C @ S.T
    X = rng.poisson(mean).astype(float)
    data = fu.Dataset("eels", X)
    known = {name: scale * s for name, s in named(S[:, :3]).items()}
    model = WithReferences(data, known, 1)
    result = fu.fit(model, kind(data), starts=3, progress=False)
    assert angles(result["S"][:, 3:], S[:, 3:]).max() < 3
    assert result["S"][:, :3] == pytest.approx(S[:, :3] / np.linalg.norm(S[:, :3], axis=0))
    maps = result["C"][:, :3] / model.norms.numpy() * scale
    assert np.corrcoef(maps[:, 1], C[:, 1])[0, 1] > 0.99
    assert maps.mean(0) == pytest.approx(5 * C[:, :3].mean(0), rel=0.03)
    assert model.component_names == ("ref 0", "ref 1", "ref 2", "unknown 1")


def test_the_model_shows_names_warns_of_resampling_and_refuses_a_wrong_k():
    data = scan(np.random.default_rng(24))
    at = np.arange(95, 135, 0.1)
    with pytest.warns(UserWarning, match="'a': resampled"):
        model = WithReferences(data, {"a": (at, np.exp(-(((at - 110) / 5) ** 2)))}, 1)
    result = fu.fit(model, Frobenius(data), starts=1, max_steps=3, progress=False)
    words = [t.get_text() for panel in result.plot().axes for t in panel.texts]
    assert any(word.startswith("unknown 1") for word in words)
    for K in (0, 60, 1.5):
        with pytest.raises(ValueError, match="WithReferences"):
            WithReferences(data, named(spectra()), K)


# simulated and real data


def silicon(name: str) -> tuple[fu.Dataset, dict[str, np.ndarray], np.ndarray]:
    """(data, true spectra, true maps (pixel, 3)) of Si, Si₃N₄ and SiO₂."""
    file = np.load(shared_file("figure_cases", "fig3_sim.npz"))
    counts = file["counts"].astype(float)
    X = file["bgsub"].astype(float) if name == "bgsub" else counts - file["background"]
    axes = ("y", "x", fu.Axis("energy loss", values=file["energy"], units="eV"))
    variance = fu.Dataset("eels", counts).estimate_variance().variance
    data = fu.Dataset("eels", X, axes=axes, variance=variance)
    known = dict(zip(map(str, file["names"]), file["S"], strict=True))
    return data, known, file["C"].reshape(3, -1).T


def test_the_true_spectra_suffice_where_the_background_is_known():
    data, known, C = silicon("counts")
    fit = fu.mlls(data, known)
    assert np.nanmedian(fit.reduced_chi2) == pytest.approx(1, abs=0.05)
    assert (fit.p < 1e-3).mean() < 0.005
    low, high = fit.interval()
    away = fit.maps > 3 * fit.errors
    assert 0.93 <= ((low <= C) & (high >= C))[away].mean() <= 0.97


def test_a_spectrum_left_out_is_told_and_then_found():
    data, known, _ = silicon("counts")
    missing = known.pop("SiO2")
    assert "references do not suffice" in fu.mlls(data, known).messages[0]
    model = WithReferences(data, known, 1)
    found = fu.fit(model, Frobenius(data), starts=2, progress=False)["S"][:, 2:]
    assert angles(found, missing[:, None]).max() < 2


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
