"""Mixing components so that no prediction changes: s_k + t s_j, and c_j − t c_k in return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fusion.algebra.prediction import CP
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.engine.objective import Objective
from fusion.language.model import Model

SHARES = (1.0, 0.75, 0.5, 0.25)
"""How far of the way answers are looked at: a column of norm 1 need not be extreme at an end."""


def mixed_starts(
    objective: Objective, start: Tensor, signs: Tensor, mixes: Sequence[tuple[str, int, int]]
) -> Tensor | None:
    """Answers as far as mixing alone gets from a start (1, n), and on the way there.

    Args:
        objective: the model.
        start: raw variables.
        signs: (pull, mix) of −1, 0, 1: which mixes, one after the other.
        mixes: (factor, j, k): component j into component k.

    Returns:
        (shares · pull, n) raw variables; None where the model is no product of plain factors.
    """
    sides_of = {name: mixing_sides(objective.model, name) for name, _, _ in mixes}
    values = {name: value[0] for name, value in objective.values(start).items()}
    flat = start.repeat(len(SHARES) * len(signs), 1)
    ways = [(share, pulls) for share in SHARES for pulls in signs.tolist()]
    for row, (share, pulls) in zip(flat, ways, strict=True):
        moved = dict(values)
        for sign, (name, j, k) in zip(pulls, mixes, strict=True):
            along = sides_of[name]
            if along is None:
                return None
            if sign:
                own = {factor: moved[factor] for factor in along}
                moved |= mix_to_bound(objective.model, along, own, (j, k, sign), share)
        for slot in objective.slots:
            if slot.name in moved:
                row[slot.part] = moved[slot.name].flatten()
    return flat


def mixing_sides(model: Model, name: str) -> dict[str, bool] | None:
    """Factors that mix with this one (True) and against it (False).

    None where some prediction with one of them is no product of two plain factors.
    """
    modules = model.factor_modules()
    with model.once():
        name_of = {id(module()): factor for factor, module in modules.items()}
        predictions = [
            [name_of.get(id(x)) for x in M.factors] if isinstance(M, CP) else None
            for M in model.predict().values()
        ]
    along, todo = {name: True}, [name]
    while todo:
        current = todo.pop()
        for pair in predictions:
            if pair is None or len(pair) != 2 or None in pair:
                return None
            if current not in pair:
                continue
            other = pair[1] if pair[0] == current else pair[0]
            if other is None or along.get(other, not along[current]) == along[current]:
                return None
            if other not in along:
                along[other] = not along[current]
                todo.append(other)
    plain = NonNegative, Free, UnitColumns
    if not all(type(c) in plain for factor in along for c in modules[factor].chain):
        return None
    return along


def mix_to_bound(
    model: Model,
    sides: Mapping[str, bool],
    values: Mapping[str, Tensor],
    mix: tuple[int, int, int],
    share: float = 1.0,
) -> dict[str, Tensor]:
    """The answer farthest along s_k + t s_j that keeps every bound.

    Args:
        model: whose factors have the bounds.
        sides: of `mixing_sides`.
        values: of the factors in it.
        mix: (j, k, sign of t).
        share: of the way.

    Returns:
        Values of the same factors, unit columns kept.
    """
    j, k, sign = mix
    modules = model.factor_modules()
    moves = {f: (k, j, sign) if along else (j, k, -sign) for f, along in sides.items()}
    bound = [f for f in sides if modules[f].lower is not None]
    steps = [
        _largest_step(values[f][:, into], direction * values[f][:, of])
        for f, (into, of, direction) in moves.items()
        if f in bound
    ]
    t = share * min(steps, default=0.0)
    mixed = {f: v.clone() for f, v in values.items()}
    for f, (into, of, direction) in moves.items():
        mixed[f][:, into] += (t if t < float("inf") else 0.0) * direction * values[f][:, of]
        if f in bound:
            mixed[f].clamp_(min=0)
    return _with_unit_columns(mixed, sides, {f for f in sides if modules[f].scale_free})


def _largest_step(value: Tensor, direction: Tensor) -> float:
    """How far value + t direction stays ≥ 0."""
    falls = direction < 0
    return float((value[falls] / -direction[falls]).min()) if bool(falls.any()) else float("inf")


def _with_unit_columns(
    values: Mapping[str, Tensor], sides: Mapping[str, bool], units: set[str]
) -> dict[str, Tensor]:
    """Unit columns again, what they lose given to their partners, and by these to the others."""
    rescaled = dict(values)
    for side in (True, False):
        own = [f for f in rescaled if sides[f] == side and f in units]
        if not own:
            continue
        norm = torch.linalg.vector_norm(rescaled[own[0]], dim=0).clamp_min(1e-300)
        for f in rescaled:
            rescaled[f] = rescaled[f] / norm if sides[f] == side else rescaled[f] * norm
    return rescaled
