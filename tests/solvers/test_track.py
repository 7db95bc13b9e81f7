"""When a start has ended: by its losses, and by how they shrink."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.solvers.track import Track
from fusion.solvers.watch import Watch

LEAST = 1e-6  # of the loss, which is 1 in the end


def ends_after(falls, *, trusted=True, window=5):
    """The falls after which a start has ended, of steps that could be trusted or not."""
    data = fu.Dataset("data", np.ones((4, 5)))
    objective = Objective(NMF(data, 2), Loss([(1.0, Frobenius(data))]))
    flat = objective.current()
    track = Track(objective, flat, LEAST, window, Watch())
    losses = 1 + np.append(np.cumsum(falls[::-1])[::-1], 0)
    for made, loss in enumerate(losses):
        track.trusted = torch.tensor([trusted])
        ended = track.record(flat, torch.tensor([[loss]], dtype=torch.float64), [{}])
        if bool(ended.all()):
            return made
    return None


def test_falls_that_shrink_by_tens_end_where_those_to_come_are_too_little():
    falls = [10.0**-k for k in range(12)]
    # after 1e-5 there is 1e-6 / 0.9 to come, after 1e-6 a tenth of that
    assert ends_after(falls) == 7
    assert ends_after(falls, trusted=False) > 8
    assert ends_after(falls, window=1) == 7


def test_the_next_fall_is_taken_for_a_tenth_of_the_last_at_least():
    falls = [1e-1, 1e-3, 1.2e-5, 1e-7, 1e-9, 0, 0, 0, 0, 0]
    assert ends_after(falls) == 4  # a thousandth of 1.2e-5 would have been little enough


@pytest.mark.parametrize(
    "falls",
    [
        [2e-6 * 0.9**k for k in range(6)],  # slowly: 1e-5 to come
        [1e-5, 1e-6, 2e-6, 1e-6, 2e-6, 1e-6],  # up and down
        [1.0, 1e-6],  # two falls say nothing of the third
    ],
)
def test_others_do_not_end_by_that(falls):
    assert ends_after(falls) is None
