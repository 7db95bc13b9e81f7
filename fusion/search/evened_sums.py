"""Sums of pixels as they would be, were all pixels of one alike.

What a model predicts is not linear in its maps where pixels absorb what they send: the mean of the
spectra of a thick and a thin pixel is that of no pixel. Taken for one, it biases what all pixels
have in common, the more the larger the sums.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.data.tally import tally
from fusion.engine.met_rows import met_rows
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import RowsAndFew
from fusion.engine.variables import Values
from fusion.forms.contract import Gathered
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.search.on_sums import Sums, mean_of_sums, summed_problem

if TYPE_CHECKING:
    from fusion.solvers.base import Solver
    from fusion.solvers.watch import Watch

STEP = 0.25
"""Standard errors of a pixel's maps between the points by which their noise is allowed for."""
PART = 50
"""Mean counts of a part of a sum, at least: of fewer the noise of its maps is no small one."""


def evened(
    objective: Objective,
    sums: Sums,
    edge: int,
    values: Values,
    solver: Solver,
    watch: Watch,
    most: int,
) -> tuple[Sums, Values]:
    """(the sums with data times m(mean part) / mean of m(part), values of all pixels by parts).

    Parts of a sum are its pixels, or squares of them where these have few counts; their maps are
    found, all else held. Their noise would feign that they are unlike: to second order it is taken
    off, ⟨m(c)⟩ − ½ tr(m″ V) with V the covariance of a part's maps. Sums stay as they are where
    penalties tie the maps of pixels together, as V is not known there, where m is linear, and where
    a sum has no parts of counts enough.

    Args:
        sums: of edge × edge pixels of the objective.
        values: of all pixels, (1, …), near which the maps are looked for.
        solver: that finds them, in so many steps at most.
    """
    step = _edge_of_parts(objective, edge)
    if step == edge:
        return sums, values
    parts = _parts(objective, sums, step)
    held = copy(parts.objective)
    held.held = held.held | {slot.name for slot in held.slots if slot.name not in sums.names}
    rows = RowsAndFew(held)
    if rows.tied or not rows.row_slots:
        return sums, values
    flat = solver.minimise(held, held.raws(parts.down(values)).detach(), watch, most).flat
    own = {name: v[0].detach() for name, v in held.values(flat).items()}
    labels = {axes: _sums_of(part, sums.labels[axes]) for axes, part in parts.labels.items()}
    with torch.no_grad():
        sides = iter(_left_sides(held, rows, flat[0], own))
        fits = iter(held.loss.fits)
        terms = [
            (weight, _evened_term(sums, term, held, next(fits)[2], labels, own, next(sides)))
            if isinstance(term, Fit)
            else (weight, term)
            for weight, term in sums.objective.loss.terms
        ]
    made = replace(sums, objective=Objective(sums.objective.model, Loss(terms)))
    return made, parts.up(held.values(flat))


def _edge_of_parts(objective: Objective, edge: int) -> int:
    """Pixels along each edge of a part: the fewest that divide the edge and have counts enough."""
    data = [term.dataset for _, _, term in objective.loss.fits]
    counts = max(float(tally(d).rows.sum()) / d.matrix_shape[0] for d in data)
    found = (
        n for n in range(1, edge) if edge % n == 0 and n ** len(data[0].pixels) * counts >= PART
    )
    return next(found, edge)


def _parts(objective: Objective, sums: Sums, edge: int) -> Sums:
    """Sums of edge × edge pixels; the pixels themselves where that is one."""
    if edge > 1:
        return summed_problem(objective, edge)
    labels = {axes: torch.arange(len(label)) for axes, label in sums.labels.items()}
    return Sums(objective, labels, sums.names)


def _sums_of(part: Tensor, label: Tensor) -> Tensor:
    """To which sum every part belongs, as its pixels do."""
    return label.new_zeros(int(part.max()) + 1).index_put((part,), label)


def _evened_term(
    sums: Sums,
    term: Fit,
    held: Objective,
    of_parts: Fit,
    labels: dict[Axes, Tensor],
    values: Values,
    unlike: Tensor,
) -> Fit:
    """A fit of sums with its data scaled.

    Args:
        of_parts: the same fit of the parts; labels: of these; values: theirs.
        unlike: (part, column), the left side of their prediction.
    """
    weights = _weights_of_rows(of_parts, held.model)
    label = labels[term.dataset.pixels].to(unlike.device)
    mean = dict(values)
    for name in sums.names:
        mean[name] = mean_of_sums(label, values[name], weights)
    model, form = sums.objective.model, term.instead
    with model.once(mean):
        left, right = term.pair(model)[1].two_way()
    ratio = _ratio(left @ right.T, mean_of_sums(label, unlike, weights) @ right.T)
    return term._reading(Gathered(form.values * ratio, form.weights, form.values.dtype))


def _weights_of_rows(fit: Fit, model: Any) -> Tensor | None:
    """(part,) of the data of a fit; None: all alike."""
    with model.once():
        weights = fit.pair(model)[0].weights
    if weights.full is not None:
        return weights.full.mean(1) if weights.rows is None else weights.full.mean(1) * weights.rows
    return weights.rows


def _left_sides(held: Objective, rows: RowsAndFew, flat: Tensor, values: Values) -> list[Tensor]:
    """(pixel, column) of every fit, less what the noise of the maps adds on the average."""
    states = held.refresh_fits(held.values(flat[None]), held.no_states())
    states = held.refresh_penalties(held.values(flat[None]), states, {})
    covariance = met_rows(rows, flat, rows.arrow(flat, states)).covariance
    spread, along = torch.linalg.eigh(covariance)
    directions = along * spread.clamp_min(0).sqrt()[:, None]
    here = [left for left, _ in _sides(held, values)]
    found = [left.clone() for left in here]
    for direction in directions.unbind(2):
        for way in (STEP, -STEP):
            moved = _sides(held, _moved(rows, values, way * direction))
            for total, (left, _), own in zip(found, moved, here, strict=True):
                total -= (left - own) / (2 * STEP**2)
    return found


def _moved(rows: RowsAndFew, values: Values, step: Tensor) -> Values:
    """The values with every row of the maps moved, (pixel, r)."""
    moved, start = dict(values), 0
    for slot in rows.row_slots:
        width = slot.shape[1]
        moved[slot.name] = values[slot.name] + step[:, start : start + width]
        start += width
    return moved


def _sides(objective: Objective, values: Values) -> list[tuple[Tensor, Tensor]]:
    """Left and right of every fit's prediction."""
    model = objective.model
    with model.once(values):
        return [fit.pair(model)[1].two_way() for _, _, fit in objective.loss.fits]


def _ratio(alike: Tensor, unlike: Tensor) -> Tensor:
    """Of two predictions; 1 where one is not positive."""
    good = (alike > 0) & (unlike > 0)
    return torch.where(good, alike, 1) / torch.where(good, unlike, 1)
