"""A model and a loss on some of the pixels: the same equation on fewer rows."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fusion.algebra.axis import Axes, Axis
from fusion.data.dataset import Dataset
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model

OF_TORCH = vars(nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}
"""Attributes of every module that say nothing of what it computes with."""
Scans = dict[str, Axes]
"""For every data set, the axes of the pixels that its maps have."""


def pixel_factors(model: Model, scans: Scans) -> dict[str, Axes]:
    """Factors over the pixels of a scan, with its axes."""
    known = set(scans.values())
    return {
        name: module.axes[0]
        for name, module in model.factor_modules().items()
        if module.axes[0] in known
    }


def scans_of(model: Model, loss: Loss) -> Scans:
    """The axes of the pixels along which the data of every fit can be taken apart.

    The longest end of a data set's pixels that some factor has: all of them as a rule, (y, x) of
    (segment, y, x).

    Raises:
        ValueError: if no factor runs along the pixels of a data set.
    """
    held = {module.axes[0] for module in model.factor_modules().values() if module.axes[0]}
    scans: Scans = {}
    for name, data in loss.datasets.items():
        ends = [data.pixels[i:] for i in range(len(data.pixels))]
        found = [axes for axes in ends if axes in held]
        if not found:
            raise ValueError(
                f"`fit`: no factor of the model runs along the pixels of {data}, so that it cannot "
                "be fitted block by block: build factors from the data set, "
                "`fu.Factor((data.pixels, K))`; data of other pixels have to be binned to one grid."
            )
        scans[name] = found[0]
    return scans


def model_on_rows(model: Model, factors: Mapping[str, Axes], rows: Mapping[Axes, Tensor]) -> Model:
    """A copy whose factors over pixels have these rows alone."""
    modules = model.factor_modules()
    memo = {id(modules[name]): modules[name] for name in factors}  # not copied whole
    other = _copied(model, memo)
    for name, axes in factors.items():
        part = modules[name].rows(rows[axes])
        part.axes = (pixel_axis(len(rows[axes])), *part.axes[1:])
        *path, last = name.split(".")
        owner = other.get_submodule(".".join(path)) if path else other
        owner._modules[f"_{last}"] = part
    return other


def _copied(module: nn.Module, memo: dict[int, Any]) -> Any:
    """What `deepcopy` makes, in a quarter of the time, as every block asks for it.

    Of what torch keeps of a module but its parameters and parts, hooks as a rule, copies that hold
    the same.
    """
    if id(module) in memo or hasattr(module, "__deepcopy__"):
        return deepcopy(module, memo)
    memo[id(module)] = other = type(module).__new__(type(module))
    for name, value in vars(module).items():
        if name == "_modules":
            held = {n: p if p is None else _copied(p, memo) for n, p in value.items()}
        elif name in OF_TORCH:
            held = value.copy() if isinstance(value, dict | set) else value
        else:
            held = deepcopy(value, memo)
        vars(other)[name] = held
    return other


def pixel_axis(n: int) -> Axes:
    """Axes of pixels that are taken out of a scan."""
    return (Axis("pixel", size=n),)


def loss_on(loss: Loss, datasets: Mapping[str, Dataset]) -> Loss:
    """The same loss of other data sets of the same names; fits of all others are left out."""
    terms = []
    for weight, term in loss.terms:
        data = getattr(term, "dataset", None)
        if data is None:
            terms.append((weight, term))
        elif data.name in datasets:
            other = copy(term)
            other.dataset = datasets[data.name]  # type: ignore[attr-defined]
            terms.append((weight, other))
    return Loss(terms)


def bare(fit: Fit) -> Fit:
    """A fit whose data set is but its name: blocks bring their own."""
    other = copy(fit)
    other.dataset = _named(fit.dataset)
    return other


def _named(data: Dataset) -> Dataset:
    """A data set of which nothing but its name and axes is left."""
    made = Dataset.__new__(Dataset)
    variance = None if data.variance is None else torch.ones(())
    made.__dict__.update(data.__dict__, lazy=None, entries=None, mask=None, variance=variance)
    made.__dict__.update(_tensor=torch.zeros(1, 1), _forms={}, tallied=None, metadata={})
    return made


def gathered(values: Tensor, rows: Tensor | slice) -> Tensor:
    """Rows of a factor as tensor of its own."""
    return values[rows].clone() if isinstance(rows, slice) else torch.index_select(values, 0, rows)
