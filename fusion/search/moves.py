"""Jumps that no small step finds: merging two components, switching a deviation off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.search.continuation import append_history, one_start, repeated, replace_start
from fusion.search.racing import LAPS, Race
from fusion.search.warm_start import warm_up_steps

if TYPE_CHECKING:
    from fusion.engine.variables import States
    from fusion.language.prior import Move
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch

PAUSE = 40
"""Steps made before moves are tried again where none was kept."""


def improve(
    objective: Objective,
    solver: Solver,
    outcome: Outcome,
    watch: Watch,
    max_steps: int,
    *,
    pruned: bool = False,
) -> list[str]:
    """Try the terms' moves from the best start, keep those that lower the loss, and descend again.

    Writes `outcome`. All moves of a round race against the point as it is.

    Args:
        objective: what is minimised.
        solver: makes the steps.
        outcome: of all starts.
        watch: the clock.
        max_steps: of the descent from where the moves led.
        pruned: whether what is off is left out next, and moves are asked for again after that: then
            the first that switches something off ends them, as all that follows is quicker without.

    Returns:
        The labels of the moves that were kept.
    """
    best, kept = outcome.best(), []
    flat, states = outcome.flat[best : best + 1], one_start(outcome.states, best)
    short = bool(warm_up_steps(objective.loss)) and not outcome.status[best].ok
    raced: list[tuple[Race, list[Move]]] = []  # from where it stands

    def go_on(race: Race, chosen: int) -> None:
        nonlocal flat, states
        for lap_outcome, row in race.path(chosen):
            outcome.products += lap_outcome.products
            append_history(outcome, best, lap_outcome, row)
            flat, states = lap_outcome.flat[row : row + 1], one_start(lap_outcome.states, row)
        raced.clear()

    asked = 0 if short else 1
    with watch.dispensable():
        while not watch.late and (moves := _proposed_moves(objective, flat)):
            batch = torch.cat([flat, *(_after_move(objective, flat, move) for move in moves)])
            patient = asked > 1  # at last for as long as it takes, with long steps
            method = solver.jumped() if patient else solver
            race = Race(objective, method, watch, batch, repeated(states, len(batch)))
            raced.append((race, moves))
            # what was kept once must gain to be kept again, or two could undo each other for ever
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
                raced.append((race, []))
                race.lap(PAUSE)
                if watch.stopped:
                    break
            go_on(race, chosen)
            if pruned and chosen and any_off(objective, flat, states):
                max_steps = 0
                break
    if watch.stopped and raced:
        race, moves = min(raced, key=lambda each: float(each[0].loss.min()))
        chosen = race.lowest()
        kept += [move.label for move in moves[chosen - 1 : chosen]] if chosen else []
        go_on(race, chosen)
    if kept or short or watch.stopped:
        final = solver.minimise(objective, flat, watch, max_steps, states)
        outcome.products += final.products
        append_history(outcome, best, final, 0)
        if short:
            outcome.status[:] = [Status.LEFT if s.ran_on else s for s in outcome.status]
        replace_start(outcome, best, final)
    return kept


def any_off(objective: Objective, flat: Tensor, states: States) -> bool:
    """Whether some component is switched off at a point, (1, n)."""
    values = {name: value[0] for name, value in objective.values(flat).items()}
    with torch.no_grad(), objective.model.once(values):
        found = [
            prior.off(objective.model, {key: value[0] for key, value in states[i].items()})
            for i, _, prior in objective.loss.priors
        ]
    return any(off is not None and bool(off.any()) for off in found)


def _proposed_moves(objective: Objective, flat: Tensor) -> list[Move]:
    values = {name: value[0] for name, value in objective.values(flat).items()}
    with torch.no_grad(), objective.model.once(values):
        return [
            move for _, _, prior in objective.loss.priors for move in prior.moves(objective.model)
        ]


def _after_move(objective: Objective, flat: Tensor, move: Move) -> Tensor:
    values = objective.values(flat)
    return objective.raws(
        values | {name: value[None] for name, value in move.values.items()}
    ).detach()
