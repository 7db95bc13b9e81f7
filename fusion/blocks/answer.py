"""The result of a fit by blocks."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch

from fusion.algebra.axis import Axes
from fusion.answers.diagnostics import DataSummary, hide_masked_rows, summary_of
from fusion.answers.left_over import LeftOver
from fusion.answers.result import Result
from fusion.answers.roles import roles_of
from fusion.blocks.descent import Descent, Left, Point
from fusion.blocks.first_look import Begun
from fusion.blocks.on_rows import model_on_rows
from fusion.blocks.partition import Block
from fusion.blocks.way import Way
from fusion.language.loss import Loss
from fusion.language.model import Model

BY_PIXEL = "squares", "row_counts", "row_noise"
"""What is left of the data, pixel by pixel."""
FEW = 8
"""Pixels on which it is seen which factors are maps."""


def result_of(
    descent: Descent, point: Point, left: Left, way: Way, begun: Begun, *, seconds: float
) -> Result:
    """What `fit` returns.

    Args:
        descent: with the model of all rows, which is given the values of the point.
        point: the answer, whose arrays are those of the result; left: what every block leaves, by
            data set, which is taken out of there.
        way: the passes; begun: what the sample said; seconds: in all.
    """
    model, loss, passes = descent.model, descent.loss, descent.passes
    pixels = sum(len(rows) for rows in begun.sample.rows.values())
    for name, module in model.factor_modules().items():
        module.assign(point.values[name])
    factors = {name: v.cpu().numpy() for name, v in point.values.items()}
    hidden = hide_masked_rows(factors, model.factor_modules(), loss)
    data = {fit.dataset.name: _summary(left[fit.dataset.name], fit) for _, _, fit in loss.fits}
    terms = torch.stack([*way.terms, point.terms]).numpy()
    labels = [str(loss.terms[i][1]) for i in _order(loss)]
    ranks = {m.shape[-1] for m in model.factor_modules().values() if len(m.shape) == 2}
    text, latex = loss.formula()
    told = [] if descent.errors is None else descent.errors.messages
    solver = (
        f"{len(passes.blocks)} blocks, {passes.traffic.words}, on {passes.where}; "
        f"{begun.solver} on {pixels} pixels"
    )
    return Result(
        factors=factors,
        axes={name: m.axes for name, m in model.factor_modules().items()},
        status=way.status.value,
        converged=way.status.ok,
        loss=point.loss,
        losses=np.array([point.loss]),
        statuses=[way.status.value],
        n_components=ranks.pop() if len(ranks) == 1 else None,
        history={"loss": terms.sum(1)} | {label: terms[:, i] for i, label in enumerate(labels)},
        loss_history=terms.sum(1)[None],
        data=data,
        formula=text,
        latex=latex,
        solver=solver,
        seconds=seconds,
        messages=[*hidden, *begun.messages, *told],
        structure=model.structure,
        model=model,
        minimised=loss,
        component_names=tuple(map(str, model.component_names)),
        roles=roles_of(few_rows(descent)),
    )


def few_rows(descent: Descent) -> Model:
    """The model on some pixels, which tell what is a map as well as all: those would be drawn."""
    few = {}
    for scan in descent.names.values():
        few[scan] = torch.arange(min(FEW, prod(axis.size or 1 for axis in scan)))
    return model_on_rows(descent.model, descent.names, few)


def _order(loss: Loss) -> list[int]:
    return [i for i, _, _ in loss.fits] + [i for i, _, _ in loss.penalties]


def _summary(parts: list[tuple[Block, LeftOver]], fit: Any) -> DataSummary:
    """Of all blocks of a data set, their pixels in its order; takes the blocks out of the list."""
    data = fit.dataset
    scan = _scan(parts[0][0], data)
    lead = prod(data.shape[: len(data.pixels) - len(scan)])
    pixels = prod(axis.size or 1 for axis in scan)
    maps = {name: torch.empty(lead, pixels, dtype=torch.float64) for name in BY_PIXEL}
    total: LeftOver | None = None
    while parts:
        block, part = parts.pop(0)
        for name, values in maps.items():
            values[:, block.rows[scan]] = getattr(part, name).double().reshape(lead, -1)
        sums = replace(part, **{name: getattr(part, name)[:0] for name in BY_PIXEL})
        total = sums if total is None else total + sums
    assert total is not None
    return summary_of(replace(total, **{n: v.reshape(-1) for n, v in maps.items()}), fit)


def _scan(block: Block, data: Any) -> Axes:
    return next(scan for scan in block.boxes if data.pixels[-len(scan) :] == scan)
