"""What is done on a block: functions of the pixels alone, wherever they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from operator import add
from threading import local
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes, length
from fusion.answers.left_over import LeftOver, left_over
from fusion.blocks.first_sight import SeenValues, seen_values
from fusion.blocks.norms import without_norms
from fusion.blocks.on_rows import Scans, loss_on, model_on_rows
from fusion.blocks.pieces import let_go
from fusion.blocks.pixel_groups import PixelGroups
from fusion.blocks.slopes import slopes
from fusion.blocks.standouts import Picked, picked
from fusion.data.dataset import Dataset
from fusion.data.parts import as_numpy
from fusion.engine.likeliest_rows import LikeliestRows
from fusion.engine.linear_rows import LinearRows
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.likelihood.count_lists import listed
from fusion.likelihood.entry_losses import SQUARE
from fusion.solvers import RowNewton, Solver, Watch

Array = NDArray[Any]
LIFT, LEAST = 1e-3, 1e-12
"""Share of its row that an amount of counts begins with at least, and the least of all."""
FULL = 0.3
"""Share of counts that are not zero, from which on listing them does not pay."""
EXACT, STEPS = 1e-10, 40
"""Share of the loss by which rows fall at last, and steps until then, at most."""
Rows = dict[str, Tensor]
"""(pixel, K) of every factor over pixels."""


class _Ready(local):
    """What a thread made last, and of what: an objective, for data of some shape, ways to its
    rows, and factors that blocks share, as these take them. Sent nowhere."""

    shape: Mapping[str, Any] | None = None
    objective: Objective | None = None
    likeliest: LikeliestRows | None = None
    linear: LinearRows | None = None
    given: Mapping[str, Tensor] | None = None
    shared: Values | None = None

    def __reduce__(self) -> Any:
        return _Ready, ()


@dataclass(frozen=True)
class Problem:
    """A model and a loss without their pixels.

    Attributes:
        model: with one row of every factor over pixels.
        names: these factors, with the axes of their pixels.
        loss: fits of data sets that are named alone.
        scans: the axes of the pixels of every data set.
        solver: for rows that are no least squares.
    """

    model: Model
    names: Mapping[str, Axes]
    loss: Loss
    scans: Scans
    solver: Solver
    _ready: _Ready = field(init=False, repr=False, compare=False, default_factory=_Ready)

    def on(self, datasets: Mapping[str, Dataset]) -> Objective:
        """The same on the pixels of a block, for as long as this thread has no other.

        Blocks of one size differ in their data alone: each thread makes one, and changes these.
        """
        loss, ready = loss_on(self.loss, datasets), self._ready
        shape = {name: data.shape for name, data in datasets.items()}
        if ready.shape == shape and ready.objective is not None:
            ready.objective.loss = loss
        else:
            ready.shape, ready.objective = shape, self.alone_on(datasets)
            ready.likeliest = ready.linear = ready.given = None
        return ready.objective

    def likeliest(self, objective: Objective) -> LikeliestRows:
        """Rows of counts; of the thread's own objective, what they know of it is kept."""
        ready = self._ready
        if ready.likeliest is None or ready.likeliest.objective is not objective:
            ready.likeliest = LikeliestRows(objective, list(self.names))
        return ready.likeliest

    def linear(self, objective: Objective) -> LinearRows:
        """Rows of least squares, in the same way."""
        ready = self._ready
        if ready.linear is None or ready.linear.objective is not objective:
            pixels = max(prod(map(length, axes)) for axes in self.names.values())
            ready.linear = LinearRows(objective, list(self.names), of=pixels)
        return ready.linear

    def shared(self, values: Mapping[str, Tensor], objective: Objective) -> Values:
        """Factors that all blocks share, of one start: the very same for all blocks of a thread."""
        ready = self._ready
        if ready.given is not values or ready.shared is None:
            ready.given = values
            ready.shared = {n: v.to(objective.like)[None] for n, v in values.items()}
        return dict(ready.shared)

    def alone_on(self, datasets: Mapping[str, Dataset]) -> Objective:
        """The same, one that may be changed."""
        rows: dict[Axes, Tensor] = {}
        for name, scan in self.scans.items():
            n = datasets[name].axes[-1 - datasets[name].signal].size if name in datasets else 1
            rows[scan] = torch.zeros(max(n or 1, len(rows.get(scan, ()))), dtype=torch.long)
        model = model_on_rows(self.model, self.names, rows)
        return Objective(model, loss_on(self.loss, datasets))


@dataclass
class Sums:
    """What a block adds to the whole; added up by `+`.

    Attributes:
        fits: by the name of its data set, of squares ½ Σ w (m² − 2 x m), of others the value.
        gradient: of the weighted fits by the factors that all blocks share; counts, bends:
            what each of their entries explains of counts, and how these bend, see `Slopes`.
    """

    fits: dict[str, float] = field(default_factory=dict)
    gradient: dict[str, Array] = field(default_factory=dict)
    counts: dict[str, Array] = field(default_factory=dict)
    bends: dict[str, Array] = field(default_factory=dict)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            _added(self.fits, other.fits),
            _added(self.gradient, other.gradient),
            _added(self.counts, other.counts),
            _added(self.bends, other.bends),
        )

    def rescaled(self, ratio: Mapping[str, Array]) -> Sums:
        """Where factors are r times smaller: the slopes are r times as steep."""
        return Sums(
            self.fits,
            {n: g * ratio.get(n, 1.0) for n, g in self.gradient.items()},
            self.counts,
            {n: b * ratio.get(n, 1.0) ** 2 for n, b in self.bends.items()},
        )


class InOrder:
    """Sums of blocks added up in the order of the blocks, whatever the order in which they come.

    So that an answer does not depend on which thread was first.
    """

    def __init__(self) -> None:
        self.total, self._next, self._early = Sums(), 0, {}

    def add(self, number: int, sums: Sums) -> None:
        """What block `number`, from 0, adds."""
        self._early[number] = sums
        while self._next in self._early:
            self.total = self.total + self._early.pop(self._next)
            self._next += 1


@dataclass
class Settled:
    """A block at its minimum: what it adds, its rows, what is left of it, what stands out, the
    counts of groups of its pixels, and variances of its maps."""

    sums: Sums
    rows: dict[str, Array]
    left: dict[str, LeftOver]
    picked: Picked | None = None
    pixels: dict[str, Any] = field(default_factory=dict)
    grouped: dict[str, Any] = field(default_factory=dict)
    errors: list[Any] = field(default_factory=list)


def settle(
    problem: Problem,
    shared: Mapping[str, Tensor],
    datasets: Mapping[str, Dataset],
    rows: Mapping[str, Tensor],
    *,
    left: int = 0,
    pick: bool = False,
    groups: PixelGroups | None = None,
) -> Settled:
    """The rows of a block at their minimum, given the other factors, and what they add.

    Args:
        problem: the equation.
        shared: the factors that all blocks share.
        datasets: of the block, in memory.
        rows: of the factors over pixels, where they stood before; missing: nobody knows.
        left: pixels that tell how what the fits leave scatters; 0: nobody asks what they leave.
        pick: whether pixels are to be picked that stand out.
        groups: in which counts of pixels are added up.
    """
    names = list(problem.names)
    objective, values = _begun(problem, shared, datasets, rows)
    at, read = problem.likeliest(objective).at(values), datasets
    if at is None:
        read = as_counts(problem.loss, datasets)
        if any(read[n] is not datasets[n] for n in datasets):
            objective, values = _begun(problem, shared, read, rows)
        at = problem.linear(objective).at(values)
        if at is None:
            at = problem.likeliest(objective).at(values)
        if at is None:
            objective = problem.alone_on(read)
            at = _by_descent(objective, problem.solver, names, values)
    try:
        made = _settled(problem, objective, at, left, pick, groups)
        if made.picked is not None:  # of the data as they were given, which the sample is of, too
            made.pixels = {n: pixels_of(data, made.picked.rows) for n, data in datasets.items()}
        return made
    finally:
        let_go(read[n] for n in datasets if read[n] is not datasets[n])


def _begun(
    problem: Problem,
    shared: Mapping[str, Tensor],
    datasets: Mapping[str, Dataset],
    rows: Mapping[str, Tensor],
) -> tuple[Objective, Values]:
    """The objective of a block, and where it begins."""
    objective = problem.on(datasets)
    values = problem.shared(shared, objective)
    for name in problem.names:
        value = rows[name] if name in rows else objective.model.factor(name)().detach()
        values[name] = value.to(objective.like)[None]
    return objective, values


def _settled(
    problem: Problem,
    objective: Objective,
    at: Sequence[Any],
    left: int,
    pick: bool,
    groups: PixelGroups | None,
) -> Settled:
    """What a block says, at what its rows are found to be."""
    found, fits, gradient = at[:3]
    counts, bends = at[3:] if len(at) > 3 else ({}, {})
    own = {n: as_numpy(found[n][0]) for n in problem.names}
    amounts = _by_name(objective, fits)
    sums = Sums(
        amounts,
        {n: as_numpy(g[0].double()) for n, g in gradient.items()},
        {n: as_numpy(a[0].double()) for n, a in counts.items()},
        {n: as_numpy(a[0].double()) for n, a in bends.items()},
    )
    made = Settled(sums, own, _left(objective, found, left) if left else {})
    if pick and len(set(problem.names.values())) == 1:  # of one scan
        made.picked = picked(objective, found)
    if groups is not None:
        made.grouped = groups.summed(objective, found)
    return made


def as_counts(loss: Loss, datasets: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """The data sets, counts that are mostly zeros as lists of those that are not."""
    read = {fit.dataset.name: fit.entrywise for _, _, fit in loss.fits}
    made = {}
    for name, data in datasets.items():
        counts = read.get(name)
        lists = counts is not None and counts.vanishes_at_zero and data.entries is None
        made[name] = _listed(data) if lists and _plain(data) else data
    return made


def _plain(data: Dataset) -> bool:
    """Whether a data set is whole numbers of pixels by channels, weighted by rows and columns."""
    plain = data.signal == 1 and len(data.shape) == 2 and not data.dtype.is_floating_point  # type: ignore[union-attr]
    return plain and (data.mask is None or 1 in data.mask.shape)


def _listed(data: Dataset) -> Dataset:
    """A data set of few counts, listed; the same where there are many."""
    entries = listed(as_numpy(data.tensor), FULL)
    if entries is None:
        return data
    made = data.derive(entries, "listed")
    made._checked = data._checked  # a block may have no count, or be wholly masked
    return made


def _by_name(objective: Objective, fits: Tensor) -> dict[str, float]:
    """Fits by the names of their data sets, without their weights."""
    return {
        t.dataset.name: float(value) / w if w else 0.0
        for (_, w, t), value in zip(objective.loss.fits, fits, strict=True)
    }


def _by_descent(
    objective: Objective, solver: Solver, names: list[str], values: Values
) -> tuple[Values, Tensor, Values, Values, Values]:
    """The same by a solver, where rows are no least squares."""
    shared = [name for name in values if name not in names]
    objective.held = set(shared)
    without_norms(objective.model, shared)  # held, so that nobody asks where norms go
    values = values | {name: _off_bound(objective, name, values[name]) for name in names}
    flat = objective.raws(values)
    solver = _suiting(solver, objective)
    outcome = solver.minimise(objective, flat, Watch(), solver.max_steps)
    found = objective.values(outcome.flat)
    fits, gradient, counts, bends = slopes(objective, found, shared)
    for place, (_, w, term) in enumerate(objective.loss.fits):
        if term.entrywise is SQUARE:
            with objective.model.once({n: v[0] for n, v in found.items()}):
                fits[place] -= 0.5 * w * term.pair(objective.model)[0].norm2()
    return found, fits, gradient, counts, bends


def _off_bound(objective: Objective, name: str, value: Tensor) -> Tensor:
    """Rows a little above zero: where all that is there is predicted as nothing no step begins."""
    if objective.model.factor(name).lower != 0:
        return value
    return torch.maximum(value, LIFT * value.mean(2, keepdim=True)).clamp_min(LEAST)


def _suiting(solver: Solver, objective: Objective) -> Solver:
    """Newton's steps row by row where the data are counts that have them, else the solver."""
    rows = RowNewton(extrapolation=0.0, tolerance=EXACT, window=1, max_steps=STEPS)
    try:
        rows.check(objective)
    except ValueError:
        return solver
    return rows


def _left(objective: Objective, values: Values, sample: int) -> dict[str, LeftOver]:
    """What the fits leave of the data of a block."""
    with objective.model.once({n: v[0] for n, v in values.items()}):
        return {
            t.dataset.name: left_over(t, objective.model, sample)
            for _, _, t in objective.loss.fits
            if isinstance(t, Fit)
        }


@dataclass
class Looked:
    """A block at first sight: sizes of its data, and the pixels of the sample.

    Attributes:
        sizes: Σ w x² and the number of entries with weight, by the name of the data set;
            channels: Σ x of every channel.
        sample: values (…, pixel, channel …) of the pixels asked for.
        values: the least of the values, and how many are what a likelihood may not have.
    """

    sizes: dict[str, tuple[float, int]]
    channels: dict[str, Tensor]
    sample: dict[str, Any]
    values: dict[str, SeenValues]


def look(problem: Problem, datasets: Mapping[str, Dataset], wanted: Mapping[str, Tensor]) -> Looked:
    """Sizes of a block's data, and the pixels of it that are wanted, by data set."""
    objective = problem.on(datasets)
    sizes, channels = {}, {}
    with torch.no_grad(), objective.model.once():
        for _, _, term in objective.loss.fits:
            form = term.pair(objective.model)[0]
            squares = float(form.norm2()) if term.entrywise is SQUARE else 0.0
            sizes[term.dataset.name] = squares, form.count()
            channels[term.dataset.name] = form.sums()[1].cpu()
    values = {name: seen_values(data) for name, data in datasets.items()}
    sample = {name: pixels_of(data, wanted[name]) for name, data in datasets.items()}
    return Looked(sizes, channels, sample, values)


def pixels_of(data: Dataset, wanted: Tensor) -> Any:
    """Some pixels of a block: an array (…, pixel, channel …), or sparse entries.

    No tensor: torch 2.13 cannot pickle those of uint16 inside of objects (`findings/`).
    """
    if data.entries is not None:
        from fusion.forms.sparse import Sparse
        from fusion.forms.weights import Weights

        whole = Sparse(data.entries, Weights(), torch.float64)
        return whole.rows(wanted).held
    pixel = len(data.shape) - data.signal - 1
    return np.take(as_numpy(data.tensor), as_numpy(wanted), axis=pixel)


def _added(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Sums by name; what one alone has as it is."""
    return {
        key: reduce(add, [part[key] for part in (one, two) if key in part])
        for key in dict.fromkeys([*one, *two])
    }
