"""The unit and the order of pixels and channels do not matter; the loss never rises."""

from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fusion as fu
from fusion import models
from fusion.losses import (
    ARD,
    Frobenius,
    Gaussian,
    Norm,
    Poisson,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
)
from fusion.solvers import HALS, LBFGS, Adam, GaussNewton
from tests.helpers.two_components import CHANNELS, PIXELS, SCAN, Deviating, K, cube

FEW = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def dimensionless(data):
    """Losses whose weights mean the same in any unit, by name."""
    return {
        "Frobenius": 1.0 * Frobenius(data),
        "Gaussian": 1.0 * Gaussian(data),
        "Poisson": 1.0 * Poisson(data),
        "soft orthogonality": Frobenius(data) + 0.05 * SoftOrthogonality("C"),
        "soft orthogonality of spectra": Gaussian(data) + 0.05 * SoftOrthogonality("S"),
        "soft orthogonality, Poisson": Poisson(data) + 0.05 * SoftOrthogonality("C"),
        "ARD": Gaussian(data) + ARD("C"),
        "ARD and soft orthogonality": Gaussian(data) + ARD("C") + 0.05 * SoftOrthogonality("C"),
    }


NAMES = list(dimensionless(fu.Dataset("a", cube())))
SMALL, LARGE = 1e-6, 1e6


def fit(data, name, rank=K, **options):
    """Normalised spectra and relative maps."""
    options = {"starts": 2, "progress": False, "solver": GaussNewton(tolerance=1e-13)} | options
    result = fu.fit(models.NMF(data, rank), dimensionless(data)[name], **options)
    C, S = result.factors["C"], result.factors["S"]
    return C / np.linalg.norm(C, axis=0), S, result


# ---- scale ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_data_in_another_unit_give_the_same_factors(name):
    C, S, result = fit(fu.Dataset("a", SMALL * cube()), name, starts=1)  # of two rounding chooses
    C2, S2, other = fit(fu.Dataset("a", LARGE * cube()), name, starts=1)
    np.testing.assert_allclose(S2, S, rtol=0, atol=1e-6)
    np.testing.assert_allclose(C2, C, rtol=0, atol=1e-6)
    expected = LARGE / SMALL * result.factors["C"]
    assert other.factors["C"] == pytest.approx(expected, abs=1e-5 * LARGE * 50)


@pytest.mark.parametrize(
    "solver", [HALS(), LBFGS(), Adam(max_steps=200)], ids=lambda s: type(s).__name__
)
def test_other_solvers_reach_the_same_loss_in_another_unit(solver):
    plain, others = (
        fit(fu.Dataset("a", s * cube()), "Frobenius", solver=solver, starts=1)[2].loss / s**2
        for s in (SMALL, LARGE)
    )
    assert others == pytest.approx(plain, rel=1e-3)


def test_ard_keeps_the_same_number_in_another_unit():
    numbers = [
        fit(fu.Dataset("a", s * cube(mean=1e4)), "ARD", rank=5, solver=None)[2].n_components
        for s in (SMALL, LARGE)
    ]
    assert numbers == [2, 2]


ENERGY = np.linspace(400.0, 500.0, CHANNELS)


def soft(X, Y, scale, energy):
    """Eq. (14): fits in units of the noise, the deviation in that of C, which has none."""
    first = fu.Dataset("a", scale * X, variance=scale**2)
    second = fu.Dataset("b", scale * Y, variance=scale**2)
    loss = Frobenius(first) + Frobenius(second) + SquaredNorm("N", 0.02)
    return models.SoftlyCoupled(first, second, K), loss


def background(X, Y, scale, energy):
    """Eq. (15), on data that decay with energy."""
    axes = ("x", fu.Axis("energy", values=energy, units="eV"))
    decay = 200 * (energy / ENERGY[0]) ** -3.0
    raw = fu.Dataset("a", scale * (X + X.sum(1, keepdims=True) / 40 * decay / 20), axes=axes)
    net = fu.Dataset("b", scale * X, axes=axes)
    return models.WithBackground(raw, net, K), Frobenius(raw) + Frobenius(net)


def alone(make):
    """A model of one data set."""

    def case(X, Y, scale, energy):
        data = fu.Dataset("a", scale * X)
        return make(data), 1.0 * Frobenius(data)

    return case


EVERY = {
    "NMF": alone(lambda d: models.NMF(d, K)),
    "CPD": alone(lambda d: models.CPD(d, K)),
    "Tucker": alone(lambda d: models.Tucker(d, (K, K))),
    "SharedMaps": alone(lambda d: models.SharedMaps(d, K=K)),
    "SharedSpectra": alone(lambda d: models.SharedSpectra(d, K=K)),
    "SoftlyCoupled": soft,
    "WithBackground": background,
}


def predicted(case, X, Y, scale=1.0, energy=ENERGY, start=None):
    """Predictions in the unit of the data, from one start."""
    model, loss = case(X, Y, scale, energy)
    solver = GaussNewton(tolerance=1e-14, max_steps=2000)
    options = {"starts": 1} if start is None else {"init": [start]}
    result = fu.fit(model, loss, solver=solver, progress=False, **options)
    made = result.model.predict()
    return {name: M.dense().detach().numpy() / scale for name, M in made.items()}


@pytest.mark.parametrize("name", EVERY)
def test_every_model_gives_the_same_prediction_in_another_unit(name):
    X, Y = (cube(seed).reshape(PIXELS, CHANNELS) for seed in (0, 1))
    here, there = (predicted(EVERY[name], X, Y, s) for s in (SMALL, LARGE))
    for data, M in here.items():
        assert there[data] == pytest.approx(M, abs=1e-6 * X.max())


@pytest.mark.parametrize("name", EVERY)
def test_every_model_gives_the_permuted_prediction_for_permuted_pixels_and_channels(name):
    X, Y = (cube(seed).reshape(PIXELS, CHANNELS) for seed in (0, 1))
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(PIXELS), rng.permutation(CHANNELS)
    model, _ = EVERY[name](X, Y, 1.0, ENERGY)
    start, turned = {}, {}
    for factor, value in model.factors.items():
        value = value.detach().numpy()
        order = {PIXELS: rows, CHANNELS: columns}.get(value.shape[0], slice(None))
        start[factor], turned[factor] = value, value[order]
    here = predicted(EVERY[name], X, Y, start=start)
    there = predicted(
        EVERY[name], X[rows][:, columns], Y[rows][:, columns], energy=ENERGY[columns], start=turned
    )
    for data, M in here.items():
        assert there[data] == pytest.approx(M[rows][:, columns], abs=1e-6 * X.max())


# ---- order of pixels and channels ----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_permuted_pixels_and_channels_give_the_permuted_answer(name):
    X = cube().reshape(PIXELS, CHANNELS)
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(PIXELS), rng.permutation(CHANNELS)
    start = {"C": rng.random((PIXELS, K)) * 50, "S": rng.random((CHANNELS, K))}
    turned = {"C": start["C"][rows], "S": start["S"][columns]}
    C, S, _ = fit(fu.Dataset("a", X), name, init=[start])
    C2, S2, _ = fit(fu.Dataset("a", X[rows][:, columns]), name, init=[turned])
    np.testing.assert_allclose(C2, C[rows], rtol=0, atol=1e-6)
    np.testing.assert_allclose(S2, S[columns], rtol=0, atol=1e-6)


def test_the_shape_of_the_scan_does_not_matter():
    X = cube()
    start = [{"C": np.random.default_rng(1).random((PIXELS, K)) * 50}]
    answers = [
        fit(fu.Dataset("a", X.reshape(*scan, CHANNELS)), "Frobenius", init=start)[1]
        for scan in (SCAN, (30,), (3, 5, 2))
    ]
    for other in answers[1:]:
        assert other == pytest.approx(answers[0], abs=1e-9)


# ---- what holds nothing --------------------------------------------------------------------------

MORE = 4  # pixels and channels that are put in between


def padded(value, rows, columns=None, fill=0.0):
    """The array with rows, and columns, of `fill` put in at these places."""
    value = np.insert(value, rows, fill, axis=0)
    return value if columns is None else np.insert(value, columns, fill, axis=1)


def with_nothing_between(fill):
    """Data, a start; both with pixels and channels that hold nothing; and which these are."""
    X, rng = cube().reshape(PIXELS, CHANNELS), np.random.default_rng(1)
    rows, columns = rng.integers(0, PIXELS, MORE), rng.integers(0, CHANNELS, MORE)
    mask = padded(np.zeros_like(X, dtype=bool), rows, columns, True)
    filled = padded(X, rows, columns, 0.0 if fill == "empty" else 1e6)
    more = fu.Dataset("a", filled, mask=mask if fill == "masked" else None)
    start = {"C": rng.random((PIXELS, K)) * 50, "S": rng.random((CHANNELS, K))}
    large = {"C": padded(start["C"], rows, fill=7.0), "S": padded(start["S"], columns)}
    return X, start, more, large, mask


EXACT = GaussNewton(tolerance=1e-16, max_steps=2000)


@cache
def without_them(name):
    """Spectra and result of the data alone; what is put in between does not enter."""
    X, start, *_ = with_nothing_between("empty")
    return fit(fu.Dataset("a", X), name, init=[start], solver=EXACT)[1:]


@pytest.mark.parametrize("fill", ["masked", "empty"])
@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_channels_that_hold_nothing_change_nothing(name, fill):
    if fill == "empty" and ("Gaussian" in name or "ARD" in name or "spectra" in name):
        pytest.skip("zeros are data to a noise that is learned")
    _, _, more, large, mask = with_nothing_between(fill)
    S, small = without_them(name)
    other = fit(more, name, init=[large], solver=EXACT)[2]
    kept, seen = ~mask.all(1), ~mask.all(0)
    S2 = other.factors["S"][seen]
    scale = np.linalg.norm(S, axis=0) / np.linalg.norm(S2, axis=0)
    np.testing.assert_allclose(S2 * scale, S, rtol=0, atol=1e-4)
    C, C2 = small.factors["C"], other.factors["C"][kept] / scale
    np.testing.assert_allclose(C2, C, rtol=0, atol=1e-4 * C.max())
    left = np.concatenate([other.factors["C"][~kept], other.factors["S"][~seen]])
    assert np.isnan(left).all() if fill == "masked" else (np.abs(left) < 1e-12).all()
    # ARD's b is a share of the amounts that the first steps, which are rough, have come to
    assert other.loss == pytest.approx(small.loss, rel=1e-3 if "ARD" in name else 1e-6)


@pytest.mark.parametrize("solver", [HALS(), LBFGS(max_steps=2000)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("fill", ["masked", "empty"])
def test_nor_with_other_solvers(solver, fill):
    X, start, more, large, mask = with_nothing_between(fill)
    small = fit(fu.Dataset("a", X), "Frobenius", init=[start], solver=solver)[2]
    other = fit(more, "Frobenius", init=[large], solver=solver)[2]
    M, N = (r.factors["C"] @ r.factors["S"].T for r in (small, other))
    N = N[~mask.all(1)][:, ~mask.all(0)]
    assert pytest.approx(M, abs=1e-3 * X.max()) == N
    assert other.loss == pytest.approx(small.loss, rel=1e-6)


# ---- the loss never rises ------------------------------------------------------------------------

FALLING = {
    "Frobenius": lambda d: 1.0 * Frobenius(d),
    "Gaussian": lambda d: 1.0 * Gaussian(d),
    "Poisson": lambda d: 1.0 * Poisson(d),
    "Norm": lambda d: Frobenius(d) + 20.0 * Norm("C"),
    "Norm, Gaussian": lambda d: Gaussian(d) + 0.1 * Norm("C"),
    "SquaredNorm": lambda d: Frobenius(d) + SquaredNorm("C", 10.0),
    "Smoothness": lambda d: Frobenius(d) + 100.0 * Smoothness("S"),
    "SpatialSmoothness": lambda d: Poisson(d) + 1e-3 * SpatialSmoothness("C"),
}


@pytest.mark.parametrize("name", FALLING)
@pytest.mark.parametrize(
    "solver", [GaussNewton(), LBFGS(max_steps=40)], ids=lambda s: type(s).__name__
)
def test_the_loss_never_rises(name, solver):
    data = fu.Dataset("a", cube())
    loss = FALLING[name](data)
    result = fu.fit(models.NMF(data, K), loss, solver=solver, starts=2, progress=False)
    for start in result.loss_history:
        told = start[np.isfinite(start)]
        assert (np.diff(told) <= 1e-12 * np.abs(told[1:])).all()
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert result.loss == pytest.approx(np.nanmin(result.loss_history), rel=1e-12)
    assert float(loss(result.model).detach()) == pytest.approx(result.loss, rel=1e-6)


def test_the_loss_never_rises_with_a_group_lasso_on_a_deviation():
    data = fu.Dataset("a", cube())
    loss = Frobenius(data) + 30.0 * Norm("N")
    result = fu.fit(Deviating(data), loss, starts=2, progress=False)
    told = result.history["loss"]
    assert (np.diff(told) <= 1e-12 * np.abs(told[1:])).all()


matrices = arrays(
    float,
    st.tuples(st.integers(2, 7), st.integers(2, 6)),
    elements=st.floats(0, 100, allow_subnormal=False).map(lambda v: round(v, 2)),
).filter(lambda X: X.any())


@FEW
@given(X=matrices, seed=st.integers(0, 100))
def test_any_data_give_a_finite_answer_that_is_no_worse_than_its_start(X, seed):
    data = fu.Dataset("a", X)
    options = {"starts": 2, "seed": seed, "max_steps": 20, "progress": False}
    result = fu.fit(models.NMF(data, 2), Frobenius(data), **options)
    assert np.isfinite(result.factors["C"]).all()
    assert np.isfinite(result.factors["S"]).all()
    assert result.loss <= 0.5 * np.sum(X**2) * (1 + 1e-12)
    assert result.loss <= result.history["loss"][0]


@FEW
@given(X=matrices, power=st.integers(-9, 9))
def test_the_loss_of_scaled_data_at_the_scaled_model_is_the_scaled_loss(X, power):
    s = 10.0**power
    rng = np.random.default_rng(0)
    C, S = rng.random((X.shape[0], 2)) + 0.1, rng.random((X.shape[1], 2)) + 0.1
    losses = []
    for factor in (1.0, s):
        data = fu.Dataset("a", factor * X)
        model = models.NMF(data, 2)
        model.C, model.S = factor * C, S
        losses.append(float(Frobenius(data)(model).detach()) / factor**2)
    assert losses[1] == pytest.approx(losses[0], rel=1e-9, abs=1e-9 * np.sum(X**2))


@FEW
@given(X=matrices, order=st.randoms(use_true_random=False))
def test_losses_do_not_depend_on_the_order_of_entries(X, order):
    rows, columns = list(range(X.shape[0])), list(range(X.shape[1]))
    order.shuffle(rows)
    order.shuffle(columns)
    rng = np.random.default_rng(0)
    C, S = rng.random((X.shape[0], 2)) + 0.1, rng.random((X.shape[1], 2)) + 0.1
    for kind in (Frobenius, Gaussian, Poisson):
        values = []
        for r, c in ((slice(None), slice(None)), (rows, columns)):
            data = fu.Dataset("a", X[r][:, c])
            model = models.NMF(data, 2)
            model.C, model.S = C[r], S[c]
            values.append(float(kind(data)(model).detach()))
        assert values[1] == pytest.approx(values[0], rel=1e-9, abs=1e-9)
