"""The band of equally good answers: exact intervals, collapse to error bars, words."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.mixtures import band_of_a_map, fitted, mixed, nmf_of
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import noisy_dataset, pure, unit

QUANTILE = 1.959964


def extremes(X: np.ndarray) -> dict[str, np.ndarray]:
    """Exact intervals of the two spectra of clean rank-2 data, unit sum (channel, 2) each.

    Rows over their sum lie on a line, row = (1 − t) a + t b. The inner ends are the extreme rows
    (C ≥ 0), the outer ones where the line leaves S ≥ 0.

    References:
        Lawton & Sylvestre, Technometrics 13:617 (1971).
    """
    rows = X / X.sum(1, keepdims=True)
    direction = np.linalg.svd(rows - rows.mean(0))[2][0]
    t = (rows - rows.mean(0)) @ direction
    line = lambda s: rows.mean(0) + s * direction  # noqa: E731
    reach = -rows.mean(0) / np.where(direction == 0, np.nan, direction)
    return {
        "inner": np.stack([line(t.min()), line(t.max())], 1),
        "outer": np.stack([line(reach[reach < 0].max()), line(reach[reach > 0].min())], 1),
    }


def between(inner: np.ndarray, outer: np.ndarray, steps: int = 21) -> np.ndarray:
    """Exact answers of every component with unit columns, (step, channel, K)."""
    share = np.linspace(0, 1, steps)[:, None, None]
    made = (1 - share) * inner + share * outer
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def held_against(band: fu.Ambiguity, known: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    """(by how much exact answers stand out of the band, its width over theirs), matched columns."""
    exact = between(known["inner"], known["outer"])
    found = band.factors["S"]
    if found[:, 0] @ exact[10, :, 0] < found[:, 0] @ exact[10, :, 1]:
        exact = exact[:, :, ::-1]
    low, high = band.spectra["S"]
    out = max((low - exact.min(0)).max(), (exact.max(0) - high).max())
    return float(out / exact.max()), (high - low).sum(0) / np.ptp(exact, axis=0).sum(0)


def test_the_band_of_clean_data_of_rank_two_is_the_exact_interval():
    rng = np.random.default_rng(0)
    X = mixed(rng, 80, 2, 0.8) @ (0.2 + rng.random((40, 2))).T
    out, wider = held_against(fu.ambiguity(nmf_of(X, 2)), extremes(X))
    assert out < 1e-3
    assert (wider < 1.1).all()


def test_the_band_of_the_mn3o4_phantom_holds_the_known_interval_within_twice_its_width():
    with np.load(shared_file("mn3o4_phantom", "mn3o4_truth.npz")) as file:
        clean = file["clean"]
        known = {
            end: np.stack([file[f"{end}_Mn2"], file[f"{end}_Mn3"]], 1) for end in ("inner", "outer")
        }
    out, wider = held_against(fu.ambiguity(nmf_of(clean, 2)), known)
    assert out < 1e-3
    assert (wider < 2).all()


def test_channels_with_nothing_but_noise_do_not_make_free_mixtures_look_determined():
    rng = np.random.default_rng(0)
    C, S = mixed(rng, 60, 2, 0.8), np.zeros((60, 2))
    S[:20] = 0.2 + rng.random((20, 2))
    X = C @ S.T
    noisy = X + 0.002 * X.max() * rng.standard_normal(X.shape)
    band = fu.ambiguity(nmf_of(noisy, 2))
    padded = {
        end: np.pad(spectra, ((0, 40), (0, 0))) for end, spectra in extremes(X[:, :20]).items()
    }
    out, wider = held_against(band, padded)
    assert out < 0.01
    assert (wider < 2).all()


@pytest.fixture(scope="module")
def loose() -> dict[int, tuple[np.ndarray, np.ndarray, fu.Result, fu.Ambiguity]]:
    """(data, true spectra, fit, band) of mixtures alone: for every K."""
    made = {}
    for K in (2, 3):
        rng = np.random.default_rng(2)
        C, S = mixed(rng, 40, K, 0.8), unit(0.1 + rng.random((20, K)))
        X = C @ S.T
        X = X + 0.005 * X.mean() * rng.standard_normal(X.shape)
        fit = nmf_of(X, K)
        made[K] = X, S, fit, fu.ambiguity(fit)
    return made


def test_every_answer_at_the_edges_fits_within_the_noise(loose):
    X, _, fit, band = loose[3]
    best = 0.5 * np.sum((X - fit["C"] @ fit["S"].T) ** 2)
    assert len(band.solutions) > 6
    for answer in band.solutions:
        loss = 0.5 * np.sum((X - answer["C"] @ answer["S"].T) ** 2)
        assert loss <= best + 1.05 * band.allowed
        for name in ("C", "S"):
            assert answer[name].min() >= 0
            low, high = band.bands[name]
            assert (low <= answer[name] + 1e-12).all()
            assert (answer[name] <= high + 1e-12).all()


@pytest.mark.parametrize("K", [2, 3])
def test_the_band_holds_the_truth_where_the_answer_is_not_unique(K, loose):
    _, S, _, band = loose[K]
    order = np.argmax(band.factors["S"].T @ S, 0)
    low, high = (edge[:, order] for edge in band.spectra["S"])
    assert ((low <= S) & (high >= S)).mean() > 0.95
    assert band.unique.startswith("not unique")


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_with_pure_pixels_and_channels_the_band_is_as_wide_as_the_error_bars(loss):
    rng = np.random.default_rng(3)
    mean = 200 * pure(rng, 60) @ pure(rng, 40).T
    X = rng.poisson(mean).astype(float)
    if loss is Frobenius:
        X = mean + 5 * rng.standard_normal(mean.shape)
    fit = nmf_of(X, 3, loss)
    band, errors = fu.ambiguity(fit), fit.errors()
    for name in ("C", "S"):
        free = np.isfinite(errors[name]) & (fit[name] > 4 * np.nan_to_num(errors[name]))
        low, high = band.bands[name]
        ratio = ((high - low)[free] / (2 * QUANTILE * errors[name][free])).mean()
        assert 0.9 < ratio < 1.2
    assert band.unique.startswith("unique")
    assert all(d.all() for d in band.determined.values())


def test_a_second_detector_makes_unique_what_one_alone_does_not():
    rng = np.random.default_rng(4)
    C = pure(rng, 60)
    S1, S2 = 0.3 + rng.random((30, 3)), pure(rng, 20)
    a, b = (noisy_dataset(rng, n, C @ S.T, 0.01) for n, S in (("a", S1), ("b", S2)))
    maps = (
        fitted(NMF(a, 3), Frobenius(a)),
        fitted(SharedMaps(a, b, K=3), Frobenius(a) + Frobenius(b)),
    )
    alone, together = (fu.ambiguity(fit) for fit in maps)
    assert alone.width["S"].mean() > 3 * together.width["S_a"].mean()
    assert set(together.spectra) == {"S_a", "S_b"}
    assert set(together.maps) == {"C"}


def test_the_band_scales_with_the_data():
    rng = np.random.default_rng(5)
    X = mixed(rng, 50, 2, 0.8) @ (0.2 + rng.random((30, 2))).T
    X = X + 0.01 * X.mean() * rng.standard_normal(X.shape)
    one, many = fu.ambiguity(nmf_of(X, 2)), fu.ambiguity(nmf_of(1e5 * X, 2))
    # any point of the band may be the one that is found, so the order of components is anybody's
    low, high = one.spectra["S"].low, one.maps["C"].high
    order = [0, 1] if np.corrcoef(low[:, 0], many.spectra["S"].low[:, 0])[0, 1] > 0.9 else [1, 0]
    np.testing.assert_allclose(many.spectra["S"].low, low[:, order], atol=3e-3)
    np.testing.assert_allclose(many.maps["C"].high / 1e5, high[:, order], rtol=2e-2)


def test_masked_rows_have_no_band():
    rng = np.random.default_rng(6)
    mask = np.zeros(50, dtype=bool)
    mask[7] = True
    X = mixed(rng, 50, 2, 0.8) @ (0.2 + rng.random((30, 2))).T
    band = fu.ambiguity(nmf_of(X + 0.01 * rng.random(X.shape), 2, mask=mask))
    assert np.isnan(band.maps["C"].low[7]).all()
    assert np.isfinite(band.maps["C"].low[8]).all()


@pytest.fixture(scope="module")
def cube() -> fu.Ambiguity:
    return band_of_a_map()


def test_it_is_frozen_and_says_what_it_found_in_words(cube):
    with pytest.raises(FrozenInstanceError):
        cube.unique = "yes"
    assert "not unique" in str(cube)
    assert "% of area" in str(cube)


def test_bad_questions_are_answered_with_what_there_is(tmp_path):
    rng = np.random.default_rng(8)
    fit = nmf_of(rng.random((20, 10)) + 1, 1)
    with pytest.raises(ValueError, match="nothing can mix"):
        fu.ambiguity(fit)
    fit = nmf_of(rng.random((20, 10)) + 1, 2)
    with pytest.raises(ValueError, match=r"'Q' is no factor.*C, S"):
        fu.ambiguity(fit, factors=["Q"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        fu.ambiguity(fit, level=95)
    fit.save(tmp_path / "r.npz")
    with pytest.raises(ValueError, match="fit once more"):
        fu.ambiguity(fu.Result.load(tmp_path / "r.npz"))


def test_unique_is_not_said_of_what_is_mostly_noise():
    """The second component is noise: wide error bars, and a band no wider."""
    random, E = np.random.default_rng(0), np.arange(30)
    S, C = np.exp(-0.5 * ((E - 15) / 3) ** 2)[None], random.random((40, 1))
    data = fu.Dataset("a", C @ S + random.normal(0, 0.05, (40, 30)), variance=0.0025)
    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), starts=3, progress=False)
    band = fu.ambiguity(result)
    noise = int(np.argmin(result.data["a"].component_variance))
    assert band.width["C"][noise] > 0.5
    said = re.search(r"(?:not unique|too noisy).*C: components? ([\d, ]+)", band.unique)
    assert str(noise + 1) in said[1]


def test_the_width_of_a_component_that_is_zero_is_infinite_not_a_number_of_three_hundred_digits():
    from fusion.uncertainty.uniqueness import relative_widths

    low, high = np.zeros((5, 3)), np.array([[1.0, 1.0, 0.0]] * 5)
    areas = {"S": np.array([[2.0, 0.0, 0.0]] * 5)}
    assert relative_widths({"S": (low, high)}, areas)["S"].tolist() == [0.5, np.inf, 0.0]


def test_an_empty_channel_of_counts_is_limited_by_what_a_count_there_would_cost():
    rng = np.random.default_rng(0)
    C, S = 40 * rng.random((120, 2)), np.abs(rng.normal(size=(30, 2)))
    counts = rng.poisson(C @ S.T)
    counts[:, :5] = 0
    data = fu.Dataset("edxs", counts.reshape(10, 12, 30))
    result = fu.fit(fu.models.NMF(data, K=2), Poisson(data), starts=2, progress=False)
    found = fu.ambiguity(result, progress=False)
    assert np.all(result["S"][:5] == 0)
    # the loss there is Σ C s: it rises by half of χ²₁'s quantile, 1.92, at 1.92 / Σ C
    expected = 0.5 * 3.8415 / result["C"].sum(0)
    np.testing.assert_allclose(found.errors["S"][:5], np.broadcast_to(expected, (5, 2)), rtol=1e-3)
    assert found.bands["S"].high[:5].max() < 0.01 * result["S"].max()
    assert np.all(found.width_of("S") < 1)


def farthest(c: np.ndarray, x: np.ndarray, k: int, rise: float) -> float:
    """The largest s_k ≥ 0 at which Σ (c s − x ln c s), least over the others, rises by so much."""
    from scipy.optimize import brentq, minimize_scalar

    def loss(s):
        m = c @ s
        return m.sum() - (x[x > 0] * np.log(m[x > 0])).sum()

    def least(value):
        pair = lambda other: loss(np.array([value, other] if k == 0 else [other, value]))  # noqa: E731
        return minimize_scalar(pair, bounds=(1e-12, 1.0), method="bounded").fun

    values = np.geomspace(1e-7, 1.0, 400)
    losses = np.array([least(value) for value in values])
    first = int(losses.argmin())
    return float(brentq(lambda v: least(v) - losses[first] - rise, values[first], 1.0))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_channel_of_few_counts_goes_no_farther_than_its_bounds_allow(seed):
    rng = np.random.default_rng(seed)
    C, S = 40 * rng.random((120, 2)) + 1, np.abs(rng.normal(size=(30, 2)))
    counts = rng.poisson(C @ S.T)
    counts[:, 0] = 0
    counts[rng.choice(120, 2, replace=False), 0] = 1
    data = fu.Dataset("edxs", counts.reshape(10, 12, 30))
    result = fu.fit(fu.models.NMF(data, K=2), Poisson(data), starts=2, progress=False)
    found = fu.ambiguity(result, progress=False)
    for k in range(2):
        exact = farthest(result["C"], counts[:, 0], k, 1.92)
        assert 0.4 * exact < found.bands["S"].high[0, k] < 2.5 * exact
