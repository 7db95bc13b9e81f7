"""Further descents from one start, written into the outcome of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.solvers.track import for_all_starts, states_of

if TYPE_CHECKING:
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch


def polish(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, max_steps: int
) -> None:
    """Go on with the best start on all the data, where compressed ones led so far.

    Writes `outcome`: the losses of all starts are those on all the data.
    """
    best = outcome.best()
    others = [row for row in range(len(outcome.flat)) if row != best]
    if others:
        with torch.no_grad():
            values = objective.values(outcome.flat[others])
            states = objective.refresh_fits(values, states_of(outcome.states, others))
            parts = [objective.fits(values, states), objective.penalties(values, states)]
        outcome.terms[others] = torch.cat(parts, 1)
    continue_from(objective, solver.polishing(), outcome, best, watch, max_steps)


def continue_from(
    objective: Objective, solver: Solver, outcome: Outcome, best: int, watch: Watch, max_steps: int
) -> None:
    """Descend further from one start alone; writes `outcome`."""
    states, flat = one_start(outcome.states, best), outcome.flat[best : best + 1]
    final = solver.resumed(outcome, best).minimise(objective, flat, watch, max_steps, states)
    record_continuation(outcome, best, final)
    replace_start(outcome, best, final)


def record_continuation(outcome: Outcome, row: int, final: Outcome) -> None:
    """The steps of the one start of `final` as further ones of a start, with where they ended."""
    outcome.products += final.products
    append_history(outcome, row, final, 0)
    outcome.ahead, outcome.terms[row], outcome.status[row] = row, final.terms[0], final.status[0]


def replace_start(outcome: Outcome, row: int, final: Outcome) -> None:
    """Write the one start of `final` over a start of `outcome`."""
    outcome.ahead = row
    outcome.flat[row], outcome.terms[row], outcome.status[row] = (
        final.flat[0],
        final.terms[0],
        final.status[0],
    )
    if outcome.damping is not None and final.damping is not None:
        outcome.damping[row] = final.damping[0]
    outcome.states = [
        {key: _with_row(value, row, new[key]) for key, value in old.items()}
        for old, new in zip(outcome.states, final.states, strict=True)
    ]


def one_start(states: list, row: int) -> list:
    return [{key: value[row : row + 1] for key, value in state.items()} for state in states]


def repeated(states: list, count: int) -> list:
    return [
        {key: value.expand(count, *value.shape[1:]).clone() for key, value in state.items()}
        for state in states
    ]


def _with_row(values: Tensor, row: int, new: Tensor) -> Tensor:
    values = values.clone()
    values[row] = new[0]
    return values


def append_history(outcome: Outcome, row: int, made: Outcome, from_row: int) -> None:
    """The steps of a start of `made` as further steps of one of `outcome`."""
    part, starts = slice(from_row, from_row + 1), len(outcome.flat)
    outcome.history += [for_all_starts(terms[part], [row], starts) for terms in made.history]
    outcome.learned += [
        {name: for_all_starts(value[part], [row], starts) for name, value in told.items()}
        for told in made.learned
    ]
