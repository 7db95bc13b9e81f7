"""Signs of a factor's entries: non-negative as a bound, free, or positive through a function."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from fusion.constraints.contract import Constraint


class NonNegative(Constraint):
    """≥ 0, as a bound: the raw variable is the value, clamped at 0; zeros are reached and left."""

    kind, lower, words = "sign", 0.0, "≥ 0"
    identity = entrywise = True

    def forward(self, raw: Tensor) -> Tensor:
        return raw.clamp_min(0)

    def batched(self, raw: Tensor) -> Tensor:
        return self(raw)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(0)


class Free(Constraint):
    """Any sign."""

    kind, words = "sign", "any sign"
    identity = entrywise = signed = True

    def forward(self, raw: Tensor) -> Tensor:
        return raw

    def batched(self, raw: Tensor) -> Tensor:
        return raw

    def right_inverse(self, value: Tensor) -> Tensor:
        return value

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)


class Standardised(Free):
    """Any sign, in standard deviations of what is expected: starts at 0, the expected value.

    For unknowns of which something is known: the offset of an axis, the noise of a detector. A
    belief says how likely they are: `Model.beliefs`.

    Args:
        least: as a bound, where they mean nothing below, as a share does below none; None: nowhere.

    Raises:
        ValueError: if 0, the expected value, lies below.
    """

    words, own_scale = "0 ± 1", True

    def __init__(self, least: float | None = None) -> None:
        super().__init__()
        if least is not None and not least <= 0:
            raise ValueError(
                f"`Standardised(least={least!r})`: 0 is what is expected: give one of 0 or less."
            )
        self.lower = None if least is None else float(least)

    def forward(self, raw: Tensor) -> Tensor:
        return raw if self.lower is None else raw.clamp_min(self.lower)

    def batched(self, raw: Tensor) -> Tensor:
        return self(raw)

    def right_inverse(self, value: Tensor) -> Tensor:
        return self(value)

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64)


class _Smooth(Constraint):
    """Positive through a smooth function: for solvers without bounds.

    Values below `floor` are lifted on the way back.
    """

    kind, entrywise = "sign", True
    floor = 1e-12

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) + 1e-3


class Softplus(_Smooth):
    """> 0 as log(1 + exp(raw)); zeros are only approached."""

    words = "> 0"

    def forward(self, raw: Tensor) -> Tensor:
        return torch.nn.functional.softplus(raw)

    def right_inverse(self, value: Tensor) -> Tensor:
        value = value.clamp_min(self.floor)
        return value + torch.log(-torch.expm1(-value))


class Square(_Smooth):
    """≥ 0 as raw²; a zero is never left (its gradient vanishes), so prefer `NonNegative`."""

    words = "≥ 0"

    def forward(self, raw: Tensor) -> Tensor:
        return raw.square()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(0).sqrt()


class Exp(_Smooth):
    """> 0 as exp(raw)."""

    words = "> 0"

    def forward(self, raw: Tensor) -> Tensor:
        return raw.exp()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(self.floor).log()
