"""A fact about a factor, always true: a small parametrisation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn


class Constraint(nn.Module):
    """A fact about a factor: value = forward(raw).

    A subclass writes `forward` and `right_inverse`, on tensors (n, K), and says of itself what
    holds; every property that it has makes solvers faster. `fusion.testing.ConstraintContract` is
    the suite for it.

    Attributes:
        kind: constraints of one kind exclude each other; kinds come in the order "sign", "scale",
            "known" (None: anywhere).
        lower: bound that a solver keeps the raw variable above; forward must hold it too.
        identity: the value is the raw variable, as long as that keeps to `lower`: solvers work on
            the value itself.
        entrywise: every entry of the value depends on its own raw entry alone, so that the
            derivative is a factor for every entry.
        signed: values of either sign are allowed.
        scale_free: the value forgets the scale of every raw column, or row.
        unit_norm: the p of the ℓp norm 1 that every column of the value has, whatever its sign, and
            nothing else; None: it does more, or something else.
        by_row: a row of the value comes from its whole raw row, whose scale it forgets.
        own_scale: the value has a scale of its own, that no start takes from the data.
        words: what it says of the value, as models show it: "≥ 0"; "": as it is written.
    """

    kind: str | None = None
    lower: float | None = None
    identity: bool = False
    entrywise: bool = False
    signed: bool = False
    scale_free: bool = False
    unit_norm: float | None = None
    by_row: bool = False
    own_scale: bool = False
    words: str = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = cls.__dict__
        if "local" in own:
            warnings.warn(
                f"`{cls.__name__}.local` is called `entrywise` now; the old name is read in this "
                "release only.",
                DeprecationWarning,
                stacklevel=2,
            )
            cls.entrywise = bool(own["local"])
        if "forward" in own:  # another forward: what was said of the one above need not hold
            for name in ("identity", "unit_norm", "words"):
                if name not in own:
                    setattr(cls, name, getattr(Constraint, name))

    def forward(self, raw: Tensor) -> Tensor:
        """The constrained value of a raw variable."""
        raise NotImplementedError

    def right_inverse(self, value: Tensor) -> Tensor:
        """A raw variable whose forward is `value` (or the nearest value that is possible)."""
        raise NotImplementedError

    def batched(self, raw: Tensor) -> Tensor | None:
        """`forward` of the matrices of all starts at once, (start, n, K); None: one by one.

        For speed alone; it is used where it stands in the class of `forward`, or in one derived
        from that.
        """
        return None

    def jacobian(
        self, raw: Tensor
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] | None:
        """(δ ↦ J δ, w ↦ Jᵀ w) of `forward` at a batch of raw variables (start, n, K).

        Needed only where `derivative` is None; None here, too: autograd finds it. For speed alone.
        """
        return None

    def derivative(self, raw: Tensor) -> Callable[[Tensor], Tensor] | None:
        """δ ↦ d forward δ at a batch of raw variables (start, …), where it is its own adjoint.

        None: autograd finds it. For speed alone.
        """
        return (lambda v: v) if self.identity else None

    def known_entries(self) -> Tensor | None:
        """Which entries of the value are given, of its shape, bool; None: none is."""
        return None

    def for_shape(self, shape: tuple[int, ...]) -> Constraint:
        """The same fact about a factor of this shape.

        Raises:
            ValueError: if it does not fit.
        """
        return self

    @property
    def linear(self) -> bool:
        """Whether the value is the raw variable, but for its bound, ℓ2 norms or known entries.

        A model that is linear in the value can then be solved for it factor by factor.
        """
        return self.identity or self.unit_norm == 2 or self.known_entries() is not None

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
