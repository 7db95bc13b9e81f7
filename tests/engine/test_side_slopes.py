"""Slopes of predictions in ranges of pixels, and of some of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.threads import limited_threads
from fusion.engine import side_slopes
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import RowsAndFew
from fusion.losses import Poisson
from tests.helpers.piled_up import PiledUp, objective_of, planted, started

SHAPE = (10, 10)
PARTS = ("rows", "border", "corner", "row_gradient", "few_gradient")


def arrow_of(objective, parts=None):
    parts = RowsAndFew(objective) if parts is None else parts
    with torch.no_grad():
        return parts, parts.arrow(started(objective, SHAPE)[0], objective.no_states())


@pytest.fixture(scope="module")
def objective():
    data = planted(shape=SHAPE)
    return objective_of(data, 2.0 * Poisson(data))


def test_ranges_of_pixels_on_threads_give_the_arrow_of_all_at_once(monkeypatch, objective):
    whole, expected = arrow_of(objective)
    assert whole.sides.ranges == [slice(0, 100)]
    monkeypatch.setattr(side_slopes, "AT_ONCE", 1)
    for count in (1, 2):
        with limited_threads(count, in_torch=1):
            parts, found = arrow_of(objective)
        assert len(parts.sides.ranges) == 3
        assert len(parts.sides.spare) == count  # a model for every thread
        for name in PARTS:
            close = {"rtol": 1e-12, "atol": 1e-12 * float(getattr(expected, name).abs().max())}
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **close)


def test_some_pixels_have_the_rows_that_they_have_among_all(objective):
    held = objective_of(planted(shape=SHAPE), 2.0 * Poisson(planted(shape=SHAPE)))
    held.held = held.held | {"t", "kappa"}
    parts, whole = arrow_of(held)
    some = torch.tensor([3, 4, 50, 99])
    fewer, found = arrow_of(held, parts.among(some))
    assert fewer.pixels == 4
    np.testing.assert_allclose(found.rows, whole.rows[some], rtol=1e-12)
    np.testing.assert_allclose(found.row_gradient, whole.row_gradient[some], rtol=1e-9, atol=1e-9)
    _, last = arrow_of(held, fewer.among(torch.tensor([1, 3])))  # of those four
    np.testing.assert_allclose(last.rows, whole.rows[[4, 99]], rtol=1e-12)


class Bright(PiledUp):
    """With a number of its own for every pixel, so that it cannot be asked of some."""

    def forward(self):
        left, right = super().forward()[self.name].two_way()
        bright = torch.linspace(1, 2, 100, dtype=torch.float64)[:, None]
        return {self.name: fu.cp(left * bright, right)}


def test_a_model_that_counts_its_pixels_is_asked_of_all(monkeypatch):
    monkeypatch.setattr(side_slopes, "AT_ONCE", 1)
    data = planted(shape=SHAPE)
    parts, _ = arrow_of(Objective(Bright(data), 1.0 * Poisson(data)))
    assert parts.sides.ranges == [slice(0, 100)]
    assert parts.among(torch.tensor([1])) is parts


class Curved(PiledUp):
    """What κ moves is flat at κ = 0."""

    def forward(self):
        left, right = super().forward()[self.name].two_way()
        return {self.name: fu.cp(left * (1 + self.kappa[0, 0].square()), right)}


def test_what_moves_nothing_at_first_is_followed_later():
    data = planted(shape=SHAPE)
    objective = Objective(Curved(data), 1.0 * Poisson(data))
    parts, flat = RowsAndFew(objective), started(objective, SHAPE, kappa=0.0)[0]
    place = next(slot.part.start for slot in parts.few_slots if slot.name == "kappa")
    at = int((parts.few == place).nonzero())
    slopes = []
    with torch.no_grad():
        for kappa in (0.0, 0.5):
            flat[place] = kappa
            _, _, few = parts.sides.of(flat)
            which = few[0].which.tolist()
            slopes.append(float(few[0].slopes[which.index(at)][:, :2].abs().max()))
    assert slopes[0] == 0
    assert slopes[1] > 1
