"""Jumps that no small step finds: merging two components, switching a deviation off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from fusion.objective import Objective
    from fusion.solvers.base import Outcome, Solver, Watch

STEPS = 12
"""Steps made before a move is judged."""
GAIN = 1e-9
"""A move must lower the loss by more than this share, or it is no gain."""


@dataclass(frozen=True)
class Move:
    """New values for some factors, tried where the descent has ended.

    Attributes:
        label: what it does, in words, for the log.
        values: factor name → value of the factor's shape.
    """

    label: str
    values: Mapping[str, Tensor]


def improve(objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, max_steps: int) -> list[str]:
    """Try the terms' moves from the best start, keep those that lower the loss, and descend again; writes `outcome`.

    All moves of a round advance together as a batch of starts, beside the point as it is. They are compared by the terms
    that are one fixed objective.

    Returns:
        The labels of the moves that were kept.
    """
    best, kept = outcome.best(), []
    fixed = torch.tensor(objective.fixed, device=outcome.terms.device)
    flat, states = outcome.flat[best : best + 1], _row(outcome.states, best)
    while not watch.late:
        moves = _proposed(objective, flat)
        if not moves:
            break
        batch = torch.cat([flat, *(_moved(objective, flat, move) for move in moves)])
        tried = solver.minimise(objective, batch, watch, STEPS, _repeat(states, len(batch)))
        judged = tried.terms[:, fixed].sum(1).nan_to_num(nan=torch.inf)
        outcome.products += tried.products
        chosen = int(judged.argmin())
        flat, states = tried.flat[chosen : chosen + 1], _row(tried.states, chosen)
        outcome.history += [_line(outcome, best, terms[chosen]) for terms in tried.history]
        if chosen == 0 or float(judged[0] - judged[chosen]) <= GAIN * abs(float(judged[0])):
            flat, states = tried.flat[:1], _row(tried.states, 0)
            break
        kept.append(moves[chosen - 1].label)
    if kept:
        final = solver.minimise(objective, flat, watch, max_steps, states)
        outcome.flat[best], outcome.terms[best], outcome.status[best] = final.flat[0], final.terms[0], final.status[0]
        outcome.states = [{k: _put(v, best, new[k]) for k, v in old.items()} for old, new in zip(outcome.states, final.states, strict=True)]
        outcome.history += [_line(outcome, best, terms[0]) for terms in final.history]
        outcome.products += final.products
    return kept


def _proposed(objective: Objective, flat: Tensor) -> list[Move]:
    values = {name: value[0] for name, value in objective.values(flat).items()}
    with torch.no_grad(), objective.model.once(values):
        return [move for _, term in objective.loss.terms for move in term.moves(objective.model)]


def _moved(objective: Objective, flat: Tensor, move: Move) -> Tensor:
    values = objective.values(flat)
    return objective.raws(values | {name: value[None] for name, value in move.values.items()}).detach()


def _row(states: list, row: int) -> list:
    return [{key: value[row : row + 1] for key, value in state.items()} for state in states]


def _repeat(states: list, count: int) -> list:
    return [{key: value.expand(count, *value.shape[1:]).clone() for key, value in state.items()} for state in states]


def _put(values: Tensor, row: int, new: Tensor) -> Tensor:
    values = values.clone()
    values[row] = new[0]
    return values


def _line(outcome: Outcome, row: int, terms: Tensor) -> Tensor:
    line = torch.full_like(outcome.terms, torch.nan)
    line[row] = terms
    return line
