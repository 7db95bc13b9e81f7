"""`fit` of data that are larger than memory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.cautions import FusionWarning
from fusion.algebra.memory import total_bytes
from fusion.algebra.threads import threads as threads_here
from fusion.algebra.waiting import say
from fusion.answers.result import Result
from fusion.blocks.answer import result_of
from fusion.blocks.descent import Descent, Point, Totals, bare
from fusion.blocks.extrapolation import Extrapolation
from fusion.blocks.held import is_of_squares
from fusion.blocks.on_rows import Scans, loss_on, model_on_rows, pixel_factors, scans_of
from fusion.blocks.partition import Block, partition
from fusion.blocks.passes import Passes
from fusion.blocks.sample import Sample, sample_of, wanted_rows
from fusion.blocks.settings import Blocks
from fusion.blocks.work import Looked, Problem, look
from fusion.data.dataset import Dataset
from fusion.engine.curvature import settled_states
from fusion.engine.status import Status
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.search.fit import fit
from fusion.solvers import GaussNewton, Solver, Watch

TOLERANCE = 1e-7
"""Share of the loss that a step on the sample promises, below which no further pass is made."""
BACK = 0.3
"""Share of a step that is kept where the loss of all data rose."""


@dataclass
class Track:
    """What was found, pass by pass."""

    losses: list[float] = field(default_factory=list)
    terms: list[Tensor] = field(default_factory=list)
    promised: float = np.inf
    status: Status = Status.MAX_STEPS


def fit_by_blocks(
    model: Model, loss: Loss, settings: Any, search: Mapping[str, Any]
) -> Result | None:
    """The factors that make the loss smallest, the data read block by block.

    Args:
        model, loss: as `fusion.fit` takes them.
        settings: a `Blocks`: memory, passes, files; None: as it comes.
        search: options of `fusion.fit` by which the factors are found on a sample.

    Returns:
        None where nobody asked for blocks, model or loss do not fall apart into pixels, and the
        data do fit into memory.
    """
    begun, asked = time.monotonic(), settings is not None
    settings = _checked(settings)
    datasets = loss.datasets
    try:
        scans = scans_of(model, loss)
        _check(model, loss, scans)
    except ValueError:
        if asked or _exceed_half(datasets):
            raise
        return None
    threads = threads_here()
    blocks = partition(datasets, scans, settings.bytes, threads)
    passes = Passes(blocks, threads)
    problem = _problem(model, loss, scans)
    rows = wanted_rows(datasets, scans, settings.bytes, settings.sample, search["seed"])
    sample, totals = _look(problem, passes, loss, rows)
    found = _on_sample(model, loss, scans, sample, search)
    solver = _row_solver(found)
    object.__setattr__(problem, "solver", solver)
    whole = deepcopy(model).to(next(found.model.parameters()))  # type: ignore[union-attr]
    descent = Descent(whole, loss, problem, passes, totals, sample)
    values, states = _first_values(whole, descent.names, found, rows)
    channels = {name: total.channels for name, total in totals.items()}
    values |= descent.on_sample(values, states).lifted(channels)
    track = Track()
    point, left = _down(descent, values, states, settings, track)
    return result_of(
        whole,
        loss,
        point,
        left,
        track,
        found,
        blocks=(passes, settings, sample),
        seconds=time.monotonic() - begun,
    )


def _checked(settings: Any) -> Blocks:
    """The settings.

    Raises:
        ValueError: if they are something else.
    """
    if settings is None or settings is True:
        return Blocks()
    if not isinstance(settings, Blocks):
        raise ValueError(
            f"`fit(blocks={settings!r})`: give a `fusion.Blocks`, such as "
            "`fusion.Blocks(memory='4 GB')`, or None."
        )
    return settings


def _exceed_half(datasets: Mapping[str, Dataset]) -> bool:
    """Whether lazy data and what is made of them would not fit into memory."""
    lazy = [data.lazy for data in datasets.values() if data.lazy is not None]
    size = sum(prod(array.shape) * array.dtype.itemsize for array in lazy)
    return size > (total_bytes() or np.inf) / 2


def _check(model: Model, loss: Loss, scans: Scans) -> None:
    """Complain of what does not fall apart into pixels, before the first pass."""
    names = pixel_factors(model, scans)
    for name in names:
        module = model.factor(name)
        if not module.entrywise or module.known is not None or module.scale_free:
            told = ", ".join(map(str, module.chain))
            raise ValueError(
                f"`fit`, block by block: {name!r} ({told}) is no factor whose rows are free of "
                "each other: give it `NonNegative()` or `Free()` alone, and unit columns to the "
                "spectra."
            )
    for _, _, fit_ in loss.fits:
        if fit_.lagged and not is_of_squares(fit_):
            raise ValueError(
                f"`fit`, block by block: `{fit_}` takes pieces from all its data at every step "
                "(`refresh`): only fits that are functions of their squares can do so here."
            )
    for _, _, term in loss.penalties:
        about = getattr(term, "factor", None)
        if about is None or (about in names and (term.lagged or not term.quadratic)):
            raise ValueError(
                f"`fit`, block by block: `{term}` sees more than one pixel at a time: of factors "
                "over pixels `L1` and `SquaredNorm` go, of the others every penalty on a factor by "
                "its name. Bin or crop the data until they fit into memory, or leave it out."
            )


def _problem(model: Model, loss: Loss, scans: Scans) -> Problem:
    one = {scan: torch.zeros(1, dtype=torch.long) for scan in set(scans.values())}
    names = pixel_factors(model, scans)
    return Problem(model_on_rows(model, names, one), names, loss, scans, GaussNewton())


def _look(
    problem: Problem, passes: Passes, loss: Loss, rows: Mapping[Axes, Tensor]
) -> tuple[Sample, dict[str, Totals]]:
    """The first pass: sizes of the data, and the pixels of the sample."""
    named = Loss([(w, bare(t)) for _, w, t in loss.fits])
    object.__setattr__(problem, "loss", named)
    scans = problem.scans
    sizes: dict[str, Totals] = {}
    parts: dict[str, list] = {name: [] for name in scans}

    def own(block: Block) -> tuple:
        wanted = {}
        for scan, numbers in block.rows.items():
            here = torch.isin(numbers, rows[scan], assume_unique=True).nonzero()[:, 0]
            for piece in block.pieces:
                if scans[piece.name] == scan:
                    wanted[piece.name] = here
        return (wanted,)

    lowest: dict[str, tuple[float, int]] = {}
    for block, made in passes.run(look, (problem,), own):
        assert isinstance(made, Looked)
        numbers = block.rows
        for name, (squares, count) in made.sizes.items():
            more = Totals(squares, count, made.channels[name])
            sizes[name] = sizes[name] + more if name in sizes else more
        for name, values in made.sample.items():
            own_rows = numbers[scans[name]]
            here = torch.isin(own_rows, rows[scans[name]], assume_unique=True)
            parts[name].append((own_rows[here], values))
            least, place = made.lowest[name]
            if least < lowest.get(name, (0.0, 0))[0]:
                lowest[name] = least, int(own_rows[place])
    weights = {}
    for scan, chosen in rows.items():
        n = prod(axis.size or 1 for axis in scan)
        weights[scan] = torch.full((len(chosen),), n / len(chosen), dtype=torch.float64)
    sample = sample_of(loss.datasets, scans, rows, weights, parts)
    return sample, sizes


def _on_sample(
    model: Model, loss: Loss, scans: Scans, sample: Sample, search: Mapping[str, Any]
) -> Result:
    """The factors of the sample alone."""
    say(f"finds the factors on {sum(len(r) for r in sample.rows.values())} pixels")
    names = pixel_factors(model, scans)
    few = model_on_rows(model, names, sample.rows)
    part = float(np.mean([1 / float(w.mean()) for w in sample.weights.values()]))
    terms = []
    for w, term in loss_on(loss, sample.datasets).terms:
        about = getattr(term, "factor", None)
        shared = about is not None and about not in names and not hasattr(term, "dataset")
        terms.append((w * part if shared else w, term))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FusionWarning)
        return fit(few, Loss(terms), **(search | {"init": _init_of(search["init"], names, sample)}))


def _init_of(init: Any, names: Mapping[str, Axes], sample: Sample) -> Any:
    """Starts that are given, of factors over pixels the rows of the sample."""
    if isinstance(init, Sequence) and not isinstance(init, str):
        return [_init_of(each, names, sample) for each in init]
    given = getattr(init, "factors", init)
    if not isinstance(given, Mapping):
        return init
    return [
        {
            name: np.nan_to_num(np.asarray(value)[sample.rows[names[name]].numpy()])
            if name in names
            else value
            for name, value in given.items()
        }
    ]


def _row_solver(found: Result) -> Solver:
    """For rows that are no least squares: steps until they no longer move."""
    return GaussNewton(damping=1e-6, tolerance=1e-13, window=1, max_steps=30)


def _first_values(
    whole: Model, names: Mapping[str, Axes], found: Result, rows: Mapping[Axes, Tensor]
) -> tuple[dict[str, Tensor], dict]:
    """Values of all factors from those of the sample, its mean rows for all pixels."""
    values = {}
    assert found.model is not None
    for name, value in found.model.factors.items():
        value = value.detach()
        if name in names:
            n = whole.factor(name).shape[0]
            full = value.mean(0, keepdim=True).expand(n, -1).clone()
            full[rows[names[name]]] = value
            values[name] = full
        else:
            values[name] = value.clone()
    assert found.minimised is not None
    settled = settled_states(found.model, found.minimised)
    return values, {fit_.dataset.name: settled[i] for i, _, fit_ in found.minimised.fits}


def _down(
    descent: Descent, values: dict[str, Tensor], states: dict, settings: Blocks, track: Track
) -> tuple[Point, dict]:
    """Passes and steps until the steps promise nothing more, then the last pass."""
    shared = [name for name in values if name not in descent.names]
    watch, ahead = Watch(), Extrapolation()
    best: Point | None = None
    plain: dict[str, Tensor] | None = None
    """Where the step alone led, if what was tried was not that."""
    while True:
        point = descent.at(values, states, rows=True)
        track.losses.append(point.loss)
        track.terms.append(point.terms)
        if best is None or point.loss <= best.loss:
            best, states = point, point.states
            step = descent.on_sample(point.values, states)
            new, track.promised = step.step(point.sums, watch)
            at = {n: point.values[n] for n in shared}
            there = ahead.next(at, new, _bends(point))
            plain = None if len(ahead.steps) == 1 else new
            values = dict(point.values) | there
        elif plain is not None:
            ahead.forget()
            values, plain = values | plain, None
        else:
            ahead.forget()
            values = values | {
                n: best.values[n] + BACK * (values[n] - best.values[n]) for n in shared
            }
        if track.promised <= TOLERANCE * abs(best.loss):
            track.status = Status.CONVERGED
            break
        if descent.passes.traffic.passes >= settings.passes - 1:
            break
    end, left = descent.end(values, states)
    if end.loss <= best.loss:
        return end, left
    return descent.end(dict(best.values), best.states)


def _bends(point: Point) -> dict[str, Tensor]:
    """About how the loss bends by each entry of the shared factors, where these are counts."""
    return {
        name: torch.as_tensor(counts).clamp_min(1e-12)
        / point.values[name].square().clamp_min(1e-24)
        for name, counts in point.sums.counts.items()
    }
