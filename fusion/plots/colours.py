"""One colour for a component, in maps and spectra, on paper and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.plots.style import COMPONENTS, DASHES, MOST

Array = NDArray[Any]

DARK, TURN = (0.04, 0.045, 0.06), 0.62  # where nothing is; share of the range at the pure colour
TOP = 99.8  # percentile of a map at full brightness: a hot pixel does not set the scale


def colour(k: int) -> str:
    """Of component k."""
    return COMPONENTS[k % len(COMPONENTS)]


def own_colours(chosen: Sequence[int]) -> list[str]:
    """Of components over each other, up to six: their own, or a free one where two are alike."""
    taken: list[str] = []
    for k in chosen:
        free = [c for c in COMPONENTS if c not in taken]
        own = colour(k)
        others = [colour(other) for other in chosen if other < MOST]
        good = own in free and (k < MOST or own not in others)
        taken.append(own if good else next(c for c in free if c not in others))
    return taken


def dash(k: int) -> Any:
    """Line style of component k."""
    return DASHES[k // len(COMPONENTS) % len(DASHES)]


def rgb(name: str) -> Array:
    """A colour "#rrggbb" as (3,) from 0 to 1."""
    return np.array([int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def ramp(name: str) -> Any:
    """From black through a colour nearly to white, ever lighter, as a matplotlib colormap."""
    from matplotlib.colors import LinearSegmentedColormap

    light = tuple(0.12 * rgb(name) + 0.88)
    stops = [(0.0, DARK), (TURN, tuple(rgb(name))), (1.0, light)]
    return LinearSegmentedColormap.from_list(f"black to {name}", stops)


def overlay(maps: Array, colours: Sequence[str], *, nothing: float = 0.8) -> Array:
    """Maps in their colours, added; where that is too bright the hue is kept.

    Args:
        maps: (…, K), each from 0 to its 99.8th percentile; what is NaN in all of them is grey.
        colours: K of them, "#rrggbb".
        nothing: grey of what is NaN.

    Returns:
        (…, 3) from 0 to 1.
    """
    maps = np.asarray(maps, dtype=float)
    flat = maps.reshape(-1, maps.shape[-1])
    high = np.array([_full_brightness(column) for column in flat.T])
    shares = np.nan_to_num(np.clip(maps / high, 0.0, 1.0))
    mixed = shares @ np.stack([rgb(name) for name in colours])
    mixed = np.maximum(mixed / np.maximum(mixed.max(-1, keepdims=True), 1.0), DARK)
    return np.where(np.isfinite(maps).any(-1, keepdims=True), mixed, nothing)


def _full_brightness(column: Array) -> float:
    """Value at full brightness."""
    seen = column[np.isfinite(column)]
    if not seen.size:
        return 1.0
    most, high = float(seen.max()), float(np.percentile(seen, TOP))
    return (high if most > 1.5 * high > 0 else most) or 1.0
