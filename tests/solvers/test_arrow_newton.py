"""Gauss–Newton steps whose pixels are eliminated: where they end, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Free, NonNegative, Standardised, UnitColumns
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import RowsAndFew
from fusion.losses import Frobenius, Poisson, Smoothness
from fusion.solvers import ArrowNewton, GaussNewton, Watch
from tests.helpers.piled_up import ENERGY, PiledUp, objective_of, planted, started
from tests.helpers.planted_factors import noisy_map


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


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_the_minimum_is_that_of_gauss_newton_with_pixels_at_their_bound(loss):
    data = planted()
    objective = objective_of(data, 1.0 * loss(data))
    found = assert_same_minimum(objective, started(objective))
    assert 3 < int((found["C"] == 0).sum()) < 25  # clamped, where a component is missing
    assert found["kappa"].item() > 1e-3


def test_pixels_that_have_arrived_are_left_out_and_the_minimum_is_that_of_all(monkeypatch):
    data = planted(shape=(10, 10))
    objective = objective_of(data, 1.0 * Poisson(data))
    objective.held = objective.held | {"t", "kappa"}
    asked, arrow = [], RowsAndFew.arrow

    def counted(self, *args, **options):
        asked.append(self.pixels)
        return arrow(self, *args, **options)

    monkeypatch.setattr(RowsAndFew, "arrow", counted)
    found = assert_same_minimum(objective, started(objective, (10, 10)))
    assert asked[0] == 100
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] < 50
    assert int((found["C"] == 0).sum()) > 10


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


@fu.term
def mean_of_maps(model):
    """½ ((κ + ⟨C⟩ − 12) / 0.05)²: all pixels, and what they have in common, meet in it."""
    return 200 * (100 * model.kappa[0, 0] + model.C.mean() - 12).square()


def test_maps_that_their_mean_ties_together_have_the_minimum_of_gauss_newton():
    data = planted()
    objective = objective_of(data, 1.0 * Poisson(data) + mean_of_maps)
    assert RowsAndFew(objective).tied
    found = assert_same_minimum(objective, started(objective))
    free = objective_of(data, 1.0 * Poisson(data))
    rough, _ = minimum(ArrowNewton(tolerance=1e-11), free, started(free))
    off = [float(100 * v["kappa"] + v["C"].mean() - 12) for v in (found, rough)]
    assert abs(off[0]) < 0.2 * abs(off[1])


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


def test_what_starts_far_from_what_the_data_say_goes_there_a_deviation_a_step():
    """The others make their whole steps meanwhile: nothing is damped for its sake."""
    data = planted(shape=(12, 10))
    objective = objective_of(data, 1.0 * Poisson(data))
    values = objective.values(started(objective, shape=(12, 10)))
    t = torch.tensor([[[6.0], [-5.0]]], dtype=torch.float64)
    flat = objective.raws(dict(values) | {"t": t}).detach()
    outcome = ArrowNewton(tolerance=1e-10).minimise(objective, flat, Watch(), 100)
    near, least = minimum(ArrowNewton(tolerance=1e-10), objective, started(objective, (12, 10)))
    assert float(outcome.terms.sum()) == pytest.approx(least, rel=1e-9)
    np.testing.assert_allclose(objective.values(outcome.flat)["t"][0], near["t"], atol=1e-3)
    assert len(outcome.history) - 1 <= 15  # 17 where all was damped


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


class Blurred(fu.Model):
    """Known spectra of unknown height, a pixel seeing its neighbour or not."""

    def __init__(self, data, blurred):
        super().__init__()
        self.C = fu.Factor((data.pixels, 2))
        self.u = fu.Factor((2, 1), Standardised())
        self.blurred = blurred
        self.register_buffer("S", torch.linspace(0.1, 1, 18, dtype=torch.float64).reshape(9, 2))

    def forward(self):
        C = self.C + torch.roll(self.C, 1, 0) if self.blurred else self.C
        return {"x": fu.cp(C, self.S * torch.exp(self.u[:, 0]))}


@pytest.mark.parametrize("blurred", [False, True])
def test_pixels_that_see_their_neighbours_are_refused_in_words_and_not_picked(blurred):
    data = fu.Dataset("x", np.random.default_rng(0).random((5, 4, 9)))
    objective = Objective(Blurred(data, blurred), fu.losses.Loss([(1.0, Frobenius(data))]))
    assert ArrowNewton.suited(objective) is not blurred
    if blurred:
        with pytest.raises(ValueError, match="depends on the maps of others: use `GaussNewton"):
            ArrowNewton().check(objective)
