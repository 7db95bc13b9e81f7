"""Rows on the shared maps: compositions, intervals, the detector and the mass thickness."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from benchmarks.science import edxs_product as product
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.edxs_scores import (
    against,
    bias,
    coverage,
    relative_rms,
    scale_holds,
    within_errors,
)
from benchmarks.science.edxs_simulator import (
    Instrument,
    Specimen,
    as_tabulated,
    bremsstrahlung,
    characteristic,
)
from benchmarks.science.rows import Row

Measured = tuple[str, bool | None]

PEAKS = (0.45, 0.52, 0.70, 1.25, 1.49, 1.74, 1.81, 1.87, 4.51, 4.93, 6.40, 7.06)
"""keV of the peaks of `edxs_phases`."""
OFFSET, GAIN = 0.3e-3, 2e-4


def simulator(runs: Runs) -> Measured:
    """The own simulator beside the expected counts, scaled in lines and continuum."""
    case, energy = runs.phases, runs.phases.channels
    seen_by = Instrument(offset=case.offset, gain=case.gain, filling=as_tabulated)
    specimen = Specimen(case.elements, case.amounts.T @ (case.atomic / 100))
    parts = [make(seen_by, specimen, energy).sum(0) for make in (characteristic, bremsstrahlung)]
    total = runs.expected.sum((0, 1))
    made = np.stack(parts, 1) @ nnls(np.stack(parts, 1), total)[0]
    off = [abs(made[i] / total[i] - 1) for i in (np.abs(energy - at).argmin() for at in PEAKS)]
    return f"{100 * max(off):.2f} % ({PEAKS[int(np.argmax(off))]:g} keV)", max(off) <= 0.01


def default(runs: Runs) -> Measured:
    """`edxs_phases` by the default call."""
    one = runs.beside(runs.default)
    return f"{one.worst:.2f} at.%; {100 * one.inside[one.truth > 0].mean():.0f} % inside", (
        one.worst <= 1.0
    )


def draws_worst(runs: Runs) -> Measured:
    """The worst error of every draw."""
    worst = np.array([runs.beside(found).worst for found in runs.drawn])
    share = float((worst <= 1.0).mean())
    said = f"{100 * share:.0f} % of {len(worst)}; median {np.median(worst):.2f}, most"
    return f"{said} {worst.max():.2f} at.%", share >= 0.9


def draws_coverage(runs: Runs) -> Measured:
    """Intervals of at.% that are not 0."""
    each = coverage([runs.beside(found) for found in runs.drawn])
    share = float(np.nanmean(each))
    said = f"{100 * share:.1f} % ({_lowest(runs, each)})"
    return said, 0.90 <= share <= 0.98


def draws_bias(runs: Runs) -> Measured:
    """Mean errors of at.% that are not 0 over the errors claimed."""
    each = np.abs(bias([runs.beside(found) for found in runs.drawn]))
    worst = float(np.max(np.where(runs.phases.atomic > 0, each, 0.0)))
    where = place_of(runs, np.nan_to_num(each))
    return f"worst {worst:.2f} ({where}), mean {np.nanmean(each):.2f} sd", worst <= 0.4


def wrong_oxygen(runs: Runs) -> Measured:
    """Intervals where k(O) is wrong by as much as is said of it."""
    each = coverage([runs.beside(found) for found in runs.with_wrong_oxygen])
    oxygen = each[:, runs.phases.elements.index("O")]
    said = f"{100 * np.nanmean(each):.1f} %; O {100 * oxygen.min():.0f} % or more"
    passed = np.nanmean(each) >= 0.9 and oxygen.min() >= 0.9
    return f"{said} ({_lowest(runs, each)})", bool(passed)


def calibration(runs: Runs) -> Measured:
    """Offset and gain from a start that is off, and their intervals."""
    found = list(runs.miscalibrated())
    offset = np.array([one.offset - at for at, _, one in found])
    gain = np.array([one.gain - at for _, at, one in found])
    held = [within_errors(off, one[2].offset_error) for off, one in zip(offset, found, strict=True)]
    held += [within_errors(off, one[2].gain_error) for off, one in zip(gain, found, strict=True)]
    most = np.abs(offset).max(), np.abs(gain).max()
    said = f"{1e3 * most[0]:.2f} eV, {most[1]:.1e}; {sum(held)} of {len(held)} intervals"
    return said, bool(most[0] <= OFFSET and most[1] <= GAIN and np.mean(held) >= 0.8)


def draws_calibration(runs: Runs) -> Measured:
    """Intervals of offset and gain, from the axis of the file."""
    case = runs.phases
    offset = [within_errors(one.offset - case.offset, one.offset_error) for one in runs.drawn]
    gain = [within_errors(one.gain - case.gain, one.gain_error) for one in runs.drawn]
    share = float(np.mean(offset)), float(np.mean(gain))
    return f"{100 * share[0]:.0f} %, {100 * share[1]:.0f} %", min(share) >= 0.88


def thickness(runs: Runs) -> Measured:
    """Mass thickness of pixels, with a prior that maps are smooth, as far as counts say so."""
    case = runs.phases
    k, data = product.k_factors(case.k), case.dataset(case.counts)
    told = data, case.elements, len(case.atomic), k
    neighbours = product.chosen_neighbours(*told)
    found = product.compositions(*told, neighbours=neighbours)
    if found.mass_thickness is None:
        return "no mass thickness", False
    seen = runs.seen
    rms = relative_rms(found.mass_thickness[seen], case.mass_thickness[seen])
    plain = relative_rms(runs.default.mass_thickness[seen], case.mass_thickness[seen])
    said = f"{100 * rms[0]:.1f} %, {100 * rms[1]:.1f} % after × {rms[2]:.3f}"
    said += f"; neighbours within {neighbours:g} by held-out counts"
    beside = f"without the prior {100 * plain[0]:.1f} %, {100 * plain[1]:.1f} %"
    return f"{said} ({beside})", rms[0] <= 0.10 and rms[1] <= 0.04


def thickness_scale(runs: Runs) -> Measured:
    """The scale of mass thickness and its interval, draw by draw."""
    truth, seen = runs.phases.mass_thickness, runs.seen
    held = [scale_holds(found, truth, seen) for found in runs.drawn]
    return f"{100 * np.mean(held):.0f} % of {len(held)}", bool(np.mean(held) >= 0.88)


def fused_alone(runs: Runs) -> Measured:
    """A tenth of the dose."""
    case = runs.fused
    found = runs.compositions(case.dataset(case.counts), case)
    one = against(found, case.elements, case.atomic)
    return f"{one.worst:.2f} at.%", one.worst <= 1.5


def seconds(runs: Runs) -> Measured:
    """The default call."""
    spent = runs.default
    said = f"{spent.seconds:.1f} s ({spent.processor:.1f} s of the processor)"
    return said, spent.seconds <= 10


def place_of(runs: Runs, values: np.ndarray) -> str:
    """“O of phase 2”: of the largest."""
    phase, element = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return f"{runs.phases.elements[element]} of phase {phase + 1}"


def _lowest(runs: Runs, shares: np.ndarray) -> str:
    return f"least {100 * np.nanmin(shares):.0f} %, {place_of(runs, -shares)}"


ROWS = (
    Row("simulator", "own simulator beside `edxs_phases`: peaks", "≤ 1 %", simulator),
    Row("default", "`edxs_phases`, default call: worst at.%", "≤ 1.0 off", default),
    Row("draws", "draws: worst at.% ≤ 1.0 off", "in ≥ 90 %", draws_worst),
    Row("coverage", "draws: 95 % intervals of at.% that hold", "90 to 98 %", draws_coverage),
    Row("bias", "draws: mean error over the claimed", "≤ 0.4 sd each", draws_bias),
    Row("oxygen", "draws, k(O) 5 % wrong and said so", "≥ 90 % inside", wrong_oxygen),
    Row("calibration", "offset, gain from 8 eV and 0.3 % off",
        "≤ 0.3 eV, ≤ 2e-4, ≥ 80 % inside", calibration),
    Row("detector", "draws: intervals of offset, gain", "≥ 88 %", draws_calibration),
    Row("thickness", "mass thickness of ≥ 50 counts, smooth", "≤ 10 %, ≤ 4 % after a scale",
        thickness),
    Row("scale", "draws: scale of mass thickness inside", "≥ 88 %", thickness_scale),
    Row("fused", "`fused_adf`, spectra alone: worst at.%", "≤ 1.5 off", fused_alone),
    Row("seconds", "`edxs_phases`, default call: time", "≤ 10 s", seconds),
)  # fmt: skip
