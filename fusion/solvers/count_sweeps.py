"""Sweeps of bounded Newton steps over the factors of counts, by compiled passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.threads import Workers
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, Values
from fusion.likelihood.compiled_passes import compiles
from fusion.likelihood.count_newton import newton_rows
from fusion.likelihood.count_rows import Array, CountRows, count_rows, padded
from fusion.likelihood.metric import Entrywise
from fusion.solvers.gauge import Gauge, gauges, set_by_known
from fusion.solvers.row_penalties import RowPenalties

Factors = dict[str, Array]
"""(row, K) of every factor, K padded."""


@dataclass(frozen=True)
class CountFit:
    """One fit Σ w (m − x ln m), M = L Rᵀ, as the sweeps read it."""

    place: int  # of its term among the fits
    scale: float
    names: tuple[str, str]
    counts: CountRows
    weights: tuple[Array | None, Array | None]  # of rows and columns

    def linear(self, j: int, other: Array) -> Array:
        """The gradient of Σ w m by the rows of one factor: (1, K), or (row, K) under weights."""
        mine, theirs = self.weights[j], self.weights[1 - j]
        total = other.sum(0) if theirs is None else theirs @ other
        return self.scale * (total[None] if mine is None else mine[:, None] * total)

    def mass(self, factors: Factors) -> float:
        """Σ w m."""
        sums = [
            factors[name].sum(0) if w is None else w @ factors[name]
            for name, w in zip(self.names, self.weights, strict=True)
        ]
        return float(sums[0] @ sums[1])


@dataclass
class Row:
    """Gradient (row, K) and packed curvature (row, K (K + 1) / 2) of a factor."""

    gradient: Array
    curvature: Array
    fresh: bool = False
    """Whether it is that of the present point; else a room to write into."""


class CountSweeps:
    """All fits of an objective as compiled passes read them.

    Args:
        objective: its fits are counts alone, every prediction a product of two factors as they are.
        order: the factors in the order of their turns.
    """

    def __init__(self, objective: Objective, order: Sequence[Slot], fits: list[CountFit]) -> None:
        self.objective, self.order, self.fits = objective, order, fits
        self.gauge: Mapping[str, Gauge] = gauges(objective)
        self.kept = {unit: set_by_known(objective, unit).numpy() for unit in self.gauge}
        self.penalties = RowPenalties(objective, self.gauge)
        self.parts = {
            slot.name: [(fit, fit.names.index(slot.name)) for fit in fits if slot.name in fit.names]
            for slot in objective.slots
        }
        # counts of one value: each has weight `least` or more
        self.least = min(fit.scale * fit.counts.least for fit in fits)
        self.first, covered = [], set()
        for slot in order:  # factors that no fit shares, whose turns do not depend on each other
            own = {fit.place for fit, _ in self.parts[slot.name]}
            if own and not own & covered:
                self.first.append(slot.name)
                covered |= own
        self.rest = [fit for fit in fits if fit.place not in covered]
        self.workers = Workers(1)

    @classmethod
    def of(cls, objective: Objective, order: Sequence[Slot]) -> CountSweeps | None:
        """The sweeps, where compiled passes serve; else None."""
        bounded = all(slot.module is not None and slot.module.lower == 0 for slot in order)
        gauge = gauges(objective)
        if not bounded or any(mode != 2 for g in gauge.values() for _, mode in g.values()):
            return None
        if not RowPenalties.suits(objective, gauge):
            return None
        values = {k: v.detach() for k, v in objective.values(objective.current()).items()}
        with torch.no_grad():
            _, closed_forms = objective.closed(values)
        fits = [_count_fit(objective, *closed_form) for closed_form in closed_forms]
        known = [fit for fit in fits if fit is not None]
        return cls(objective, order, known) if len(known) == len(objective.loss.fits) else None

    # ---- one start -------------------------------------------------------------------------------

    def look(self, factors: Factors, rows: dict[str, Row]) -> Array:
        """Weighted terms, fits first; what the first factors need is written into rows."""
        losses = np.zeros(len(self.fits))
        for name in self.first:
            rows[name] = self.bend(name, factors, rows.get(name), losses)
            rows[name].fresh = True
        for fit in self.rest:
            mine, other = (factors[name] for name in fit.names)
            losses[fit.place] = fit.counts.loss(mine, other, self.workers)
        for fit in self.fits:
            losses[fit.place] = fit.scale * (losses[fit.place] + fit.mass(factors))
        if not self.penalties.count:
            return losses
        return np.concatenate([losses, self.penalties.terms(self.values([factors]))])

    def bend(
        self, name: str, factors: Factors, room: Row | None = None, losses: Array | None = None
    ) -> Row:
        """Gradient and curvature of a factor's rows, all fits added up."""
        mine, workers = factors[name], self.workers
        total = _room(mine) if room is None else room
        for count, (fit, j) in enumerate(self.parts[name]):
            other = factors[fit.names[1 - j]]
            part = total if count == 0 else _room(mine)
            into = part.gradient, part.curvature
            value = fit.counts.bend(
                j, mine, other, workers, into, loss=losses is not None and name in self.first
            )
            if losses is not None:
                losses[fit.place] = value
            if fit.scale != 1:
                part.gradient *= fit.scale
                part.curvature *= fit.scale
            part.gradient += fit.linear(j, other)
            if count:
                total.gradient += part.gradient
                total.curvature += part.curvature
        if self.penalties.count:
            more = self.penalties.bend(name, self.values([factors]), mine.shape[1])
            total.gradient += more[0]
            total.curvature += more[1]
        return total

    def step(
        self, slot: Slot, factors: Factors, rows: dict[str, Row], sweeps: int, inner: float
    ) -> Array:
        """Bounded Newton steps of the rows of one factor; options as of `newton_rows`."""
        mine = factors[slot.name]
        if not self.parts[slot.name]:
            return mine
        row = rows.get(slot.name)
        if row is None or not row.fresh:
            row = rows[slot.name] = self.bend(slot.name, factors, row)
        bends, row.fresh = (row.gradient, row.curvature), False
        known = _known(slot)
        if known is not None:
            _hold(known, *bends)
        new = newton_rows(mine, bends, self.least, self.workers, sweeps=sweeps, inner=inner)
        if known is not None:
            part = new[:, : known.shape[1]]
            part[known] = mine[:, : known.shape[1]][known]
        return new

    # ---- between the solver and the sweeps -------------------------------------------------------

    def factors(self, values: Values, start: int) -> Factors:
        """One start of values, padded, in arrays of its own."""
        return {name: padded(v[start].numpy()).copy() for name, v in values.items()}

    def values(self, starts: Sequence[Factors]) -> Values:
        """Starts as values (start, row, K)."""
        return {
            slot.name: torch.stack(
                [torch.from_numpy(f[slot.name][:, : slot.shape[-1]]) for f in starts]
            )
            for slot in self.objective.slots
        }

    def rescale(self, *several: Factors) -> None:
        """Unit columns where they belong: by the norms of the first, which the others take up."""
        for unit, taken in self.gauge.items():
            norm = np.linalg.norm(several[0][unit], axis=0)
            norm[norm == 0] = 1
            norm[: len(self.kept[unit])][self.kept[unit]] = 1
            for factors in several:
                factors[unit] = factors[unit] / norm
                for name, (power, _) in taken.items():
                    factors[name] = factors[name] / norm**power


def _room(factor: Array) -> Row:
    K = factor.shape[1]
    return Row(np.empty_like(factor), np.empty((len(factor), K * (K + 1) // 2)))


def _known(slot: Slot) -> NDArray[np.bool_] | None:
    """(row, K) which entries are known; None: none."""
    known: Tensor | None = None if slot.module is None else slot.module.known
    return None if known is None else known.expand(slot.shape).cpu().numpy()


def _hold(known: NDArray[np.bool_], gradient: Array, curvature: Array) -> None:
    """Quadratics of rows in which known entries stay, and the others do without their moving.

    Args:
        known: (row, K).
        gradient: (row, K), padded; curvature: (row, pairs), packed; written to.
    """
    K = known.shape[1]
    first, second = np.tril_indices(K)
    pairs = curvature[:, : len(first)]
    pairs[known[:, first] | known[:, second]] = 0
    pairs[:, first == second] += known  # the diagonal
    gradient[:, :K][known] = 0


def _count_fit(
    objective: Objective, i: int, form: object, metric: type, names: Sequence[str | None]
) -> CountFit | None:
    """A fit as the sweeps read it; None where compiled passes do not serve."""
    weight, term = objective.loss.surrogates[i]
    loss = term.entrywise  # pyright: ignore[reportAttributeAccessIssue]
    plain = metric is Entrywise and None not in names and len(set(names)) == 2
    if not plain or term.lagged or not compiles(form, loss, objective.like):  # pyright: ignore[reportArgumentType]
        return None
    weights = [
        None if w is None else w.double().numpy()
        for w in (form.weights.rows, form.weights.cols)  # pyright: ignore[reportAttributeAccessIssue]
    ]
    place = [position for position, _, _ in objective.loss.fits].index(i)
    scale = float(weight) * float(torch.as_tensor(term.scale({})))  # pyright: ignore[reportAttributeAccessIssue]
    return CountFit(place, scale, (names[0], names[1]), count_rows(form), (weights[0], weights[1]))  # pyright: ignore[reportArgumentType]
