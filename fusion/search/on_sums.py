"""What all pixels have in common is found on sums of pixels, then the maps pixel by pixel.

Where single pixels have a few counts, what a model finds in them beside a few common unknowns is
biased: three unknowns a pixel of 90 counts cost compositions several per cent. On sums of pixels
there is no such bias, and it is quick.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, length
from fusion.data.tally import tally
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import about_rows
from fusion.engine.variables import Values
from fusion.forms.contract import Gathered
from fusion.forms.weights import Weights
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.prior import as_surrogate
from fusion.search.pixel_sampling import model_on_rows, pixel_factors

COUNTS = 1000
"""Mean counts of a sum of pixels, at least."""
MOST, LEAST = 1024, 16
"""Sums of pixels, at most, and at least where there are so many pixels."""


@dataclass(frozen=True)
class Sums:
    """A problem on sums of pixels.

    Attributes:
        objective: the data are means over the pixels of a sum, weighed by how many they are.
        labels: of every scan's pixels, to which sum they belong.
        names: of factors over pixels, along which scan.
    """

    objective: Objective
    labels: dict[Axes, Tensor]
    names: dict[str, Axes]

    def down(self, values: Values) -> Values:
        """Values (start, …) of all pixels as those of the sums: the mean of every one."""
        made = dict(values)
        for name, axes in self.names.items():
            label, value = self.labels[axes].to(values[name].device), values[name]
            made[name] = mean_of_sums(label, value.transpose(0, 1)).transpose(0, 1)
        return made

    def up(self, values: Values) -> Values:
        """Values of the sums as those of all pixels of each."""
        return {
            name: v[:, self.labels[self.names[name]].to(v.device)] if name in self.names else v
            for name, v in values.items()
        }


def mean_of_sums(label: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """(sum, …) means of values (pixel, …) over the pixels of every sum; 0 where none has weight."""
    weights = torch.ones_like(label) if weights is None else weights
    weights = weights.to(values).reshape(-1, *[1] * (values.ndim - 1))
    n = int(label.max()) + 1
    total = values.new_zeros(n, *values.shape[1:]).index_add(0, label, values * weights)
    size = weights.new_zeros(n, *weights.shape[1:]).index_add(0, label, weights)
    return total / size.clamp_min(torch.finfo(size.dtype).tiny)


def edge_of_sums(objective: Objective) -> int:
    """Pixels along each edge of a sum that has counts enough."""
    data = [term.dataset for _, _, term in objective.loss.fits]
    edge = 1
    while True:
        n = min(_number(d.pixels, edge) for d in data)
        counts = max(float(tally(d).rows.sum()) / _number(d.pixels, edge) for d in data)
        next_n = min(_number(d.pixels, edge + 1) for d in data)
        enough = counts >= COUNTS and n <= MOST
        if enough or next_n < LEAST or next_n == n:
            return edge
        edge += 1


def _number(axes: Axes, edge: int) -> int:
    return prod(ceil(length(axis) / edge) for axis in axes)


def summed_problem(objective: Objective, edge: int) -> Sums:
    """The problem on sums of edge × edge pixels, those at the ends of a scan smaller.

    Of terms about maps there is what they say of sums, `Surrogate.on_sums`.

    Raises:
        ValueError: if a factor over pixels has a scale, or entries, of its own.
    """
    model, loss = objective.model, objective.loss
    labels: dict[Axes, Tensor] = {}
    for _, _, term in loss.fits:
        assert term.dataset is not None
        labels.setdefault(term.dataset.pixels, _labels(term.dataset.pixels, edge))
    rows = {axes: _first_of_each(label) for axes, label in labels.items()}
    names = pixel_factors(model, rows)
    terms = []
    for weight, term in loss.terms:
        if isinstance(term, Fit):
            means = _means(term, model, labels[term.dataset.pixels])
            terms.append((weight, term._reading(means)))
            continue
        tied = about_rows(objective, term, set(names))
        kept = as_surrogate(term).on_sums(labels) if tied else term
        terms += [] if kept is None else [(weight, kept)]
    summed = model_on_rows(model, rows)
    for name, axes in names.items():
        module = summed.factor(name)
        module.axes = ((Axis("sum of pixels", size=len(rows[axes])),), *module.axes[1:])
    small = Objective(summed, Loss(terms))
    return Sums(small, labels, names)


def _labels(axes: Axes, edge: int) -> Tensor:
    """To which sum every pixel belongs, (pixel,)."""
    label = torch.zeros((), dtype=torch.long)
    for axis in axes:
        place = torch.arange(length(axis)) // edge
        label = label[..., None] * (int(place[-1]) + 1) + place
    return label.reshape(-1)


def _first_of_each(label: Tensor) -> Tensor:
    """The first pixel of every sum."""
    first = torch.full((int(label.max()) + 1,), len(label), dtype=torch.long)
    return first.scatter_reduce(0, label, torch.arange(len(label)), "amin")


def _means(term: Fit, model: Any, label: Tensor) -> Gathered:
    """The data of a fit as means over the pixels of every sum, under their weights."""
    with torch.no_grad(), model.once():
        form, _ = term.pair(model)
    n, device = int(label.max()) + 1, form.device
    label = label.to(device)
    total = torch.zeros(n, form.shape[1], dtype=form.dtype, device=device)
    weight = torch.zeros_like(total)
    for rows, x in form.blocks(form.dtype):
        w = form.weights.chunk(rows, form.shape)
        w = torch.ones_like(x) if w is None else w.expand_as(x)
        total.index_add_(0, label[rows], x * w)
        weight.index_add_(0, label[rows], w.contiguous())
    values = torch.where(weight > 0, total / weight.clamp_min(1e-300), 0)
    even = bool((weight == weight[:, :1]).all())
    weights = Weights(rows=weight[:, 0].contiguous()) if even else Weights(full=weight)
    return Gathered(values, weights, form.dtype)


def lifted_starts(objective: Objective, small: Sums, flat: Tensor) -> Tensor:
    """Starts of the sums as those of all pixels."""
    return objective.raws(small.up(small.objective.values(flat))).detach()
