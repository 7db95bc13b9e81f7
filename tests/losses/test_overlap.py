"""`Overlap`: its formula, its contract, and what it brings beside soft orthogonality."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, Overlap
from fusion.testing import TermContract, uniform
from tests.helpers.planted_factors import nearest_angles


class TestOverlap(TermContract):
    def make(self):
        data = fu.Dataset("data", uniform(6, 5, 12))
        return fu.models.NMF(data, 3), Frobenius(data) + 3 * Overlap("C")


def state_of(term, model, steps):
    state = {}
    for _ in range(steps):
        state = term.refresh(model, state, {})
    return state


def pairs(C):
    return sum((C[:, j] * C[:, k]).sum() for j in range(3) for k in range(j))


def test_value_is_every_pair_once_over_the_mean_square_and_rises():
    model, term = fu.models.NMF(fu.Dataset("data", uniform(6, 5, 12)), 3), Overlap("C")
    C = model.C.detach().numpy()
    first, last = (state_of(term, model, steps) for steps in (1, 40))
    expected = pairs(C) / (C.sum(1) ** 2).mean()
    np.testing.assert_allclose(term.value(model, first).item(), expected / 30**3)
    np.testing.assert_allclose(term.value(model, last).item(), expected)
    np.testing.assert_allclose(term.value(model, term.settled(first)).item(), expected)
    model.C = 1000 * C
    np.testing.assert_allclose(term.value(model, state_of(term, model, 40)).item(), expected)


def test_rows_without_data_have_no_part_in_it():
    model, term = fu.models.NMF(fu.Dataset("data", uniform(6, 5, 12)), 3), Overlap("C")
    model.factor("C").seen = torch.arange(30) >= 20
    C = model.C.detach().numpy()[20:]
    value = term.value(model, state_of(term, model, 40)).item()
    np.testing.assert_allclose(value, pairs(C) / (C.sum(1) ** 2).mean())


def test_maps_that_could_overlap_do_not_over_a_factor_of_thirty_of_the_weight():
    """Spectra that are nowhere zero and pixels of every share: least squares leaves a choice."""
    x, share = np.linspace(0, 1, 40)[:, None], np.linspace(0, 1, 120).clip(0.2, 0.8)[:, None]
    S = 0.3 + np.exp(-0.5 * ((x - [0.35, 0.6]) / 0.1) ** 2)
    C = 50 * np.hstack([(share - 0.2) / 0.6, (0.8 - share) / 0.6])
    noise = np.random.default_rng(0).standard_normal((120, 40))
    data = fu.Dataset("data", C @ S.T + noise, variance=1.0)

    def angle(loss) -> float:
        result = fu.fit(fu.models.NMF(data, 2), loss, starts=1, progress=False)
        return nearest_angles(result["S"], S).max()

    far = angle(1.0 * Frobenius(data))
    assert far > 5
    for weight in (1, 30):
        assert angle(Frobenius(data) + weight * Overlap("C")) < 0.3 * far


def test_what_has_no_name_is_refused():
    with pytest.raises(ValueError, match="give a factor's name"):
        Overlap(lambda m: m.C)  # pyright: ignore[reportArgumentType]
