"""What each piece of structure is good for, on planted data that need it."""

import numpy as np
import pytest

import fusion as fu
from fusion.constraints import (
    Absent,
    Fixed,
    Free,
    Monotone,
    NonNegative,
    PowerLaw,
    Simplex,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.losses import (
    L1,
    BetaDivergence,
    Frobenius,
    NearPowerLaw,
    SpatialSmoothness,
    TotalVariation,
)
from tests.helpers.messages import fails_in_one_line
from tests.helpers.planted_factors import Bilinear, angles, pure, unit
from tests.test_structure import ENERGY, E, fitted, noisy

SCAN = (16, 16)


def peak(x, centre, width):
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def peaks(n=40, centres=(8, 17, 27), width=5.0):
    """Overlapping lines, one a component."""
    return np.stack([peak(np.arange(n), centre, width) for centre in centres], 1)


def blocks():
    """Three phases in sharp regions, none mixed."""
    y, x = np.mgrid[:16, :16]
    phase = np.where(x < 6, 0, np.where(y + x < 22, 1, 2))
    return np.eye(3)[phase].reshape(-1, 3)


def far(found, truth):
    """Relative error of a matrix."""
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


def test_relative_noise_is_best_met_by_itakura_saito():
    rng = np.random.default_rng(0)
    C, S = rng.gamma(1.0, 1.0, (256, 3)) * rng.lognormal(0, 1.5, (256, 1)), peaks() + 0.02
    X = (C @ S.T) * rng.gamma(20, 1 / 20, (256, 40))  # 22 % everywhere
    data = fu.Dataset("x", X.reshape(*SCAN, 40))
    worst = {
        beta: angles(
            fitted(fu.models.NMF(data, 3), 1.0 * BetaDivergence(data, beta)).factors["S"], S
        ).max()
        for beta in (0, 2)
    }
    assert worst[0] < 0.5 * worst[2], worst


def test_l1_finds_the_zeros_that_noise_hides():
    rng = np.random.default_rng(0)
    C = rng.gamma(2.0, 1.0, (256, 3)) * (rng.random((256, 3)) < 0.4)
    data = noisy(C @ peaks(width=8.0).T, 0.1)
    kept = {}
    for weight in (0.0, 0.1):
        loss = Frobenius(data) + weight * L1("C")
        result = fitted(fu.models.NMF(data, 3), loss)
        kept[weight] = float(((result.factors["C"] == 0).sum(1) == (C == 0).sum(1)).mean())
        kept[f"angle {weight}"] = angles(result.factors["S"], peaks(width=8.0)).max()
    assert kept[0.1] > kept[0.0], kept


def test_total_variation_keeps_edges_that_smoothness_rounds():
    C, S = blocks(), peaks(width=8.0)
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.5)
    known = [Fixed(S)]

    def error(*penalties):
        result = fitted(Bilinear(data, 3, [], known), sum(penalties, 1.0 * Frobenius(data)))
        return far(result.factors["C"], C)

    plain = error()
    smooth = min(error(w * SpatialSmoothness("C")) for w in (0.3, 1.0))
    sharp = min(error(w * TotalVariation("C")) for w in (0.5, 1.0))
    assert sharp < 0.7 * plain, (sharp, smooth, plain)
    assert sharp < 0.75 * smooth, (sharp, smooth, plain)


class Background(fu.Model):
    """Eq. (15) with maps that are known."""

    def __init__(self, raw, C, background):
        super().__init__()
        self.C = fu.Factor((raw.pixels, 2), Fixed(C))
        self.S = fu.Factor((raw.channels, 2))
        self.N = fu.Factor((raw.channels, 2), background)

    def forward(self):
        return {"raw": fu.cp(self.C, self.S + self.N), "net": fu.cp(self.C, self.S)}


def test_a_background_that_bends_is_best_met_by_a_soft_power_law():
    C = unit(np.random.default_rng(1).random((256, 2)) ** 3)
    S = np.stack([20 * np.clip(1 - np.exp(-(E - e) / 20), 0, None) for e in (160, 220)], 1)
    N = 40 * (E[:, None] / 100) ** -np.array([2.0, 3.0]) * (1 + 0.2 * np.log(E / 170)[:, None] ** 2)
    axes, sigmas = ("y", "x", ENERGY), (0.05, 0.15)
    raw, net = (
        noisy((C @ f.T).reshape(*SCAN, 40), sigma, seed, axes=axes).renamed(name)
        for seed, (name, f, sigma) in enumerate(
            zip(("raw", "net"), (S + N, S), sigmas, strict=True)
        )
    )
    fits = sigmas[0] ** -2 * Frobenius(raw) + sigmas[1] ** -2 * Frobenius(net)
    hard, free, soft = (
        far(fitted(Background(raw, C, background), loss, starts=2).factors["S"], S)
        for background, loss in (
            (PowerLaw(raw.channels), fits),
            (NonNegative(), fits),
            (NonNegative(), fits + NearPowerLaw("N", 0.2)),
        )
    )
    assert soft < 0.7 * min(hard, free), (soft, hard, free)


def test_closure_gives_spectra_their_own_scale():
    rng = np.random.default_rng(0)
    C = rng.dirichlet([0.5] * 3, 256)
    C[:30] = np.repeat(np.eye(3), 10, axis=0)
    S = pure(rng, 40) * [1.0, 5.0, 25.0]
    data = noisy(C @ S.T, 0.02)
    made = fitted(Bilinear(data, 3, [Simplex()]), 1.0 * Frobenius(data)).factors
    order = np.argsort(made["S"].max(0))
    assert np.allclose(made["C"].sum(1), 1)
    assert far(made["S"][:, order], S) < 0.01
    assert far(made["C"][:, order], C) < 0.01


def test_closure_reaches_exact_zeros():
    rng = np.random.default_rng(0)
    C = np.eye(3)[rng.integers(3, size=256)]
    data = noisy(C @ peaks().T, 0.02)
    made = fitted(Bilinear(data, 3, [Simplex()], [Fixed(peaks())]), 1.0 * Frobenius(data))
    assert (made.factors["C"][C == 0] == 0).mean() > 0.4  # noise lifts the other half
    assert far(made.factors["C"], C) < 0.02


def test_closure_may_hold_beside_known_zeros_and_penalties_on_its_sum_are_refused():
    C = np.random.default_rng(0).dirichlet([1.0] * 3, 60)
    region = np.arange(60) < 20
    data = fu.Dataset("x", C @ peaks().T)
    model = Bilinear(data, 3, [Simplex(), Absent({1: region})])
    made = fitted(model, 1.0 * Frobenius(data), starts=1).factors["C"]
    assert np.allclose(made.sum(1), 1)
    assert not made[region, 1].any()
    fails_in_one_line(lambda: L1("C").check(model), "L1('C')", "fixed")


def decays(n=30):
    t = np.linspace(0, 3, n)[:, None]
    return np.exp(-t * [0.4, 1.5, 5.0])


def test_falling_curves_are_told_from_mixtures_of_them():
    rng = np.random.default_rng(0)
    C, S = decays(), rng.random((20, 3)) ** 2
    data = noisy(C @ S.T, 1e-3)
    spectra = [NonNegative(), UnitColumns()]
    falls = fitted(Bilinear(data, 3, [Monotone(decreasing=True)], spectra), 1.0 * Frobenius(data))
    assert (np.diff(falls.factors["C"], axis=0) <= 0).all()
    assert falls.explained_variance["x"] > 0.9999


def mixed_peaks():
    """Curves of one peak each, under spectra that all overlap: not unique without the peaks."""
    rng = np.random.default_rng(2)
    return peaks(40, (10, 19, 28), 5.0), rng.random((20, 3)) + 0.2


@pytest.mark.parametrize("known", [True, False])
def test_one_peak_a_curve_holds_where_its_place_is_known_or_found(known):
    C, S = mixed_peaks()
    data = noisy(C @ S.T, 0.02)
    spectra = [NonNegative(), UnitColumns()]
    loss = 1.0 * Frobenius(data)
    free = fitted(Bilinear(data, 3, [], spectra), loss)
    place = Unimodal([10, 19, 28]) if known else Unimodal()
    told = {} if known else {"init": [free]}
    result = fitted(Bilinear(data, 3, [place], spectra), loss, **told)
    made = result.factors["C"]
    signs = np.sign(np.diff(made, axis=0))
    falls = np.cumsum(signs < 0, axis=0) > 0
    assert not (falls & (signs > 0)).any()
    assert np.abs(np.sort(made.argmax(0)) - [10, 19, 28]).max() <= 2
    assert angles(made, C).max() < angles(free.factors["C"], C).max()


def test_a_region_without_a_component_makes_the_answer_unique():
    rng = np.random.default_rng(0)
    C = rng.random((256, 3)) + 0.2
    regions = {k: np.arange(256) // 40 == k for k in range(3)}
    for k, region in regions.items():
        C[region, k] = 0
    S = peaks(width=8.0) + 0.2
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.01)
    maps = [NonNegative(), Absent({k: r.reshape(SCAN) for k, r in regions.items()})]
    spectra = [NonNegative(), UnitColumns()]
    told = fitted(Bilinear(data, 3, maps, spectra), 1.0 * Frobenius(data))
    free = fitted(Bilinear(data, 3, [], spectra), 1.0 * Frobenius(data))
    assert not any(told.factors["C"][r, k].any() for k, r in regions.items())
    assert angles(told.factors["S"], S).max() < 1.0
    assert angles(told.factors["S"], S).max() < 0.3 * angles(free.factors["S"], S).max()


def test_known_entries_stay_exactly_and_the_rest_comes_back():
    rng = np.random.default_rng(0)
    C, S = rng.random((256, 3)), peaks(width=8.0) + 0.2
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.01)
    known = np.full(S.shape, np.nan)
    known[:, 0] = S[:, 0]  # a reference,
    known[:12, 1] = S[:12, 1]  # the foot of a line,
    known[30:, 2] = S[30:, 2]
    result = fitted(Bilinear(data, 3, [], [Fixed(known)]), 1.0 * Frobenius(data))
    seen = ~np.isnan(known)
    assert np.array_equal(result.factors["S"][seen], known[seen])
    assert far(result.factors["S"], S) < 0.05


@pytest.mark.parametrize("p", [1, 3])
def test_the_norm_of_columns_changes_their_scale_and_nothing_else(p):
    rng = np.random.default_rng(0)
    data = noisy(rng.random((80, 3)) @ peaks().T, 0.01)
    loss = 1.0 * Frobenius(data)
    made = fitted(Bilinear(data, 3, [], [NonNegative(), UnitNorm(p)]), loss)
    usual = fitted(fu.models.NMF(data, 3), loss)
    assert np.allclose(np.linalg.norm(made.factors["S"], p, axis=0), 1)
    assert made.loss == pytest.approx(usual.loss, rel=1e-5)


def test_what_does_not_fit_is_said_in_one_line():
    data = fu.Dataset("x", np.random.default_rng(0).poisson(1.0, (4, 5, 6)).astype(float))
    model = fu.models.NMF(data, 2)
    bare, free = Bilinear(data, 2, [Free()]), Bilinear(data, 2, [NonNegative(), UnitColumns()])
    bare.factor("C").axes = (None, None)
    fails_in_one_line(lambda: BetaDivergence(data, 0).check(model), "0 or below", "of 120")
    fails_in_one_line(lambda: BetaDivergence(data, np.nan), "finite")
    fails_in_one_line(lambda: L1("C").check(bare), "'C'", "negative")
    fails_in_one_line(lambda: L1("C").check(free), "'C'", "fixed")
    fails_in_one_line(lambda: TotalVariation("C").check(bare), "'C'", "axes")
    fails_in_one_line(lambda: TotalVariation("C", smallest=0.0), "smallest=0")
    fails_in_one_line(lambda: NearPowerLaw("S").check(model), "> 0")
    fails_in_one_line(lambda: NearPowerLaw("C").check(model), "one energy axis")
    fails_in_one_line(lambda: UnitNorm(0.5), "0.5")
    fails_in_one_line(lambda: UnitNorm(np.inf), "inf", "finite")
    fails_in_one_line(lambda: fu.Factor((6, 2), Unimodal([1, 2, 3])), "[1, 2, 3]", "(6, 2)")
    fails_in_one_line(lambda: fu.Factor((6, 2), Simplex(), UnitColumns()), "scale")
    fails_in_one_line(
        lambda: fu.Factor((6, 2), Simplex(), Fixed(np.ones((6, 2)))), "Simplex", "Absent"
    )
    fails_in_one_line(lambda: Absent({0: np.arange(4)}), "booleans")
    fails_in_one_line(lambda: Absent({0: np.zeros(4, bool)}), "no row")
