"""Diagonal of the inverse of a curvature, all factors varying together.

Small problems by inversion. Larger ones by what most models share: rows of the maps that meet only
through the spectra (a Schur complement in the spectra), or factors that meet through K × K matrices
only (Woodbury's identity).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from fusion.engine.coupled_preconditioner import LowRankTerm
from fusion.engine.linear_system import System
from fusion.engine.objective import Objective
from fusion.engine.quadratic import Quadratic
from fusion.engine.row_groups import is_raw_variable
from fusion.engine.row_inverses import CHUNK
from fusion.engine.row_meetings import (
    DenseMeeting,
    count_meeting,
    independent_blocks,
    rows_are_independent,
)
from fusion.engine.variables import Slot, Values

DENSE = 1500
"""Free variables up to which the whole matrix is inverted."""
BORDER = 4000
"""Variables besides the rows up to which their Schur complement is."""
NUMBERS = 2**27
"""Most numbers of how rows and border meet: 1 GiB."""
RIDGE = 1e-12
"""Share of the diagonal that is added, so that what the data leave open inverts."""
OPEN = 1e7
"""Times its variance with all else known, above which a variance says: not determined."""


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
    objective, count = quadratic.objective, int(free.sum())
    rows = _rows(objective)
    grouped = sum(slot.part.stop - slot.part.start for slot in rows)
    border = count - sum(int(free[s.part].sum()) for s in rows)
    ways = (
        (count <= DENSE, lambda: _bordered(quadratic, free, [])),
        (count > DENSE, lambda: _low_rank(quadratic, free)),
        (
            border <= BORDER and grouped * border <= NUMBERS,
            lambda: _bordered(quadratic, free, rows),
        ),
        (count <= BORDER, lambda: _bordered(quadratic, free, [])),
    )
    for fits, way in ways:
        variance_of = way() if fits else None
        if variance_of is not None:
            return variance_of
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


def _bordered(quadratic: Quadratic, free: Tensor, rows: list[Slot]) -> Values | None:
    """By blocks of rows and the Schur complement of all else; None where rows meet each other.

    [A B; Bᵀ R] with A block by block, and in R the free variables beside, and the multipliers that
    hold unit columns at right angles to themselves.
    """
    numbers = torch.arange(quadratic.objective.size, device=free.device)
    index = torch.cat([numbers[s.part].view(s.shape) for s in rows], 1) if rows else None
    index = numbers[:0].view(0, 1) if index is None else index
    blocks = independent_blocks(quadratic, index, free)
    if not rows_are_independent(quadratic, index, blocks, free):
        return None
    beside = free.clone()
    beside[index] = False
    border = beside.nonzero()[:, 0]
    units = quadratic.units(free)
    meeting = count_meeting(quadratic, rows, border, units)
    if meeting is None:
        meeting = DenseMeeting(quadratic, index, border, units)
    schur, own = _corner(meeting.corner, units[border])
    vary, diagonal = free[index], blocks.diagonal(dim1=-2, dim2=-1)
    unseen = vary & (diagonal <= 0)  # by any data
    inside = (vary & ~unseen).to(blocks.dtype)
    inverse = torch.linalg.inv(blocks + torch.diag_embed(RIDGE * diagonal + (1 - inside)))
    inverse = inverse * inside[:, :, None] * inside[:, None, :]
    meeting.take_out(schur, inverse)
    covariance = _inverse(schur, len(border))
    total, lone = torch.zeros_like(quadratic.flat[0]), torch.zeros_like(quadratic.flat[0])
    total[border], lone[border] = covariance.diagonal()[: len(border)], 1 / own
    total[index] = inverse.diagonal(dim1=-2, dim2=-1) + meeting.bring_back(covariance)
    total[index] = torch.where(unseen, torch.inf, total[index])
    lone[index] = torch.where(vary, 1 / diagonal.clamp_min(0), 0)
    return _variances_of_values(quadratic, free, total, lone, border, covariance)


def _corner(corner: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """The curvature beside the rows, bordered by unit columns; and its diagonal."""
    r, q = units.shape
    own = corner.diagonal().clamp_min(0)
    made = corner.new_zeros(r + q, r + q)
    made[:r, :r] = 0.5 * (corner + corner.T) + torch.diag(RIDGE * own)
    made[:r, r:], made[r:, :r] = units, units.T
    return made, own


def _inverse(full: Tensor, r: int) -> Tensor:
    """Inverse of a symmetric matrix, rows and columns in units of their own."""
    size = full.diagonal().abs().sqrt()
    size[r:] = torch.where(size[r:] > 0, size[r:], 1)
    size[:r] = torch.where(size[:r] > 0, size[:r], 1)
    along = (full[r:, :r] / size[:r]).norm(dim=1)
    size[r:] = torch.maximum(size[r:], along)
    scaled = full / size[:, None] / size
    empty = scaled.diagonal()[:r] == 0
    scaled[:r, :r] += torch.diag(empty.to(scaled.dtype))
    made = torch.linalg.inv(scaled)
    return made / size[:, None] / size


def _low_rank(quadratic: Quadratic, free: Tensor) -> Values | None:
    """By Woodbury's identity, where that is the whole inverse; else None."""
    objective, flat = quadratic.objective, quadratic.flat
    if quadratic.bent or any(slot.module is None for slot in objective.slots):
        return None
    damping = flat.new_full((1,), RIDGE)
    system = System(quadratic.curvature, torch.zeros_like(flat), free[None].to(flat.dtype), damping)
    if system.coupled is None or not _inverse_holds(quadratic, system, free):
        return None
    total, lone = torch.zeros_like(flat), torch.zeros_like(flat)
    for group, inverse in zip(system.groups, system.inverses, strict=True):
        A = inverse.whole()[0].expand(group.block.rows, -1, -1)
        shared = _shared(system.coupled.ways.get(group.names, ()), system.coupled.small[0], A)
        group.block.write(total, (A.diagonal(dim1=-2, dim2=-1) - shared)[None])
    for block in system.blocks:
        lone[:, block.part] = 1 / block.expanded().diagonal(dim1=-2, dim2=-1).flatten(1)
    total, lone = total[0], lone[0]
    return _variances_of_values(
        quadratic, free, total, lone, free.nonzero()[:0, 0], total.new_zeros(0, 0)
    )


def _shared(ways: Sequence[LowRankTerm], small: Tensor, A: Tensor) -> Tensor:
    """Diagonal of D⁻¹ U S Uᵀ D⁻¹ in the factors of one group, (row, w)."""
    if not ways:
        return torch.zeros_like(A[..., 0])
    at = torch.cat([torch.arange(w.part.start, w.part.stop, device=A.device) for w in ways])
    S = small[at[:, None], at]
    made, step = torch.empty_like(A[..., 0]), max(1, CHUNK // (len(at) * A.shape[-1]))
    for first in range(0, len(A), step):
        part = slice(first, first + step)
        # (row, w, size): the direction, and what of U it meets
        Z = torch.cat([_met_by_rows(way, A, part) for way in ways], 1).mT.to(S)
        made[part] = ((Z @ S) * Z).sum(-1).to(made)
    return made


def _met_by_rows(way: LowRankTerm, A: Tensor, rows: slice) -> Tensor:
    """Uᵀ D⁻¹ of some rows, (row, size, w)."""
    moved = A[rows] if way.select is None else way.select.mT @ A[rows]
    if way.base is None:
        return moved
    return (way.base[0, rows, :, None, None] * moved[:, None]).flatten(1, 2)


def _inverse_holds(quadratic: Quadratic, system: System, free: Tensor) -> bool:
    """Whether blocks and low rank are the whole curvature: H (inverse) H v = H v."""
    generator, units = torch.Generator().manual_seed(0), quadratic.units(free)
    v = torch.randn(len(free), generator=generator, dtype=torch.float64).to(quadratic.flat) * free

    def tangent(v: Tensor) -> Tensor:
        return v - units @ ((units.T @ v) / units.square().sum(0).clamp_min(1e-300))

    wanted = tangent(quadratic(tangent(v)) * free)
    solution = torch.empty_like(wanted)[None]
    for group, inverse in zip(system.groups, system.inverses, strict=True):
        group.block.solve(solution, wanted[None], inverse)
    assert system.coupled is not None
    system.coupled.add(solution)
    image = tangent(quadratic(tangent(solution[0])) * free)
    return float((image - wanted).norm()) <= 1e-3 * float(wanted.norm())


def _variances_of_values(
    quadratic: Quadratic,
    free: Tensor,
    total: Tensor,
    lone: Tensor,
    border: Tensor,
    covariance: Tensor,
) -> Values:
    """Variances by factor, of values, from those of the raw variables."""
    shut = ~torch.isfinite(total) | (total < 0) | (total > OPEN * lone) | ~torch.isfinite(lone)
    total = torch.where(free & shut, torch.inf, torch.where(free, total, 0))
    variance_of: Values = {}
    for slot in quadratic.objective.slots:
        variance = total[slot.part].view(slot.shape)
        chain = quadratic.bent.get(slot.name)
        if chain is not None and slot.module is not None:
            if slot.module.entrywise and not slot.module.scale_free:
                variance = variance * chain.push(torch.ones_like(variance)[None])[0].square()
            else:
                inside = (border >= slot.part.start) & (border < slot.part.stop)
                own = covariance[: len(border), : len(border)][inside][:, inside]
                places = border[inside] - slot.part.start
                variance = _pushed_through(chain.push, own, places, slot.shape)
        variance_of[slot.name] = variance
    return variance_of


def _pushed_through(push, covariance: Tensor, places: Tensor, shape: Sequence[int]) -> Tensor:
    """diag(J Σ Jᵀ) of a constraint's derivative J, one square root of Σ at a time."""
    values, vectors = torch.linalg.eigh(covariance)
    total = push(covariance.new_zeros(1, *shape))[0].square()
    for value, vector in zip(values.clamp_min(0), vectors.T, strict=True):
        v = covariance.new_zeros(prod(shape))
        v[places] = value.sqrt() * vector
        total = total + push(v.view(1, *shape))[0].square()
    return total
