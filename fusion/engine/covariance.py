"""Inverse of a curvature, all factors varying together: its diagonal, and covariances of sums.

Small problems by inversion. Larger ones by what most models share: rows of the maps that meet only
through the spectra (a Schur complement in the spectra), or factors that meet through K × K matrices
only (Woodbury's identity).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fusion.engine.bordered_inverse import Bordered
from fusion.engine.low_rank_inverse import LowRank
from fusion.engine.objective import Objective
from fusion.engine.quadratic import Quadratic
from fusion.engine.row_groups import is_raw_variable
from fusion.engine.variables import Slot, Values

DENSE = 1500
"""Free variables up to which the whole matrix is inverted."""
BORDER = 4000
"""Variables besides the rows up to which their Schur complement is."""
NUMBERS = 2**27
"""Most numbers of how rows and border meet: 1 GiB."""


def variances(quadratic: Quadratic, free: Tensor) -> Values:
    """Variance of every entry of every factor, in the inverse of the curvature.

    Args:
        quadratic: the curvature of a negative log-likelihood.
        free: which raw variables vary, (n,) bool; the others are held.

    Returns:
        {factor: its shape}; ∞ where the curvature leaves an entry open, 0 where it is held.

    Raises:
        ValueError: if it is too large for every way, with the sizes.
    """
    return _inverse_of(quadratic, free).variances()


def covariance_of_sums(quadratic: Quadratic, free: Tensor, name: str, weights: Tensor) -> Tensor:
    """Covariance of weighted sums Σ w x over the entries of one factor, (sum, sum).

    Args:
        quadratic, free: as in `variances`.
        name: of the factor.
        weights: (sum, *shape of the factor).

    Returns:
        ∞ on the diagonal where the curvature leaves a sum open; 0 where all of it is held.

    Raises:
        ValueError: if it is too large for every way, with the sizes.
    """
    slot = next(s for s in quadratic.objective.slots if s.name == name)
    if name in quadratic.bent:
        pull = quadratic.bent[name].pull
        weights = torch.stack([pull(w[None])[0] for w in weights])
    raw = quadratic.flat.new_zeros(len(weights), len(free))
    raw[:, slot.part] = weights.flatten(1).to(raw)
    return _inverse_of(quadratic, free).of_sums(raw * free)


def _inverse_of(quadratic: Quadratic, free: Tensor) -> Bordered | LowRank:
    """The inverse of the curvature, by the first way that can."""
    objective, count = quadratic.objective, int(free.sum())
    rows = _rows(objective)
    grouped = sum(slot.part.stop - slot.part.start for slot in rows)
    border = count - sum(int(free[s.part].sum()) for s in rows)
    ways: tuple[tuple[bool, Callable[[], Bordered | LowRank | None]], ...] = (
        (count <= DENSE, lambda: Bordered.of(quadratic, free, [])),
        (count > DENSE, lambda: LowRank.of(quadratic, free)),
        (
            border <= BORDER and grouped * border <= NUMBERS,
            lambda: Bordered.of(quadratic, free, rows),
        ),
        (count <= BORDER, lambda: Bordered.of(quadratic, free, [])),
    )
    for fits, way in ways:
        inverse = way() if fits else None
        if inverse is not None:
            return inverse
    raise ValueError(
        f"`standard_errors`: {count} free numbers, {border} of them besides the rows of "
        f"{', '.join(s.name for s in rows) or 'no factor'}: errors need at most {BORDER} of those, "
        f"and {NUMBERS // max(grouped, 1)} here: bin the spectra, or crop them."
    )


def _rows(objective: Objective) -> list[Slot]:
    """The factors with the most numbers among those along one mode: their rows may stand alone."""
    groups: dict[object, list[Slot]] = {}
    for slot in objective.slots:
        module = slot.module
        if module is None or len(slot.shape) != 2 or not module.entrywise:
            continue
        if is_raw_variable(slot) or not module.scale_free:
            groups.setdefault(module.axes[0] or slot.shape[0], []).append(slot)
    return max(
        groups.values(), default=[], key=lambda g: sum(s.part.stop - s.part.start for s in g)
    )
