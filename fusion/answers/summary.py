"""The result of what a solver found: factors, histories, what is left of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from fusion.answers.diagnostics import describe, hide_masked_rows
from fusion.answers.roles import roles_of
from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.solvers.track import Outcome

if TYPE_CHECKING:
    pass
from fusion.answers.result import Array, Result


def summarise(
    model: Model,
    loss: Loss,
    objective: Objective,
    outcome: Outcome,
    *,
    solver: str,
    seconds: float,
    messages: Sequence[str],
) -> Result:
    """The result of an outcome whose best start stands in `model`."""
    best, messages = outcome.best(), list(messages)
    modules = model.factor_modules()
    factors = {name: value.detach().cpu().numpy().copy() for name, value in model.factors.items()}
    factors |= {
        s.name: dict(model.named_parameters())[s.name].detach().cpu().numpy().copy()
        for s in objective.slots
        if s.module is None
    }
    hidden = hide_masked_rows(factors, modules, loss)
    with torch.no_grad(), model.once():
        data = {t.dataset.name: describe(t, model) for _, _, t in loss.fits if isinstance(t, Fit)}
    steps = torch.stack(outcome.history).cpu()  # (step, start, term)
    history = steps[:, best][torch.isfinite(steps[:, best]).all(1)].numpy()
    labels = _numbered([str(loss.terms[i][1]) for i in objective.order])
    ranks = {m.shape[-1] for m in modules.values() if len(m.shape) == 2}
    status = outcome.status[best]
    text, latex = loss.formula()
    return Result(
        factors=factors,
        axes={name: m.axes for name, m in modules.items()},
        status=status.value,
        converged=status.ok,
        loss=float(outcome.loss[best]),
        losses=outcome.loss.cpu().numpy(),
        statuses=[_told(outcome, row, steps) for row in range(len(outcome.status))],
        n_components=ranks.pop() if len(ranks) == 1 else None,
        history={"loss": history.sum(1)}
        | {label: history[:, i] for i, label in enumerate(labels)}
        | _learned_paths(outcome, best),
        loss_history=steps.sum(2).T.numpy(),
        data=data,
        formula=text,
        latex=latex,
        solver=solver,
        seconds=seconds,
        messages=messages + hidden,
        structure=model.structure,
        model=model,
        minimised=loss,
        component_names=tuple(map(str, model.component_names)),
        roles=roles_of(model),
    )


def _told(outcome: Outcome, row: int, steps: torch.Tensor) -> str:
    """Why a start ended; of one that was dropped, where it was then."""
    status = outcome.status[row]
    if status not in (Status.DROPPED, Status.ALIKE):
        return status.value
    made = int(torch.isfinite(steps[:, row]).all(1).sum()) - 1
    when = f"after {made} step{'s' * (made != 1)}" if made > 0 else "after a first short run"
    return f"{status.value} ({when}, at loss {float(outcome.loss[row]):.8g})"


def _learned_paths(outcome: Outcome, best: int) -> dict[str, Array]:
    """What the terms learned, for one start, (step, …)."""
    values_of: dict[str, list[torch.Tensor]] = {}
    for step in outcome.learned:
        for name, value in step.items():
            values_of.setdefault(name, []).append(value[best])
    paths = {name: torch.stack(values).cpu().numpy() for name, values in values_of.items()}
    return {n: p[np.isfinite(p).reshape(len(p), -1).all(1)] for n, p in paths.items()}


def _numbered(names: Sequence[str]) -> list[str]:
    """The names, those that come again numbered: "Norm(…)", "Norm(…) #2"."""
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name} #{n + 1}" if n else name for name, n in zip(names, before, strict=True)]
