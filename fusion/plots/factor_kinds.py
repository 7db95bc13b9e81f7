"""Which factors of a result are maps, and which are spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.answers.components import index_of

if TYPE_CHECKING:
    from fusion.answers.result import Result


def maps(call: str, result: Result, factor: str | None) -> tuple[str, NDArray[Any], Axes]:
    """(name, (rows, columns, K) maps, their two axes); further axes are averaged over.

    Raises:
        ValueError: if there is no factor over the pixels of an image.
    """
    name, axes = _factor_axes(call, result, factor or _first_factor(result, 0), "maps")
    if len(axes) < 2:
        raise ValueError(
            f"`{call}`: {name!r} runs along {len(axes)} axes: an image has two: use "
            "`plot_spectra(result, factor=…)` for curves."
        )
    from fusion.plots.drawing import finite_mean

    values = np.asarray(result.factors[name], dtype=float)
    values = values.reshape([axis.size or 1 for axis in axes] + [values.shape[1]])
    while values.ndim > 3:
        values = finite_mean(values)
    return name, values, axes[-2:]


def curves(call: str, result: Result, factor: str | None) -> tuple[str, NDArray[Any], Axes]:
    """(name, (n, K) curves, their one axis): of spectra, if no factor is named.

    Raises:
        ValueError: if there is no factor along one axis.
    """
    name, axes = _factor_axes(call, result, factor or _first_factor(result, 1), "spectra")
    if len(axes) != 1:
        raise ValueError(
            f"`{call}`: {name!r} runs along {len(axes)} axes: a curve has one: use "
            "`plot_overlay(result, factor=…)` for maps."
        )
    return name, np.asarray(result.factors[name], dtype=float), axes


def _first_factor(result: Result, which: int) -> str | None:
    """The first factor of several components over pixels (0) or channels (1)."""
    for data in result.data.values():
        split = len(data.axes) - data.signal
        wanted = (data.axes[:split], data.axes[split:])[which]
        for name, modes in result.axes.items():
            if modes[0] == wanted and wanted and result.factors[name].ndim == 2:
                return name
    return None


def _factor_axes(call: str, result: Result, name: str | None, what: str) -> tuple[str, Axes]:
    """A factor, and what its rows run along, axes of one entry left out."""
    if name is None:
        raise ValueError(
            f"`{call}`: no factor of this result holds {what}: name one of "
            f"{', '.join(result.factors)}."
        )
    if name not in result.factors:
        raise ValueError(
            f"`{call}`: no factor {name!r}; the result has {', '.join(result.factors)}."
        )
    axes = result.axes.get(name, (None,))[0] or ()
    return name, tuple(a for a in axes if (a.size or 1) > 1)


def components(call: str, called: Sequence[str], chosen: Sequence[int | str] | None) -> list[int]:
    """Columns of the components that were chosen by name, or by number from 1; from 0.

    Args:
        call: what is complained of.
        called: the names, or numbers, of all.
        chosen: names and numbers; default: all.

    Raises:
        ValueError: if there is no such component, or none was chosen.
    """
    if chosen is None:
        return list(range(len(called)))
    told = f"{call}(components={chosen if isinstance(chosen, str) else list(chosen)!r})"
    if isinstance(chosen, str) or not len(chosen):
        raise ValueError(f"`{told}`: give a list of names, or of numbers from 1 to {len(called)}.")
    return [index_of(told, called, each) for each in chosen]
