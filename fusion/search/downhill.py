"""All starts downhill, the best of them to its end, and what is tried from there."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.search.continuation import continue_from, polish
from fusion.search.heats import Heats
from fusion.search.moves import improve
from fusion.search.pixel_sampling import sample_problem, starts_from_sample
from fusion.search.problem import Problem
from fusion.search.search_on_sums import search_on_sums
from fusion.search.warm_start import approach_data, warm_up_steps
from fusion.solvers import Outcome, Solver, Watch

FOR_ALL, FOR_BEST = 0.5, 0.75
"""Shares of a limited time until the best start goes on alone, and until it does on all data."""
SHORT = 20
"""Steps of the race on a part of the data."""
SETTLED = 0.01
"""Share of the tolerance to which the winner of a race goes on under a rule."""


def descend_and_improve(
    posed: Problem, watch: Watch, steps: int, begun: float, limit: float, race: bool
) -> Outcome:
    """All starts, then the best of them, as far down as time and steps allow."""
    objective, working, solver = posed.objective, posed.working, posed.solver
    several, compressed = len(posed.flat) > 1, posed.compressed
    most = min([steps, *warm_up_steps(objective.loss)])
    watch.deadline = begun + limit * (FOR_ALL if several else 1)
    with watch.at("race" if several and race else "descent"):
        outcome = watch.kept(_search, working, solver, posed.flat, watch, most, compressed, race)
    with watch.dispensable():
        watch.deadline = begun + limit * (FOR_BEST if compressed else 1)
        _continue_best_alone(working, solver, outcome, watch, steps)
    watch.deadline = begun + limit
    with watch.dispensable():
        if not watch.stopped:
            pruned = not compressed  # else all that moves ask for is quick
            with watch.at("other components tried"):
                posed.messages += improve(working, solver, outcome, watch, steps, pruned=pruned)
    if compressed:
        del working  # as large as what polishing needs
        posed.working, posed.flat = objective, outcome.flat
        with watch.at("polish on all data"):
            watch.kept(polish, objective, solver, outcome, watch, steps)
    elif watch.stopped:  # whatever was hit: the loss is that of where the best start stands
        watch.kept(continue_from, objective, solver, outcome, outcome.best(), watch, 0)
    return outcome


def _search(
    objective: Objective,
    solver: Solver,
    flat: Tensor,
    watch: Watch,
    most: int,
    quick: bool,
    race: bool,
) -> Outcome:
    """All starts downhill; where data are large, first on a part of them, then the best alone.

    So, too, after the few steps of a solver that has `initial`.
    """
    if solver.on_sums and most > 0:
        return search_on_sums(objective, solver, flat, watch, most, race)
    judge = None
    if race and len(flat) > 1:
        judge = Heats(len(flat), solver.pace, kept=_guesses(objective))
    first = solver.scouting()
    few = first.max_steps < solver.max_steps
    look = None if few or first is solver or most == 0 else watch.kept(sample_problem, objective)
    if look is not None:
        short = most if judge is None else min(most, SHORT)
        with watch.at("some of the pixels"):
            flat = starts_from_sample(objective, look, first, flat, watch, short)
        if judge is not None:
            judge.ran_on_part()
    elif most > 0:
        flat = approach_data(objective.model, objective.loss, solver, flat, watch, judge)
    if judge is not None:
        judge.on(objective)
    if few:
        return _continue_best(objective, solver, flat, watch, most, first.max_steps)
    alone = len(flat) == 1 and not quick  # nothing to be told apart
    if most == 0 or alone or (look is None and not quick):
        outcome = solver.minimise(objective, flat, watch, most, judge=judge)
        if judge is not None and not all(objective.fixed):
            _settle(objective, solver, outcome, watch, most)
        elif judge is not None:
            _lowest_goes_on(objective, solver, outcome, watch, most)
        return outcome
    outcome = first.minimise(objective, flat, watch, most, judge=judge)
    if judge is not None and all(objective.fixed):
        _lowest_goes_on(objective, first, outcome, watch, most)
    del flat
    if first.tolerance > solver.tolerance:
        # on compressed data what is found is not the last word
        last = first.until(solver.tolerance) if quick else solver
        continue_from(objective, last, outcome, outcome.best(), watch, most)
    return outcome


def _guesses(objective: Objective) -> list[int]:
    """The start with what was assigned, where losses tell little until a rule has settled."""
    assigned = any(s.module is not None and s.module.assigned for s in objective.slots)
    return [0] if assigned and not all(objective.fixed) else []


def _lowest_goes_on(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, most: int
) -> None:
    """Where those that were left did not come as low as a dropped start stands, that one goes on.

    So where steps or time ran out before what was hoped of them.
    """
    loss = torch.nan_to_num(outcome.loss, nan=torch.inf)
    lowest = int(loss.argmin())
    if bool(loss[lowest] < loss[outcome.best()]):
        made = int(torch.isfinite(torch.stack(outcome.history)[:, lowest].sum(1)).sum())
        continue_from(objective, solver, outcome, lowest, watch, max(0, most - made))


def _settle(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, most: int
) -> None:
    """Bring the winner of a race nearer to the fixed point of a rule.

    Of many that end a little way off on every side the lowest is taken; of one it cannot be.
    """
    best = outcome.best()
    if outcome.status[best].ok and not watch.stopped:
        made = int(torch.isfinite(torch.stack(outcome.history)[:, best].sum(1)).sum())
        closer = solver.until(solver.tolerance * SETTLED)
        continue_from(objective, closer, outcome, best, watch, max(0, most - made))


def _continue_best_alone(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, steps: int
) -> None:
    """Where the time for all starts ran out before the best had converged: that one alone."""
    best = outcome.best()
    if len(outcome.flat) == 1 or outcome.status[best] is not Status.MAX_SECONDS:
        return
    outcome.status = [Status.LEFT if s is Status.MAX_SECONDS else s for s in outcome.status]
    if not watch.late:
        continue_from(objective, solver, outcome, best, watch, steps)
    else:
        outcome.status[best] = Status.MAX_SECONDS


def _continue_best(
    objective: Objective, solver: Solver, flat: Tensor, watch: Watch, most: int, few: int
) -> Outcome:
    """A few steps of every start, then the rest of them from the best. Review, on starts."""
    outcome = solver.minimise(objective, flat, watch, min(few, most))
    best = outcome.best()
    if most > few:
        goes_on = outcome.status[best] is Status.MAX_STEPS
        outcome.status = [Status.LEFT if s is Status.MAX_STEPS else s for s in outcome.status]
        if goes_on:
            continue_from(objective, solver, outcome, best, watch, most - few)
    return outcome
