"""What speaks against a composition: peaks without an element, charges that do not add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fusion.elements.found_told import Finding
from fusion.elements.peaks import explain
from fusion.elements.stoichiometry import CHARGES, FoundOxygen, in_charges
from fusion.simulate.xrays import detector_fwhm
from fusion.xrays.table import KEV

Array = NDArray[np.float64]

STANDS = 6.0
"""Standard errors of the counts by which a peak stands in the residual, to be told."""
TOLD = 3
"""Peaks that are told, at most, the clearest first."""
NAMED = 4
"""Missing elements that are named, at most, the clearest first."""
OFF, NEUTRAL = 4.0, 2.5
"""Standard errors of the charges from which they do not add up, and up to which they do."""
LEAST = 0.04
"""Share of the charges by which an oxide may be off for reasons of its own."""
APART = 3.0
"""Standard errors from which oxygen by its line is not that of stoichiometry."""
THERE = 1.0
"""at.% above which an element counts."""


def missing_told(found: Sequence[Finding]) -> Iterator[str]:
    """Elements that are not in the list and that the counts show.

    Args:
        found: beside what was fitted, the clearest first.
    """
    if not found:
        return
    each = [_with_evidence(one) for one in found[:NAMED]]
    more = len(found) - len(each)
    each += [f"{more} more (`.missing`)"] if more else []
    them, their = ("it", "its") if len(found) == 1 else ("them", "their")
    known = [e for one in found[:NAMED] for e in one.upon if all(e != f.element for f in found)]
    upon = in_a_row(list(dict.fromkeys(known)), "and")
    doubt = f"; upon {upon} they may be what tables lack of that" if upon else ""
    yield (
        f"the sum of all pixels shows what the list lacks, {in_a_row(each, 'and')}: add {them} (to "
        f"`others` if of grid or holder), or what lies near {their} lines is biased{doubt}"
    )


def _with_evidence(one: Finding) -> str:
    rival = f" or {one.rival}" if one.rival else ""
    upon = f", upon {' and '.join(one.upon)}" if one.upon else ""
    return f"{one.element}{rival} ({one.sigmas:.1f} σ{upon})"


def in_a_row(names: Sequence[str], last: str) -> str:
    """ "Nb, Zr or Si"."""
    *most, end = names or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def peaks_without_element(summary: Any, elements: Sequence[str]) -> Iterator[str]:
    """Peaks of the sum of all pixels that no line explains and the fit leaves over.

    Args:
        summary: of the data set, as `result.data` has it, with the mean over the pixels.
        elements: that were fitted, or are told to be missing.
    """
    axis, pixels = summary.axes[-1], float(np.prod(summary.shape[:-1]))
    y, left = (
        np.nan_to_num(np.asarray(each, dtype=float)) * pixels
        for each in (summary.mean_spectrum, summary.residual_spectrum)
    )
    x = axis.values * KEV[axis.units]
    found = []
    for peak in explain(y, axis, elements).unexplained:
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


def charges_of_the_other_kind(
    elements: Sequence[str], masses: Array, atomic: Array, errors: Array, kind: str
) -> Iterator[str]:
    """Whether charges add up to nothing in all oxides only with k factors of the other kind.

    Of an oxide Σ n z = 2 n(O), z being the usual charges of its cations. At.% by k factors for
    weight that were taken for atomic ones, or the other way about, are off by the masses.

    Args:
        elements: names; masses: theirs, g/mol.
        atomic: (K, element) at.%; errors: (K, element) standard errors.
        kind: of the k factors as they were given, "atomic" or "weight".
    """
    unit = 1 / masses if kind == "atomic" else masses
    turned = atomic * unit
    scale = 100 / turned.sum(1, keepdims=True)
    as_found = [_imbalance(elements, *row) for row in zip(atomic, errors, strict=True)]
    others = [
        _imbalance(elements, *row)
        for row in zip(turned * scale, errors * unit * scale, strict=True)
    ]
    oxides = [i for i, found in enumerate(as_found) if found is not None]
    if not oxides or any(others[i] is None for i in oxides):
        return
    wrong = [cast(float, as_found[i]) > OFF for i in oxides]
    right = [cast(float, others[i]) <= NEUTRAL for i in oxides]
    if all(wrong) and all(right):
        other = "weight" if kind == "atomic" else "atomic"
        yield (
            f"charges of the oxides do not add up, and would with k factors for {other} fractions: "
            f"were these given as of the wrong kind? `KFactors(…, kind={other!r})`"
        )


def oxygen_apart(names: Sequence[str], oxygen: FoundOxygen) -> Iterator[str]:
    """In which components oxygen by its line is not what charges want.

    Args:
        names: of the components.
        oxygen: of all of them.
    """
    gap, errors = oxygen.apart, oxygen.apart_errors
    told = [
        f"{name} {line:.1f} by its line, {line + by:.1f} by charges ({abs(by) / error:.1f} σ)"
        for name, line, by, error in zip(names, oxygen.by_line, gap, errors, strict=True)
        if abs(by) > APART * error
    ]
    if told:
        yield (
            f"oxygen by stoichiometry ({in_charges(oxygen.valences)}) is not what its line tells, "
            "so that valences, absorption or the k factor of O are wrong, or not all of it is "
            f"oxide: at.% of {', '.join(told)}"
        )


def _imbalance(elements: Sequence[str], atomic: Array, errors: Array) -> float | None:
    """Standard errors by which charges are off, at the nearest; None where that says nothing."""
    there = {e: j for j, e in enumerate(elements) if atomic[j] > THERE}
    cations = [e for e in there if e != "O"]
    if "O" not in there or not cations or any(e not in CHARGES for e in cations):
        return None
    low, high = (sum(atomic[there[e]] * CHARGES[e][end] for e in cations) for end in (0, 1))
    needed = 2 * atomic[there["O"]]
    weights = np.array([2.0 if e == "O" else CHARGES.get(e, (0, 0))[1] for e in elements])
    spread = float(np.sqrt(np.square(weights * errors).sum() + (LEAST * needed) ** 2))
    return float(max(low - needed, needed - high, 0.0)) / spread
