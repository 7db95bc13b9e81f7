"""What a search sets out from: the model's copy, the objective, its solver and the starts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.threads import library_threads, limited_threads
from fusion.engine.curvature import without_curvature
from fusion.engine.objective import Objective
from fusion.engine.thread_count import suitable_threads
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.seen_rows import mark_seen_rows
from fusion.language.term import Term
from fusion.likelihood import count_kernels
from fusion.likelihood.compiled_passes import could_compile
from fusion.search.given_starts import Given
from fusion.search.initialisation import Init, Random
from fusion.search.on_sums import edge_of_sums, lifted_starts, summed_problem
from fusion.search.scale_check import check_scale
from fusion.solvers import Adam, ArrowNewton, GaussNewton, RowNewton, Solver, TorchOptimizer

_TOLD: list[str] = []
"""What was said of counts without numba."""


@dataclass
class Problem:
    """A search before its first step.

    Attributes:
        objective: of a copy of the model.
        working: the same on compressed data, where that pays; else `objective` itself.
        solver: that was asked for, or suits.
        messages: why, where that is not plain.
        flat: (start, n) raw variables of the starts.
        threads: that suit these data, of our own and of torch.
    """

    objective: Objective
    working: Objective
    solver: Solver
    messages: list[str]
    flat: Tensor
    threads: tuple[int, int]

    @property
    def compressed(self) -> bool:
        return self.working is not self.objective


def pose(
    model: Model,
    loss: Loss,
    *,
    solver: Any,
    init: Any,
    starts: int,
    seed: int,
    compress: bool,
    device: Any,
    dtype: torch.dtype | None,
) -> Problem:
    """Check that model, loss and options fit together, and make the starts."""
    fitted = _on_device(model, device, dtype)
    loss.check(fitted)
    mark_seen_rows(fitted, loss.datasets.values())
    objective = Objective(fitted, loss)
    check_scale(objective)
    with library_threads(1):  # of barriers there would be more than gain
        chosen, messages = _chosen_solver(solver, objective)
    messages += _without_numba(objective)
    if solver is not None:  # what was chosen here suits
        chosen.check(objective)
    counts = suitable_threads(objective, starts, by_ranges=chosen.on_sums)
    with limited_threads(*counts):
        quick = loss.compressed(fitted) if compress and not chosen.on_sums else None
        working = objective if quick is None else Objective(fitted, quick)
        if chosen.on_sums and (init is None or isinstance(init, Random)):
            flat = _starts_on_sums(init, objective, starts, seed)
        else:
            flat = _starting_points(init, working, starts, seed)
    return Problem(objective, working, chosen, messages, flat, counts)


def as_loss(model: Any, loss: Any) -> Loss:
    """What was given as a loss, as one.

    Raises:
        ValueError: if model or loss are something else, with the line that was meant.
    """
    if not isinstance(model, Model):
        told = getattr(model, "__name__", type(model).__name__)
        line = "`fu.fit(fu.models.NMF(data, K=3), fu.losses.Frobenius(data))`"
        raise ValueError(
            f"`fit({told}, …)`: give a `fusion.Model`, then a loss: `fu.fit(model, loss)`, such as "
            f"{line}."
        )
    if isinstance(loss, Term):
        loss = Loss([(1.0, loss)])
    if isinstance(loss, Loss):
        if not loss.fits:
            raise ValueError(
                f"`fit(model, {loss})`: no term of this loss reads data: add one that does, such "
                f"as `fu.losses.Frobenius(data) + {loss}`."
            )
        more = _beliefs_beside(model, loss)
        return Loss((*loss.terms, *((1.0, term) for term in more))) if more else loss
    told = repr(loss) if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    raise ValueError(
        f"`fit(model, {told})`: the second argument is a loss, which names its data: "
        "`fu.fit(model, fu.losses.Frobenius(data))`."
    )


def _beliefs_beside(model: Model, loss: Loss) -> list[Term]:
    """What the model believes of its own unknowns, where the loss does not say so already."""
    said = {str(term) for _, term in loss.terms}
    return [term for term in model.all_beliefs() if str(term) not in said]


def _on_device(model: Model, device: Any, dtype: torch.dtype | None) -> Model:
    """A copy of the model on the device that was asked for, in its precision."""
    copy = deepcopy(model)
    for given in [dtype] if dtype is not None else {p.dtype for p in copy.parameters()}:
        if given not in (torch.float32, torch.float64):
            raise ValueError(
                f"`fit(dtype={given})`: factors of this type have too few digits for a fit, or "
                "none: give torch.float64 or torch.float32."
            )
    if device is None and dtype is None:
        return copy
    try:
        target = torch.device(device) if device is not None else next(model.parameters()).device
        dtype = dtype or (torch.float64 if target.type == "cpu" else torch.float32)
        return copy.to(target, dtype)
    except (RuntimeError, AssertionError, TypeError) as error:
        have = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(
            f"`fit(device={str(device)!r})`: {str(error).splitlines()[0]}; "
            f"this machine has {', '.join(have)}."
        ) from None


def _chosen_solver(given: Any, objective: Objective) -> tuple[Solver, list[str]]:
    """The solver asked for, or the one that suits."""
    if isinstance(given, type) and issubclass(given, torch.optim.Optimizer):
        return TorchOptimizer(given), []
    if isinstance(given, Solver):
        given.check_options()
        return given, []
    if isinstance(given, type) and issubclass(given, Solver):
        name = given.__name__
        raise ValueError(f"`fit(solver={name})`: a class: give an object of it, `{name}()`.")
    if given is not None:
        raise ValueError(
            f"`fit(solver={given!r})`: "
            "give a solver such as `GaussNewton()`, or a `torch.optim` class."
        )
    if ArrowNewton.suited(objective):
        return ArrowNewton(), []
    reason = without_curvature(objective)
    if reason is None:
        return RowNewton() if RowNewton.suited(objective) else GaussNewton(), []
    return Adam(), [f"solver: Adam, since {reason}"]


def _without_numba(objective: Objective) -> list[str]:
    """A line where counts are read by torch that compiled passes would read, once a process."""
    if count_kernels.installed() or _TOLD:
        return []
    with torch.no_grad(), objective.model.once():
        for _, _, fit in objective.loss.fits:
            closed = fit.closed(objective.model)
            loss = fit.entrywise
            if closed and loss and could_compile(closed[0], loss, objective.like):
                _TOLD.append(fit.dataset.name)
                return [
                    "numba is not installed: counts take several times as long; "
                    '`pip install "sdfusion[fast]"`'
                ]
    return []


def _starts_on_sums(init: Any, objective: Objective, starts: int, seed: int) -> Tensor:
    """Random starts of sums of pixels, for all of their pixels."""
    sums = summed_problem(objective, 2 * edge_of_sums(objective))
    return lifted_starts(objective, sums, _starting_points(init, sums.objective, starts, seed))


def _starting_points(init: Any, objective: Objective, starts: int, seed: int) -> Tensor:
    if init is None:
        init = Random()
    if isinstance(init, str | int | float | type):
        raise ValueError(
            f"`fit(init={init!r})`: give `Random()`, `NNDSVD()`, `SPA()`, `VCA()`, `NFINDR()`, "
            "`Current()`, or a list of starts, such as [{'S': array}]."
        )
    if not isinstance(init, Init):
        several = isinstance(init, Sequence) and not hasattr(init, "factors")
        init = Given(list(init) if several else [init])
    return init.starts(objective, starts, seed)
