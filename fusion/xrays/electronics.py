"""Where an X-ray spectrum is of X-rays: above what the detector's electronics write about 0."""

from __future__ import annotations

from collections.abc import Iterable

from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.prepare.zero_peak import zero_peak
from fusion.xrays.table import KEV

THRESHOLD = 0.2
"""keV; below it discriminators act, which no table tells."""
SOFTEST = 0.15
"""keV below which no line is looked for: valence electrons send them, and tables end."""


def begins_at(edxs: Dataset, elements: Iterable[str]) -> float | None:
    """Where spectra with a zero peak are to begin, in the axis's unit; None where there is none.

    Args:
        edxs: X-ray counts.
        elements: that are looked for: that of boron is the one K line below the threshold.
    """
    axis = edxs.axes[-1]
    peak = zero_peak(edxs, tally(edxs))
    if peak is None or axis.units not in KEV:
        return None
    first = SOFTEST if "B" in set(elements) else THRESHOLD
    foot = float(axis.values[min(peak.last + 1, len(axis.values) - 1)]) * KEV[axis.units]
    return max(first, foot) / KEV[axis.units]
