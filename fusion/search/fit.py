"""`fit`: one verb, a solver object, a result object."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from math import inf
from numbers import Real
from typing import TYPE_CHECKING, Any, ParamSpec

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call, whole_number
from fusion.algebra.cautions import FusionWarning, kept_cautions
from fusion.algebra.threads import limited_threads, within_threads
from fusion.algebra.waiting import waiting
from fusion.answers.result import Result
from fusion.answers.summary import summarise
from fusion.engine.autograd import autograd
from fusion.engine.status import Status
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import Term
from fusion.search.answer_cautions import raise_cautions
from fusion.search.downhill import descend_and_improve
from fusion.search.initialisation import Init, Random
from fusion.search.kept_names import with_names_of
from fusion.search.problem import as_loss, pose
from fusion.search.pruning import order_components, prune
from fusion.solvers import Outcome, Solver, Watch

if TYPE_CHECKING:
    from fusion.blocks import Blocks

P = ParamSpec("P")


def _keeping_cautions(function: Callable[P, Result]) -> Callable[P, Result]:
    """What is warned of on the way to a result, among its messages; raised once, at the end."""

    @wraps(function)
    def kept(*args: P.args, **kwargs: P.kwargs) -> Result:
        with kept_cautions() as cautions:
            result = function(*args, **kwargs)
        result.messages.extend(text for text in cautions if text not in result.messages)
        return result

    return kept


@checked_call
@autograd()
@within_threads
@_keeping_cautions
def fit(
    model: Model,
    loss: Loss | Term,
    *,
    solver: Solver | type[torch.optim.Optimizer] | None = None,
    starts: int = 10,
    init: Init | Sequence[Any] | None = None,
    seed: int = 0,
    race: bool = True,
    compress: bool = True,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    threads: int | None = None,
    blocks: Blocks | None = None,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    progress: bool = True,
    callback: Callable[[int, Tensor], object] | None = None,
) -> Result:
    """Find the factors that make the loss smallest.

    The model is left untouched; `result.model` is a fitted copy. The same seed on the same machine
    gives the same answer, to rounding (`threads`). Ctrl-C returns the best so far.

    Args:
        model: what the data are made of. Guesses assigned (`model.S = S0`) are the first start.
        loss: what makes a good fit.
        solver: `GaussNewton()`, `RowNewton()`, `ArrowNewton()`, `HALS()`, `MALS()`, `ALS()`,
            `LBFGS()`, `Adam()`, or any `torch.optim` class. None picks Gauss–Newton; `RowNewton`
            for counts; `ArrowNewton` where pixels meet in a few unknowns alone, which are found on
            sums of pixels first; Adam where a term has no second derivative. `result.solver` says
            which.
        starts: number of starts; the best answer is returned, every loss is kept. A solver with
            `initial` leaves all but the best after so many steps.
        init: `Random()` (default), `NNDSVD()`, `SPA()`, `VCA()`, `NFINDR()`, `Current()`, or a
            list of starts ({name: array}, a tensorly tensor, a result). Names of a result's
            components go on.
        seed: of the random starts.
        race: short runs of all starts, of large data on a sample of the pixels, then the better
            half, the three best, and the best alone once the others are behind or come to the same
            components. A start is dropped by its loss on all pixels; `result.losses` has that, its
            status says when. A start that is slow at first may be lost though it would have ended
            lowest: False runs every one to its end, which takes 3 to 6 times as long.
        compress: iterate on data compressed to a few directions where that pays (least squares of
            a large data set, its weights meanwhile taken as one of every pixel times one of every
            channel), then polish the best start on all of them; the losses of the result are
            those of all the data.
        device: "cpu", "cuda" …; default: where the model is.
        dtype: of the factors; default float64 on a CPU, float32 elsewhere.
        threads: of the CPU, at most; a small problem takes one. None: those of torch
            (OMP_NUM_THREADS), within affinity, control group and SLURM; one in a worker of dask or
            joblib; one, too, where products with the data take no longer by it, as beside a busy
            neighbour. Losses of sparse counts do not depend on the number; other sums may, by
            rounding: give a number where two fits are to agree in every bit.
        blocks: a `fusion.Blocks`: the data are read block by block and never held whole. None: so
            where lazy data exceed a quarter of the memory, if model and loss allow it.
        max_steps: outer steps of every start; None: the solver's own.
        max_seconds: for all starts together; from half of it on the best start alone, if it has not
            converged. None: until they converge.
        progress: whether a line says what is done now, from the third second on: on a terminal and
            in a notebook kept up to date, elsewhere every half a minute in the log "fusion".
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
    _check_options(starts, seed, max_steps, max_seconds, callback)
    loss = as_loss(model, loss)
    if blocks is not None or loss.larger_than_memory:
        search = {"solver": solver, "starts": starts, "init": init, "race": race}
        search |= {"compress": compress, "device": device, "dtype": dtype, "callback": callback}
        search |= {"max_steps": max_steps, "max_seconds": max_seconds, "seed": seed}
        with waiting("fit", progress):
            result = _by_blocks(model, loss, blocks, search)
        if result is not None:
            return with_names_of(init, result)
    watch = Watch()
    options = {"solver": solver, "init": init, "starts": int(starts), "seed": seed}
    options |= {"device": device, "dtype": dtype}
    with waiting("fit", progress) as step:
        step.say("reads the data")
        watch.tell = step.say
        posed = watch.kept(
            lambda: pose(model, loss, compress=compress and not watch.stopped, **options)
        )
        objective, chosen, messages = posed.objective, posed.solver, posed.messages
        steps = chosen.max_steps if max_steps is None else int(max_steps)
        with limited_threads(*posed.threads):
            if callback is not None:
                watch.report = lambda number, losses: callback(number, losses.clone())
            limit = float("inf") if max_seconds is None else float(max_seconds)
            outcome = watch.kept(descend_and_improve, posed, watch, steps, begun, limit, race)
            if not bool(torch.isfinite(outcome.loss).any()):
                raise ValueError(f"`fit`: {Status.DIVERGED.value} (loss {outcome.loss.tolist()}).")
            fitted, remarks = prune(objective, chosen, outcome, watch, steps)
    if watch.stopped:
        _say_interrupted(outcome)
    if init is None or isinstance(init, Random):
        fitted = watch.kept(order_components, fitted, objective, outcome)
    with limited_threads(*posed.threads):
        result = watch.kept(
            summarise,
            fitted,
            loss,
            objective,
            outcome,
            solver=str(chosen),
            seconds=time.monotonic() - begun,
            messages=messages + remarks,
        )
    result = watch.kept(with_names_of, init, result)
    watch.kept(raise_cautions, result, loss, stopped=watch.stopped or steps == 0)
    return result


def _by_blocks(model: Model, loss: Loss, blocks: Any, search: dict[str, Any]) -> Result | None:
    from fusion.blocks.fit_by_blocks import fit_by_blocks

    return fit_by_blocks(model, loss, blocks, search)


def fit_whole(*args: Any, **options: Any) -> Result:
    """`fit` for what asks of its answer, and raises its own cautions; Ctrl-C is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FusionWarning)
        result = fit(*args, **options)
    if result.status == Status.INTERRUPTED.value:
        raise KeyboardInterrupt
    return result


def _say_interrupted(outcome: Outcome) -> None:
    """The status of the starts of a fit that was stopped on its way."""
    for row, status in enumerate(outcome.status):
        if row == outcome.best() or status is Status.MAX_STEPS:
            outcome.status[row] = Status.INTERRUPTED


def _check_options(starts: Any, seed: Any, max_steps: Any, max_seconds: Any, callback: Any) -> None:
    """Complain of what means nothing."""
    whole_number(f"fit(starts={starts!r})", starts)
    whole_number(f"fit(seed={seed!r})", seed, least=-inf)
    if max_steps is not None:
        whole_number(f"fit(max_steps={max_steps!r})", max_steps, least=0)
    if max_seconds is not None and not (isinstance(max_seconds, Real) and float(max_seconds) >= 0):
        raise ValueError(f"`fit(max_seconds={max_seconds!r})`: give seconds, or None for no limit.")
    if callback is not None and not callable(callback):
        raise ValueError(f"`fit(callback={callback!r})`: give a function of (step, losses).")
