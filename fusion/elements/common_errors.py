"""How well the variables are known that all pixels of a line model have in common.

What is expected of unknowns, and counts, may contradict each other; then both are worth less than
they were taken for. Errors hold that: an unknown that ended far from what was expected is known no
better than that, and counts weigh less by how much the residual exceeds their noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.elements.limits import limits_at_bounds
from fusion.elements.value_slopes import slopes_of
from fusion.engine.met_rows import met_rows
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import Arrow, RowsAndFew
from fusion.language.expected import Expected, ExpectedQuantity
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.search.evened_sums import evened
from fusion.search.on_sums import edge_of_sums, summed_problem
from fusion.solvers.arrow_newton import ArrowNewton
from fusion.solvers.watch import Watch

OPEN = 1e-10
"""Of a curvature of unit diagonal: what is flatter is a scale that changes nothing."""
WITHIN = 1.96
"""Standard deviations of what is expected, within which 95 % lie."""
FOLLOW = 20
"""Steps in which the maps of sums follow the common variables."""


@dataclass(frozen=True)
class Told:
    """A number of which something was expected, beside what counts tell of it.

    Attributes:
        term: what was expected.
        pull: by how many standard deviations of their difference both contradict each other, the
            signed root of the ratio of likelihoods.
        error: standard deviations of what was expected that it is certain to, 1 unless they do.
    """

    term: ExpectedQuantity
    pull: float
    error: float


@dataclass(frozen=True)
class CommonErrors:
    """Covariance of the common variables, with all maps following them.

    Attributes:
        parts: which variables are common; flat: raw variables on the sums, (n,).
        covariance: (few, few); 0 where one is held at its bound.
        at_bound: (few,) whether it is; limit: (few,) how far it may be from there, 95 %.
        follow: (sum, r, few): how maps follow the common variables; rows: (sum, r, r) their own
            covariance.
        labels: of every scan's pixels, to which sum they belong.
        told: of numbers that follow from the variables, of which something was expected.
    """

    parts: RowsAndFew
    flat: Tensor
    covariance: Tensor
    at_bound: Tensor
    limit: Tensor
    follow: Tensor
    rows: Tensor
    labels: Mapping[Axes, Tensor]
    told: tuple[Told, ...] = ()

    def values(self, few: Tensor) -> dict[str, Tensor]:
        """All values on the sums where the common variables are these, (few,)."""
        flat = self.flat.index_put((self.parts.few,), few)
        return {name: v[0] for name, v in self.parts.objective.values(flat[None]).items()}

    @property
    def few(self) -> Tensor:
        """The common variables, (few,)."""
        return self.flat[self.parts.few]

    def spread(self, function: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
        """Standard errors of functions (n,) of the values on the sums, all variables varying."""
        slopes = slopes_of(self.parts, self.flat, self.follow, function)
        variance = (slopes.along @ self.covariance * slopes.along).sum(1) + slopes.own(self.rows)
        return variance.clamp_min(0).sqrt()

    def place(self, name: str) -> slice:
        """Where a factor stands among them."""
        start = 0
        for slot in self.parts.few_slots:
            size = slot.part.stop - slot.part.start
            if slot.name == name:
                return slice(start, start + size)
            start += size
        raise ValueError(f"{name!r} is no common variable.")


def common_errors(model: Model, loss: Loss, misfit: float = 1.0) -> CommonErrors:
    """On sums of pixels, as a fit found them.

    Args:
        misfit: mean square of the residual over its noise, by which counts weigh less, 1 or more:
            Birge's ratio, squared.

    References:
        Birge, Phys. Rev. 40:207 (1932).
    """
    whole = Objective(model, loss)
    edge, values = edge_of_sums(whole), whole.values(whole.current())
    solver, watch = ArrowNewton().polishing(), Watch()
    sums, _ = evened(whole, summed_problem(whole, edge), edge, values, solver, watch, FOLLOW)
    small = sums.objective
    flat = small.raws(sums.down(values)).detach()
    held = copy(small)
    held.held = small.held | {name for name in values if name not in sums.names}
    flat = solver.minimise(held, flat, watch, FOLLOW).flat
    parts = RowsAndFew(small)
    with torch.no_grad():
        states = small.refresh_fits(small.values(flat), small.no_states())
        states = small.refresh_penalties(small.values(flat), states, {})
        arrow = parts.arrow(flat[0], states, observed=True)
    return _from_arrow(parts, flat[0], arrow, misfit, sums.labels)


def widened(t: Tensor) -> Tensor:
    """Variance of what is expected, 1 unless found at t: then t is within its 95 %."""
    return (t / WITHIN).square().clamp_min(1)


def _expected(parts: RowsAndFew) -> Tensor:
    """(few,) curvature of what is expected of the common variables; 0 of those without."""
    weights = {
        name: float(weight)
        for _, weight, term in parts.objective.loss.penalties
        if isinstance(term, Expected)
        for name in term.names
    }
    each = [
        torch.full((slot.part.stop - slot.part.start,), weights.get(slot.name, 0.0))
        for slot in parts.few_slots
    ]
    return torch.cat(each).to(parts.objective.like)


def _from_arrow(
    parts: RowsAndFew, flat: Tensor, arrow: Arrow, misfit: float, labels: Mapping[Axes, Tensor]
) -> CommonErrors:
    few, border = parts.few, arrow.border
    met = met_rows(parts, flat, arrow)
    at_bound = (flat[few] <= parts.objective.lower()[few]) & (arrow.few_gradient > 0)
    border = torch.where(met.free[:, :, None], border, 0)
    reduced = arrow.corner + border.flatten(0, 1).T @ met.follow.flatten(0, 1)
    told = torch.diag(_expected(parts))
    reduced = (reduced - told) / misfit + told / widened(flat[few])
    rows = misfit * met.covariance
    found = tuple(_told(parts.objective, flat[None], misfit))
    for one in found:
        reduced = reduced + _bent(one, parts, flat, met.follow, rows)
    free = ~at_bound
    covariance = torch.zeros_like(reduced)
    inside = free[:, None] & free
    covariance[inside] = _inverse(reduced[free][:, free]).flatten()
    pull = arrow.few_gradient / misfit
    limit = limits_at_bounds(parts, flat, pull, reduced, covariance, at_bound, met.follow, rows)
    return CommonErrors(parts, flat, covariance, at_bound, limit, met.follow, rows, labels, found)


def _told(objective: Objective, flat: Tensor, misfit: float) -> Iterator[Told]:
    """Of every number of which something was expected, how far the counts contradict it.

    By how much the loss falls where it is left open; a slope would say little where counts bend it
    next to nothing.
    """
    terms = objective.loss.terms
    for i, weight, term in objective.loss.penalties:
        if not isinstance(term, ExpectedQuantity):
            continue
        others = Objective(objective.model, Loss([*terms[:i], *terms[i + 1 :]]))
        solver = ArrowNewton().polishing()
        near = solver.minimise(objective, flat, Watch(), FOLLOW)
        values = {name: v[0] for name, v in objective.values(near.flat).items()}
        with torch.no_grad(), objective.model.once(values):
            u = float(weight) ** 0.5 * term.deviation(objective.model)
        free = solver.minimise(others, near.flat, Watch(), FOLLOW)
        fallen = float(near.terms.sum() - free.terms.sum()) - 0.5 * float(u) ** 2
        pull = torch.sign(u) * (u.square() + 2 * max(fallen, 0.0) / misfit).sqrt()
        yield Told(term, float(pull), float((widened(pull) / weight).sqrt()))


def _bent(told: Told, parts: RowsAndFew, flat: Tensor, follow: Tensor, rows: Tensor) -> Tensor:
    """(few, few) curvature of what is expected of a number that follows from rows and few.

    It tells the few as much less as rows (pixel, r, r) vary while these are held.
    """
    model = parts.objective.model

    def deviation(values: dict[str, Tensor]) -> Tensor:
        with model.once(values):
            return told.term.deviation(model)[None]

    slopes = slopes_of(parts, flat, follow, deviation)
    return slopes.along.T @ slopes.along / (told.error**2 + slopes.own(rows))


def _inverse(matrix: Tensor) -> Tensor:
    """Of a positive matrix, but for directions that change nothing."""
    scale = matrix.diagonal().clamp_min(torch.finfo(matrix.dtype).tiny).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * matrix * scale)
    inverse = torch.where(values > OPEN, 1 / values.clamp_min(OPEN), 0)
    return scale[:, None] * ((vectors * inverse) @ vectors.T) * scale
