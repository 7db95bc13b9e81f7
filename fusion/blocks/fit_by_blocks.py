"""`fit` of data that are larger than memory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.memory import total_bytes
from fusion.algebra.threads import library_threads
from fusion.algebra.threads import threads as threads_here
from fusion.answers.result import Result
from fusion.answers.roles import roles_of
from fusion.blocks.answer import few_rows, result_of
from fusion.blocks.checkpoint import Checkpoint, as_saved
from fusion.blocks.checks import check_pixels_apart
from fusion.blocks.descent import Descent
from fusion.blocks.first_look import (
    Begun,
    begun_again,
    begun_with,
    first_pass,
    first_problem,
    first_values,
    kept_sample,
    looked_again,
    norms_of,
    problem_of,
    whole_model,
)
from fusion.blocks.map_errors import NUMBER, ErrorsOfMaps, MapErrors
from fusion.blocks.on_rows import Scans, pixel_factors, scans_of
from fusion.blocks.partition import partition, room_of_blocks
from fusion.blocks.passes import Passes, threads_of_cluster
from fusion.blocks.rare import standouts_of
from fusion.blocks.sample import wanted_rows
from fusion.blocks.settings import Blocks
from fusion.blocks.store import Store
from fusion.blocks.way import Way
from fusion.blocks.work import Problem
from fusion.data.dataset import Dataset
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.search.answer_cautions import raise_cautions

WORTH = 1e-5
"""Share of the loss by which a step has to promise to lower it to be worth a pass."""
OPTIONS = ("solver", "starts", "race", "compress", "seed", "dtype", "max_steps")
"""Of the search, those that change the answer."""


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
    begun_at, asked = time.monotonic(), settings is not None
    settings = _checked(settings)
    datasets = loss.datasets
    try:
        scans = scans_of(model, loss)
        check_pixels_apart(model, loss, scans)
    except ValueError:
        if asked or _exceed_half(datasets):
            raise
        return None
    _check_sample(model, settings)
    room = room_of_blocks(model, datasets, scans, settings.bytes, settings.sample)
    passes = Passes(*partition(datasets, scans, room, threads_here(), threads_of_cluster()))
    kept_options = {key: search[key] for key in OPTIONS} | {"sample": settings.sample}
    checkpoint = Checkpoint(settings.checkpoint_path, model, loss, kept_options)
    sizes = _answer_bytes(model, datasets, scans), _variance_bytes(model, datasets, scans)
    with Store(settings.out, checkpoint.belongs, *sizes) as store:
        try:
            way = model, loss, scans, passes, settings, search, checkpoint, begun_at, store
            # steps between passes are small, and in a pass every thread of ours has one of BLAS
            with library_threads(1):
                result, errors = _fitted(*way)
            store.write(result, errors)
        except KeyboardInterrupt as stop:
            stop.add_note(_kept_of(checkpoint))
            raise
    checkpoint.remove()
    return result


def _answer_bytes(model: Model, datasets: Mapping[str, Dataset], scans: Scans) -> int:
    """Of all factors, errors of maps, and a residual map of every data set."""
    factors = sum(prod(module.shape) for module in model.factor_modules().values())
    maps = sum(prod(model.factor(name).shape) for name in pixel_factors(model, scans))
    return 8 * (factors + maps + sum(data.matrix_shape[0] for data in datasets.values()))


def _variance_bytes(model: Model, datasets: Mapping[str, Dataset], scans: Scans) -> int:
    """Of what the last pass finds of the errors of maps, at two points."""
    scan_of = pixel_factors(model, scans)
    widths = {scan: [model.factor(n).shape[-1] for n in scan_of if scan_of[n] == scan]
              for scan in scan_of.values()}  # fmt: skip
    rows = {scan: prod(axis.size or 1 for axis in scan) for scan in widths}
    return sum(2 * NUMBER * rows[scans[name]] * max(widths[scans[name]]) for name in datasets)


def _kept_of(checkpoint: Checkpoint) -> str:
    """What a fit leaves that was stopped."""
    if checkpoint.path is None:
        return (
            "`fit`, block by block, was stopped before its end: nothing of it is kept; with "
            "`fusion.Blocks(checkpoint='fit.ckpt')` it would go on from its last pass."
        )
    if not checkpoint.path.exists():
        return "`fit`, block by block, was stopped before its first step: nothing of it is kept."
    return (
        "`fit`, block by block, was stopped before its end: the same call goes on from "
        f"{str(checkpoint.path)!r}."
    )


def _fitted(
    model: Model,
    loss: Loss,
    scans: Scans,
    passes: Passes,
    settings: Blocks,
    search: Mapping[str, Any],
    checkpoint: Checkpoint,
    begun_at: float,
    store: Store,
) -> tuple[Result, Sequence[ErrorsOfMaps]]:
    """The fit itself, and errors of its maps where a store is to have them."""
    first = first_problem(model, loss, scans)
    begun, kept = _begin(model, loss, first, passes, settings, search, checkpoint)
    problem = problem_of(begun.few, first)
    whole, norms = whole_model(begun.few, first.names, loss), norms_of(begun, first.names)
    descent = Descent(whole, loss, problem, passes, begun.totals, begun.sample, norms)
    way = _first_way(descent, begun) if kept is None else _way_again(descent, kept)
    deadline = begun_at + (search["max_seconds"] or np.inf)
    while not way.arrived and passes.traffic.passes < settings.passes - 1:
        way.next(descent, begun)
        if checkpoint.path is not None and way.best is not None:
            checkpoint.write(_content(begun, way, descent))
        if time.monotonic() > deadline:
            break
    if store.path is not None:
        roles = roles_of(few_rows(descent))
        descent.errors = MapErrors(descent.model, roles, loss, scans, store.room)
    point, left = way.end(descent, more=passes.traffic.passes < settings.passes - 1)
    result = result_of(descent, point, left, way, begun, seconds=time.monotonic() - begun_at)
    raise_cautions(result, loss, stopped=True)  # steps are none of a fit in memory
    _warn_of_no_answer(way, settings)
    return result, point.errors


def _warn_of_no_answer(way: Way, settings: Blocks) -> None:
    """Say that the last step was still to bring something worth a pass."""
    assert way.best is not None
    promised = way.promised / max(abs(way.best.loss), 1e-300)
    if promised > WORTH:
        warnings.warn(
            f"`fit`, block by block: the loss was still to fall by {promised:.2g} of itself at a "
            f"step when {settings.passes} passes were made: this is not an answer yet. Allow more, "
            f"`fusion.Blocks(passes={2 * settings.passes})`, with `init=result`, or a larger "
            "`sample=`.",
            ClaimWarning,
            stacklevel=users_line(),
        )


def _begin(
    model: Model,
    loss: Loss,
    first: Problem,
    passes: Passes,
    settings: Blocks,
    search: Mapping[str, Any],
    checkpoint: Checkpoint,
) -> tuple[Begun, dict[str, Any] | None]:
    """What the first pass tells, or a checkpoint of the same fit."""
    scans, datasets = first.scans, loss.datasets
    kept = checkpoint.read()
    if kept is None:
        rows = wanted_rows(datasets, scans, settings.bytes, settings.sample, search["seed"])
        looked = first_pass(first, passes, loss, rows)
        return begun_with(model, loss, scans, looked, search), None
    looked = looked_again(first, passes, loss, kept["sample"])
    return begun_again(model, loss, scans, looked, kept), kept


def _first_way(descent: Descent, begun: Begun) -> Way:
    values, lagged = first_values(begun, descent.names, descent.norms, descent.model)
    lagged = descent.begun(values, lagged)
    values |= descent.lifted(values, lagged)
    return Way(values, lagged)


def _way_again(descent: Descent, kept: Mapping[str, Any]) -> Way:
    way = Way.again(kept["way"], descent.passes.traffic)
    if kept["standouts"] is not None and way.best is not None:
        descent.standouts = standouts_of(descent, way.best, *kept["standouts"])
    return way


def _content(begun: Begun, way: Way, descent: Descent) -> dict[str, Any]:
    """What a checkpoint holds."""
    own = descent.standouts
    return {
        "sample": kept_sample(descent.sample, begun.totals),
        "few": as_saved(begun.few.factors),
        "solver": begun.solver,
        "messages": begun.messages,
        "standouts": None if own is None else (own.rows, own.scores, own.column),
        "way": way.kept(descent.shared, descent.passes.traffic),
    }


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


def _check_sample(model: Model, settings: Blocks) -> None:
    """Complain of fewer pixels than components."""
    ranks = [m.shape[-1] for m in model.factor_modules().values() if len(m.shape) == 2]
    most = max(ranks, default=1)
    if settings.sample is not None and settings.sample < most:
        raise ValueError(
            f"`Blocks(sample={settings.sample})`: {most} components are to be found on so few "
            "pixels: give some hundreds at least, or None for as many as the memory allows."
        )


def _exceed_half(datasets: Mapping[str, Dataset]) -> bool:
    """Whether lazy data and what is made of them would not fit into memory."""
    lazy = [data.lazy for data in datasets.values() if data.lazy is not None]
    size = sum(prod(array.shape) * array.dtype.itemsize for array in lazy)
    return size > (total_bytes() or np.inf) / 2
