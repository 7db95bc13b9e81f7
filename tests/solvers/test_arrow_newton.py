"""Gauss–Newton steps whose pixels are eliminated: the curvature, the minimum, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jvp

import fusion as fu
from fusion.constraints import Free, NonNegative, Standardised, UnitColumns
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import RowsAndFew
from fusion.language.expected import Expected
from fusion.losses import Frobenius, Poisson, Smoothness
from fusion.solvers import ArrowNewton, GaussNewton, Watch
from tests.helpers.planted_factors import noisy_map

pytestmark = pytest.mark.filterwarnings(  # torch loads its rules of forward derivatives so
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)
ENERGY = torch.linspace(0, 3, 40, dtype=torch.float64)


PEAK = torch.exp(-0.5 * ((ENERGY - 2.2) / 0.15) ** 2)


class PiledUp(fu.Model):
    """Two decays and what piles up: ⟦(C, κ C₁ C₂), (exp(−r E), peak)⟧, r = (½, 2) · e^(t/5).

    Maps meet in t, which is expected to be 0 ± 1, and in κ ≥ 0 alone; κ moves the left side, t the
    right one.
    """

    def __init__(self, data, C=()):
        super().__init__()
        self.name = data.name
        self.C = fu.Factor((data.pixels, 2), *C)
        self.t = fu.Factor((2, 1), Standardised())
        self.kappa = fu.Factor((1, 1), NonNegative())

    def forward(self):
        rates = torch.tensor([0.5, 2.0], dtype=torch.float64) * torch.exp(0.2 * self.t[:, 0])
        piled = self.kappa[0, 0] * self.C.prod(1, keepdim=True)
        right = torch.cat([torch.exp(-ENERGY[:, None] * rates), PEAK[:, None]], 1)
        return {self.name: fu.cp(torch.cat([self.C, piled], 1), right)}

    def beliefs(self, within=""):
        return [Expected([f"{within}t"])]


def amounts(shape=(5, 6)):
    """Maps with pixels in which a component is missing."""
    C = 20 * np.random.default_rng(4).gamma(1.0, 1.0, (shape[0] * shape[1], 2))
    C[::3, 0] = C[1::3, 1] = 0
    return C


def planted(kappa=0.02, shape=(5, 6), **options):
    """Counts of the model."""
    C, rng = amounts(shape), np.random.default_rng(5)
    rates = np.array([0.5, 2.0]) * np.exp([0.06, -0.1])
    mean = C @ np.exp(-ENERGY.numpy()[:, None] * rates).T
    mean = np.maximum(mean + kappa * C.prod(1, keepdims=True) * PEAK.numpy(), 0.1 * mean)
    return fu.Dataset("x", rng.poisson(mean).reshape(*shape, -1).astype(float), **options)


def objective_of(data, loss):
    model = PiledUp(data)
    for belief in model.all_beliefs():
        loss = loss + belief
    return Objective(model, loss)


def started(objective, shape=(5, 6), scale=0.8, kappa=0.03):
    """Raw variables (1, n) of a start that is off in everything."""
    values = objective.values(objective.current())
    C = torch.from_numpy(scale * amounts(shape) + 1.0)[None]
    t = torch.full_like(values["t"], -0.4)
    start = dict(values) | {"C": C, "t": t, "kappa": torch.full_like(values["kappa"], kappa)}
    return objective.raws(start).detach()


def minimum(solver, objective, flat):
    """(values, loss) where a solver ends."""
    outcome = solver.minimise(objective, flat.clone(), Watch(), 400)
    values = {name: v[0].detach() for name, v in objective.values(outcome.flat).items()}
    return values, float(outcome.terms[0].sum())


def assert_same_minimum(objective, flat, tolerance=1e-8):
    exact = {"tolerance": 1e-12, "window": 3}
    found, loss = minimum(ArrowNewton(**exact), objective, flat)
    expected, least = minimum(GaussNewton(**exact), objective, flat)
    assert loss == pytest.approx(least, rel=tolerance)
    size = float(expected["C"].max())
    for name, value in expected.items():
        scale = size if name == "C" else 1.0
        np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-4 * scale, err_msg=name)
    return found


# ---- the minimum -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_the_minimum_is_that_of_gauss_newton_with_pixels_at_their_bound(loss):
    data = planted()
    objective = objective_of(data, 1.0 * loss(data))
    found = assert_same_minimum(objective, started(objective))
    assert 3 < int((found["C"] == 0).sum()) < 25  # clamped, where a component is missing
    assert found["kappa"].item() > 1e-3


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_a_common_variable_ends_at_its_bound_where_the_data_pull_it_below(loss):
    data = planted(-0.01)
    objective = objective_of(data, 1.0 * loss(data))
    found = assert_same_minimum(objective, started(objective))
    assert found["kappa"].item() == 0


def test_masked_and_weighted_data_have_the_minimum_of_gauss_newton():
    rng = np.random.default_rng(2)
    hidden = rng.random((5, 6, 40)) < 0.1
    data = planted(variance=1 + rng.random((5, 6, 40)), mask=hidden)
    objective = objective_of(data, 2.0 * Frobenius(data))
    assert_same_minimum(objective, started(objective))


@pytest.mark.parametrize("weight", [0.01, 0.1])
def test_maps_that_smoothness_ties_together_have_the_minimum_of_gauss_newton(weight):
    data = planted()
    objective = objective_of(data, 1.0 * Poisson(data) + weight * Smoothness("C"))
    assert RowsAndFew(objective).tied
    found = assert_same_minimum(objective, started(objective))
    free = objective_of(data, 1.0 * Poisson(data))
    rough, _ = minimum(ArrowNewton(tolerance=1e-11), free, started(free))
    steps = [float(torch.diff(v["C"], dim=0).square().sum()) for v in (found, rough)]
    assert steps[0] < steps[1]


def test_every_start_of_a_batch_ends_as_if_it_were_alone():
    data = planted()
    objective = objective_of(data, 1.0 * Poisson(data))
    both = torch.cat([started(objective), started(objective, scale=1.2, kappa=0.01)])
    outcome = ArrowNewton(tolerance=1e-11).minimise(objective, both, Watch(), 200)
    for row in range(2):
        alone = ArrowNewton(tolerance=1e-11).minimise(
            objective, both[row : row + 1].clone(), Watch(), 200
        )
        np.testing.assert_allclose(outcome.flat[row], alone.flat[0], rtol=1e-6, atol=1e-6)


def test_a_factor_that_is_held_stays_and_the_others_are_at_their_minimum():
    data = planted()
    objective = objective_of(data, 1.0 * Poisson(data))
    objective.held = objective.held | {"t", "kappa"}
    flat = started(objective)
    outcome = ArrowNewton(tolerance=1e-14).minimise(objective, flat.clone(), Watch(), 200)
    before, after = (objective.values(f) for f in (flat, outcome.flat))
    for name in ("t", "kappa"):
        assert torch.equal(before[name], after[name])
    arrow = RowsAndFew(objective).arrow(outcome.flat[0], objective.no_states())
    inside = after["C"][0] > 0
    scale = arrow.rows.diagonal(dim1=1, dim2=2).sqrt()
    assert float((arrow.row_gradient / scale)[inside].abs().max()) < 1e-4
    assert bool((arrow.row_gradient[~inside] >= 0).all())


# ---- the curvature -----------------------------------------------------------------------------


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


# ---- when it is used ---------------------------------------------------------------------------


def test_it_is_picked_for_a_model_whose_maps_meet_in_a_few_variables():
    data = planted()
    result = fu.fit(PiledUp(data), Poisson(data), starts=1, progress=False)
    assert result.solver.startswith("ArrowNewton")


@pytest.mark.parametrize("starts", [1, 4])
def test_it_is_not_picked_for_nmf(starts):
    data = noisy_map()
    objective = Objective(fu.models.NMF(data, 2), 1.0 * Frobenius(data))
    assert not ArrowNewton.suited(objective)
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=starts, progress=False)
    assert not result.solver.startswith("ArrowNewton")


def test_maps_with_a_scale_of_their_own_are_refused_in_words():
    data = planted()
    model = PiledUp(data, C=[NonNegative(), UnitColumns()])
    told = "`ArrowNewton`: C has a scale or a constraint of its own: use `GaussNewton"
    with pytest.raises(ValueError, match=told):
        fu.fit(model, Poisson(data), solver=ArrowNewton(), starts=1, progress=False)
    assert not ArrowNewton.suited(Objective(model, 1.0 * Poisson(data)))


class TwoScans(fu.Model):
    def __init__(self, a, b):
        super().__init__()
        self.A, self.B = fu.Factor((a.pixels, 1)), fu.Factor((b.pixels, 1))
        self.t = fu.Factor((len(ENERGY), 1), Free())

    def forward(self):
        return {"x": fu.cp(self.A, self.t), "y": fu.cp(self.B, self.t)}


def test_data_of_different_pixels_are_refused_in_words():
    a, b = planted(), fu.Dataset("y", planted(shape=(3, 4)).numpy())
    with pytest.raises(ValueError, match="`ArrowNewton`: the data sets have different pixels"):
        fu.fit(
            TwoScans(a, b),
            Frobenius(a) + Frobenius(b),
            solver=ArrowNewton(),
            starts=1,
            progress=False,
        )
