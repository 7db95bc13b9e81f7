"""The metric of a fit over a batch of starts."""

from __future__ import annotations

import torch

from fusion.algebra.prediction import CP
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.likelihood import metric
from fusion.likelihood.entry_losses import SQUARE
from tests.helpers.planted_factors import counts


def test_starts_of_a_batch_are_bent_one_by_one():
    """The metric over starts equals the metric of each."""
    whole = Dense(torch.from_numpy(counts(9, 8)), Weights(), torch.float64)
    L, R = torch.rand(2, 9, 3).double(), torch.rand(2, 8, 3).double()
    kind, _ = metric.closed_form(whole, CP(L[0], R[0]), SQUARE)
    scale = torch.tensor([1.0, 2.0]).double()
    together = kind(whole, SQUARE, (L, R), scale).product((L, R))
    for s in range(2):
        one = kind(whole, SQUARE, (L[s : s + 1], R[s : s + 1]), scale[s : s + 1])
        for a, b in zip(one.product((L[s : s + 1], R[s : s + 1])), together, strict=True):
            assert torch.allclose(a[0], b[s])
