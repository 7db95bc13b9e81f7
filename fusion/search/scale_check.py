"""Penalties that a rescaling can take to nothing, which changes no prediction: refused."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.language.penalty import FactorTerm

NOTHING, ROUNDING = 1e-9, 30.0
"""Square of a change of the predictions, over those of single factors, that is nothing: at least
this, and so many of the last places of the arithmetic."""


def check_scale(objective: Objective) -> None:
    """Complain of a penalty that falls with its factor, where others take up what it loses.

    Raises:
        ValueError: naming the penalty and the factors that take it up.
    """
    penalised = {
        term.factor: term
        for weight, term in objective.loss.terms
        if weight > 0 and isinstance(term, FactorTerm) and term.falls_with_scale and term.factor
    }
    if not penalised or not objective.loss.fits:
        return
    names, free = _scale_freedom(objective)
    for factor, term in penalised.items():
        if factor in names:
            powers = _shrinking(names, free, factor, [f for f in penalised if f in names])
            partners = [n for n, power in zip(names, powers, strict=True) if power > 1e-6]
            if partners:
                raise ValueError(
                    f"`{term}`: it falls as {factor!r} is made smaller, and "
                    f"{', '.join(map(repr, partners))} can be made larger by as much, so that no "
                    "prediction changes: the penalty would shrink to nothing. Fix the scale: put "
                    f"`UnitColumns()` on {' and '.join(map(repr, partners))}."
                )


def _scale_freedom(objective: Objective) -> tuple[list[str], NDArray[np.float64]]:
    """(names, (factor, direction)): powers e of a number t with which factors · t^e change nothing.

    Found from the model itself, at a random point: the null space of the predictions' derivatives
    by the factors' scales.
    """
    generator = torch.Generator().manual_seed(0)
    values, names = {}, []
    for slot in objective.slots:
        shape = slot.shape if slot.module is None else slot.module.shape
        size = 0.5 + torch.rand((1, *shape), generator=generator, dtype=torch.float64)
        values[slot.name] = size.to(objective.like)
        if slot.module is not None and not slot.module.scale_free and slot.module.known is None:
            names.append(slot.name)
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        hessian = Hessian(objective.likeness(leaves)[1], leaves)
    products = [hessian({name: values[name]}) for name in names]
    gram = np.array([[float((row[b] * values[b]).sum()) for b in names] for row in products])
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(float).tiny))
    squares, directions = np.linalg.eigh(gram / size[:, None] / size)
    nothing = max(NOTHING, ROUNDING * torch.finfo(objective.like.dtype).eps)
    return names, directions[:, squares < nothing] / size[:, None]


def _shrinking(
    names: list[str], free: NDArray[np.float64], factor: str, penalised: list[str]
) -> NDArray[np.float64]:
    """Powers that make a factor smaller and no penalised one larger; zeros where there are none."""
    from scipy.optimize import linprog

    nothing = np.zeros(len(names))
    row = free[names.index(factor)]
    if not free.size or np.abs(row).max(initial=0) * np.abs(free).max() ** -1 < 1e-6:
        return nothing
    bounded = np.array([free[names.index(name)] for name in penalised])
    solved = linprog(
        np.zeros(free.shape[1]),
        A_ub=bounded,
        b_ub=np.zeros(len(bounded)),
        A_eq=row[None],
        b_eq=[-1.0],
        bounds=(None, None),
    )
    return free @ solved.x if solved.status == 0 else nothing
