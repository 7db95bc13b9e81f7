"""Which factors are the maps, and which the spectra, of every data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.prediction import CP
from fusion.answers.components import widths
from fusion.language.model import Model

if TYPE_CHECKING:
    from fusion.answers.result import Result

Roles = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""For a data set the factors whose sum are its maps, and those whose sum are its spectra."""
MOST = 2
"""Factors that are added up: C, or C + N."""


def roles_of(model: Model) -> Roles:
    """Of every data set that is predicted as maps times spectra, each a factor or a sum of two.

    Told by random numbers in the place of the factors, so that a model of one's own needs to say
    nothing, and an N that came out as zero is still there.
    """
    with torch.no_grad():
        factors = {
            name: _random_like(x, seed)
            for seed, (name, x) in enumerate(model.factors.items())
            if x.ndim == 2
        }
    try:
        with torch.no_grad(), model.once(factors):
            predictions = model.predict()
    except (RuntimeError, ValueError):  # of a model that takes no values but some
        return {}
    return {
        name: (maps, spectra)
        for name, M in predictions.items()
        if isinstance(M, CP)
        and len(M.factors) == 2
        and (maps := _sum_that_is(M.factors[0], factors))
        and (spectra := _sum_that_is(M.factors[1], factors))
    }


def other_columns(result: Result) -> tuple[str, ...]:
    """Data sets whose prediction has other columns than the components, as the model says."""
    model = result.model
    if model is None:
        return result.other_columns
    with torch.no_grad(), model.once():
        return tuple(name for name in result.data if model.component_parts(name) is not None)


def _random_like(values: Tensor, seed: int) -> Tensor:
    drawn = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(values)


def _sum_that_is(values: Tensor, factors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The fewest factors that add up to these values; none where no two do."""
    alike = {name: x for name, x in factors.items() if x.shape == values.shape}
    for count in range(1, MOST + 1):
        for names in combinations(alike, count):
            total = torch.stack([alike[name] for name in names]).sum(0)
            if torch.equal(total, values):
                return names
    return ()


def maps_and_spectra(result: Result, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The same of a result, of one that was saved by an earlier version by what its axes are.

    A factor over a part of the pixels' axes, as the maps of a detector in segments, will do; an
    empty tuple where none, or several, could be meant.
    """
    if name in result.roles:
        return result.roles[name]
    data = result.data[name]
    split = len(data.axes) - data.signal
    spectra = _the_one(
        result, name, [n for n in result.factors if _along(result, n, data.axes[split:])]
    )
    wide = {result.factors[n].shape[1] for n in spectra} or widths(result)
    inside = [
        n
        for n, F in result.factors.items()
        if F.ndim == 2 and F.shape[1] in wide and _runs_in(_rows(result, n), data.axes[:split])
    ]
    own = () if result.model is None else result.model.interchangeable
    mine = [n for n in inside if n in own]  # amounts of backgrounds are no maps of components
    return _the_one(result, name, mine or inside), spectra


def _the_one(result: Result, name: str, found: list[str]) -> tuple[str, ...]:
    """The only one, or that which has the data set's name: S_eels, C_a."""
    if len(found) > 1:
        ending = "_" + re.sub(r"\W", "_", name)
        found = [n for n in found if n.endswith(ending)]
    return tuple(found) if len(found) == 1 else ()


def _rows(result: Result, factor: str) -> Axes:
    return (result.axes.get(factor) or (None,))[0] or ()


def _along(result: Result, factor: str, axes: Axes) -> bool:
    return bool(axes) and _rows(result, factor) == axes and result.factors[factor].ndim == 2


def _runs_in(axes: Axes, wider: Axes) -> bool:
    return bool(axes) and all(axis in wider for axis in axes)
