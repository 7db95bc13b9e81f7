"""The review's algorithms beside Gauss–Newton, each against a literal NumPy transcription.

X (pixel, channel), maps C (pixel, K), spectra S (channel, K).
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import fusion as fu
from fusion import losses, models
from fusion.constraints import Fixed, Free, NonNegative, UnitColumns
from fusion.losses import Frobenius
from fusion.solvers import ALS, HALS, MALS, GaussNewton
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import LINEAR, Bilinear, Decays, angles

PIXELS, CHANNELS, K = 30, 12, 3
STEPS = 4
EVERY = [ALS(), MALS(), HALS(), HALS(orthogonality=0.3)]


def mixture(noise=0.05):
    """A matrix of non-negative components that overlap, with noise of both signs."""
    rng = np.random.default_rng(0)
    C, S = rng.random((PIXELS, K)) ** 2, rng.random((CHANNELS, K)) ** 2
    return C @ S.T + noise * rng.standard_normal((PIXELS, CHANNELS))


def point(seed=1):
    rng = np.random.default_rng(seed)
    return rng.random((PIXELS, K)), rng.random((CHANNELS, K))


def cut(values):
    return np.maximum(values, 0)


def after(model, data, solver, C, S, steps=STEPS, loss=None):
    """(C, S) after steps from a point; the best of them where the method keeps that."""
    result = fu.fit(
        model,
        Frobenius(data) if loss is None else loss,
        solver=solver,
        init=[{"C": C, "S": S}],
        max_steps=steps,
        progress=False,
    )
    return result.factors["C"], result.factors["S"]


def distance(X, C, S):
    return np.linalg.norm(X - C @ S.T)


def best_of(X, points):
    return min(points, key=lambda point: distance(X, *point))


# ---- (5)–(8) -------------------------------------------------------------------------------------


def als_sweep(X, C, S):
    """Review, (5) and (6)."""
    C = cut(X @ S @ np.linalg.inv(S.T @ S))
    S = cut(X.T @ C @ np.linalg.inv(C.T @ C))
    return C, S


def ridge_weight(free, gram, ridge):
    """W: the Gram matrix's diagonal times the share of each component that would be cut off."""
    share = (np.minimum(free, 0) ** 2).sum(0) / (free**2).sum(0)
    return ridge * np.diag(share * np.diag(gram))


def mals_sweep(X, C, S, ridge):
    """Review, (7) and (8)."""
    gram = S.T @ S
    W_S = ridge_weight(X @ S @ np.linalg.inv(gram), gram, ridge)
    C = cut(X @ S @ np.linalg.inv(gram + W_S))
    gram = C.T @ C
    W_C = ridge_weight(X.T @ C @ np.linalg.inv(gram), gram, ridge)
    S = cut(X.T @ C @ np.linalg.inv(gram + W_C))
    return C, S


SWEEPS = [
    (ALS(), als_sweep),
    (MALS(ridge=0.0), als_sweep),
    (MALS(ridge=2.0), lambda X, C, S: mals_sweep(X, C, S, 2.0)),
]


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize(("solver", "sweep"), SWEEPS, ids=["ALS", "MALS, no ridge", "MALS"])
def test_eqs_5_to_8_are_the_steps_of_als_and_mals(solver, sweep, steps):
    X = mixture()
    data = fu.Dataset("a", X)
    path = [point()]
    for _ in range(steps):
        path.append(sweep(X, *path[-1]))
    assert any((C == 0).any() for C, _ in path)
    expected = best_of(X, path)
    C, S = after(Bilinear(data), data, solver, *point(), steps)
    assert_allclose(C, expected[0], rtol=1e-10, atol=1e-12)
    assert_allclose(S, expected[1], rtol=1e-10, atol=1e-12)


def test_a_plain_tensor_and_single_precision_take_the_same_step():
    class Dense(Bilinear):
        def forward(self):
            return {self.name: self.C @ self.S.T}

    X = mixture()
    data = fu.Dataset("a", X)
    expected = als_sweep(X, *point())
    made = after(Dense(data), data, ALS(), *point(), 1)
    single = after(Bilinear(data).to(torch.float32), data, ALS(), *point(), 1)
    for values, rtol in ((made, 1e-10), (single, 1e-4)):
        for one, other in zip(values, expected, strict=True):
            assert_allclose(one, other, rtol=rtol, atol=rtol * other.max())


@pytest.mark.parametrize(("solver", "sweep"), SWEEPS, ids=["ALS", "MALS, no ridge", "MALS"])
def test_unit_columns_change_the_scale_alone(solver, sweep):
    X = mixture()
    data = fu.Dataset("a", X)
    path = [point()]
    for _ in range(STEPS):
        path.append(sweep(X, *path[-1]))
    expected = best_of(X, path)
    C, S = point()
    size = np.linalg.norm(S, axis=0)
    C, S = after(models.NMF(data, K), data, solver, C * size, S / size)
    size = np.linalg.norm(expected[1], axis=0)
    assert_allclose(S, expected[1] / size, rtol=1e-9, atol=1e-12)
    assert_allclose(C, expected[0] * size, rtol=1e-9, atol=1e-12)


def test_a_rise_of_als_stands_and_the_best_point_is_returned():
    X = mixture(noise=0.3)
    data = fu.Dataset("a", X)
    path = [point()]
    for _ in range(60):
        path.append(als_sweep(X, *path[-1]))
    expected = np.array([0.5 * distance(X, *at) ** 2 for at in path])
    assert (np.diff(expected) > 0).any(), "no rise: not the case that is meant"
    C, S = point()
    given = {"solver": ALS(), "init": [{"C": C, "S": S}], "max_steps": 60, "progress": False}
    result = fu.fit(Bilinear(data), Frobenius(data), **given)
    assert_allclose(result.loss_history[0], expected, rtol=1e-8)
    assert result.loss == pytest.approx(expected.min(), rel=1e-9)
    assert 0.5 * distance(X, result["C"], result["S"]) ** 2 == pytest.approx(result.loss)


def test_the_weights_of_mals_end_with_the_negative_parts():
    """Where nothing is cut off, a step of MALS is one of ALS."""
    rng = np.random.default_rng(3)
    C, S = rng.random((PIXELS, K)) + 1, rng.random((CHANNELS, K)) ** 4 + 0.01
    data = fu.Dataset("a", C @ S.T)
    near = C * (1 + 1e-3 * rng.random((PIXELS, K))), S
    made = [after(Bilinear(data), data, s, *near, 1) for s in (ALS(), MALS(ridge=10.0))]
    for one, other in zip(*made, strict=True):
        assert_allclose(one, other, rtol=1e-12)


def test_an_unbounded_factor_is_solved_as_it_is():
    X = mixture()
    data = fu.Dataset("a", X)
    C, S = point()
    expected = X @ S @ np.linalg.inv(S.T @ S)
    assert (expected < 0).any()
    for solver in (ALS(), MALS()):
        made, _ = after(
            Bilinear(data, C=(Free(),), S=(NonNegative(), Fixed(S))), data, solver, C, S, 1
        )
        assert_allclose(made, expected, rtol=1e-10)


# ---- weights, masks, known entries, several data sets --------------------------------------------


def test_als_under_variance_and_mask_is_least_squares_row_by_row():
    X = mixture()
    rng = np.random.default_rng(4)
    variance = rng.random(X.shape) + 0.2
    mask = rng.random(X.shape) < 0.1
    data = fu.Dataset("a", X, variance=variance, mask=mask)
    C, S = point()
    weight = np.where(mask, 0, 1 / variance)
    C_new = np.zeros_like(C)
    for i in range(PIXELS):
        A = S.T * weight[i]
        C_new[i] = cut(np.linalg.solve(A @ S, A @ X[i]))
    S_new = np.zeros_like(S)
    for j in range(CHANNELS):
        A = C_new.T * weight[:, j]
        S_new[j] = cut(np.linalg.solve(A @ C_new, A @ X[:, j]))
    made = after(Bilinear(data), data, ALS(), C, S, 1)
    assert_allclose(made[0], C_new, rtol=1e-10, atol=1e-12)
    assert_allclose(made[1], S_new, rtol=1e-10, atol=1e-12)


def test_known_entries_are_kept_and_the_others_are_solved_given_them():
    X = mixture()
    data = fu.Dataset("a", X)
    C, S = point()
    known = np.full((PIXELS, K), np.nan)
    known[:, 1] = C[:, 1]
    model = Bilinear(data, C=(NonNegative(), Fixed(known)), S=(NonNegative(), Fixed(S)))
    rest = X - np.outer(C[:, 1], S[:, 1])
    A = S[:, [0, 2]]
    expected = cut(rest @ A @ np.linalg.inv(A.T @ A))
    made, _ = after(model, data, ALS(), C, S, 1)
    assert_allclose(made[:, 1], C[:, 1])
    assert_allclose(made[:, [0, 2]], expected, rtol=1e-10, atol=1e-12)
    best = fu.fit(model, Frobenius(data), solver=GaussNewton(tolerance=1e-14), progress=False)
    swept = fu.fit(model, Frobenius(data), solver=HALS(), progress=False)
    assert swept.loss == pytest.approx(best.loss, rel=1e-9)


def test_als_of_two_data_sets_with_one_map_is_that_of_the_stacked_data():
    case = LINEAR[3](0.02)
    a, b, adf = case.loss.datasets.values()
    weights = (1.0, 0.25, 4.0)
    loss = sum(
        (w * Frobenius(d) for w, d in zip(weights[1:], (b, adf), strict=True)), 1.0 * Frobenius(a)
    )
    rng = np.random.default_rng(5)
    parts = {"S_a": (30, K), "S_b_c": (20, K), "S_adf": (1, K)}
    start = {name: rng.random(shape) for name, shape in parts.items()}
    start = {name: value / np.linalg.norm(value, axis=0) for name, value in start.items()}
    model = models.SharedMaps(a, b, adf, K=K)
    start = {n: v for n, v in start.items() if n in model.factors}
    start["C"] = rng.random((56, K))
    result = fu.fit(model, loss, solver=ALS(), init=[start], max_steps=1, progress=False)
    stacked = np.concatenate(
        [
            w**0.5 * d.matrix.numpy().reshape(56, -1)
            for w, d in zip(weights, (a, b, adf), strict=True)
        ],
        1,
    )
    S = np.concatenate([w**0.5 * start[n] for w, n in zip(weights, parts, strict=True)])
    C, S = als_sweep(stacked, start["C"], S)
    assert result.loss == pytest.approx(0.5 * distance(stacked, C, S) ** 2, rel=1e-9)


# ---- (13) ----------------------------------------------------------------------------------------


def so_sweep(X, C, S, w):
    """The published NMF-SO step: unit maps, the amounts in the spectra. Review, (13)."""
    C, S = C.copy(), S.copy()
    for k in range(C.shape[1]):
        others = np.delete(C, k, 1).sum(1)
        h = (X - C @ S.T + np.outer(C[:, k], S[:, k])) @ S[:, k]
        h = h - w * (others @ h) / (others @ others) * others
        C[:, k] = cut(h) / np.linalg.norm(cut(h))
    for k in range(C.shape[1]):
        S[:, k] = cut((X - C @ S.T + np.outer(C[:, k], S[:, k])).T @ C[:, k])
    return C, S


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("w", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("amounts", ["spectra", "maps"])
def test_eq_13_is_the_step_of_hals_with_orthogonality(w, steps, amounts):
    X = mixture()
    data = fu.Dataset("a", X)
    C, S = point()
    C = C / np.linalg.norm(C, axis=0)
    solver = HALS(orthogonality=w, sweeps=1)
    if amounts == "spectra":
        model = Bilinear(data, C=(NonNegative(), UnitColumns()))
        made = after(model, data, solver, C, S, steps)
    else:
        size = np.linalg.norm(S, axis=0)
        made = after(models.NMF(data, K), data, solver, C * size, S / size, steps)
        size = np.linalg.norm(made[0], axis=0)
        made = made[0] / size, made[1] * size
    for _ in range(steps):
        C, S = so_sweep(X, C, S, w)
    assert_allclose(made[0], C, rtol=1e-10, atol=1e-12)
    assert_allclose(made[1], S, rtol=1e-9, atol=1e-11)


def overlap(C):
    """Largest cosine between two maps."""
    U = C / np.linalg.norm(C, axis=0)
    return (U.T @ U - np.eye(U.shape[1])).max()


def test_no_weight_is_nmf_exactly_and_a_full_one_parts_the_maps():
    data = fu.Dataset("a", mixture())
    told = {"starts": 1, "max_steps": 30, "progress": False}
    made = {
        w: fu.fit(models.NMF(data, K), Frobenius(data), solver=HALS(orthogonality=w), **told)
        for w in (0.0, 0.1, 1.0)
    }
    plain = fu.fit(models.NMF(data, K), Frobenius(data), solver=HALS(), **told)
    assert np.array_equal(made[0.0]["C"], plain["C"])
    overlaps = [overlap(result["C"]) for result in made.values()]
    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[-1] < 0.1 < 0.3 < overlaps[0]
    assert made[1.0].loss > made[0.0].loss


def test_the_step_has_the_fixed_points_of_the_term():
    data = fu.Dataset("a", mixture())
    w, told = 0.1, {"starts": 1, "progress": False}
    solver = HALS(orthogonality=w, tolerance=1e-9)
    step = fu.fit(models.NMF(data, 2), Frobenius(data), solver=solver, **told)
    loss = Frobenius(data) + w * losses.SoftOrthogonality("C")
    tight = GaussNewton(tolerance=1e-12)
    start = [{name: step[name] for name in "CS"}]
    term = fu.fit(models.NMF(data, 2), loss, solver=tight, init=start, starts=1, progress=False)
    assert angles(term["S"], step["S"]).max() < 0.05
    assert angles(term["C"], step["C"]).max() < 0.05


def test_eq_13_reaches_the_authors_spectra():
    """fig3_sim, background subtracted and clipped at 0, w = 0.05: 1.30 / 1.73 / 1.75 degrees."""
    case = np.load(shared_file("figure_cases", "fig3_sim.npz"))
    data = fu.Dataset("eels", case["bgsub"].astype(float).clip(0))
    told = {"solver": HALS(orthogonality=0.05), "starts": 1, "max_steps": 200, "progress": False}
    result = fu.fit(models.NMF(data, K), Frobenius(data), **told)
    assert_allclose(angles(result["S"], case["S"].T), [1.30, 1.73, 1.75], atol=0.02)


@pytest.mark.parametrize(("solver", "error"), [(HALS(), 0.2649), (MALS(), 0.2649), (ALS(), 0.2649)])
def test_mn3o4_is_fitted_as_well_as_by_the_authors(solver, error):
    X = np.load(shared_file("mn3o4_phantom", "SI_data.npz"))["X"]
    data = fu.Dataset("eels", X)
    told = {"solver": solver, "starts": 1, "max_steps": 60, "progress": False}
    result = fu.fit(models.NMF(data, 2), Frobenius(data), **told)
    assert np.sqrt(2 * result.loss) / np.linalg.norm(X) == pytest.approx(error, abs=5e-5)


# ---- where they apply ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", LINEAR, ids=lambda make: make.__name__)
@pytest.mark.parametrize("solver", [ALS(), MALS()], ids=lambda s: type(s).__name__)
def test_models_linear_in_each_factor_come_near_the_truth(make, solver):
    case = make(0.02)
    told = {"starts": 2, "progress": False, "max_steps": 25}
    result = fu.fit(case.model, case.loss, solver=solver, **told)
    for name, M in result.model.predict().items():
        made = M.dense().detach().numpy().reshape(case.clean[name].shape)
        assert np.linalg.norm(made - case.clean[name]) < 0.05 * np.linalg.norm(case.clean[name])
    assert all((v >= 0).all() for n, v in result.factors.items() if n != "N")


@pytest.mark.parametrize("solver", EVERY, ids=str)
def test_all_starts_together_equal_one_by_one(solver):
    data = fu.Dataset("a", mixture())
    starts = [dict(zip("CS", point(seed), strict=True)) for seed in range(4)]
    told = {"solver": solver, "max_steps": 6, "race": False, "progress": False}
    together = fu.fit(Bilinear(data), Frobenius(data), init=starts, **told)
    alone = [fu.fit(Bilinear(data), Frobenius(data), init=[s], **told) for s in starts]
    assert_allclose(together.losses, [a.loss for a in alone], rtol=1e-10)
    best = alone[int(np.argmin([a.loss for a in alone]))]
    assert_allclose(together["C"], best["C"], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", EVERY, ids=str)
def test_components_that_are_equal_or_zero_give_a_finite_answer(solver):
    X = mixture()
    X[3], X[:, 5] = 0, 0
    data = fu.Dataset("a", X)
    C, S = point()
    equal = {"C": C[:, [0, 0, 1]], "S": S[:, [0, 0, 1]]}
    zero = {"C": C * [1, 0, 1], "S": S}
    for start in (equal, zero):
        told = {"solver": solver, "init": [start], "max_steps": 12, "progress": False}
        result = fu.fit(models.NMF(data, K), Frobenius(data), **told)
        assert all(np.isfinite(v).all() for v in result.factors.values())
        assert result.loss < 0.5 * np.linalg.norm(X) ** 2


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("solver", EVERY, ids=str)
def test_data_in_another_unit_give_the_same_answer(solver, scale):
    made = []
    for unit in (1.0, scale):
        data = fu.Dataset("a", unit * mixture())
        told = {"solver": solver, "starts": 1, "max_steps": 12, "progress": False}
        made.append(fu.fit(models.NMF(data, K), Frobenius(data), **told))
    assert_allclose(made[1]["S"], made[0]["S"], atol=1e-6)
    assert_allclose(made[1]["C"] / scale, made[0]["C"], atol=1e-5)


# ---- starts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", EVERY, ids=str)
def test_the_best_start_after_the_first_steps_goes_on_alone(solver):
    data = fu.Dataset("a", mixture())
    model, loss = models.NMF(data, K), Frobenius(data)
    told = {"starts": 10, "race": False, "progress": False}
    result = fu.fit(model, loss, solver=replace(solver, initial=5), max_steps=20, **told)
    few = fu.fit(model, loss, solver=solver, max_steps=5, **told)
    best = int(np.argmin(few.losses))
    others = np.arange(10) != best
    assert_allclose(result.losses[others], few.losses[others], rtol=1e-12)
    assert result.losses[best] != few.losses[best]
    assert result.loss == pytest.approx(result.losses[best])
    made = result["C"] @ result["S"].T
    assert 0.5 * np.linalg.norm(mixture() - made) ** 2 == pytest.approx(result.loss)
    assert [len(line) for line in result.loss_history] == [5 + 1 + 15 + 1] * 10


# ---- errors --------------------------------------------------------------------------------------


def test_what_they_cannot_do_is_said_with_what_to_use():
    data = fu.Dataset("a", np.abs(mixture()))

    class Squares(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": fu.cp(self.C**2, self.S)}

    model, loss = models.NMF(data, K), 1.0 * Frobenius(data)
    for solver in (ALS(), MALS(), HALS()):
        name = type(solver).__name__
        for other, terms, words in (
            (model, losses.Poisson(data), f"`{name}`: .*Poisson.*use `GaussNewton"),
            (Squares(), loss, f"`{name}`: .*not linear in 'C'.*use `GaussNewton"),
            (Decays(data), loss, f"`{name}`: 'N' .*PowerLaw.*use `GaussNewton"),
            (model, loss + losses.SoftOrthogonality("C"), f"`{name}`: .*SoftOrtho.*use `Gauss"),
        ):
            with pytest.raises(ValueError, match=words):
                fu.fit(other, terms, solver=solver, progress=False)
    for made, words in (
        (lambda: HALS(orthogonality=1.5), r"orthogonality=1.5.*0 to 1"),
        (lambda: MALS(ridge=-1.0), r"ridge=-1.0.*≥ 0"),
    ):
        with pytest.raises(ValueError, match=words):
            made()
    for other, solver, words in (
        (model, HALS(orthogonality=0.1, of="D"), "of='D'.*no factor 'D'; it has C, S"),
        (Bilinear(data, C=(Free(),)), HALS(orthogonality=0.1), r"'C' is .*Free.*name a .* ≥ 0"),
        (model, ALS(initial=0), r"ALS\(initial=0\).*1 step or more"),
    ):
        with pytest.raises(ValueError, match=words):
            fu.fit(other, loss, solver=solver, progress=False)
