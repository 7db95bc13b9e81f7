"""The curvature of pixels that meet in a few variables, against dense Hessians."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jvp

import fusion as fu
from fusion.engine.rows_and_few import RowsAndFew
from fusion.losses import Frobenius, Poisson
from tests.helpers.piled_up import objective_of, planted, started

pytestmark = pytest.mark.filterwarnings(  # torch loads its rules of forward derivatives so
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)


def dense(objective, flat, observed, bend):
    """Gradient (n,) and curvature (n, n) of all fits and beliefs by `torch.func`."""
    (_, weight, term), *_ = objective.loss.fits
    X = torch.from_numpy(term.dataset.numpy()).reshape(term.dataset.matrix_shape)

    def mean(x):
        values = {name: v[0] for name, v in objective.values(x[None]).items()}
        with objective.model.once(values):
            left, right = objective.model.forward()["x"].two_way()
        return left @ right.T

    slope, D = bend(X, mean(flat), observed)

    def quadratic(step):
        return 0.5 * float(weight) * (D * jvp(mean, (flat,), (step,))[1].square()).sum()

    def linear(step):
        return float(weight) * (slope * jvp(mean, (flat,), (step,))[1]).sum()

    def beliefs(x):
        return objective.penalties(objective.values(x[None]), objective.no_states()).sum()

    zero = torch.zeros_like(flat)
    return grad(linear)(zero) + grad(beliefs)(flat), hessian(quadratic)(zero) + hessian(beliefs)(
        flat
    )


def counts_bend(x, m, observed):
    """Of m − x ln m: the curvature x / m², expected 1 / m."""
    return 1 - x / m, x / m.square() if observed else 1 / m


def squares_bend(x, m, observed):
    return m - x, torch.ones_like(m)


@pytest.mark.parametrize(
    ("loss", "bend", "observed"),
    [
        (Frobenius, squares_bend, False),
        (Poisson, counts_bend, False),
        (Poisson, counts_bend, True),
    ],
)
def test_the_arrow_is_the_hessian_of_the_quadratic_model(loss, bend, observed):
    data = planted(shape=(2, 3))
    objective = objective_of(data, 3.0 * loss(data))
    flat, parts = started(objective, (2, 3))[0], RowsAndFew(objective)
    with torch.no_grad():
        arrow = parts.arrow(flat, objective.no_states(), observed=observed)
    slope, H = dense(objective, flat, observed, bend)
    rows, few = parts.places, parts.few
    close = {"rtol": 1e-9, "atol": 1e-9 * float(H.abs().max())}
    np.testing.assert_allclose(arrow.row_gradient, slope[rows], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(arrow.few_gradient, slope[few], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(arrow.corner, H[few][:, few], **close)
    for pixel, own in enumerate(rows):
        np.testing.assert_allclose(arrow.rows[pixel], H[own][:, own], **close)
        np.testing.assert_allclose(arrow.border[pixel], H[own][:, few], **close)
    others = H[rows.flatten()][:, rows.flatten()].reshape(6, 2, 6, 2)
    apart = torch.ones(6, 6, dtype=torch.bool).fill_diagonal_(False)
    assert not others.permute(0, 2, 1, 3)[apart].any()  # pixels do not meet
    step = torch.from_numpy(np.random.default_rng(0).normal(size=len(flat)))
    made = parts.joined(*arrow.times(step[rows], step[few]), step)
    np.testing.assert_allclose(made, H @ step, rtol=1e-9, atol=1e-9 * float((H @ step).abs().max()))


@fu.term
def mean_of_maps(model):
    return 0.5 * (model.kappa[0, 0] * model.C.mean() - 12).square()


def test_beside_penalties_that_tie_pixels_the_arrow_has_their_slope_and_all_other_curvature():
    data = planted(shape=(2, 3))
    objective = objective_of(data, 1.0 * Poisson(data) + mean_of_maps)
    plain = objective_of(data, 1.0 * Poisson(data))
    flat, parts = started(objective, (2, 3))[0], RowsAndFew(objective)
    with torch.no_grad():
        arrow = parts.arrow(flat, objective.no_states())
        expected = RowsAndFew(plain).arrow(flat, plain.no_states())
        bent = parts.tying_product(flat, objective.no_states())

    def tie(x):
        values = {name: v[0] for name, v in objective.values(x[None]).items()}
        return 0.5 * (values["kappa"][0, 0] * values["C"].mean() - 12).square()

    slope, H = grad(tie)(flat), hessian(tie)(flat)
    assert torch.equal(arrow.rows, expected.rows)
    assert torch.equal(arrow.corner, expected.corner)
    rows = arrow.row_gradient - expected.row_gradient
    np.testing.assert_allclose(rows, slope[parts.places], rtol=1e-7, atol=1e-9)
    few = arrow.few_gradient - expected.few_gradient
    np.testing.assert_allclose(few, slope[parts.few], rtol=1e-7, atol=1e-7)
    step = torch.from_numpy(np.random.default_rng(0).normal(size=len(flat)))
    np.testing.assert_allclose(bent(step), H @ step, rtol=1e-9, atol=1e-9 * float(H.abs().max()))


def test_counts_that_are_few_have_the_curvature_of_the_same_counts_in_full():
    rng = np.random.default_rng(5)
    X = rng.poisson(0.01, (40, 40)).astype(float)
    import scipy.sparse as sparse

    arrows = []
    for counts in (X, sparse.csr_array(X)):
        data = fu.Dataset("x", counts)
        objective = objective_of(data, 2.0 * Poisson(data))
        objective.held = objective.held | {"t", "kappa"}
        flat = started(objective, (8, 5))[0]
        with torch.no_grad():
            state = objective.no_states()
            arrows.append(RowsAndFew(objective).arrow(flat, state, observed=True))
    assert 0 < (X > 0).mean() < 0.02  # so few that they are read alone
    mean, whole = arrows[1], arrows[0]
    np.testing.assert_allclose(mean.row_gradient, whole.row_gradient, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(mean.rows, whole.rows, rtol=1e-9, atol=1e-10)
