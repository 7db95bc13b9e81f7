"""Sums of unlike pixels, whose data are made those of as many alike ones."""

from __future__ import annotations

import numpy as np
import torch

import fusion as fu
from fusion.engine.objective import Objective
from fusion.losses import Poisson, Smoothness
from fusion.search.evened_sums import _edge_of_parts, evened
from fusion.search.on_sums import Sums, summed_problem
from fusion.solvers import ArrowNewton, Watch

ENERGY = torch.linspace(0.1, 3, 30, dtype=torch.float64)
SHAPE, EDGE = (12, 12), 4
RATES = torch.tensor([[0.5], [2.0]], dtype=torch.float64)


class Saturating(fu.Model):
    """⟦(1 − e^−C, 1 − e^−3C), (e^−rE, e^−3rE)⟧: what a pixel has much of sends less each."""

    def __init__(self, data, scale):
        super().__init__()
        self.name, self.scale = data.name, scale
        self.C, self.rates = fu.Factor((data.pixels, 2)), fu.Factor((2, 1))

    def sent(self):
        return torch.cat([-torch.expm1(-self.C), -torch.expm1(-3 * self.C)], 1)

    def forward(self):
        slopes = torch.cat([self.rates[:, 0], 3 * self.rates[:, 0]])
        return {self.name: fu.cp(self.sent() * self.scale, torch.exp(-ENERGY[:, None] * slopes))}


class Linear(Saturating):
    """⟦(C, 3 C), (e^−rE, e^−3rE)⟧."""

    def sent(self):
        return torch.cat([self.C, 3 * self.C], 1)


def maps():
    """(pixel, 2): both from 0 to 2 across the map."""
    y, x = np.meshgrid(*[np.linspace(0, 2, n) for n in SHAPE], indexing="ij")
    return np.stack([x, y], -1).reshape(-1, 2)


def expected(model, C, scale):
    data = fu.Dataset("x", np.ones((*SHAPE, 30)))
    with torch.no_grad():
        built = model(data, scale)
        values = {"C": torch.as_tensor(C), "rates": RATES}
        with built.once(values):
            left, right = built.predict()["x"].two_way()
    return (left @ right.T).numpy()


def even(objective, sums, C):
    """Data of the sums evened, from maps (pixel, 2) on."""
    values = {"C": torch.as_tensor(C)[None], "rates": RATES[None]}
    return evened(objective, sums, EDGE, values, ArrowNewton(), Watch(), 100)[0]


def problem(model, X, scale, *more):
    data = fu.Dataset("x", np.asarray(X, dtype=float).reshape(*SHAPE, 30))
    loss = 1.0 * Poisson(data)
    for term in more:
        loss = loss + term
    return Objective(model(data, scale), loss)


def raws(objective, C):
    return objective.raws({"C": torch.as_tensor(C)[None], "rates": RATES[None]}).detach()[0]


def read(sums: Sums):
    ((_, _, term),) = sums.objective.loss.fits
    return term.instead.values.numpy()


def mean_pixels(sums, C):
    return sums.down({"C": torch.as_tensor(C)[None]})["C"][0]


def means(values):
    """Of blocks of EDGE × EDGE pixels, literally."""
    blocks = values.reshape(SHAPE[0] // EDGE, EDGE, SHAPE[1] // EDGE, EDGE, -1)
    return blocks.mean((1, 3)).reshape(-1, values.shape[-1])


def alike(C, scale):
    """The expected counts of the mean pixel of every block."""
    return sent_by(means(C), scale)


def sent_by(C, scale):
    """The expected counts of pixels, literally."""
    slopes = np.concatenate([RATES[:, 0].numpy(), 3 * RATES[:, 0].numpy()])
    left = -np.expm1(-np.concatenate([C, 3 * C], -1)) * scale
    return left @ np.exp(-ENERGY.numpy()[:, None] * slopes).T


def test_counts_without_noise_become_those_of_the_mean_pixel():
    C, scale = maps(), 1e7
    X = expected(Saturating, C, scale)
    objective = problem(Saturating, X, scale)
    sums = summed_problem(objective, EDGE)
    apart = np.abs(read(sums) / alike(C, scale) - 1).max()
    left = np.abs(read(even(objective, sums, C)) / alike(C, scale) - 1).max()
    assert apart > 0.02
    assert left < 1e-4


def test_noise_of_the_maps_is_not_taken_for_pixels_that_are_unlike():
    C, scale = np.full((144, 2), 0.7), 100.0
    X = expected(Saturating, C, scale)
    rng, ratios, feigned = np.random.default_rng(0), [], []
    for _ in range(6):
        objective = problem(Saturating, rng.poisson(X), scale)
        sums = summed_problem(objective, EDGE)
        values = {"C": torch.as_tensor(C)[None], "rates": RATES[None]}
        made, found = evened(objective, sums, EDGE, values, ArrowNewton(), Watch(), 100)
        ratios.append(read(made).sum() / read(sums).sum() - 1)
        noisy = found["C"][0].numpy()
        feigned.append(alike(noisy, scale).sum() / means(sent_by(noisy, scale)).sum() - 1)
    assert np.mean(feigned) > 0.003
    assert abs(np.mean(ratios)) < 0.2 * np.mean(feigned)


def test_sums_of_what_is_linear_stay_as_they_are():
    C, scale = maps(), 100.0
    X = np.random.default_rng(0).poisson(expected(Linear, C, scale))
    objective = problem(Linear, X, scale)
    sums = summed_problem(objective, EDGE)
    np.testing.assert_allclose(read(even(objective, sums, C)), read(sums), rtol=1e-9)


def test_masked_pixels_are_no_part_of_the_mean_pixel():
    C, scale = maps(), 1e7
    X = expected(Saturating, C, scale).reshape(*SHAPE, 30)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[::4, ::2] = True
    spoiled = C.reshape(*SHAPE, 2).copy()
    spoiled[mask] = 7.0
    data = fu.Dataset("x", X, mask=mask)
    objective = Objective(Saturating(data, scale), 1.0 * Poisson(data))
    sums = summed_problem(objective, EDGE)
    found = read(even(objective, sums, spoiled.reshape(-1, 2)))
    seen = np.where(mask[..., None], np.nan, C.reshape(*SHAPE, 2)).reshape(3, 4, 3, 4, 2)
    mean = np.nanmean(seen, (1, 3)).reshape(-1, 2)
    np.testing.assert_allclose(found, sent_by(mean, scale), rtol=1e-4)


def test_where_penalties_tie_pixels_together_sums_stay_as_they_are():
    C, scale = maps(), 100.0
    X = np.random.default_rng(0).poisson(expected(Saturating, C, scale))
    objective = problem(Saturating, X, scale, Smoothness("C"))
    sums = summed_problem(objective, EDGE)
    assert even(objective, sums, C) is sums


def test_what_pixels_have_in_common_is_found_without_the_bias_of_mixing():
    C, scale = maps(), 1e6
    objective = problem(Saturating, expected(Saturating, C, scale), scale)
    plain, off = summed_problem(objective, EDGE), []
    for sums in (plain, even(objective, plain, C)):
        small = sums.objective
        near = small.raws({"C": torch.as_tensor(means(C))[None], "rates": RATES[None]}).detach()
        found = small.values(ArrowNewton().minimise(small, near, Watch(), 100).flat)["rates"]
        off.append(float((found[0] / RATES - 1).abs().max()))
    assert off[0] > 1e-3
    assert off[1] < 0.02 * off[0]


def test_parts_of_sums_have_fifty_counts_where_pixels_have_few():
    C = maps()
    X = expected(Saturating, C, 1.0)
    for each, step in ((60, 1), (20, 2), (2, EDGE)):
        objective = problem(Saturating, X * each / X.sum(1).mean(), 1.0)
        assert _edge_of_parts(objective, EDGE) == step
    sums = summed_problem(objective, EDGE)
    assert even(objective, sums, C) is sums
