"""The metric of a fit over a batch of starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion.algebra.prediction import CP
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.likelihood import metric
from fusion.likelihood.compiled_passes import CompiledPasses
from fusion.likelihood.data_passes import EntryPasses, NonzeroPasses
from fusion.likelihood.entry_losses import SQUARE, SQUARE_OF_PREDICTION
from fusion.losses.poisson import LOG
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


W = np.random.default_rng(1).random((9, 1)) * np.random.default_rng(2).random(7)
WEIGHTS = {
    "none": (np.ones((9, 7)), Weights()),
    "rank one": (W, Weights(torch.from_numpy(W[:, 0] / W[0, 0]), torch.from_numpy(W[0].copy()))),
    "entries": (W**2 + 0.1, Weights(full=torch.from_numpy(W**2 + 0.1))),
}


@pytest.mark.parametrize(
    ("passes", "weights", "loss"),
    [
        *((p, w, LOG) for p in (CompiledPasses, NonzeroPasses) for w in ("none", "rank one")),
        *((EntryPasses, w, SQUARE) for w in WEIGHTS),
        *((EntryPasses, w, LOG) for w in ("none", "rank one")),
    ],
)
def test_a_metric_made_whole_gives_the_second_derivative_of_the_fit(passes, weights, loss):
    if passes is CompiledPasses:
        pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.poisson(0.7, (9, 7)).astype(float))
    w, kept = torch.from_numpy(WEIGHTS[weights][0]), WEIGHTS[weights][1]
    parts = [torch.from_numpy(rng.random((1, n, 3)) + 0.1) for n in (9, 7)]
    directions = [torch.from_numpy(rng.standard_normal(part.shape)) for part in parts]

    def value(L, R):
        m = L[0] @ R[0].T
        return 1.7 * (w * (m - x * m.log() if loss is LOG else 0.5 * (x - m) ** 2)).sum()

    form = Dense(x, kept, torch.float64)
    met = metric.Entrywise(form, loss, parts, torch.tensor([1.7], dtype=torch.float64))
    met.reads = passes(form) if passes is CompiledPasses else passes(form, loss)
    met.bends = [met.reads.bend(parts[0][0], parts[1][0])]
    met.made_whole()
    _, expected = torch.autograd.functional.hvp(value, tuple(parts), tuple(directions))
    for made, wanted in zip(met.product(directions), expected, strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", [SQUARE, SQUARE_OF_PREDICTION])
def test_the_curvature_of_squares_asks_nothing_of_values_that_are_masked(loss):
    rng = np.random.default_rng(0)
    x, w = rng.random((9, 7)), rng.random((9, 7)) + 0.1
    x[2, 3], w[2, 3] = np.nan, 0
    form = Dense(torch.from_numpy(x), Weights(full=torch.from_numpy(w)), torch.float64)
    passes = EntryPasses(form, loss)
    L, R, dL, dR = (rng.random((n, 2)) for n in (9, 7, 9, 7))
    hL, hR = passes.product(*map(torch.from_numpy, (L, R, dL, dR)), None)
    h = w * (dL @ R.T + L @ dR.T)
    np.testing.assert_allclose(hL, h @ R, rtol=1e-12)
    np.testing.assert_allclose(hR, h.T @ L, rtol=1e-12)
    left, right = passes.blocks(torch.from_numpy(L), torch.from_numpy(R), None)
    np.testing.assert_allclose(left, np.einsum("pe,ek,el->pkl", w, R, R), rtol=1e-12)
    np.testing.assert_allclose(right, np.einsum("pe,pk,pl->ekl", w, L, L), rtol=1e-12)
