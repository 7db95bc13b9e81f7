"""Elements found, not asked for: which ones X-ray spectra show, with what tells for each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import NoiseWarning, users_line
from fusion.algebra.threads import library_threads
from fusion.data.count_value import count_value_of
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.elements.found_counts import solids, sum_spectrum
from fusion.elements.found_lines import CandidateLines
from fusion.elements.found_search import Search
from fusion.elements.found_spectrum import Spectrum
from fusion.elements.found_summary import summarised
from fusion.elements.found_told import Present
from fusion.xrays.acquisition import acquisition_of
from fusion.xrays.electronics import THRESHOLD
from fusion.xrays.response import Response
from fusion.xrays.sensitivities import KFactors, as_k_factors
from fusion.xrays.table import KEV, lines, parse_names

Array = NDArray[np.float64]

HIGHEST, LEAST_RANGE = 150.0, 0.5
"""keV: an axis that ends above or below is in other units, or of another detector."""
FEW = 16
"""Channels."""


@checked_call
def present(
    edxs: Dataset,
    candidates: str | Iterable[str] | None = None,
    *,
    beam_energy: float | None = None,
    elevation: float | None = None,
    k_factors: KFactors | None = None,
) -> Present:
    """Which elements X-ray spectra of a thin specimen show, each with its evidence.

    The sum of all spectra is fitted by lines and continuum. An element is taken in where the
    likelihood rises by more than chance explains, 1 in 20 for all candidates together, against the
    best fit without it: all lines of an element count, and all else is refitted – amounts,
    calibration, absorption, continuum, escapes, coincidences, and what tables are unsure of, as
    much as they are: ratios of shells, subshells and families, energies. Where a fit is worse than
    noise, evidence is less by as much.

    Args:
        edxs: counts, a map or one spectrum, on an axis in keV or eV.
        candidates: elements to look for; None: C to U without noble gases and what does not last.
        beam_energy: keV; elevation: degrees, of the detector above the specimen's plane. None: as
            the metadata say.
        k_factors: as for `LineModel`.

    Raises:
        ValueError: if the data are no counts of X-rays of a thin specimen, the axis is in another
            unit, or a candidate has no line on it.

    Example:
        >>> found = fu.elements.present(edxs)  # doctest: +SKIP
        >>> model = fu.models.Compositions(edxs, found.elements, K=3)  # doctest: +SKIP
    """
    call = f"present({edxs.name if isinstance(edxs, Dataset) else edxs!r})"
    if not isinstance(edxs, Dataset):
        raise ValueError(
            f"`{call}`: give one data set, such as `fu.load('edxs.emd')`; of several one by its "
            "name, `fu.load(path)['eds']`."
        )
    taken = acquisition_of(call, edxs, beam_energy, elevation)
    channels, counts, seen = _sum_of(call, edxs)
    asked = _candidates(call, candidates, channels)
    known = as_k_factors(call, k_factors)
    table = CandidateLines(asked, channels, taken.beam_energy, Response(), known)
    search = Search(Spectrum(counts, seen, table, taken.beam_energy, taken.elevation))
    with library_threads(1):  # of one spectrum
        spot, found = search.run()
    return summarised(search, spot, found, limits=candidates is not None)


def _sum_of(call: str, edxs: Dataset) -> tuple[Array, Array, Array]:
    """Channels in keV, counts, and the share of pixels that is seen in each."""
    unit = _count_unit(call, edxs)
    axis = edxs.axes[-1]
    _check_energies(call, axis.units, np.sort(axis.values * KEV[axis.units]))
    channels, counts, seen = sum_spectrum(edxs, unit)
    if not counts.sum() > 0:
        raise ValueError(f"`{call}`: no counts above {THRESHOLD} keV: there is nothing to find.")
    return channels, counts, seen


def _count_unit(call: str, edxs: Dataset) -> float:
    """What a count is worth."""
    stats = tally(edxs)
    if stats.maximum == 0 and stats.minimum == 0:
        raise ValueError(f"`{call}`: all values are 0: there is nothing to find.")
    unit = count_value_of(stats)
    if unit is None:
        if stats.negatives:
            raise ValueError(
                f"`{call}`: {stats.negatives} values are negative, so they are no counts, and "
                "evidence is the likelihood of counts: give the counts as they were measured, "
                "before a background was subtracted."
            )
        raise ValueError(
            f"`{call}`: values are no whole multiples of one, so they are no counts, and evidence "
            "is the likelihood of counts: give the counts as they were measured, before division, "
            "denoising or interpolation."
        )
    if unit != 1:
        warnings.warn(
            f"`{call}`: values are multiples of {unit:.4g}: taken as counts of so much each; give "
            "the counts themselves if they are means of pixels or counts over a time.",
            NoiseWarning,
            stacklevel=users_line(),
        )
    return unit


def _check_energies(call: str, units: str, channels: Array) -> None:
    """Complain of an axis that is none of X-rays, or uneven."""
    steps = np.diff(channels)
    if channels[-1] < LEAST_RANGE or channels[-1] > HIGHEST:
        other = "keV" if units == "eV" else "eV"
        raise ValueError(
            f"`{call}`: the axis ends at {channels[-1] / KEV[units]:.4g} {units}, where detectors "
            f"of X-rays end between {LEAST_RANGE:g} and {HIGHEST:g} keV: is it in {other}? "
            f"`edxs.axes[-1].units = {other!r}`."
        )
    if len(channels) < FEW or not np.allclose(steps, np.median(steps), rtol=1e-3):
        raise ValueError(
            f"`{call}`: {len(channels)} channels, {steps.min():.3g} to {steps.max():.3g} keV apart "
            f"(median {np.median(steps):.3g}): lines need {FEW} channels or more, evenly spaced."
        )


def _candidates(call: str, given: str | Iterable[str] | None, channels: Array) -> list[str]:
    """Symbols, each with a line on the channels."""
    low, high = float(channels[0]), float(channels[-1])
    if given is None:
        return solids(low, high)
    asked = list(dict.fromkeys(element for element, _ in parse_names(call, given)))
    dark = [e for e in asked if not lines(e, (low, high))]
    if dark:
        raise ValueError(
            f"`{call}`: {', '.join(dark)}: no X-ray line between {low:.3g} and {high:.3g} keV: "
            "leave such candidates out, or give the spectrum over more energies."
        )
    return asked
