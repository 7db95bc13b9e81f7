"""Planted factors come back, whatever the model and the solver."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, SoftOrthogonality
from fusion.solvers import HALS, LBFGS, Adam, GaussNewton
from tests.helpers.planted_factors import CASES, LINEAR, Decays, angles, pure, tucker, unit

SHORT = HALS(max_steps=50)
LONG = HALS(max_steps=150)  # with noise the loss is within 3e-4 of its end: a core nears it slowly
EXACT = [(case, GaussNewton()) for case in CASES]
EXACT += [(case, SHORT) for case in LINEAR if case is not tucker]  # with noise it has to be long
"""Solvers that are to reach the minimum, with the models that they can do."""


def starts(make, solver):
    """As many as find the minimum: with a core some stand in a lesser one."""
    if make is tucker:
        return 6
    return 1 if isinstance(solver, HALS) else 2


def named(value):
    return value.__name__ if callable(value) else type(value).__name__


def worst(case, result):
    """Largest angle to the truth over the columns of every factor, degrees."""
    return {name: float(angles(result.factors[name], t).max()) for name, t in case.truth.items()}


def distances(case, result):
    """‖prediction − data without noise‖ / ‖data without noise‖ for every data set."""
    made = {name: M.dense().detach().numpy() for name, M in result.model.predict().items()}
    return {
        name: np.linalg.norm(made[name].reshape(X.shape) - X) / np.linalg.norm(X)
        for name, X in case.clean.items()
    }


@pytest.mark.parametrize(("make", "solver"), EXACT, ids=named)
def test_factors_come_back_without_noise(make, solver):
    case = make(0.0)
    options = {"starts": starts(make, solver), "progress": False}
    result = fu.fit(case.model, case.loss, solver=solver, **options)
    assert max(distances(case, result).values()) < 0.01, distances(case, result)
    assert max(worst(case, result).values(), default=0) < 1.0, worst(case, result)


@pytest.mark.parametrize("make", CASES, ids=named)
def test_factors_come_back_from_noise_with_one_loss_whatever_the_solver(make):
    case, losses = make(0.02), {}
    hals = [LONG if make is tucker else SHORT] * (make in LINEAR)
    for solver in (GaussNewton(tolerance=1e-6), *hals):
        options = {"starts": starts(make, solver), "progress": False}
        result = fu.fit(case.model, case.loss, solver=solver, **options)
        assert max(distances(case, result).values()) < 0.02, (solver, distances(case, result))
        assert max(worst(case, result).values(), default=0) < 4.0, (solver, worst(case, result))
        losses[named(solver)] = result.loss
    assert losses == pytest.approx(dict.fromkeys(losses, losses["GaussNewton"]), rel=1e-3)


@pytest.mark.parametrize("solver", [Adam(), LBFGS()], ids=named)
@pytest.mark.parametrize("make", CASES, ids=named)
def test_first_order_result_is_valid_and_its_best_never_rises(make, solver):
    case, best = make(0.02), []
    result = fu.fit(
        case.model,
        case.loss,
        solver=solver,
        starts=3,
        race=False,
        max_steps=30,
        progress=False,
        callback=lambda step, losses: best.append(losses.numpy().copy()),
    )
    trace = np.array(best)  # (step, start)
    assert (np.diff(trace, axis=0) <= 0).all()
    assert (trace[-1] < 0.9 * trace[0]).all()
    assert result.loss == pytest.approx(np.nanmin(result.loss_history))
    assert result.loss == result.losses.min()
    with torch.no_grad():
        assert float(case.loss(result.model)) == pytest.approx(result.loss, rel=1e-9)
    for name, values in result.factors.items():
        assert np.isfinite(values).all(), name
        assert name == "N" or (values >= 0).all(), name


def test_a_component_that_one_data_set_lacks_comes_back():
    rng = np.random.default_rng(8)
    C1, C2, S = pure(rng, 40), pure(rng, 30), pure(rng, 25)
    C2[:, 0] = 0
    a, b = (fu.Dataset(n, C @ S.T) for n, C in (("a", C1), ("b", C2)))
    loss = fu.losses.Frobenius(a) + fu.losses.Frobenius(b)
    result = fu.fit(fu.models.SharedSpectra(a, b, K=3), loss, starts=6, progress=False)
    amounts = np.sort(np.linalg.norm(result["C_b"], axis=0))
    assert amounts[0] < 1e-2 * amounts[1]
    assert angles(result["S"], S).max() < 1.0


def test_uncoupled_components_come_back_with_their_own_maps():
    rng = np.random.default_rng(9)
    C, own = np.split(unit(pure(rng, 60, 4)), [3], axis=1)
    S1, S2 = pure(rng, 30, 3), pure(rng, 20, 3)
    first, second = np.concatenate([C[:, :2], own], 1) @ S1.T, C @ S2.T
    a, b = fu.Dataset("a", first), fu.Dataset("b", second)
    model = fu.models.SoftlyCoupled(a, b, (3, 3), coupled=[(0, 0), (1, 1)])
    loss = fu.losses.Frobenius(a) + fu.losses.Frobenius(b) + fu.losses.SquaredNorm("N", 0.01)
    result = fu.fit(model, loss, starts=10, progress=False)
    assert angles(result["S_a"], S1).max() < 2.0
    assert angles(result["C_a"], own).max() < 2.0


def test_soft_orthogonality_takes_a_factor_of_few_numbers():
    data = fu.Dataset("d", np.random.default_rng(0).random((30, 20)))
    loss = Frobenius(data) + 0.1 * SoftOrthogonality("N")
    result = fu.fit(Decays(data), loss, starts=1, progress=False)
    assert np.isfinite(result.loss)
    assert result.explained_variance["d"] > 0.7
