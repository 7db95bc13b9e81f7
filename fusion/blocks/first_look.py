"""The first pass, and the factors as the sample alone has them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.cautions import FusionWarning, users_line
from fusion.algebra.waiting import say
from fusion.blocks.checks import about
from fusion.blocks.descent import Lagged, Totals
from fusion.blocks.first_sight import SeenValues, check_first_sight
from fusion.blocks.norms import ColumnNorms, without_norms
from fusion.blocks.on_rows import Scans, bare, loss_on, model_on_rows, pixel_factors
from fusion.blocks.partition import Block
from fusion.blocks.passes import Passes
from fusion.blocks.pieces import Piece
from fusion.blocks.sample import Sample, sample_of
from fusion.blocks.work import Looked, Problem, look, pixels_of
from fusion.data.parts import as_numpy
from fusion.engine.curvature import settled_states
from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.forms.entries import Entries
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.seen_rows import mark_seen_rows
from fusion.search.fit import fit
from fusion.solvers import GaussNewton

ROWS = GaussNewton(tolerance=1e-12, window=3, max_steps=100)
"""Solves for rows that are neither least squares nor counts; with next to no damping it stands
still at once where some predictions are next to nothing."""


def first_problem(model: Model, loss: Loss, scans: Scans) -> Problem:
    """The model and the fits without pixels, as the first pass needs them."""
    one = {scan: torch.zeros(1, dtype=torch.long) for scan in set(scans.values())}
    names = pixel_factors(model, scans)
    fits = Loss([(w, bare(term)) for _, w, term in loss.fits])
    few = without_norms(model_on_rows(model, names, one), list(names))
    return Problem(few, names, fits, scans, ROWS)


def first_pass(
    problem: Problem, passes: Passes, loss: Loss, rows: Mapping[Axes, Tensor]
) -> tuple[Sample, dict[str, Totals]]:
    """Sizes of the data, and the pixels of the sample.

    Raises:
        ValueError: if there are values that no fit can use.
    """
    scans, totals = problem.scans, {}
    parts: dict[str, list[tuple[Tensor, Any]]] = {name: [] for name in scans}
    values, empty = {name: SeenValues() for name in scans}, {name: [] for name in scans}

    def own(block: Block) -> tuple[dict[str, Tensor]]:
        numbers = block.rows
        wanted = {}
        for piece in block.pieces:
            scan = scans[piece.name]
            here = torch.isin(numbers[scan], rows[scan], assume_unique=True)
            wanted[piece.name] = here.nonzero()[:, 0]
        return (wanted,)

    for block, made in passes.run(look, (problem,), own):
        assert isinstance(made, Looked)
        numbers = block.rows
        for name, (squares, count) in made.sizes.items():
            more = Totals(squares, count, made.channels[name])
            totals[name] = totals[name] + more if name in totals else more
        for piece in block.pieces:
            told = placed(made.values[piece.name], piece)
            values[piece.name] = values[piece.name] + told
            if told.empty and piece.lazy:
                empty[piece.name].append(piece.place)
        for name, part in made.sample.items():
            here = numbers[scans[name]]
            seen = torch.isin(here, rows[scans[name]], assume_unique=True)
            parts[name].append((here[seen], part))
    check_first_sight(loss, values, empty)
    weights = {}
    for scan, chosen in rows.items():
        n = prod(axis.size or 1 for axis in scan)
        weights[scan] = torch.full((len(chosen),), n / len(chosen), dtype=torch.float64)
    return sample_of(loss.datasets, scans, rows, weights, parts), totals


def placed(told: SeenValues, piece: Piece) -> SeenValues:
    """The place of the least value in the whole scan, in words."""
    if not isinstance(told.place, tuple):
        return told
    return replace(told, place=piece.position(*told.place))


def kept_sample(sample: Sample, totals: Mapping[str, Totals]) -> dict[str, Any]:
    """A sample and the sums over all data, for a checkpoint."""
    values = {}
    for name, data in sample.datasets.items():
        held = data.entries
        values[name] = data.tensor if held is None else (held.i, held.j, held.x, held.shape)
    return {
        "rows": list(sample.rows.values()),
        "weights": list(sample.weights.values()),
        "values": values,
        "totals": {n: (t.size, t.entries, t.channels) for n, t in totals.items()},
    }


def looked_again(
    problem: Problem, passes: Passes, loss: Loss, kept: Mapping[str, Any]
) -> tuple[Sample, dict[str, Totals]]:
    """The same from a checkpoint; the first block is read to see that the data are those.

    Raises:
        ValueError: if they are not.
    """
    scans = dict.fromkeys(problem.scans.values())
    rows, weights = (dict(zip(scans, kept[key], strict=True)) for key in ("rows", "weights"))
    parts = {
        name: [(rows[problem.scans[name]], _as_kept(values))]
        for name, values in kept["values"].items()
    }
    sample = sample_of(loss.datasets, problem.scans, rows, weights, parts)
    block = next(b for b in passes.blocks if any(_inside(b, s, rows[s]).any() for s in b.boxes))
    for piece in block.pieces:
        scan = problem.scans[piece.name]
        own = block.rows[scan]
        here = torch.isin(own, rows[scan]).nonzero()[:, 0]
        there = torch.searchsorted(rows[scan], own[here])
        now, then = (
            pixels_of(d, index) if d.entries is None else pixels_of(d, index).x.numpy()
            for d, index in ((piece.read(), here), (sample.datasets[piece.name], there))
        )
        if not np.array_equal(now, then, equal_nan=now.dtype.kind == "f"):
            raise ValueError(
                f"`Blocks(checkpoint=…)`: of other data: the values of {piece.place} were others: "
                "remove the file, or give another name."
            )
    return sample, {name: Totals(*total) for name, total in kept["totals"].items()}


def _as_kept(values: Any) -> Any:
    return as_numpy(values) if isinstance(values, Tensor) else Entries(*values)


def _inside(block: Block, scan: Axes, rows: Tensor) -> Tensor:
    return torch.isin(rows, block.rows[scan])


@dataclass(frozen=True)
class Begun:
    """What is known after the first pass.

    Attributes:
        sample: the pixels of the sample; totals: sums over all data.
        few: the model on the sample, fitted; loss: of the sample.
        solver, messages: of the fit that found it.
    """

    sample: Sample
    totals: dict[str, Totals]
    few: Model
    loss: Loss
    solver: str
    messages: list[str]


def begun_with(
    model: Model,
    loss: Loss,
    scans: Scans,
    looked: tuple[Sample, dict[str, Totals]],
    search: Mapping[str, Any],
) -> Begun:
    """The factors of the sample alone, by a fit in memory."""
    sample, totals = looked
    say(f"finds the factors on {sum(len(r) for r in sample.rows.values())} pixels")
    names = pixel_factors(model, scans)
    few, terms = model_on_rows(model, names, sample.rows), _on_sample(model, loss, names, sample)
    options = dict(search) | {"init": _init_of(search["init"], names, sample)}
    asked: list[bool] = []
    if search["callback"] is not None:
        options["callback"] = _noting(search["callback"], asked)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit(few, terms, **options)
    if found.status == Status.INTERRUPTED.value and not asked:
        raise KeyboardInterrupt  # it would keep what it has, and passes would follow
    assert found.model is not None
    of_sample = _raised_again(caught)
    messages = [text for text in found.messages if text not in of_sample]
    return Begun(sample, totals, found.model, terms, found.solver, messages)


def _noting(callback: Any, asked: list[bool]) -> Any:
    """The callback; `asked` has an entry once it has asked for the end."""

    def call(step: int, losses: Tensor) -> bool:
        if callback(step, losses):
            asked.append(True)
        return bool(asked)

    return call


def _raised_again(caught: Sequence[warnings.WarningMessage]) -> set[str]:
    """Raise what is said of the data; texts of what is said of the answer, which is but a start."""
    of_answer = set()
    for each in caught:
        text = str(each.message)
        if issubclass(each.category, FusionWarning) and text.startswith("`fit`: "):
            of_answer.add(text)
        else:
            warnings.warn(text, each.category, stacklevel=users_line())
    return of_answer


def begun_again(
    model: Model,
    loss: Loss,
    scans: Scans,
    looked: tuple[Sample, dict[str, Totals]],
    kept: Mapping[str, Any],
) -> Begun:
    """The same from a checkpoint."""
    sample, totals = looked
    names = pixel_factors(model, scans)
    few, terms = model_on_rows(model, names, sample.rows), _on_sample(model, loss, names, sample)
    terms.check(few)
    for name, value in kept["few"].items():
        if value.shape[-1] < few.factor(name).shape[-1]:
            few = few.select([name], range(value.shape[-1]))
        few = few.to(value.device, value.dtype)
        if name not in names:
            few.factor(name).assign(value)
    return Begun(sample, totals, few, terms, kept["solver"], list(kept["messages"]))


def _on_sample(model: Model, loss: Loss, names: Mapping[str, Axes], sample: Sample) -> Loss:
    """The loss of a sample.

    A penalty of a factor that the pixels share weighs so much less as there are fewer; so does one
    of a factor whose columns have unit norm over fewer rows.
    """
    part = float(np.mean([1 / float(w.mean()) for w in sample.weights.values()]))
    units = any(model.factor(name).scale_free for name in names)
    made = loss_on(loss, sample.datasets)
    fits = {i for i, _, _ in made.fits}
    own = {i for i, _, term in made.penalties if about(term) in names and not units}
    whole = fits | own
    return Loss([(w if i in whole else w * part, t) for i, (w, t) in enumerate(made.terms)])


def _init_of(init: Any, names: Mapping[str, Axes], sample: Sample) -> Any:
    """Starts that are given, of factors over pixels the rows of the sample."""
    if isinstance(init, Sequence) and not isinstance(init, str):
        return [_init_of(each, names, sample)[0] for each in init]
    given = getattr(init, "factors", init)
    if not isinstance(given, Mapping):
        return init
    made = {}
    for name, value in given.items():
        if name in names:
            rows = sample.rows[names[name]].numpy()
            made[name] = np.nan_to_num(np.asarray(value)[rows])
        else:
            made[name] = value
    return [made]


def whole_model(found: Model, names: Mapping[str, Axes], loss: Loss) -> Model:
    """The model that was found on a sample, with all its rows."""
    rows = {
        scan: torch.zeros(prod(axis.size or 1 for axis in scan), dtype=torch.long)
        for scan in set(names.values())
    }
    whole = model_on_rows(found, names, rows)
    for name, scan in names.items():
        module = whole.factor(name)
        module.axes = (scan, *module.axes[1:])
    mark_seen_rows(whole, loss.datasets.values())
    return whole


def problem_of(found: Model, first: Problem) -> Problem:
    """The problem of the model that was found, which may have fewer components."""
    one = {scan: torch.zeros(1, dtype=torch.long) for scan in set(first.names.values())}
    few = without_norms(model_on_rows(found, first.names, one), list(first.names))
    for module in few.factor_modules().values():
        module.seen = None
    return replace(first, model=few)


def first_values(
    begun: Begun, names: Mapping[str, Axes], norms: ColumnNorms, whole: Model
) -> tuple[dict[str, Tensor], Lagged]:
    """Values of all factors from those of the sample, its mean rows for all pixels."""
    sample = begun.sample
    values = {n: v.detach().clone() for n, v in begun.few.factors.items()}
    if norms.gauges:
        weights = {name: sample.weights[scan] for name, scan in names.items()}
        values = norms.rescaled(values, weights)
    for name, scan in names.items():
        few, n = values[name], whole.factor(name).shape[0]
        values[name] = few.mean(0, keepdim=True).expand(n, -1).clone()
        values[name][sample.rows[scan]] = few
    settled = settled_states(begun.few, begun.loss)
    return values, Lagged({t.dataset.name: settled[i] for i, _, t in begun.loss.fits})


def norms_of(begun: Begun, names: Mapping[str, Axes]) -> ColumnNorms:
    """Where the norms of factors over pixels go."""
    fits = Loss([(w, term) for _, w, term in begun.loss.fits])
    return ColumnNorms(Objective(begun.few, fits), list(names))
