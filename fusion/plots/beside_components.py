"""What a model has beside its components, such as backgrounds, in rows that have its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.plots.shown_axes import shown

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Beside:
    """Parts of one data set that are none of the components.

    Attributes:
        names: of the parts; maps: (pixel, n); spectra: (channel, n).
        pixels, channels: axes of both.
        factors: that hold their amounts, and say less than these rows.
    """

    names: tuple[str, ...]
    maps: Array
    spectra: Array
    pixels: Axes
    channels: Axes
    factors: tuple[str, ...]


def beside_components(result: Result) -> list[Beside]:
    """Of every data set the parts that `Model.component_parts` names, where factors hold them.

    A factor of their amounts runs over the pixels, has a column for each, and is none of those
    whose columns are components (`Model.interchangeable`). A loaded result has no model, and none.
    """
    found: list[Beside] = []
    for name in result.data if result.model is not None else ():
        each = _beside(result, name)
        found += [each] if each is not None else []
    return found


def _beside(result: Result, name: str) -> Beside | None:
    model, data = result.model, result.data[name]
    assert model is not None
    with torch.no_grad(), model.once():
        parts = model.component_parts(name)
    if parts is None or not parts.more:
        return None
    n, split = len(parts.more), len(data.axes) - data.signal
    pixels = data.axes[:split]
    factors = tuple(
        factor
        for factor, values in result.factors.items()
        if factor not in model.interchangeable
        and values.ndim == 2
        and values.shape[1] == n
        and result.axes[factor][0] == pixels
    )
    if not factors:
        return None
    maps, spectra = (x[:, -n:].cpu().double().numpy() for x in (parts.maps, parts.spectra))
    hidden = np.isnan(result.factors[factors[0]]).any(1, keepdims=True)
    maps = np.where(hidden, np.nan, maps)
    return Beside(parts.more, maps, spectra, pixels, data.axes[split:], factors)


def held_factors(found: Sequence[Beside]) -> set[str]:
    """Names of the factors whose place such rows take."""
    return {factor for each in found for factor in each.factors}


def draw_beside(part: Any, each: Beside, widths: Sequence[float]) -> list[tuple[Any, Axes]]:
    """A row for every part: its name, its map, its spectrum; the panels of spectra, with axes.

    Args:
        part: of a figure.
        each: what is drawn.
        widths: of name, map and spectrum.
    """
    from fusion.plots import drawing as draw

    grid = part.add_gridspec(len(each.names), 3, width_ratios=widths)
    curves: list[tuple[Any, Axes]] = []
    along = shown(each.pixels), shown(each.channels)
    for row, name in enumerate(each.names):
        text = part.add_subplot(grid[row, 0])
        text.set_axis_off()
        text.text(0.0, 0.5, draw.folded(name, widths[0]), va="center", fontsize=8)
        panels = [part.add_subplot(grid[row, column]) for column in (1, 2)]
        if row == 0:
            text.set_title("beside the\ncomponents", loc="left", fontsize=7)
            panels[0].set_title("amounts")
            panels[1].set_title("spectra")
        columns = each.maps[:, row], each.spectra[:, row]
        for panel, column, axes in zip(panels, columns, along, strict=True):
            draw.factor(panel, column, axes, ends=row == len(each.names) - 1, label="arb. units")
        curves.append((panels[1], along[1]))
    return curves
