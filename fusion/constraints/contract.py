"""A fact about a factor, always true: a small parametrisation. Those shipped: `constraints`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn


class Constraint(nn.Module):
    """A fact about a factor: value = forward(raw).

    Attributes:
        kind: constraints of one kind exclude each other; kinds come in the order "sign", "scale",
            "known" (None: anywhere).
        lower: bound that a solver keeps the raw variable above; forward must hold it too.
        local: every entry of the value depends on its own raw entry alone.
        scale_free: the value forgets the scale of every raw column, or row.
        by_row: a row of the value comes from its whole raw row, whose scale it forgets.
    """

    kind: str | None = None
    lower: float | None = None
    local: bool = False
    scale_free: bool = False
    by_row: bool = False

    def forward(self, raw: Tensor) -> Tensor:
        """The constrained value of a raw variable."""
        raise NotImplementedError

    def right_inverse(self, value: Tensor) -> Tensor:
        """A raw variable whose forward is `value` (or the nearest value that is possible)."""
        raise NotImplementedError

    def derivative(self, raw: Tensor) -> Callable[[Tensor], Tensor] | None:
        """δ ↦ d forward δ at a batch of raw variables (start, …), where it is its own adjoint.

        None: autograd finds it. For speed alone.
        """
        return None

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the raw variable behind a value of this shape."""
        return shape

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """A random value of about unit size, float64 on the CPU."""
        return self(torch.rand(self.raw_shape(shape), generator=generator, dtype=torch.float64))

    def select(self, components: Sequence[int]) -> Constraint:
        """The same fact about some of the columns."""
        return self

    def __str__(self) -> str:
        return f"{type(self).__name__}()"
