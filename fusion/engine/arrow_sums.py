"""What a fit adds to an arrow: slopes of its prediction multiplied over all entries of the data.

The right factor of a spectrum model is zero over most channels, a line's beyond its own few. So
predictions and slopes are made of strips of channels from the columns that are not zero there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.engine.side_slopes import Moved

AT_ONCE = 2**18
"""Numbers of slopes that are held at once: as much as a core's own cache takes."""
ON_DEVICE = 2**24
"""The same on a GPU, which wants more at a time, and no strips."""
RANGES = 8
"""Ranges of pixels of a block of data that threads share, each with sums of its own."""
STRIP = 128
"""Channels of a strip."""
WORTH = 0.5
"""Share of the columns that strips may have on the average, else there are none."""


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
    """What `FitSums` adds up.

    Attributes:
        rows: (pixel, r, r + few); corner: (few, few).
        left: (pixel, column) and right: (channel, column), the gradient by the two sides, the right
            one where a slope of it is not zero.
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

    def of(self, form: Any) -> Sums:
        """Over all entries of the data, in ranges of pixels on threads."""
        order, like = self.order, self.left
        few, pixels = order.count - order.rows, len(like)
        made = Sums(
            like.new_zeros(pixels, order.rows, order.count),
            like.new_zeros(few, few),
            like.new_zeros(pixels, like.shape[1]),
            torch.zeros_like(self.right) if len(order.right) else like.new_zeros(0),
        )
        for rows, x in form.blocks(like.dtype):
            self._add_block(made, rows, x, form.weights.chunk(rows, form.shape))
        return made

    def _add_block(self, made: Sums, rows: slice, x: Tensor, weight: Tensor | None) -> None:
        """Pixels that are read together."""
        most = max(strip.channels.stop - strip.channels.start for strip in self.strips)
        at_once = AT_ONCE if self.left.device.type == "cpu" else ON_DEVICE
        step = max(1, at_once // (self.order.count * most))
        number = min(RANGES, -(-len(x) // step))
        ends = [len(x) * i // number for i in range(number + 1)]
        shared = [(torch.zeros_like(made.corner), torch.zeros_like(made.right)) for _ in ends[1:]]
        parts = [Sums(made.rows, corner, made.left, right) for corner, right in shared]

        def task(i: int) -> None:
            for start in range(ends[i], ends[i + 1], step):
                own = slice(start, min(start + step, ends[i + 1]))
                w = weight if weight is None or len(weight) == 1 else weight[own]
                some = slice(rows.start + own.start, rows.start + own.stop)
                for strip in self.strips:
                    self._add(parts[i], some, strip, x[own, strip.channels], w)

        shared_workers().share(task, number)
        for part in parts:  # in one order, whatever thread made them
            made.corner += part.corner
            made.right += part.right

    def _add(self, made: Sums, some: slice, strip: Strip, x: Tensor, weight: Tensor | None) -> None:
        """The entries of a strip of some pixels, added to theirs."""
        order, loss = self.order, self.loss
        left, right = strip.of(self.left[some]), strip.of(self.right[strip.channels])
        m = left @ right.T
        slope = loss.slope(x, m) + loss.linear if loss.linear else loss.slope(x, m)
        bend = loss.curvature(x if self.observed else m, m)
        if weight is not None and weight.shape[1] > 1:
            weight = weight[:, strip.channels]
        scale = self.scale if weight is None else self.scale * weight
        slope, bend = slope.mul_(scale), bend.mul_(scale)
        pulled = slope @ right
        if strip.columns is None:
            made.left[some] += pulled
        else:
            made.left[some].index_add_(1, strip.columns, pulled)
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
        made.rows[some].baddbmm_(own, slopes.permute(1, 2, 0))
        if len(few):
            made.corner.addmm_(few, few.T)


def strips(right: Tensor, slopes: Tensor) -> list[Strip]:
    """Strips of channels with the columns that a right side or its slopes (some, …) have there."""
    channels, columns = right.shape
    if right.device.type != "cpu":
        return [Strip(slice(0, channels), None)]
    used = right != 0
    if len(slopes):
        used |= (slopes != 0).any(0)
    starts = range(0, channels, STRIP)
    found = [used[start : start + STRIP].any(0).nonzero()[:, 0] for start in starts]
    if sum(map(len, found)) > WORTH * columns * len(found):
        return [Strip(slice(0, channels), None)]
    ends = [min(start + STRIP, channels) for start in starts]
    return [Strip(slice(a, b), c) for a, b, c in zip(starts, ends, found, strict=True)]
