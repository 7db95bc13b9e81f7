"""What speaks against a composition: peaks without an element, formulas that would be simpler."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.elements.formula_unit import LARGEST, formula_unit, in_small_letters
from fusion.elements.peaks import explain
from fusion.simulate.xrays import detector_fwhm
from fusion.xrays.line_model import LineModel
from fusion.xrays.table import KEV

Array = NDArray[np.float64]

STANDS = 6.0
"""Standard errors of the counts by which a peak stands in the residual, to be told."""
TOLD = 3
"""Peaks that are told, at most, the clearest first."""
SIMPLE = 10
"""Atoms of a formula, up to which it speaks for itself."""
SIMPLER = 2.0
"""Times as many atoms in the formulas as found, from which others are told to be simpler."""


def peaks_without_element(summary: Any, lines: LineModel) -> Iterator[str]:
    """Peaks of the sum of all pixels that no fitted line explains and the fit leaves over.

    Args:
        summary: of the data set, as `result.data` has it, with the mean over the pixels.
        lines: that were fitted.
    """
    axis, pixels = summary.axes[-1], float(np.prod(summary.shape[:-1]))
    y, left = (
        np.nan_to_num(np.asarray(each, dtype=float)) * pixels
        for each in (summary.mean_spectrum, summary.residual_spectrum)
    )
    x = axis.values * KEV[axis.units]
    found = []
    for peak in explain(y, axis, lines.elements).unexplained:
        at = peak.position * KEV[axis.units]
        near = np.abs(x - at) <= 0.6 * float(detector_fwhm(np.array(at), noise=0.05))
        sigmas = float(left[near].sum() / np.sqrt(max(float((y - left)[near].sum()), 1.0)))
        if sigmas > STANDS:
            found.append((sigmas, at, peak.others))
    for sigmas, at, others in sorted(found, reverse=True)[:TOLD]:
        could = f" ({', '.join(others)}?)" if others else ""
        yield (
            f"a peak at {at:.3g} keV{could} is left by all fitted lines, {sigmas:.0f} standard "
            "errors high: an element may be missing from the list, or it is an escape or sum peak; "
            "`fu.elements.present(edxs)` asks the spectrum"
        )


def simpler_by_the_other_kind(
    elements: Sequence[str], masses: Array, atomic: Array, intervals: Array, kind: str
) -> Iterator[str]:
    """Whether all formulas were simpler if the k factors were of the other kind.

    Args:
        elements: names; masses: theirs, g/mol.
        atomic: (K, element) at.%; intervals: (K, element, 2).
        kind: of the k factors as they were given, "atomic" or "weight".
    """
    unit = 1 / masses if kind == "atomic" else masses
    turned = atomic * unit
    turned = 100 * turned / turned.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.where(atomic > 0, np.diff(intervals)[..., 0] / 2 * turned / atomic, 0)
    around = np.stack([(turned - half).clip(0), turned + half], -1)
    compound = [i for i, row in enumerate(atomic) if (row > 1).sum() > 1]
    kinds = sum(int((atomic[i] > 1).sum()) for i in compound)
    if len(compound) < 2 and kinds < 3:
        return
    as_found = [formula_unit(elements, atomic[i], intervals[i]) for i in compound]
    others = [formula_unit(elements, turned[i], around[i]) for i in compound]
    sizes, other_sizes = (sum(map(_size, each)) for each in (as_found, others))
    if all(_size(each) <= SIMPLE for each in others) and sizes >= SIMPLER * other_sizes:
        other = "weight" if kind == "atomic" else "atomic"
        simple = ", ".join(in_small_letters(each[0]) for each in others if each)
        yield (
            f"if the k factors were those for {other} fractions, the formulas would be simple, "
            f"{simple}: were they given as of the wrong kind? `KFactors(…, kind={other!r})`"
        )


def _size(found: tuple[str, float] | None) -> int:
    """Atoms in a formula."""
    if found is None:
        return LARGEST + 1
    return sum(int(n or 1) for n in re.findall(r"[A-Z][a-z]?(\d*)", found[0]))
