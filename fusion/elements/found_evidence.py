"""What tells for an element, and from which evidence on it is named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

CHANCE = 0.05
"""Chance that of all candidates that are absent any is named."""


@dataclass(frozen=True)
class Evidence:
    """What tells for an element.

    Attributes:
        element: its number.
        ratio: 2 Δ ln L to the best fit without it.
        rival: the number of another in its place with which a fit is nearly as good; None: none.
        gap: 2 Δ ln L to that fit.
    """

    element: int
    ratio: float
    rival: int | None = None
    gap: float = np.inf


def threshold(candidates: int) -> float:
    """2 Δ ln L that chance exceeds for none of so many candidates in 19 of 20 spectra.

    An amount cannot be negative, so that 2 Δ ln L of an absent element is 0 half of the times and
    χ² of one degree of freedom else (Wilks; Chernoff, Ann. Math. Stat. 25:573 (1954)).
    """
    return float(norm.isf(CHANCE / max(candidates, 1))) ** 2
