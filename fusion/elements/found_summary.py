"""A search for elements, told: lines that carry each, what they stand upon, limits of the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from fusion.elements.found_evidence import Evidence
from fusion.elements.found_search import Search
from fusion.elements.found_spectrum import Spot
from fusion.elements.found_told import CLOSE, Finding, Present
from fusion.xrays.line_model import GAIN, OFFSET

Array = NDArray[np.float64]

CARRIES = 0.1
"""Share of an element's information that a line has at least to be named."""
MUCH = 0.3
"""Share of what lies under an element's lines from which another element is named."""
WORSE = 1.5
"""Dispersion from which it is told."""
AWAY = 0.01
"""keV by which an axis is off, anywhere up to 10 keV, from which it is told."""


def summarised(search: Search, spot: Spot, found: Sequence[Evidence], *, limits: bool) -> Present:
    """What was found, in names and counts.

    Args:
        search: that found it; spot: its answer; found: the evidence of each.
        limits: whether candidates that were not found have one.
    """
    lines, fit = search.spectrum.lines, search.fit
    each = search.spectrum.candidates(spot)
    size = each.sum(1)
    everything = [
        finding(search, spot, each, one, counts, error)
        for one, counts, error in zip(found, *search.counts(spot), strict=True)
    ]
    named = [one for one in everything if one.evidence > search.least]
    more, error = search.scores(spot)
    z = more / error
    z[list(spot.active)] = -np.inf
    once = norm.isf(1 / max(len(z), 2))
    doubts = [one for one in everything if one not in named] + [
        finding(
            search, spot, each, Evidence(e, float(z[e]) ** 2), more[e] * size[e], error[e] * size[e]
        )
        for e in np.argsort(-z).tolist()
        if z[e] > once
    ]
    absent = [e for e in range(len(lines.elements)) if limits and e not in spot.active]
    return Present(
        tuple(sorted(named, key=lambda one: -one.counts)),
        tuple(sorted(doubts, key=lambda one: -one.evidence)),
        {lines.elements[e]: _limit(more[e], error[e]) * size[e] for e in absent},
        lines.elements,
        search.least,
        float(search.spectrum.counts.sum()),
        tuple(_messages(1 / fit.weight, spot)),
    )


def finding(
    search: Search, spot: Spot, each: Array, one: Evidence, counts: float, error: float
) -> Finding:
    """What tells for an element, in names.

    Args:
        search: of its spectrum; spot: a fit with or without it.
        each: (element, channel) one count of every candidate.
        one: the evidence; counts: of its lines, and their standard error.
    """
    names = search.spectrum.lines.elements
    close = one.rival is not None and one.gap < CLOSE
    return Finding(
        names[one.element],
        float(one.ratio) / search.dispersion_near(spot, one.element),
        _carrying(search, spot, one.element),
        float(counts),
        float(error),
        tuple(names[e] for e in _under(search, spot, each, one.element)),
        names[one.rival] if close and one.rival is not None else None,
    )


def _carrying(search: Search, spot: Spot, element: int) -> tuple[str, ...]:
    """Names of the lines with the most information about an element."""
    spectrum = search.spectrum
    expected, _ = spectrum.expected(spot)
    photons, _ = spectrum.photons(spot)
    groups = spectrum.lines.of(element)
    shape = photons[groups, None] * spectrum.shapes(spot, groups)
    names = [spectrum.lines.groups[g].name for g in groups]
    by = {
        name: shape[[i for i, other in enumerate(names) if other == name]].sum(0)
        for name in dict.fromkeys(names)
    }
    information = {name: float((row**2 / expected).sum()) for name, row in by.items()}
    whole = sum(information.values())
    strong = sorted(information, key=lambda name: -information[name])
    return tuple(name for name in strong if information[name] > CARRIES * whole)


def _under(search: Search, spot: Spot, each: Array, element: int) -> list[int]:
    """Others that send much of what lies under the lines of an element, most first."""
    expected, changes = search.spectrum.expected(spot)
    weight = each[element] / max(float(each[element].sum()), 1e-12)
    own = 0.0
    parts = {}
    for e, n, row in zip(spot.active, spot.n, changes, strict=False):
        if e == element:
            own = float(weight @ row) * n
        else:
            parts[e] = float(weight @ row) * n
    below = max(float(weight @ expected) - own, 1e-12)
    return sorted((e for e in parts if parts[e] > MUCH * below), key=lambda e: -parts[e])


def _limit(n: float, error: float) -> float:
    """95 % of a normal distribution of amounts that is cut at 0."""
    inside = float(norm.sf(-n / error))
    return float(n + error * norm.isf(0.05 * inside)) if inside > 1e-12 else float(error)


def _messages(dispersion: float, spot: Spot) -> list[str]:
    told = []
    if dispersion > WORSE:
        told.append(
            f"The fit is off by {dispersion**0.5:.1f} times the noise of the counts: evidence is "
            "divided by the square of that. Something is in the spectrum that is not in the model."
        )
    offset, gain = OFFSET * spot.calibration[0], GAIN * spot.calibration[1]
    if max(abs(offset), abs(offset + 10 * gain)) > AWAY:
        told.append(f"The axis is off: lines lie at {1e3 * offset:+.1f} eV + {1 + gain:.5f} E.")
    return told
