"""How much each data set counts in a sum of fits, where nothing says how noisy they are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from fusion.algebra.cautions import NoiseWarning, users_line
from fusion.language.fit_term import Fit

if TYPE_CHECKING:
    from fusion.language.model import Model

ALIKE = 2.0
"""Ratio of squares up to which data sets without a variance pass for scaled to one another."""


def caution_of_imbalance(fits: Sequence[tuple[float, Fit]], model: Model) -> None:
    """A word where data sets add up in different units, and no weight says that this is known.

    Raised where a fit with σ = 1, for want of a variance, stands beside one in units of its noise,
    or beside another with other squares. A weight other than 1 is an answer to it.
    """
    unknown = [t for _, t in fits if not t.in_units_of_noise]
    if len(fits) < 2 or not unknown or any(w != 1 for w, _ in fits):
        return
    with torch.no_grad(), model.once():
        squares = {t.dataset.name: float(t.pair(model)[0].norm2()) for _, t in fits}
    strong, weak = max(squares, key=squares.__getitem__), min(squares, key=squares.__getitem__)
    ratio = squares[strong] / squares[weak] if squares[weak] > 0 else float("inf")
    if len(unknown) == len(fits) and ratio <= ALIKE:
        return
    name = unknown[0].dataset.name
    without = ", ".join(repr(t.dataset.name) for t in unknown)
    warnings.warn(
        f"`{' + '.join(str(t) for _, t in fits)}`: {without} without variance, so its noise is "
        f"taken as 1 in the unit of the data; the squares of {strong!r} are {ratio:.3g} times those"
        f" of {weak!r}, and count so much more. Say how noisy they are, `{name} = "
        f"{name}.estimate_variance()`, or give a weight, `{ratio:.3g} * …({weak})`.",
        NoiseWarning,
        stacklevel=users_line(),
    )
