"""`fit`: one verb, a solver object, a result object."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import wraps
from math import prod
from typing import Any, ParamSpec

import torch
from torch import Tensor

from fusion.algebra.cautions import ClaimWarning, kept_cautions
from fusion.answers.near_spectra import near_spectra
from fusion.answers.result import Result
from fusion.answers.summary import summarise
from fusion.data.dataset import Dataset
from fusion.engine.autograd import autograd
from fusion.engine.curvature import without_curvature
from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.seen_rows import mark_seen_rows
from fusion.language.term import Term
from fusion.search.continuation import continue_from, polish
from fusion.search.given_starts import Given
from fusion.search.initialisation import Init, Random
from fusion.search.moves import improve
from fusion.search.pixel_sampling import sample_problem, starts_from_sample
from fusion.search.pruning import order_components, prune
from fusion.search.scale_check import check_scale
from fusion.search.warm_start import approach_data, warm_up_steps
from fusion.solvers import Adam, GaussNewton, Outcome, RowNewton, Solver, TorchOptimizer, Watch

FOR_ALL, FOR_BEST = 0.5, 0.75
"""Shares of a limited time until the best start goes on alone, and until it does on all data."""
USUAL = "20 to 130"
"""Steps that a start takes to converge."""
SMALL = 2_000_000
"""Numbers in the largest data set, or unknowns of all starts, below which one thread is used."""


P = ParamSpec("P")


def _keeping_cautions(function: Callable[P, Result]) -> Callable[P, Result]:
    """What is warned of on the way to a result, among its messages; raised once, at the end."""

    @wraps(function)
    def kept(*args: P.args, **kwargs: P.kwargs) -> Result:
        with kept_cautions(stacklevel=3) as cautions:  # over the wrapper of `autograd`, too
            result = function(*args, **kwargs)
        result.messages.extend(text for text in cautions if text not in result.messages)
        return result

    return kept


@autograd()
@_keeping_cautions
def fit(
    model: Model,
    loss: Loss | Term,
    *,
    solver: Solver | type[torch.optim.Optimizer] | None = None,
    starts: int = 10,
    init: Init | Sequence[Any] | None = None,
    seed: int = 0,
    compress: bool = True,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    progress: bool = True,
    callback: Callable[[int, Tensor], object] | None = None,
) -> Result:
    """Find the factors that make the loss smallest.

    The model is left untouched; `result.model` is a fitted copy. The same seed on the same machine
    gives the same answer. Ctrl-C returns the best so far.

    Args:
        model: what the data are made of. Guesses assigned (`model.S = S0`) are the first start.
        loss: what makes a good fit.
        solver: `GaussNewton()`, `RowNewton()`, `HALS()`, `MALS()`, `ALS()`, `LBFGS()`, `Adam()`, or
            any `torch.optim` class. None picks Gauss–Newton; `RowNewton` for counts most of which
            are zero; Adam where a term has no second derivative. `result.solver` says which.
        starts: number of starts; the best answer is returned, every loss is kept. A solver with
            `initial` leaves all but the best after so many steps.
        init: `Random()` (default), `NNDSVD()`, `SPA()`, `VCA()`, `NFINDR()`, `Current()`, or a
            list of starts ({name: array}, a tensorly tensor, a result).
        seed: of the random starts.
        compress: iterate on data compressed to a few directions where that pays (least squares of
            a large data set with weights of rank one), then polish the best start on all of them;
            the losses of the result are those of all the data.
        device: "cpu", "cuda" …; default: where the model is.
        dtype: of the factors; default float64 on a CPU, float32 elsewhere.
        max_steps: outer steps of every start; None: the solver's own.
        max_seconds: for all starts together; from half of it on the best start alone, if it has not
            converged. None: until they converge.
        progress: a progress bar with the best loss.
        callback: callback(step, losses of all starts so far); a true answer stops the fit. While a
            sample or compressed data are iterated on, the losses are theirs.

    Returns:
        The factors with everything known about how they were found.

    Raises:
        ValueError: before the first step, if model, loss, data or options do not fit together.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> loss = fu.losses.Frobenius(data) + 0.05 * fu.losses.SoftOrthogonality("C")
        >>> result = fu.fit(fu.models.NMF(data, K=3), loss, starts=3, seed=0, progress=False)
        >>> result.converged, result["C"].shape, result["S"].shape
        (True, (80, 3), (60, 3))
    """
    begun = time.monotonic()
    loss = loss if isinstance(loss, Loss) else Loss([(1.0, loss)])
    _check_options(starts, max_steps, max_seconds)
    fitted = _on_device(model, device, dtype)
    loss.check(fitted)
    mark_seen_rows(fitted, loss.datasets.values())
    objective = Objective(fitted, loss)
    check_scale(objective)
    chosen, messages = _chosen_solver(solver, objective)
    chosen.check(objective)
    quick = loss.compressed(fitted) if compress else None
    working = objective if quick is None else Objective(fitted, quick)
    deadline = float("inf") if max_seconds is None else begun + float(max_seconds)
    steps = chosen.max_steps if max_steps is None else int(max_steps)
    flat = _starting_points(init, working, int(starts), seed)
    with _threads(objective, len(flat)), _reporting(progress, steps, callback) as report:
        watch = Watch(deadline, report)
        most = min([steps, *warm_up_steps(loss)])
        watch.deadline = begun + (deadline - begun) * (FOR_ALL if len(flat) > 1 else 1)
        outcome = _search(working, chosen, flat, watch, most, quick is not None)
        watch.deadline = begun + (deadline - begun) * (FOR_BEST if quick is not None else 1)
        _continue_best_alone(working, chosen, outcome, watch, steps)
        watch.deadline = deadline
        if Status.INTERRUPTED not in outcome.status:
            messages += improve(working, chosen, outcome, watch, steps)
        if quick is not None:
            del flat, quick, working  # as large as what polishing needs
            polish(objective, chosen, outcome, watch, steps)
        if not bool(torch.isfinite(outcome.loss).any()):
            raise ValueError(f"`fit`: {Status.DIVERGED.value} (loss {outcome.loss.tolist()}).")
        fitted, remarks = prune(objective, chosen, outcome, watch, steps)
    if init is None or isinstance(init, Random):
        fitted = order_components(fitted, objective, outcome)
    result = summarise(
        fitted,
        loss,
        objective,
        outcome,
        solver=str(chosen),
        seconds=time.monotonic() - begun,
        messages=messages + remarks,
    )
    if caution := near_spectra(fitted, loss):
        warnings.warn(caution, ClaimWarning, stacklevel=2)
    if not result.converged and steps > 0 and Status.INTERRUPTED not in outcome.status:
        _warn_of_no_answer(result)
    _warn_of_nothing(result)
    return result


def _warn_of_no_answer(result: Result) -> None:
    """Say how far a fit has come that was stopped before it converged."""
    loss = result.history["loss"]
    made = len(loss) - 1
    fall = (loss[-2] - loss[-1]) / max(abs(loss[-1]), 1e-300) if made else float("nan")
    warnings.warn(
        f"`fit`: {made} step{'s' * (made != 1)} of the best start, the last of which lowered the "
        f"loss by {fall:.2g} of itself; {USUAL} are usual: this is not an answer yet. Go on with "
        "`fu.fit(model, loss, init=result, starts=1)`.",
        ClaimWarning,
        stacklevel=3,
    )


def _warn_of_nothing(result: Result) -> None:
    """Say that no factor is left to predict anything: the end of a penalty, or of a poor start."""
    assert result.model is not None
    with torch.no_grad(), result.model.once():
        predictions = [M.map(torch.Tensor.double) for M in result.model.predict().values()]
        size = sum(float(M.inner(M)) for M in predictions)
    if size == 0:
        warnings.warn(
            "`fit`: the answer predicts 0 everywhere. That is right where the data are below 0 or "
            "a penalty outweighs them; else the descent has lost all components: try another "
            "`seed`, `init` or solver.",
            ClaimWarning,
            stacklevel=3,
        )


def _check_options(starts: Any, max_steps: Any, max_seconds: Any) -> None:
    """Complain of numbers that mean nothing."""
    if not int(starts) >= 1:
        raise ValueError(f"`fit(starts={starts})`: give 1 or more.")
    if max_steps is not None and not max_steps >= 0:
        raise ValueError(f"`fit(max_steps={max_steps})`: give 0 or more, or None.")
    if max_seconds is not None and not max_seconds >= 0:
        raise ValueError(f"`fit(max_seconds={max_seconds})`: give seconds, or None for no limit.")


def _search(
    objective: Objective, solver: Solver, flat: Tensor, watch: Watch, most: int, quick: bool
) -> Outcome:
    """All starts downhill; where data are large, first on a part of them, then the best alone.

    So, too, after the few steps of a solver that has `initial`.
    """
    first = solver.scouting()
    few = first.max_steps < solver.max_steps
    look = None if few or first is solver or most == 0 else sample_problem(objective)
    if look is not None:
        flat = starts_from_sample(objective, look, first, flat, watch, most)
    elif most > 0:
        flat = approach_data(objective.model, objective.loss, solver, flat, watch)
    if few:
        return _continue_best(objective, solver, flat, watch, most, first.max_steps)
    if most == 0 or (look is None and not quick):
        return solver.minimise(objective, flat, watch, most)
    outcome = first.minimise(objective, flat, watch, most)
    del flat
    if first.tolerance > solver.tolerance:
        # on compressed data what is found is not the last word
        last = first.until(solver.tolerance) if quick else solver
        continue_from(objective, last, outcome, outcome.best(), watch, most)
    return outcome


def _continue_best_alone(
    objective: Objective, solver: Solver, outcome: Outcome, watch: Watch, steps: int
) -> None:
    """Where the time for all starts ran out before the best had converged: that one alone."""
    best = outcome.best()
    if len(outcome.flat) == 1 or outcome.status[best] is not Status.MAX_SECONDS:
        return
    outcome.status = [Status.LEFT if s is Status.MAX_SECONDS else s for s in outcome.status]
    if not watch.late:
        continue_from(objective, solver, outcome, best, watch, steps)
    else:
        outcome.status[best] = Status.MAX_SECONDS


def _continue_best(
    objective: Objective, solver: Solver, flat: Tensor, watch: Watch, most: int, few: int
) -> Outcome:
    """A few steps of every start, then the rest of them from the best. Review, on starts."""
    outcome = solver.minimise(objective, flat, watch, min(few, most))
    best = outcome.best()
    if most > few:
        goes_on = outcome.status[best] is Status.MAX_STEPS
        outcome.status = [Status.LEFT if s is Status.MAX_STEPS else s for s in outcome.status]
        if goes_on:
            continue_from(objective, solver, outcome, best, watch, most - few)
    return outcome


def _on_device(model: Model, device: Any, dtype: torch.dtype | None) -> Model:
    """A copy of the model on the device that was asked for, in its precision."""
    if not isinstance(model, Model):
        raise ValueError(f"`fit({type(model).__name__}, …)`: give a `fusion.Model`.")
    copy = deepcopy(model)
    if device is None and dtype is None:
        return copy
    try:
        target = torch.device(device) if device is not None else next(model.parameters()).device
        dtype = dtype or (torch.float64 if target.type == "cpu" else torch.float32)
        return copy.to(target, dtype)
    except (RuntimeError, AssertionError) as error:
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
        return given, []
    if given is not None:
        raise ValueError(
            f"`fit(solver={given!r})`: "
            "give a solver such as `GaussNewton()`, or a `torch.optim` class."
        )
    reason = without_curvature(objective)
    if reason is None:
        return RowNewton() if RowNewton.suited(objective) else GaussNewton(), []
    return Adam(), [f"solver: Adam, since {reason}"]


def _starting_points(init: Any, objective: Objective, starts: int, seed: int) -> Tensor:
    if init is None:
        init = Random()
    elif not isinstance(init, Init):
        init = Given(
            list(init) if isinstance(init, Sequence) and not hasattr(init, "factors") else [init]
        )
    return init.starts(objective, starts, seed)


def _values_read(data: Dataset) -> int:
    """Numbers that a pass over the data reads."""
    return prod(data.shape) if data.entries is None else len(data.entries.x)


@contextmanager
def _threads(objective: Objective, starts: int) -> Iterator[None]:
    """One thread for small problems: a barrier costs more than it brings on a busy machine."""
    before = torch.get_num_threads()
    data = max((_values_read(t.dataset) for _, _, t in objective.loss.fits), default=0)
    if max(data, starts * objective.size) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _reporting(
    progress: bool, steps: int, callback: Callable | None
) -> Iterator[Callable[[int, Tensor], object]]:
    """What is called at every step: the bar, then the user's function."""
    bar = None
    if progress:
        from tqdm.auto import tqdm

        bar = tqdm(total=None, desc="fit", unit=" steps", leave=False, mininterval=0.5)

    def report(step: int, loss: Tensor) -> object:
        if bar is not None:
            bar.update()
            if step % 5 == 0:
                bar.set_postfix_str(f"loss {float(loss.min()):.6g}", refresh=False)
        return None if callback is None else callback(step, loss.clone())

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
