"""What a model predicts: structured tensors that are never expanded.

Every structured prediction has a two-way shape M = L Rᵀ, its last mode against the rest: that is
what meets the data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call


class Prediction(ABC):
    """A tensor in structured form; `+` adds two of one shape."""

    shape: tuple[int, ...]

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor of its device and dtype."""

    @abstractmethod
    def two_way(self) -> tuple[Tensor, Tensor]:
        """(L, R) with M = L Rᵀ: (product of all modes but the last, r) and (last mode, r)."""

    @abstractmethod
    def map(self, function: Callable[[Tensor], Tensor]) -> Prediction:
        """The same structure with every tensor replaced by function(tensor)."""

    def inner(self, other: Prediction) -> Tensor:
        """⟨M, M'⟩ from Gram matrices, float64: cost O((rows + columns) r²)."""
        (L, R), (L2, R2) = self.two_way(), other.two_way()
        return ((L.double().T @ L2.double()) * (R.double().T @ R2.double())).sum()

    def projected(self, bases: Sequence[Tensor]) -> Prediction:
        """M ×₁ U₁ᵀ ×₂ U₂ᵀ …, for one basis (n_mode, r) a mode; for two, of the two-way shape."""
        L, R = self.two_way()
        return CP(bases[0].T @ L, bases[1].T @ R)

    def dense(self) -> Tensor:
        """The expanded tensor, for pictures and tests."""
        L, R = self.two_way()
        return (L @ R.T).reshape(self.shape)

    def __add__(self, other: Prediction | Tensor) -> Prediction:
        other = as_prediction(other)
        if isinstance(self, Expanded) or isinstance(other, Expanded):
            return Expanded(self.dense() + other.dense())
        return Sum(self, other)

    def __radd__(self, other: Prediction | Tensor) -> Prediction:
        return as_prediction(other) + self


class CP(Prediction):
    """⟦A, B, …⟧ = Σ_k a_k ∘ b_k ∘ …, factors (n_mode, K); of two, A Bᵀ, (pixel, channel)."""

    def __init__(self, *factors: Tensor) -> None:
        ranks = {f.shape[-1] if f.ndim == 2 else None for f in factors}
        if len(factors) < 2 or len(ranks) != 1 or None in ranks:
            shapes = ", ".join(str(tuple(f.shape)) for f in factors)
            raise ValueError(
                f"`cp`: factors of shapes {shapes}: give two or more, each (n, K) with one K."
            )
        self.factors = factors
        self.shape = tuple(f.shape[0] for f in factors)

    @property
    def like(self) -> Tensor:
        return self.factors[0]

    def two_way(self) -> tuple[Tensor, Tensor]:
        left = self.factors[0]
        for factor in self.factors[1:-1]:  # Khatri–Rao product of all modes but the last
            left = (left[:, None] * factor[None]).flatten(0, 1)
        return left, self.factors[-1]

    def inner(self, other: Prediction) -> Tensor:
        if not isinstance(other, CP):
            return super().inner(other)
        grams = [
            a.double().T @ b.double() for a, b in zip(self.factors, other.factors, strict=True)
        ]
        return torch.stack(grams).prod(0).sum() if len(grams) > 2 else (grams[0] * grams[1]).sum()

    def projected(self, bases: Sequence[Tensor]) -> Prediction:
        if len(bases) != len(self.factors):
            return super().projected(bases)
        return CP(*(U.T @ f for U, f in zip(bases, self.factors, strict=True)))

    def map(self, function: Callable[[Tensor], Tensor]) -> CP:
        return CP(*map(function, self.factors))


class Tucker(Prediction):
    """G ×₁ A ×₂ B …: core (r_1, r_2, …), factors (n_mode, r_mode)."""

    def __init__(self, core: Tensor, *factors: Tensor) -> None:
        if (
            core.ndim != len(factors)
            or tuple(core.shape) != tuple(f.shape[-1] for f in factors)
            or core.ndim < 2
        ):
            shapes = ", ".join(str(tuple(f.shape)) for f in factors)
            raise ValueError(
                f"`tucker`: core {tuple(core.shape)} with factors {shapes}: "
                "give one (n, r) for every core mode r."
            )
        self.core, self.factors = core, factors
        self.shape = tuple(f.shape[0] for f in factors)

    @property
    def like(self) -> Tensor:
        return self.core

    def two_way(self) -> tuple[Tensor, Tensor]:
        left = self.core
        for factor in self.factors[:-1]:
            # the first remaining core mode is replaced by its factor, and goes last
            left = left.movedim(0, -1) @ factor.T
        order = [*range(1, left.ndim), 0]
        return left.permute(order).flatten(0, -2), self.factors[-1]

    def projected(self, bases: Sequence[Tensor]) -> Prediction:
        if len(bases) != len(self.factors):
            return super().projected(bases)
        return Tucker(self.core, *(U.T @ f for U, f in zip(bases, self.factors, strict=True)))

    def map(self, function: Callable[[Tensor], Tensor]) -> Tucker:
        return Tucker(function(self.core), *map(function, self.factors))


class Sum(Prediction):
    """M₁ + M₂: the columns of their two-way forms side by side."""

    def __init__(self, *parts: Prediction) -> None:
        if len({part.shape for part in parts}) != 1:
            raise ValueError(
                f"`+`: predictions of shapes {[part.shape for part in parts]}: "
                "only equal shapes add."
            )
        self.parts = tuple(
            p for part in parts for p in (part.parts if isinstance(part, Sum) else (part,))
        )
        self.shape = parts[0].shape

    @property
    def like(self) -> Tensor:
        return self.parts[0].like

    def two_way(self) -> tuple[Tensor, Tensor]:
        left, right = zip(*(part.two_way() for part in self.parts), strict=True)
        return torch.cat(left, 1), torch.cat(right, 1)

    def map(self, function: Callable[[Tensor], Tensor]) -> Sum:
        return Sum(*(part.map(function) for part in self.parts))

    def dense(self) -> Tensor:
        return torch.stack([part.dense() for part in self.parts]).sum(0)


class Expanded(Prediction):
    """The escape: a tensor that the user computed in full."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.shape = tensor, tuple(tensor.shape)

    @property
    def like(self) -> Tensor:
        return self.tensor

    def two_way(self) -> tuple[Tensor, Tensor]:
        left = self.matrix
        return left, torch.eye(left.shape[1], dtype=left.dtype, device=left.device)

    @property
    def matrix(self) -> Tensor:
        """The tensor as (product of the other modes, last mode); an image as (pixel, 1)."""
        if self.tensor.ndim == 1:
            return self.tensor[:, None]
        return self.tensor.reshape(prod(self.shape[:-1]), self.shape[-1])

    def map(self, function: Callable[[Tensor], Tensor]) -> Expanded:
        return Expanded(function(self.tensor))

    def dense(self) -> Tensor:
        return self.tensor


def as_prediction(value: Prediction | Tensor) -> Prediction:
    """The prediction itself, or a dense tensor as one."""
    return value if isinstance(value, Prediction) else Expanded(value)


def cp(*factors: Tensor) -> Prediction:
    """⟦A, B, …⟧: the sum over components of outer products; `cp(C, S)` is the matrix C Sᵀ.

    Args:
        factors: two or more tensors (n_mode, K).

    Returns:
        A structured prediction of shape (n_1, n_2, …), never expanded.

    Raises:
        ValueError: if the factors do not share one K.

    Example:
        >>> import torch
        >>> fu.cp(torch.rand(80, 3), torch.rand(60, 3)).shape
        (80, 60)
    """
    return CP(*factors)


@checked_call
def tucker(core: Tensor, *factors: Tensor) -> Prediction:
    """G ×₁ A ×₂ B …: a core times a factor in every mode.

    Args:
        core: (r_1, r_2, …).
        factors: one (n_mode, r_mode) for every mode of the core.

    Returns:
        A structured prediction of shape (n_1, n_2, …), never expanded.

    Raises:
        ValueError: if the factors do not fit the core.

    Example:
        >>> import torch
        >>> T, C, S = torch.rand(9, 2), torch.rand(80, 3), torch.rand(60, 3)
        >>> fu.tucker(torch.rand(2, 3, 3), T, C, S).shape
        (9, 80, 60)
    """
    return Tucker(core, *factors)
