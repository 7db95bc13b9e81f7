"""Elements that are missing from a list: what the sum of all pixels shows beside all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.threads import library_threads
from fusion.data.count_value import count_value_of
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.elements.found_counts import solids, sum_spectrum
from fusion.elements.found_evidence import Evidence
from fusion.elements.found_lines import CandidateLines
from fusion.elements.found_search import MORE, Search
from fusion.elements.found_spectrum import Spectrum, Spot
from fusion.elements.found_summary import finding
from fusion.elements.found_told import Finding
from fusion.xrays.line_model import LineModel

Array = NDArray[np.float64]

STRONG = 100.0
"""2 Δ ln L from which all is refitted with an element before others are looked for."""
FEW = 16
"""Channels, with fewer of which nothing is looked for."""


def missing(edxs: Dataset, lines: LineModel) -> tuple[Finding, ...]:
    """Elements that counts show beside all that a line model was given, the clearest first.

    As `present` finds them, with these elements known beforehand: amounts, calibration, absorption,
    continuum and what tables are unsure of are fitted once more to the sum of all pixels, and may
    explain what an element would. So none is named for what a ratio of lines, or the course of the
    continuum, may as well be; chance names one in 1 of 20 spectra.

    Args:
        edxs: that was fitted; where it holds no counts nothing is looked for.
        lines: as they were fitted.
    """
    spectrum = _spectrum(edxs, lines)
    if spectrum is None:
        return ()
    known = [spectrum.lines.elements.index(e) for e in _seen(lines, spectrum)]
    search = Search(spectrum, known)
    with library_threads(1):  # of one spectrum
        spot = _settled(search, _as_fitted(search, lines))
        more = search.forward(spot, STRONG)
        spot, strong = search.backward(spot if more is spot else _settled(search, more))
        spot, weak = _with_weak(search, spot)
        found = _findings(search, spot, [*strong, *weak])
    named = [one for one in found if one.evidence > search.least]
    return tuple(sorted(named, key=lambda one: -one.evidence))


def _findings(search: Search, spot: Spot, found: Sequence[Evidence]) -> list[Finding]:
    """The same in names and counts."""
    each = search.spectrum.candidates(spot)
    counts = dict(zip(spot.active, zip(*search.counts(spot), strict=True), strict=True))
    return [finding(search, spot, each, one, *counts[one.element]) for one in found]


def _spectrum(edxs: Dataset, lines: LineModel) -> Spectrum | None:
    """The sum of all pixels, with the lines of the model's elements and all that may be there."""
    unit = count_value_of(tally(edxs))
    if unit is None:
        return None
    channels, counts, seen = sum_spectrum(edxs, unit)
    if len(channels) < FEW or not counts.sum() > 0:
        return None
    others = solids(float(channels[0]), float(channels[-1]))
    names = list(dict.fromkeys([*lines.elements, *others]))
    at = lines.acquisition
    table = CandidateLines(names, channels, at.beam_energy, lines.response, lines.k_factors)
    return Spectrum(counts, seen, table, at.beam_energy, at.elevation)


def _seen(lines: LineModel, spectrum: Spectrum) -> list[str]:
    """Elements of the model with a line on these channels."""
    return [e for e in lines.elements if e in spectrum.lines.elements]


def _as_fitted(search: Search, lines: LineModel) -> Spot:
    """Where a fit begins: detector as it was found, amounts by least squares."""
    from scipy.optimize import nnls

    spectrum, fit = search.spectrum, search.fit
    calibration, absorbers = (
        part.detach().cpu().numpy()[:, 0].astype(float)
        for part in (lines.calibration, lines.absorbers)
    )
    spot = replace(spectrum.start(), calibration=calibration, absorbers=absorbers)
    spectrum.hold(spot, everything=True)
    under, _ = spectrum.background(spot)
    parts = np.vstack([spectrum.candidates(spot)[list(search.known)], under * spectrum.seen])
    weights = np.maximum(spectrum.counts, 1.0) ** -0.5
    found, _ = nnls((parts * weights).T, spectrum.counts * weights)
    amounts = dict(zip(search.known, found[:-1].tolist(), strict=True))
    level = spot.bends + np.log(max(float(found[-1]), 1e-6))
    spot = replace(fit.with_elements(spot, amounts), bends=level)
    spectrum.hold(spot, everything=True)
    fit.weigh(spot)
    return spot


def _settled(search: Search, spot: Spot) -> Spot:
    """With shapes of all candidates made anew there."""
    spot = search.fit.settle(spot)
    search.spectrum.hold(spot, everything=True)
    return search.fit.fit(spot)


def _with_weak(search: Search, spot: Spot) -> tuple[Spot, list[Evidence]]:
    """With those that raise the likelihood a little, and what tells for each."""
    chosen, rivals = _beside(search, spot)
    while True:
        with_all = search.fit.with_elements(spot, search.amounts(spot) | chosen)
        fitted = search.fit.fit(with_all)
        ratios = {e: 2 * (search.without(fitted, e).loss - fitted.loss) for e in chosen}
        weakest = min(ratios, key=ratios.__getitem__, default=None)
        if weakest is None or ratios[weakest] > search.least:
            return fitted, [Evidence(e, ratio, *rivals[e]) for e, ratio in ratios.items()]
        del chosen[weakest]


def _beside(
    search: Search, spot: Spot
) -> tuple[dict[int, float], dict[int, tuple[int | None, float]]]:
    """{element: counts} that would raise the likelihood, and what in its place nearly would.

    To first order: one after the other, the clearest first, each beside all others.
    """
    up, bends = search.gains(spot)
    refused, chosen = set(spot.active), []
    while len(chosen) < MORE:
        z = _conditional(up, bends, chosen)
        z[[*refused, *chosen]] = -np.inf
        best = int(np.argmax(z))
        if not z[best] ** 2 * np.sign(z[best]) > search.least:
            break
        refused.add(best)
        chosen = _lasting(up, bends, [*chosen, best], search.least)
    n = np.linalg.solve(bends[np.ix_(chosen, chosen)], up[chosen])
    rivals = {e: _rival(up, bends, chosen, e, spot.active) for e in chosen}
    return dict(zip(chosen, n.tolist(), strict=True)), rivals


def _rival(
    up: Array, bends: Array, chosen: Sequence[int], e: int, active: Sequence[int]
) -> tuple[int | None, float]:
    """Another in the place of an element, and by how much of 2 Δ ln L it is worse."""
    z = _conditional(up, bends, [other for other in chosen if other != e])
    own = float(z[e]) ** 2
    z[[*active, *chosen]] = -np.inf
    rival = int(np.argmax(z))
    return (rival, own - float(z[rival]) ** 2) if z[rival] > 0 else (None, np.inf)


def _conditional(up: Array, bends: Array, chosen: Sequence[int]) -> Array:
    """(element,) counts over their error, beside those that are chosen."""
    chosen = list(chosen)
    slopes = np.linalg.solve(bends[np.ix_(chosen, chosen)], bends[chosen])
    left = up - up[chosen] @ slopes
    own = bends.diagonal()
    information = np.maximum(own - (bends[chosen] * slopes).sum(0), 1e-6 * own)
    return left / information**0.5


def _lasting(up: Array, bends: Array, chosen: list[int], least: float) -> list[int]:
    """Those that are still told beside all others."""
    while chosen:
        z = [_conditional(up, bends, [other for other in chosen if other != e])[e] for e in chosen]
        weakest = int(np.argmin(z))
        if z[weakest] > least**0.5:
            break
        chosen = [e for i, e in enumerate(chosen) if i != weakest]
    return chosen
