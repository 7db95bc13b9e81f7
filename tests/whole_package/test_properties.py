"""What must not matter does not: the unit, the order of pixels and channels, copies and pickles."""

import pickle
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.func import functional_call, vmap

import fusion as fu
from fusion import models
from fusion.constraints import Free, NonNegative, UnitColumns
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

SCAN, CHANNELS, K = (5, 6), 10, 2
PIXELS = 30
FEW = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def pure(rng, n):
    """Two columns ≥ 0, each alone in some rows: the only answer of an NMF."""
    values = rng.random((n, K)) + 0.2
    values[:3, 0] = values[3:6, 1] = 0
    return values


def cube(seed=0, mean=50):
    """Counts of two components, (y, x, channel)."""
    rng = np.random.default_rng(seed)
    C, S = pure(rng, PIXELS), pure(rng, CHANNELS)
    return rng.poisson(mean * C @ S.T).astype(float).reshape(*SCAN, CHANNELS)


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


def fit(data, name, rank=K, **options):
    """Normalised spectra and relative maps."""
    options = {"starts": 2, "progress": False, "solver": GaussNewton(tolerance=1e-13)} | options
    result = fu.fit(models.NMF(data, rank), dimensionless(data)[name], **options)
    C, S = result.factors["C"], result.factors["S"]
    return C / np.linalg.norm(C, axis=0), S, result


# ---- scale ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", NAMES)
def test_data_in_another_unit_give_the_same_factors(name, scale):
    for seed in range(2):  # every start by itself: of two with equal losses rounding would choose
        C, S, result = fit(fu.Dataset("a", cube()), name, starts=1, seed=seed)
        C2, S2, other = fit(fu.Dataset("a", scale * cube()), name, starts=1, seed=seed)
        np.testing.assert_allclose(S2, S, rtol=0, atol=1e-6)
        np.testing.assert_allclose(C2, C, rtol=0, atol=1e-6)
        expected = scale * result.factors["C"]
        assert other.factors["C"] == pytest.approx(expected, abs=1e-5 * scale * 50)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize(
    "solver", [HALS(), LBFGS(), Adam(max_steps=300)], ids=lambda s: type(s).__name__
)
def test_other_solvers_reach_the_same_loss_in_another_unit(solver, scale):
    losses = [
        fit(fu.Dataset("a", s * cube()), "Frobenius", solver=solver, starts=1)[2].loss / s**2
        for s in (1.0, scale)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_ard_keeps_the_same_number_in_another_unit(scale):
    numbers = [
        fit(fu.Dataset("a", s * cube(mean=1e4)), "ARD", rank=5, solver=None)[2].n_components
        for s in (1.0, scale)
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


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", EVERY)
def test_every_model_gives_the_same_prediction_in_another_unit(name, scale):
    X, Y = (cube(seed).reshape(PIXELS, CHANNELS) for seed in (0, 1))
    here, there = (predicted(EVERY[name], X, Y, s) for s in (1.0, scale))
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


# ---- the loss never rises ------------------------------------------------------------------------


class Deviating(fu.Model):
    """Maps C + N of any sign beside bounded ones."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative())
        self.N = fu.Factor((data.pixels, K), Free())
        self.S = fu.Factor((data.channels, K), NonNegative(), UnitColumns())

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}


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
    "solver", [GaussNewton(), LBFGS(max_steps=100)], ids=lambda s: type(s).__name__
)
def test_the_loss_never_rises(name, solver):
    data = fu.Dataset("a", cube())
    loss = FALLING[name](data)
    result = fu.fit(models.NMF(data, K), loss, solver=solver, starts=3, progress=False)
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


# ---- copies, pickles, batches --------------------------------------------------------------------

MODELS = {
    "NMF": lambda d: models.NMF(d, 2),
    "CPD": lambda d: models.CPD(d, 2),
    "Tucker": lambda d: models.Tucker(d, (2, 2, 2)),
    "SharedMaps": lambda d: models.SharedMaps(d, K=2),
    "SharedSpectra": lambda d: models.SharedSpectra(d, K=2),
    "of one's own": Deviating,
}


def prediction(model):
    return model.predict()["a"].dense().detach()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("copy", [deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_of_a_model_are_equal_and_apart(name, copy):
    model = MODELS[name](fu.Dataset("a", cube()))
    before = prediction(model)
    other = copy(model)
    assert type(other) is type(model)
    assert torch.equal(prediction(other), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert torch.equal(prediction(model), before)
    assert not torch.equal(prediction(other), before)


@pytest.mark.parametrize("name", MODELS)
def test_models_run_under_functional_call_and_vmap(name):
    model = MODELS[name](fu.Dataset("a", cube()))
    generator = torch.Generator().manual_seed(0)
    batch = {
        key: torch.rand((3, *p.shape), generator=generator, dtype=p.dtype)
        for key, p in model.named_parameters()
    }

    def dense(parameters):
        return functional_call(model, parameters, ())["a"].dense()

    together = vmap(dense)(batch)
    for s in range(3):
        model.load_state_dict({key: value[s] for key, value in batch.items()}, strict=False)
        assert torch.allclose(together[s], prediction(model), rtol=1e-12)


@pytest.mark.parametrize("copy", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_of_losses_and_results_are_equal(copy):
    data = fu.Dataset("a", cube(), mask=np.arange(CHANNELS) == 1)
    loss = Gaussian(data) + 0.05 * SoftOrthogonality("C") + ARD("C") + 0.1 * Norm("C")
    model = models.NMF(data, K)
    assert copy(loss).formula() == loss.formula()
    assert float(copy(loss)(model).detach()) == float(loss(model).detach())
    result = fu.fit(model, loss, starts=1, max_steps=5, progress=False)
    other = copy(result)
    for name, value in result.factors.items():
        assert np.array_equal(other.factors[name], value, equal_nan=True)
    assert other.loss == result.loss
    assert torch.equal(prediction(other.model), prediction(result.model))


def test_a_loss_is_a_plain_scalar_that_any_loop_can_minimise():
    data = fu.Dataset("a", cube())
    model, loss = models.NMF(data, K), Frobenius(data) + 0.1 * Norm("C")
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        value = loss(model)
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert float(model.C.detach().min()) >= 0  # a bound holds in any loop


def test_a_forward_computes_every_factor_once():
    calls = []

    class Counting(NonNegative):
        def forward(self, raw):
            calls.append(1)
            return super().forward(raw)

    class Twice(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((PIXELS, K), Counting()), fu.Factor((CHANNELS, K))

        def forward(self):
            return {"a": fu.cp(self.C, self.S) + fu.cp(self.C * self.C, self.S)}

    model = Twice()
    calls.clear()
    with model.once():
        model.predict()
        model.predict()
    assert len(calls) == 1


HEAVY = ("tensorly", "matplotlib", "scipy", "sklearn", "hyperspy", "rsciio", "tqdm", "pandas")


def brought_in(code):
    """Heavy packages that some code imports, beyond those that torch does."""
    code = (
        "import sys, torch, numpy; before = set(sys.modules); "
        f"{code}; print(*[m for m in {HEAVY} if m in sys.modules and m not in before])"
    )
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout


def test_import_brings_in_no_heavy_package():
    assert brought_in("import fusion").split() == []
    assert brought_in("import tensorly").split() != []  # that would be seen


def test_a_fit_brings_in_no_heavy_package():
    code = (
        "import fusion as fu; d = fu.Dataset('a', numpy.ones((2, 3))); "
        "fu.fit(fu.models.NMF(d, 1), fu.losses.Frobenius(d), starts=1, progress=False)"
    )
    assert brought_in(code).split() == []
