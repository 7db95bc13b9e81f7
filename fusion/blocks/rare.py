"""A component for what stands out of the data: picked in a pass, found in its pixels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.cautions import FusionWarning
from fusion.blocks.descent import Descent, Point
from fusion.blocks.first_look import Begun
from fusion.blocks.partition import Block
from fusion.blocks.sample import Sample, sample_of
from fusion.blocks.standouts import MOST_OF_ALL, Standouts, sides_of, surplus
from fusion.blocks.work import Settled, pixels_of
from fusion.data.parts import as_numpy
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE
from fusion.search.fit import fit
from fusion.search.initialisation import Current


def take_in(
    descent: Descent, begun: Begun, point: Point, some: list[tuple[Block, Settled]]
) -> dict[str, Tensor] | None:
    """Take pixels that stand out into the sample, and give them a component that is but noise.

    Returns:
        The factors of spectra with that component; None where there is none to give.
    """
    if not some or len(set(descent.names.values())) != 1:
        return None
    scan = next(iter(descent.names.values()))
    rows, scores, values = _most(descent, scan, some)
    step, means = descent.on_sample(point.values, point.lagged), _means(descent)
    sides = sides_of(step.objective, step.here, means)
    here = {n: v[0] for n, v in step.here.items()}
    over = None if sides is None or not _of_known_noise(descent) else surplus(sides, here)
    descent.sample = _with(descent, scan, rows, values)
    if over is None:
        return None
    descent.standouts = standouts_of(descent, point, rows, scores, over)
    if descent.standouts is None:
        return None
    without = without_column(begun.few, begun.loss, over)
    shared = {n: point.values[n] for n in descent.shared}
    shared |= {n: v for n, v in without.items() if n in shared}
    return descent.standouts.column_of(shared, descent.model)


def _of_known_noise(descent: Descent) -> bool:
    """Whether residuals are in units of Gaussian noise, so that its edge is that of the data.

    Counts have others: of them pixels are taken into the sample alone.
    """
    fits = [fit for _, _, fit in descent.loss.fits]
    return all(fit.entrywise is SQUARE and fit.in_units_of_noise for fit in fits)


def without_column(few: Model, loss: Loss, column: int, **options: Any) -> dict[str, Tensor]:
    """The shared factors as a sample has them without a component, whose columns stay.

    Args:
        few: the model of the sample, fitted; loss: of the sample.
        column: the component.
        options: of `fusion.fit`.
    """
    K = max(m.shape[-1] for m in few.factor_modules().values() if len(m.shape) == 2)
    kept = [k for k in range(K) if k != column]
    modules = few.factor_modules().items()
    names = [n for n, m in modules if len(m.shape) == 2 and m.shape[-1] == K]
    fewer = few.select(names, kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FusionWarning)
        found = fit(fewer, loss, starts=1, init=Current(), **options)
    assert found.model is not None
    made = {}
    for name, value in found.model.factors.items():
        made[name] = few.factor(name)().detach().clone()
        made[name][:, kept] = value.detach().to(made[name])
    return {n: v for n, v in made.items() if n in names}


def standouts_of(
    descent: Descent, point: Point, rows: Tensor, scores: Tensor, column: int
) -> Standouts | None:
    """These pixels, all of them in the sample, with a component of their own."""
    scan = next(iter(descent.names.values()))
    places = torch.searchsorted(descent.sample.rows[scan], rows)
    parts = {n: [(rows, pixels_of(d, places))] for n, d in descent.sample.datasets.items()}
    few = _sample(descent, scan, rows, parts)
    objective = descent.under(point.values, point.lagged).on(few.datasets)
    values = {
        n: (v[rows] if n in descent.names else v).to(objective.like)[None]
        for n, v in point.values.items()
    }
    sides = sides_of(objective, values, _means(descent))
    return None if sides is None else Standouts(sides, scores, column, rows)


def _means(descent: Descent) -> dict[str, Tensor]:
    """Mean of every channel of the data sets."""
    n = descent.model.factor(next(iter(descent.names))).shape[0]
    return {name: total.channels / n for name, total in descent.totals.items()}


def _sample(descent: Descent, scan: Axes, rows: Tensor, parts: dict[str, Any]) -> Sample:
    weights = torch.ones(len(rows), dtype=torch.float64)
    scans, data = descent.problem.scans, descent.loss.datasets
    return sample_of(data, scans, {scan: rows}, {scan: weights}, parts)


def _most(
    descent: Descent, scan: Axes, some: list[tuple[Block, Settled]]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """(numbers of the pixels, ascending; scores; values) of those that stand out most."""
    rows, scores = [], []
    parts: dict[str, list[tuple[Tensor, Any]]] = {name: [] for name in descent.problem.scans}
    for block, made in some:
        assert made.picked is not None
        rows.append(block.rows[scan][made.picked.rows])
        scores.append(made.picked.scores)
        for name, pixels in made.pixels.items():
            parts[name].append((rows[-1], pixels))
    order = torch.argsort(torch.cat(rows))
    every, score = torch.cat(rows)[order], torch.cat(scores)[order]
    whole = _sample(descent, scan, every, parts)
    kept = torch.argsort(score, descending=True)[:MOST_OF_ALL].sort().values
    values = {name: pixels_of(data, kept) for name, data in whole.datasets.items()}
    return every[kept], score[kept], values


def _with(descent: Descent, scan: Axes, rows: Tensor, values: Mapping[str, Any]) -> Sample:
    """The sample with these pixels, which stand for themselves alone."""
    sample = descent.sample
    mine, weights = sample.rows[scan], sample.weights[scan]
    n = descent.model.factor(next(iter(descent.names))).shape[0]
    new = ~torch.isin(rows, mine)
    index = new.nonzero()[:, 0]
    parts, picked = {}, _sample(descent, scan, rows, {k: [(rows, v)] for k, v in values.items()})
    for name, data in sample.datasets.items():
        own = as_numpy(data.tensor) if data.entries is None else data.entries
        parts[name] = [(mine, own), (rows[new], pixels_of(picked.datasets[name], index))]
    both = torch.cat([mine, rows[new]])
    every = torch.cat([weights * (n - int(new.sum())) / n, torch.ones(len(index)).to(weights)])
    order = torch.argsort(both)
    scans, data = descent.problem.scans, descent.loss.datasets
    return sample_of(data, scans, {scan: both[order]}, {scan: every[order]}, parts)
