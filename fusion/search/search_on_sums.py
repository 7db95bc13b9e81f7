"""All starts on sums of pixels, what is common found there, then the maps pixel by pixel."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.search.continuation import continue_from
from fusion.search.evened_sums import evened
from fusion.search.heats import Heats
from fusion.search.on_sums import edge_of_sums, summed_problem

if TYPE_CHECKING:
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch

FINER = 0.1
"""Share of the tolerance to which a fit without sums goes on: where thickness and sensitivities
make up for each other, steps gain little while they are far from the minimum."""
SAME = 1e-6
"""Share of a loss by which two starts have come to the same answer."""


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
    held = copy(objective)
    held.held = objective.held | {name for name in values if name not in fine.names}
    with watch.at("sums of alike pixels"):
        one = fine.up(fine.objective.values(common.flat))
        fine, maps = evened(objective, fine, edge, one, solver.scouting(), watch, most)
        common = solver.polishing().minimise(fine.objective, common.flat, watch, most)
        one = fine.objective.values(common.flat) | {name: maps[name] for name in fine.names}
    found = {n: v.detach().clone() for n, v in found.items()}
    for name, value in one.items():
        found[name][best] = value[0].detach()
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
