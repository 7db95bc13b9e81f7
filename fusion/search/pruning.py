"""The end of a fit: what is off is left out, and what is left goes down to its own minimum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.language.fit_term import Fit
from fusion.search.continuation import record_continuation
from fusion.search.moves import improve
from fusion.search.warm_start import lifted_off_bounds, warm_up_steps

if TYPE_CHECKING:
    from fusion.language.loss import Loss
    from fusion.language.model import Model
    from fusion.language.prior import Prior
    from fusion.language.term import State
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch


def prune(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, max_steps: int
) -> tuple[Model, list[str]]:
    """The best answer without what is off, at a minimum of the loss of the model that is left.

    What is off may hold a share of the data, which falls to the others when it is left out.
    Writes `outcome`, all but where its starts stand.

    Returns:
        The fitted model, and what a user should know of it.
    """
    best, messages, loss, whole = outcome.best(), [], objective.loss, objective.model
    model = watch.kept(_write_into_model, objective, outcome.flat[best])
    states = [{key: value[best] for key, value in state.items()} for state in outcome.states]
    while (switched_off := watch.kept(_switched_off, model, loss, states)) is not None:
        term, off = switched_off
        kept = (~off).nonzero()[:, 0].tolist()
        messages.append(f"{int(off.sum())} of {len(off)} components are off: {term}")
        _reorder_learned(outcome, kept, whole.factor(term.factor or "").shape[-1])
        model = model.select(_factors_with_components(model, len(off)), kept)
        left = Objective(model, loss)
        states = watch.kept(_states_of_kept, left, states, kept)
        begun = [{key: value[None] for key, value in state.items()} for state in states]
        flat = watch.kept(_point_inside_domain, left, begun)
        # where moves do not wait for the end of the descent, they come first
        steps = 0 if warm_up_steps(loss) and not watch.stopped else max_steps
        final = solver.minimise(left, flat, watch, steps, begun)
        with watch.dispensable():
            if not watch.stopped:
                messages += improve(left, solver, final, watch, max_steps, pruned=True)
        _pad_learned(final, outcome, best)
        record_continuation(outcome, best, final)
        model = watch.kept(_write_into_model, left, final.flat[0])
        states = [{key: value[0] for key, value in state.items()} for state in final.states]
    for i, _, prior in loss.priors:
        messages += watch.kept(prior.remarks, states[i])
    return model, messages


def order_components(model: Model, objective: Objective, outcome: Outcome) -> Model:
    """The components in the order of what they explain, where nobody meant anything by theirs."""
    swapped = model.interchangeable
    if not swapped or _order_has_meaning(model, objective.loss):
        return model
    order = _order_by_explained(model, objective.loss)
    if order is None:
        return model
    ordered = model.select(swapped, order)
    _reorder_learned(outcome, order, objective.model.factor(swapped[0]).shape[-1])
    return ordered


@torch.no_grad()
def _write_into_model(objective: Objective, flat: Tensor) -> Model:
    """The objective's model at this point, (n,); what a descent only approaches is reached."""
    model, raws = objective.model, objective.split(flat[None])
    parameters = dict(model.named_parameters())
    for slot in objective.slots:
        raw = parameters[slot.name] if slot.module is None else model.factor(slot.name).raw
        raw.copy_(raws[slot.name][0])
    for _, _, prior in objective.loss.priors:
        for name, value in prior.finish(model).items():
            module = model.factor(name)
            module.raw.copy_(module.unconstrain(value))
    return model


def _switched_off(model: Model, loss: Loss, states: Sequence[State]) -> tuple[Prior, Tensor] | None:
    """The first term that has switched components off, and which, (K,) bool."""
    for i, _, prior in loss.priors:
        off = prior.off(model, states[i])
        if off is not None and bool(off.any()):
            return prior, off
    return None


def _factors_with_components(model: Model, K: int) -> list[str]:
    """The factors that have a column for every component."""
    modules = model.factor_modules().items()
    return [name for name, m in modules if len(m.shape) == 2 and m.shape[-1] == K]


@torch.no_grad()
def _states_of_kept(objective: Objective, states: Sequence[State], kept: list[int]) -> list[State]:
    """The lagged pieces of the terms where only these components are left."""
    here = objective.values(objective.current())

    def fit(weight: float, **changed: Tensor) -> float:
        values = here | {name: value[None] for name, value in changed.items()}
        begun = objective.refresh_fits(values, objective.no_states())
        return float(objective.fits(values, begun).sum()) / weight

    begun: list[State] = [{} for _ in states]
    for i, weight, prior in objective.loss.priors:
        if weight > 0:
            begun[i] = prior.left(objective.model, states[i], kept, partial(fit, weight))
    return begun


@torch.no_grad()
def _point_inside_domain(objective: Objective, states: list) -> Tensor:
    """Where the model stands, (1, n); lifted off its bounds where that is outside the domain."""
    flat = objective.current()
    values = objective.values(flat)
    begun = objective.refresh_fits(values, states)
    if bool(torch.isfinite(objective.fits(values, begun)).all()):
        return flat
    return objective.raws(lifted_off_bounds(objective, values))


def _reorder_learned(outcome: Outcome, order: list[int], K: int) -> None:
    """What terms learned of K components, in the order of the answer; those that are off last."""
    columns = order + [k for k in range(K) if k not in order]
    for told in outcome.learned:
        for name, value in told.items():
            if value.shape[1:] == (K,):
                told[name] = value[:, columns]


def _pad_learned(final: Outcome, outcome: Outcome, row: int) -> None:
    """What terms learned of those that are left, with those that are off as they stood at last."""
    for name in outcome.learned[-1] if outcome.learned else ():
        path = torch.stack([told[name][row].reshape(-1) for told in outcome.learned])
        last = path[torch.isfinite(path).all(1)][-1:]
        for told in final.learned:
            missing = last[:, told[name].shape[-1] :]
            if told[name].ndim == 2 and missing.numel():
                told[name] = torch.cat([told[name], missing], 1)


def _order_has_meaning(model: Model, loss: Loss) -> bool:
    """Whether the user may have meant something by the order of the components."""
    modules = model.factor_modules().values()
    return any(m.assigned or m.known is not None for m in modules) or any(
        not isinstance(t, Fit) and getattr(t, "factor", None) is None for _, t in loss.terms
    )


def _order_by_explained(model: Model, loss: Loss) -> list[int] | None:
    """The components in the order of what they explain, where that is known."""
    from fusion.answers.left_over import component_shares, components_of

    K = components_of(model)
    with torch.no_grad(), model.once():
        told = [component_shares(*t.pair(model), K) for _, _, t in loss.fits]
    shares = [s for s in told if s is not None]
    if not shares:
        return None
    return torch.stack(shares).sum(0).argsort(descending=True, stable=True).tolist()
