"""Columns that rise, fall, or have one peak: sums of non-negative steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from fusion.algebra.calls import checked_call
from fusion.constraints.contract import Constraint


def _steps(value: Tensor, inside: Tensor) -> Tensor:
    """Steps ≥ 0 of the non-decreasing curve nearest to each column within its first rows.

    Nearest by the largest difference: half way between the running maximum from the left and the
    running minimum from the right.

    Args:
        value: (n, K).
        inside: (n, K), True in the first rows of each column.

    Returns:
        (n, K), zero outside.
    """
    highest = torch.where(inside, value, -torch.inf).cummax(0).values
    lowest = torch.where(inside, value, torch.inf).flip(0).cummin(0).values.flip(0)
    curve = torch.where(inside, 0.5 * (highest + lowest), 0).clamp_min(0)
    steps = torch.diff(curve, dim=0, prepend=torch.zeros_like(curve[:1]))
    return torch.where(inside, steps, 0).clamp_min(0)


class Monotone(Constraint):
    """Every column is ≥ 0 and never falls along the rows, or never rises if `decreasing`.

    The raw variable holds the steps, ≥ 0: steps of exactly zero are reached and left.

    Args:
        decreasing: whether columns fall.
    """

    kind, lower = "sign", 0.0

    @checked_call
    def __init__(self, *, decreasing: bool = False) -> None:
        super().__init__()
        self.decreasing = bool(decreasing)
        self.words = "falling, ≥ 0" if decreasing else "rising, ≥ 0"

    def forward(self, raw: Tensor) -> Tensor:
        return self._turn(self._turn(raw.clamp_min(0)).cumsum(0))

    def right_inverse(self, value: Tensor) -> Tensor:
        value = self._turn(value)
        return self._turn(_steps(value, torch.ones_like(value, dtype=torch.bool)))

    def _turn(self, x: Tensor) -> Tensor:
        return x.flip(0) if self.decreasing else x

    def __str__(self) -> str:
        return f"Monotone({'decreasing=True' if self.decreasing else ''})"


class Unimodal(Constraint):
    """Every column is ≥ 0 and rises to one peak, then falls: its top is row `peak` or the next.

    The raw variable holds the steps from either end, ≥ 0. Where the peak is cannot be learned by
    steps of a descent, since each position is a set of its own. So either it is known; or each
    start keeps the one that it has: a guess that was assigned its highest row, a random start a
    random one. A fit without the constraint, given as the start, tells it well.

    Args:
        peak: its row, one for all columns or one for each; None: not known.

    Raises:
        ValueError: if a row is negative; by the factor, if there are not as many as columns, or a
            row is beyond the last.
    """

    kind, lower, words = "sign", 0.0, "one peak, ≥ 0"

    @checked_call
    def __init__(self, peak: int | Sequence[int] | None = None) -> None:
        super().__init__()
        rows = None if peak is None else torch.as_tensor(peak).long().reshape(-1)
        if rows is not None and bool((rows < 0).any()):
            raise ValueError(f"`Unimodal({peak})`: count rows from 0.")
        self.register_buffer("peak", rows)
        self.peak: Tensor | None

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.peak is None:
            return (shape[0] + 1, *shape[1:])  # the last row says where the peak is
        if len(self.peak) not in (1, shape[-1]) or int(self.peak.max()) >= shape[0]:
            raise ValueError(
                f"`{self}`: for a factor of shape {shape}: give one peak, or {shape[-1]}, "
                f"from 0 to {shape[0] - 1}."
            )
        return shape

    def forward(self, raw: Tensor) -> Tensor:
        if self.peak is None:
            raw, peak = raw[:-1], raw[-1].detach().round()
        else:
            peak = self.peak
        left = self._left(raw, peak)
        steps = raw.clamp_min(0)
        rising = torch.where(left, steps, 0).cumsum(0)
        falling = torch.where(left, 0, steps).flip(0).cumsum(0).flip(0)
        return torch.where(left, rising, falling)

    def right_inverse(self, value: Tensor) -> Tensor:
        peak = value.argmax(0) if self.peak is None else self.peak
        left = self._left(value, peak)
        steps = _steps(value, left) + _steps(value.flip(0), ~left.flip(0)).flip(0)
        return steps if self.peak is not None else torch.cat([steps, peak[None].to(steps)])

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        raw = torch.rand(self.raw_shape(shape), generator=generator, dtype=torch.float64)
        if self.peak is None:
            raw[-1] *= shape[0] - 1
        return self(raw)

    def select(self, components: Sequence[int]) -> Unimodal:
        if self.peak is None or len(self.peak) == 1:
            return self
        return Unimodal(self.peak[list(components)].tolist())

    @staticmethod
    def _left(like: Tensor, peak: Tensor) -> Tensor:
        """Rows up to the peak, (n, K); the last row falls."""
        rows = torch.arange(like.shape[0], device=like.device)[:, None]
        return (rows <= peak).expand(like.shape)

    def __str__(self) -> str:
        return f"Unimodal({'' if self.peak is None else self.peak.tolist()})"
