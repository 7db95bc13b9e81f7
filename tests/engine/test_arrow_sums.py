"""Products of slopes over the entries of data, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.threads import limited_threads
from fusion.engine import arrow_sums
from fusion.engine.arrow_sums import FitSums, Order, strips
from fusion.engine.side_slopes import Moved
from fusion.losses.poisson import LOG

PIXELS, CHANNELS, COLUMNS = 9, 300, 6


def banded(rng, *shape):
    """Sides whose columns are zero but for 60 channels each."""
    made = rng.uniform(0.5, 2.0, (*shape, CHANNELS, COLUMNS))
    near = np.abs(np.arange(CHANNELS)[:, None] - np.linspace(30, 270, COLUMNS)) < 30
    return torch.from_numpy(made * near + 1e-3 * (np.arange(COLUMNS) == 2))


def case(weighted):
    """Data, sides and slopes: two of rows, then few of which 1 and 2 turn and 2 and 0 bend."""
    rng = np.random.default_rng(0)
    left, right = torch.from_numpy(rng.uniform(1, 2, (PIXELS, COLUMNS))), banded(rng)
    turns = torch.from_numpy(rng.normal(size=(4, PIXELS, COLUMNS)))
    bends = banded(rng, 2)
    slopes = (
        Moved(torch.tensor([0, 1]), turns[:2]),
        Moved(torch.tensor([1, 2]), turns[2:]),
        Moved(torch.tensor([2, 0]), bends),
    )
    weights = {"variance": None, "mask": rng.random((PIXELS, CHANNELS)) < 0.2} if weighted else {}
    data = fu.Dataset("x", rng.poisson(2.0, (PIXELS, CHANNELS)).astype(float), **weights)
    form = data.form((PIXELS, CHANNELS), left.device, left.dtype, variance=False)
    return form, left, right, slopes


def literal(form, left, right, slopes, observed):
    """(rows, border, corner, gradient by rows, by few) with whole arrays."""
    own, turned, bent = slopes
    X, m = form.whole().double(), left @ right.T
    w = form.weights.chunk(slice(None), form.shape)
    w = torch.ones_like(m) if w is None else w.expand(m.shape)
    slope = w * (1 - X / m)
    D = w * (X / m**2 if observed else 1 / m)
    R = torch.stack([s @ right.T for s in own.slopes])
    F = torch.zeros(3, *m.shape, dtype=m.dtype)
    for place, s in zip(turned.which.tolist(), turned.slopes, strict=True):
        F[place] += s @ right.T
    for place, s in zip(bent.which.tolist(), bent.slopes, strict=True):
        F[place] += left @ s.T
    return (
        torch.einsum("ape,pe,bpe->pab", R, D, R),
        torch.einsum("ape,pe,bpe->pab", R, D, F),
        torch.einsum("ape,pe,bpe->ab", F, D, F),
        slope @ right,
        slope.T @ left,
    )


def _along(gradient, slopes):
    """By the right side along what bends it: elsewhere it need not be known."""
    return torch.einsum("fel,el->f", slopes[2].slopes, gradient)


@pytest.mark.parametrize("observed", [False, True], ids=["expected", "observed"])
@pytest.mark.parametrize("weighted", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("strip", [40, 400], ids=["strips", "no strips"])
def test_sums_are_those_of_whole_arrays(monkeypatch, strip, weighted, observed):
    monkeypatch.setattr(arrow_sums, "STRIP", strip)
    monkeypatch.setattr(arrow_sums, "AT_ONCE", 1000)  # a few pixels at a time
    form, left, right, slopes = case(weighted)
    assert len(strips(right, slopes[2].slopes)) == (8 if strip == 40 else 1)
    order = Order.of(*slopes)
    made = FitSums(LOG, 3.0, left, right, order, observed).of(form)
    r, few = order.rows, order.few_which
    assert sorted(few.tolist()) == [0, 1, 2]
    rows, border, corner, by_left, by_right = literal(form, left, right, slopes, observed)
    for found, expected in (
        (made.rows[:, :, :r], rows),
        (made.rows[:, :, r:], border[:, :, few]),
        (made.corner, corner[few][:, few]),
        (made.left, by_left),
        (_along(made.right, slopes), _along(by_right, slopes)),
    ):
        size = 1e-12 * float(expected.abs().max())
        np.testing.assert_allclose(found, 3 * expected, rtol=1e-10, atol=size)


def test_sums_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(arrow_sums, "AT_ONCE", 1000)
    form, left, right, slopes = case(weighted=False)
    made = []
    for count in (1, 2):
        with limited_threads(count, in_torch=1):
            sums = FitSums(LOG, 1.0, left, right, Order.of(*slopes), observed=False)
            made.append(sums.of(form))
    for name in ("rows", "corner", "left", "right"):
        assert torch.equal(getattr(made[0], name), getattr(made[1], name))
