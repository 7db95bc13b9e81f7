"""What a fit adds to an arrow: slopes of its prediction multiplied over all entries of the data.

The right factor of a spectrum model is zero over most channels, a line's beyond its own few. So
predictions and slopes are made of strips of channels from the columns that are not zero there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

AT_ONCE = 2**17
"""Numbers of slopes that are held at once: as much as a core's own cache takes."""
STRIP = 64
"""Channels of a strip."""
WORTH = 0.5
"""Share of the columns that strips may have on the average, else there are none."""


class Moved(NamedTuple):
    """Slopes of a side of a prediction along the directions that move it.

    Attributes:
        which: (some,) of the directions; slopes: (some, *side).
    """

    which: Tensor
    slopes: Tensor


class Strip(NamedTuple):
    """Channels, and the columns of both sides that are not zero there; None: all."""

    channels: slice
    columns: Tensor | None

    def of(self, side: Tensor) -> Tensor:
        """Those columns of a left side or of its slopes, (…, row, column)."""
        return side if self.columns is None else side.index_select(-1, self.columns)


@dataclass(frozen=True)
class Order:
    """Slopes along rows' variables, then along the few, of which first those that turn left alone.

    Attributes:
        left: (some, pixel, column) slopes of the left side; right: (some, channel, column).
        rows: how many of the left ones are of rows; both: how many, the last, move both sides.
        row_which: of the rows' variables; few_which: of the few.
    """

    left: Tensor
    right: Tensor
    rows: int
    both: int
    row_which: Tensor
    few_which: Tensor

    @classmethod
    def of(cls, row_left: Moved, few_left: Moved, few_right: Moved) -> Order:
        turns, bends = few_left.which, few_right.which
        both_left, both_right = torch.isin(turns, bends), torch.isin(bends, turns)
        left = [row_left.slopes, few_left.slopes[~both_left], few_left.slopes[both_left]]
        right = [few_right.slopes[both_right], few_right.slopes[~both_right]]
        which = torch.cat([turns[~both_left], turns[both_left], bends[~both_right]])
        return cls(
            torch.cat(left) if len(turns) else row_left.slopes,
            torch.cat(right) if len(bends) else few_right.slopes,
            len(row_left.which),
            int(both_left.sum()),
            row_left.which,
            which,
        )

    @property
    def count(self) -> int:
        """Slopes of a prediction's entry."""
        return len(self.left) + len(self.right) - self.both


@dataclass
class Sums:
    """Of some of the pixels: what `FitSums.of` adds up.

    Attributes:
        rows: (pixel, r, r + few); corner: (few, few).
        left: (pixel, column) and right: (channel, column), the gradient by the two sides.
    """

    rows: Tensor
    corner: Tensor
    left: Tensor
    right: Tensor


class FitSums:
    """Products of the slopes of one fit.

    Args:
        loss: ℓ, its entries; scale: what it is multiplied by.
        left, right: (pixel, column) and (channel, column), whose product the prediction is.
        order: their slopes.
        observed: whether ℓ bends as the data say, or as is expected.
    """

    def __init__(
        self, loss: Any, scale: float, left: Tensor, right: Tensor, order: Order, observed: bool
    ) -> None:
        self.loss, self.scale, self.observed = loss, scale, observed
        self.left, self.right, self.order = left, right, order
        self.strips = strips(right, order.right)

    def nothing(self, pixels: int) -> Sums:
        """Sums over so many pixels, before the first."""
        order, like = self.order, self.left
        few = order.count - order.rows
        return Sums(
            like.new_zeros(pixels, order.rows, order.count),
            like.new_zeros(few, few),
            like.new_zeros(pixels, like.shape[1]),
            torch.zeros_like(self.right) if len(order.right) else like.new_zeros(0),
        )

    def add(self, made: Sums, first: int, part: slice, x: Tensor, weight: Tensor | None) -> None:
        """The entries of some pixels.

        Args:
            made: is added to; its pixels begin at `first`.
            part: the pixels; x: (pixel, channel), their data; weight: as broadcast to it, or None.
        """
        most = max(s.channels.stop - s.channels.start for s in self.strips)
        step = max(1, AT_ONCE // (self.order.count * most))
        for start in range(part.start, part.stop, step):
            some = slice(start, min(start + step, part.stop))
            own = slice(some.start - part.start, some.stop - part.start)
            w = weight if weight is None or len(weight) == 1 else weight[own]
            into = slice(some.start - first, some.stop - first)
            for strip in self.strips:
                at = strip.channels
                v = w if w is None or w.shape[1] == 1 else w[:, at]
                self._add(made, into, some, strip, x[own, at], v)

    def _add(
        self, made: Sums, into: slice, some: slice, strip: Strip, x: Tensor, weight: Tensor | None
    ) -> None:
        order, loss = self.order, self.loss
        left, right = strip.of(self.left[some]), strip.of(self.right[strip.channels])
        m = left @ right.T
        slope = loss.slope(x, m) + loss.linear if loss.linear else loss.slope(x, m)
        bend = loss.curvature(x if self.observed else m, m)
        scale = self.scale if weight is None else self.scale * weight
        slope, bend = slope.mul_(scale), bend.mul_(scale)
        pulled = slope @ right
        if strip.columns is None:
            made.left[into] += pulled
        else:
            made.left[into].index_add_(1, strip.columns, pulled)
        slopes = m.new_empty(order.count, *m.shape)
        turned, both = len(order.left), order.both
        torch.matmul(strip.of(order.left[:, some]), right.T, out=slopes[:turned])
        if len(order.right):
            bent = left @ strip.of(order.right[:, strip.channels]).mT
            slopes[turned - both : turned] += bent[:both]
            slopes[turned:] = bent[both:]
            pulled = slope.T @ left
            if strip.columns is None:
                made.right[strip.channels] += pulled
            else:
                made.right[strip.channels].index_add_(1, strip.columns, pulled)
        slopes *= bend.sqrt_()
        own, few = slopes[: order.rows].transpose(0, 1), slopes[order.rows :].flatten(1)
        made.rows[into].baddbmm_(own, slopes.permute(1, 2, 0))
        if len(few):
            made.corner.addmm_(few, few.T)


def strips(right: Tensor, slopes: Tensor) -> list[Strip]:
    """Strips of channels with the columns that a right side or its slopes (some, …) have there."""
    channels, columns = right.shape
    used = right != 0
    if len(slopes):
        used |= (slopes != 0).any(0)
    starts = range(0, channels, STRIP)
    found = [used[start : start + STRIP].any(0).nonzero()[:, 0] for start in starts]
    if sum(map(len, found)) > WORTH * columns * len(found):
        return [Strip(slice(0, channels), None)]
    ends = [min(start + STRIP, channels) for start in starts]
    return [Strip(slice(a, b), c) for a, b, c in zip(starts, ends, found, strict=True)]
