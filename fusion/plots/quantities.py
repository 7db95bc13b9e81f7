"""What a factor is, in words, and in which unit its values are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.answers.roles import maps_and_spectra

if TYPE_CHECKING:
    from fusion.answers.diagnostics import DataSummary
    from fusion.answers.result import Result

SAME = 1e-4
"""Relative difference up to which columns are of one length."""


def unit_of(data: DataSummary) -> str:
    """In what the values of a data set are."""
    return "counts" if data.noise == "poisson" else "intensity"


def quantity(result: Result, name: str) -> str:
    """What the values of a factor are: of columns of length 1 or sum 1, or with the data's unit.

    Of a product one factor carries the unit of the data, the others are normalised.
    """
    values = np.asarray(result.factors[name], dtype=float)
    columns = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    seen = columns[np.isfinite(columns).all(1)]
    if len(columns) > 1 and seen.size:
        lengths = np.sqrt((seen**2).sum(0))
        if np.allclose(lengths[lengths > 0], 1.0, rtol=SAME) and (lengths > 0).any():
            return "intensity (norm.)"
        if (seen >= 0).all() and np.allclose(seen.sum(0), 1.0, rtol=SAME):
            return "share"
    units = {unit_of(data) for data in _owners(result, name)}
    return "intensity (counts)" if units == {"counts"} else "intensity (arb. units)"


def _owners(result: Result, name: str) -> list[DataSummary]:
    """The data sets of which it is a factor; all, where that is not known."""
    own = [
        data
        for key, data in result.data.items()
        if any(name in part for part in maps_and_spectra(result, key))
    ]
    return own or list(result.data.values())


def in_words(result: Result, name: str) -> str:
    """ "maps (C)", "spectra of eels (S_eels)"; the name alone of what is neither."""
    maps: dict[str, int] = {}
    spectra: list[str] = []
    for key in result.data:
        C, S = maps_and_spectra(result, key)
        if name in C:
            maps[key] = C.index(name)
        if name in S:
            spectra.append(key)
    if maps and not spectra:
        what = "maps" if min(maps.values()) == 0 else "deviation of the maps"
        return f"{what}{_of(result, list(maps), maps)} ({name})"
    if spectra and not maps:
        return f"spectra{_of(result, spectra, {})} ({name})"
    return name


def _of(result: Result, owners: Sequence[str], maps: dict[str, int]) -> str:
    """ " of eels", where not of all."""
    deviates = any(maps.values())
    if len(owners) == len(result.data) and not (deviates and len(owners) > 1):
        return ""
    return f" of {', '.join(owners)}"


def common_limits(values: Any) -> tuple[float, float]:
    """Lowest and highest of a scale for all components: from 0, or as far down as up."""
    seen = np.asarray(values, dtype=float)
    seen = seen[np.isfinite(seen)]
    most = float(np.abs(seen).max(initial=0.0)) or 1.0
    return (-most if seen.size and seen.min() < -1e-9 * most else 0.0), most


def share_of(result: Result, K: int) -> NDArray[np.float64]:
    """Share of every component in the data it explains, the mean over data sets; NaN if unknown."""
    known = [d.component_variance for d in result.data.values() if d.component_variance is not None]
    known = [np.asarray(each, dtype=float) for each in known if len(each) == K]
    return np.mean(known, axis=0) if known else np.full(K, np.nan)
