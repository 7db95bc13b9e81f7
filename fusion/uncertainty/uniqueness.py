"""Whether an answer is unique within the noise, and how that is said."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.answers.components import names_of
from fusion.answers.result import Result
from fusion.uncertainty.band import Band, two_sided_quantile
from fusion.uncertainty.standard_errors import standard_errors

Array = NDArray[Any]

ALIKE = 1.5
"""Times its error bars up to which a band counts as no wider."""
OPEN = 5
"""Times its error bars with partners held, from which those with all varying count as none."""
NOISY = 0.5
"""Of a component's area, from which a band is too wide to say anything of it."""


def determined_components(
    result: Result, bands: dict[str, Band], errors: dict[str, Array], level: float
) -> dict[str, Array]:
    """Whether the bands are about as wide as error bars with all factors varying."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            bars = standard_errors(result)
        bars = {name: two_sided_quantile(level) * bar for name, bar in bars.items()}
    except ValueError:  # too large: the error bars with the other factors held
        bars = errors
    determined = {}
    for name, (low, high) in bands.items():
        bar = np.where(np.isnan(bars[name]), errors[name], bars[name])
        held, free = np.nansum(errors[name], 0), np.nansum(np.where(np.isinf(bar), 0, bar), 0)
        open_ = np.isinf(bar).any(0) | (free > OPEN * np.where(held > 0, held, np.inf))
        wide = np.nansum(high - low, 0) > ALIKE * np.nansum(2 * np.where(np.isinf(bar), 0, bar), 0)
        determined[name] = ~(open_ | wide)
    return determined


def uniqueness_text(determined: dict[str, Array], bands: dict[str, Band], result: Result) -> str:
    """Which components are determined, in a sentence."""
    loose = {n: np.flatnonzero(~d) for n, d in determined.items() if not d.all()}
    faint = {
        n: np.flatnonzero(w > NOISY) for n, w in relative_widths(bands, result.factors).items()
    }
    faint = {n: np.setdiff1d(ks, loose.get(n, [])) for n, ks in faint.items()}
    if not loose and not any(map(len, faint.values())):
        return "unique within the noise: every band is about as wide as its error bars"
    sentences = []
    if loose:
        sentences.append(
            f"not unique: other answers fit as well within the noise ({_listed(loose, result)})"
        )
    if any(map(len, faint.values())):
        sentences.append(
            f"too noisy to tell: bands wider than half of the area ({_listed(faint, result)})"
        )
    return "; ".join(sentences)


def relative_widths(bands: dict[str, Band], factors: dict[str, Array]) -> dict[str, Array]:
    """Area of every component's band over that of the component, (K,); ∞ for one that is zero."""
    widths = {}
    for name, (low, high) in bands.items():
        band, area = np.nansum(high - low, 0), np.nansum(np.abs(factors[name]), 0)
        nothing = np.where(band > 0, np.inf, 0.0)
        widths[name] = np.where(area > 0, band / np.where(area > 0, area, 1), nothing)
    return widths


def _listed(components: dict[str, Array], result: Result) -> str:
    """ "C: components 1, 2; S: component 3" """
    called = {name: names_of(result, result.factors[name].shape[-1]) for name in components}
    return "; ".join(
        f"{name}: component{'s' * (len(ks) > 1)} {', '.join(called[name][k] for k in ks)}"
        for name, ks in components.items()
        if len(ks)
    )
