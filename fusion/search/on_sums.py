"""What all pixels have in common is found on sums of pixels, then the maps pixel by pixel.

Where single pixels have a few counts, what a model finds in them beside a few common unknowns is
biased: three unknowns a pixel of 90 counts cost compositions several per cent. On sums of pixels
there is no such bias, and it is quick.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, length
from fusion.data.tally import tally
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import about_rows
from fusion.engine.status import Status
from fusion.engine.variables import Values
from fusion.forms.contract import Gathered
from fusion.forms.weights import Weights
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.prior import as_surrogate
from fusion.search.continuation import continue_from
from fusion.search.heats import Heats
from fusion.search.pixel_sampling import model_on_rows, pixel_factors

if TYPE_CHECKING:
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch

COUNTS = 1000
"""Mean counts of a sum of pixels, at least."""
MOST, LEAST = 1024, 16
"""Sums of pixels, at most, and at least where there are so many pixels."""
FINER = 0.1
"""Share of the tolerance to which a fit without sums goes on: where thickness and sensitivities
make up for each other, steps gain little while they are far from the minimum."""
SAME = 1e-6
"""Share of a loss by which two starts have come to the same answer."""


@dataclass(frozen=True)
class Sums:
    """A problem on sums of pixels.

    Attributes:
        objective: the data are means over the pixels of a sum, weighed by how many they are.
        labels: of every scan's pixels, to which sum they belong.
        names: of factors over pixels, along which scan.
    """

    objective: Objective
    labels: dict[Axes, Tensor]
    names: dict[str, Axes]

    def down(self, values: Values) -> Values:
        """Values (start, …) of all pixels as those of the sums: the mean of every one."""
        made = dict(values)
        for name, axes in self.names.items():
            label, value = self.labels[axes].to(values[name].device), values[name]
            n = int(label.max()) + 1
            total = value.new_zeros(value.shape[0], n, *value.shape[2:]).index_add(1, label, value)
            size = torch.bincount(label, minlength=n).to(total)
            made[name] = total / size[:, None]
        return made

    def up(self, values: Values) -> Values:
        """Values of the sums as those of all pixels of each."""
        return {
            name: v[:, self.labels[self.names[name]].to(v.device)] if name in self.names else v
            for name, v in values.items()
        }


def edge_of_sums(objective: Objective) -> int:
    """Pixels along each edge of a sum that has counts enough."""
    data = [term.dataset for _, _, term in objective.loss.fits]
    edge = 1
    while True:
        n = min(_number(d.pixels, edge) for d in data)
        counts = max(float(tally(d).rows.sum()) / _number(d.pixels, edge) for d in data)
        next_n = min(_number(d.pixels, edge + 1) for d in data)
        enough = counts >= COUNTS and n <= MOST
        if enough or next_n < LEAST or next_n == n:
            return edge
        edge += 1


def _number(axes: Axes, edge: int) -> int:
    return prod(ceil(length(axis) / edge) for axis in axes)


def summed_problem(objective: Objective, edge: int) -> Sums:
    """The problem on sums of edge × edge pixels, those at the ends of a scan smaller.

    Of terms about maps there is what they say of sums, `Surrogate.on_sums`.

    Raises:
        ValueError: if a factor over pixels has a scale, or entries, of its own.
    """
    model, loss = objective.model, objective.loss
    labels: dict[Axes, Tensor] = {}
    for _, _, term in loss.fits:
        assert term.dataset is not None
        labels.setdefault(term.dataset.pixels, _labels(term.dataset.pixels, edge))
    rows = {axes: _first_of_each(label) for axes, label in labels.items()}
    names = pixel_factors(model, rows)
    terms = []
    for weight, term in loss.terms:
        if isinstance(term, Fit):
            means = _means(term, model, labels[term.dataset.pixels])
            terms.append((weight, term._reading(means)))
            continue
        tied = about_rows(objective, term, set(names))
        kept = as_surrogate(term).on_sums(labels) if tied else term
        terms += [] if kept is None else [(weight, kept)]
    summed = model_on_rows(model, rows)
    for name, axes in names.items():
        module = summed.factor(name)
        module.axes = ((Axis("sum of pixels", size=len(rows[axes])),), *module.axes[1:])
    small = Objective(summed, Loss(terms))
    return Sums(small, labels, names)


def _labels(axes: Axes, edge: int) -> Tensor:
    """To which sum every pixel belongs, (pixel,)."""
    label = torch.zeros((), dtype=torch.long)
    for axis in axes:
        place = torch.arange(length(axis)) // edge
        label = label[..., None] * (int(place[-1]) + 1) + place
    return label.reshape(-1)


def _first_of_each(label: Tensor) -> Tensor:
    """The first pixel of every sum."""
    first = torch.full((int(label.max()) + 1,), len(label), dtype=torch.long)
    return first.scatter_reduce(0, label, torch.arange(len(label)), "amin")


def _means(term: Fit, model: Any, label: Tensor) -> Gathered:
    """The data of a fit as means over the pixels of every sum, under their weights."""
    with torch.no_grad(), model.once():
        form, _ = term.pair(model)
    n, device = int(label.max()) + 1, form.device
    label = label.to(device)
    total = torch.zeros(n, form.shape[1], dtype=form.dtype, device=device)
    weight = torch.zeros_like(total)
    for rows, x in form.blocks(form.dtype):
        w = form.weights.chunk(rows, form.shape)
        w = torch.ones_like(x) if w is None else w.expand_as(x)
        total.index_add_(0, label[rows], x * w)
        weight.index_add_(0, label[rows], w.contiguous())
    values = torch.where(weight > 0, total / weight.clamp_min(1e-300), 0)
    even = bool((weight == weight[:, :1]).all())
    weights = Weights(rows=weight[:, 0].contiguous()) if even else Weights(full=weight)
    return Gathered(values, weights, form.dtype)


def search_on_sums(
    objective: Objective, solver: Solver, flat: Tensor, watch: Watch, most: int, race: bool
) -> Outcome:
    """All starts on large sums, the best on smaller ones, then all pixels with what is common held.

    Starts that end alike on the sums have one answer.
    """
    edge = edge_of_sums(objective)
    values = objective.values(flat)
    if edge == 1:
        outcome = solver.minimise(
            objective, flat, watch, most, judge=_heats(flat, solver, race, objective)
        )
        best = outcome.best()
        if outcome.status[best].ok:
            with watch.at("what all pixels have in common"):
                last = solver.until(FINER * solver.tolerance)
                continue_from(objective, last, outcome, best, watch, most)
        return outcome
    with watch.at("sums of pixels"):
        coarse = summed_problem(objective, 2 * edge)
        near = coarse.objective.raws(coarse.down(values)).detach()
        raced = _as_expected(coarse.objective)
        judge = _heats(near, solver, race, raced)
        first = solver.scouting().minimise(raced, near, watch, most, judge=judge)
        best = first.best()
        found = coarse.up(coarse.objective.values(first.flat))
        common = solver.scouting().minimise(
            coarse.objective, first.flat[best : best + 1], watch, most
        )
        fine = summed_problem(objective, edge)
        one = coarse.up(coarse.objective.values(common.flat))
        near = fine.objective.raws(fine.down(one)).detach()
        common = solver.polishing().minimise(fine.objective, near, watch, most)
        found = {n: v.detach().clone() for n, v in found.items()}
        for name, value in fine.up(fine.objective.values(common.flat)).items():
            found[name][best] = value[0].detach()
    held = copy(objective)
    held.held = objective.held | {name for name in values if name not in fine.names}
    merged = objective.raws(found).detach()
    outcome = solver.minimise(held, merged, watch, 0)
    outcome.status = list(first.status)
    outcome.ahead = best
    with watch.at("maps of all pixels"):
        continue_from(held, solver, outcome, best, watch, most)
    if not common.status[0].ok:
        outcome.status[best] = common.status[0]
    _one_answer(outcome, first, best)
    return outcome


def _as_expected(objective: Objective) -> Objective:
    """The same with all of which something is expected held there, while starts are told apart."""
    held = copy(objective)
    held.held = objective.held | {
        slot.name for slot in objective.slots if slot.module is not None and slot.module.own_scale
    }
    return held


def _heats(flat: Tensor, solver: Solver, race: bool, objective: Objective) -> Heats | None:
    return Heats(len(flat), solver.pace).on(objective) if race and len(flat) > 1 else None


def _one_answer(outcome: Outcome, first: Outcome, best: int) -> None:
    """Starts that ended on the sums where the best did have its answer; others were left."""
    lowest = first.loss[best]
    for row, status in enumerate(first.status):
        if row == best:
            continue
        same = bool((first.loss[row] - lowest).abs() <= SAME * lowest.abs())
        if status.ran_on and same:
            outcome.flat[row], outcome.terms[row] = outcome.flat[best], outcome.terms[best]
            outcome.status[row] = outcome.status[best]
        elif status.ran_on:
            outcome.status[row] = Status.LEFT


def lifted_starts(objective: Objective, small: Sums, flat: Tensor) -> Tensor:
    """Starts of the sums as those of all pixels."""
    return objective.raws(small.up(small.objective.values(flat))).detach()
