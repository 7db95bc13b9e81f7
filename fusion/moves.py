"""Jumps that no small step finds: merging two components, switching a deviation off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.objective import Objective, Values
from fusion.race import LAPS, Race
from fusion.solvers.base import lines, take
from fusion.status import Status

if TYPE_CHECKING:
    from fusion.loss import Loss, Move
    from fusion.model import Model
    from fusion.solvers.base import Outcome, Solver, Watch

PAUSE = 40
"""Steps made before moves are tried again where none was kept."""
APPROACH = 8
"""Steps made with an easier loss."""
LIFT = 0.02
"""Share of a column's mean that is added after them."""


def warm_ups(loss: Loss) -> list[int]:
    """Steps after which moves begin, of the terms that do not wait for the descent to end."""
    return [term.warm_up for _, term in loss.terms if term.warm_up is not None]


def approach(model: Model, loss: Loss, solver: Solver, flat: Tensor, watch: Watch) -> Tensor:
    """Starts brought near the data by an easier loss, where there is one."""
    easy = easier(loss) if solver.approached else None
    if easy is None:
        return flat
    return led(Objective(model, easy.compressed(model) or easy), solver, flat, watch)


def easier(loss: Loss) -> Loss | None:
    """The loss that leads near the data; None where that is the loss itself.

    Without the terms that switch components off: far from the data everything is noise, and they
    would switch off what the data want. And with the stand-in of a fit that has one.
    """
    terms = [(w, t.stand_in() or t) for w, t in loss.terms if t.warm_up is None]
    return None if [t for _, t in terms] == [t for _, t in loss.terms] else type(loss)(terms)


def led(
    objective: Objective, solver: Solver, flat: Tensor, watch: Watch, steps: int = APPROACH
) -> Tensor:
    """Starts after a few steps with an easier loss, lifted off their bounds."""
    near = solver.minimise(objective, flat, watch, steps).flat
    return objective.raws(lifted(objective, objective.values(near)))


def lifted(objective: Objective, values: Values) -> Values:
    """The values a little above their bounds: zeros lie outside the domain of a likelihood."""
    values = {name: v.detach() for name, v in values.items()}
    for slot in objective.slots:
        if slot.module is not None and slot.module.lower == 0 and slot.module.local:
            value = values[slot.name]
            values[slot.name] = value + LIFT * value.mean(1, keepdim=True)
    return values


def improve(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, max_steps: int
) -> list[str]:
    """Try the terms' moves from the best start, keep those that lower the loss, and descend again.

    Writes `outcome`. All moves of a round race against the point as it is.

    Returns:
        The labels of the moves that were kept.
    """
    best, kept = outcome.best(), []
    flat, states = outcome.flat[best : best + 1], _row(outcome.states, best)
    short = bool(warm_ups(objective.loss))

    def note(made: Outcome, row: int) -> None:
        outcome.products += made.products
        _append(outcome, best, made, row)

    asked = 0 if short else 1
    while not watch.late and (moves := _proposed(objective, flat)):
        batch = torch.cat([flat, *(_moved(objective, flat, move) for move in moves)])
        patient = asked > 1  # at last for as long as it takes, with long steps
        method = solver.jumped() if patient else solver
        race = Race(objective, method, watch, batch, _repeat(states, len(batch)))
        # what was kept once must gain to be kept again, or two terms could undo each other for ever
        simpler = [False, *(move.simpler and move.label not in kept for move in moves)]
        chosen = race.winner(simpler, LAPS if patient else 1)
        if watch.stopped or (patient and not chosen):
            break
        if chosen:
            kept.append(moves[chosen - 1].label)
            asked = 0
        else:
            asked += 1
            if asked > 1:
                continue
            # nothing gained from where it stands: go down first, then ask once more
            race = Race(objective, solver, watch, flat, states)
            race.lap(PAUSE)
        laps = race.path(chosen)
        for lap in laps:
            note(*lap)
        made, row = laps[-1]
        flat, states = made.flat[row : row + 1], _row(made.states, row)
    if kept or short:
        final = solver.minimise(objective, flat, watch, max_steps, states)
        note(final, 0)
        if short:
            outcome.status[:] = [Status.LEFT] * len(outcome.status)
        _replace(outcome, best, final)
    return kept


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
            states = objective.refresh_fits(values, take(outcome.states, others))
            parts = [objective.fits(values, states), objective.penalties(values, states)]
        outcome.terms[others] = torch.cat(parts, 1)
    go_on(objective, solver.polishing(), outcome, best, watch, max_steps)


def go_on(
    objective: Objective, solver: Solver, outcome: Outcome, best: int, watch: Watch, max_steps: int
) -> None:
    """Descend further from one start alone; writes `outcome`."""
    states, flat = _row(outcome.states, best), outcome.flat[best : best + 1]
    final = solver.resumed(outcome, best).minimise(objective, flat, watch, max_steps, states)
    follow(outcome, best, final)
    _replace(outcome, best, final)


def follow(outcome: Outcome, row: int, final: Outcome) -> None:
    """The steps of the one start of `final` as further ones of a start, with where they ended."""
    outcome.products += final.products
    _append(outcome, row, final, 0)
    outcome.ahead, outcome.terms[row], outcome.status[row] = row, final.terms[0], final.status[0]


def _replace(outcome: Outcome, row: int, final: Outcome) -> None:
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
        {key: _put(value, row, new[key]) for key, value in old.items()}
        for old, new in zip(outcome.states, final.states, strict=True)
    ]


def _proposed(objective: Objective, flat: Tensor) -> list[Move]:
    values = {name: value[0] for name, value in objective.values(flat).items()}
    with torch.no_grad(), objective.model.once(values):
        return [move for _, term in objective.loss.terms for move in term.moves(objective.model)]


def _moved(objective: Objective, flat: Tensor, move: Move) -> Tensor:
    values = objective.values(flat)
    return objective.raws(
        values | {name: value[None] for name, value in move.values.items()}
    ).detach()


def _row(states: list, row: int) -> list:
    return [{key: value[row : row + 1] for key, value in state.items()} for state in states]


def _repeat(states: list, count: int) -> list:
    return [
        {key: value.expand(count, *value.shape[1:]).clone() for key, value in state.items()}
        for state in states
    ]


def _put(values: Tensor, row: int, new: Tensor) -> Tensor:
    values = values.clone()
    values[row] = new[0]
    return values


def _append(outcome: Outcome, row: int, made: Outcome, from_row: int) -> None:
    """The steps of a start of `made` as further steps of one of `outcome`."""
    part, starts = slice(from_row, from_row + 1), len(outcome.flat)
    outcome.history += [lines(terms[part], [row], starts) for terms in made.history]
    outcome.learned += [
        {name: lines(value[part], [row], starts) for name, value in told.items()}
        for told in made.learned
    ]
