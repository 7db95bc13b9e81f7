"""Starts brought near the data by an easier loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.loss import Loss

if TYPE_CHECKING:
    from fusion.language.model import Model
    from fusion.search.heats import Heats
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Judge
    from fusion.solvers.watch import Watch


APPROACH = 8
"""Steps made with an easier loss."""


LIFT = 0.02
"""Share of a column's mean that is added after them."""


def warm_up_steps(loss: Loss) -> list[int]:
    """Steps after which moves begin, of the terms that do not wait for the descent to end."""
    return [prior.warm_up for _, _, prior in loss.priors if prior.warm_up is not None]


def approach_data(
    model: Model,
    loss: Loss,
    solver: Solver,
    flat: Tensor,
    watch: Watch,
    judge: Heats | None = None,
) -> Tensor:
    """Starts brought near the data by an easier loss, where there is one; those in the race."""
    easy = easier_loss(loss) if solver.approached else None
    if easy is None:
        return watch.kept(_off_zeros, Objective(model, loss), flat)
    easier = watch.kept(lambda: Objective(model, easy.compressed(model) or easy))
    if any(fit.stand_in() is not None for _, _, fit in loss.fits):
        judge = None  # other losses than those that starts are dropped by
    judge = None if judge is None else judge.on(easier)
    near = descend_easily(easier, solver, flat, watch, judge=judge)
    return watch.kept(_inside_the_domain, Objective(model, loss), near, flat)


def _off_zeros(whole: Objective, flat: Tensor) -> Tensor:
    """Starts with zeros, where counts are predicted as nothing, a little above them."""
    logarithms = any(fit.stand_in() is not None for _, _, fit in whole.loss.fits)
    if not logarithms or not bool((flat <= whole.lower()).any()):
        return flat
    inside = _inside_domain(whole, flat)
    if bool(inside.all()):
        return flat
    lifted = whole.raws(lifted_off_bounds(whole, whole.values(flat))).detach()
    return torch.where(inside[:, None], flat, lifted)


def _inside_the_domain(whole: Objective, near: Tensor, flat: Tensor) -> Tensor:
    """The near starts; where their loss is infinite the first ones, or these without deviations."""
    inside = _inside_domain(whole, near)
    if bool(inside.all()):
        return near
    far = torch.where(_inside_domain(whole, flat)[:, None], flat, _without_deviations(whole, flat))
    return torch.where(inside[:, None], near, far)


def _without_deviations(objective: Objective, flat: Tensor) -> Tensor:
    """Starts with zeros for factors of any sign, which may take away all that there is."""
    values = lifted_off_bounds(objective, objective.values(flat))
    for slot in objective.slots:
        if slot.module is not None and slot.module.signed:
            values[slot.name] = torch.zeros_like(values[slot.name])
    return objective.raws(values)


@torch.no_grad()
def _inside_domain(objective: Objective, flat: Tensor) -> Tensor:
    """Whether the fits are finite there, (start,) bool: a count may be predicted as nothing."""
    values = objective.values(flat)
    states = objective.refresh_fits(values, objective.no_states())
    return torch.isfinite(objective.fits(values, states)).all(1)


def easier_loss(loss: Loss) -> Loss | None:
    """The loss that leads near the data; None where that is the loss itself.

    Without the terms that switch components off: far from the data everything is noise, and they
    would switch off what the data want. And with the stand-in of a fit that has one.
    """
    switching = {i for i, _, prior in loss.priors if prior.warm_up is not None}
    stand_ins = {i: easy for i, _, fit in loss.fits if (easy := fit.stand_in()) is not None}
    if not switching and not stand_ins:
        return None
    terms = [(w, stand_ins.get(i, t)) for i, (w, t) in enumerate(loss.terms) if i not in switching]
    return Loss(terms)


def descend_easily(
    objective: Objective,
    solver: Solver,
    flat: Tensor,
    watch: Watch,
    steps: int = APPROACH,
    judge: Judge | None = None,
) -> Tensor:
    """Starts after a few steps with an easier loss, lifted off their bounds."""
    near = solver.minimise(objective, flat, watch, steps, judge=judge).flat
    return watch.kept(lambda: objective.raws(lifted_off_bounds(objective, objective.values(near))))


def lifted_off_bounds(objective: Objective, values: Values) -> Values:
    """The values a little above their bounds: zeros lie outside the domain of a likelihood."""
    values = {name: v.detach() for name, v in values.items()}
    for slot in objective.slots:
        if slot.module is not None and slot.module.lower == 0 and slot.module.entrywise:
            value = values[slot.name]
            values[slot.name] = value + LIFT * value.mean(1, keepdim=True)
    return values
