"""How the amounts of a component are thought to be distributed: what `ARD` switches off by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


class Amounts(ABC):
    """A prior on the entries of one column, of one scale λ."""

    power: ClassVar[int]
    """Of an amount in −ln p: 1, or 2 where that bends."""

    floor: ClassVar[float]
    """b, as a share of the mean size of a column at the start, where the user gives none."""

    empty: ClassVar[float]
    """Size, as a share of the floor b, up to which noise alone fills a component that is off."""

    @abstractmethod
    def size(self, C: Tensor) -> Tensor:
        """What λ is the mean of, summed over a column; (K,), float64."""

    @abstractmethod
    def count(self, n: int) -> float:
        """How many λ each column of n entries is normalised by."""

    @abstractmethod
    def formula(self, symbol: str) -> tuple[str, str, str, str]:
        """(count, size) as plain text and as LaTeX."""


@dataclass(frozen=True)
class Exponential(Amounts):
    """C_ik ~ Exp(λ_k), the review's choice (L1): sparse maps, most pixels of a component empty.

    −ln p = Σ_i C_ik / λ_k + n ln λ_k.
    """

    power = 1
    floor = 1e-5
    empty = 1.0

    def size(self, C: Tensor) -> Tensor:
        return C.sum(0, dtype=torch.float64)

    def count(self, n: int) -> float:
        return float(n)

    def formula(self, symbol: str) -> tuple[str, str, str, str]:
        return "n", f"‖{symbol}ₖ‖₁", "n", rf"\|{symbol}_k\|_1"


@dataclass(frozen=True)
class HalfNormal(Amounts):
    """C_ik ~ HalfNormal of variance λ_k (L2): few components, each of which may fill the map.

    −ln p = ½ Σ_i C_ik² / λ_k + (n/2) ln λ_k. λ has the square of the unit of C.
    """

    power = 2
    floor = 1e-10  # far below the noise: what is off follows that a little, u = q (1 + u)²,
    empty = 1.0  # u = size / b, q ≈ b / (n σ²), and no u above 1 stays there

    def size(self, C: Tensor) -> Tensor:
        return 0.5 * C.square().sum(0, dtype=torch.float64)

    def count(self, n: int) -> float:
        return n / 2

    def formula(self, symbol: str) -> tuple[str, str, str, str]:
        return "n/2", f"½‖{symbol}ₖ‖²", r"\tfrac n2", rf"\tfrac12\|{symbol}_k\|_2^2"
