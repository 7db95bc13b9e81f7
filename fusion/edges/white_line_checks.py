"""What is wrong with windows, spectra and lines that white lines are asked of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.cautions import ClaimWarning
from fusion.algebra.units import ratio
from fusion.answers.measured import metadata_along
from fusion.data.signal_type import has_edges
from fusion.edges.channel_spectra import ChannelSpectra, Window
from fusion.edges.maxima import Top
from fusion.edges.tables import with_error

Array = NDArray[np.float64]

SUBSHELL = re.compile(r"(?:.*[^A-Za-z])?([L-O])([1-7])$")
"""How the name of a line ends: "L3", "Mn_L3"."""
LEAST = 3.0
"""Standard errors by which both lines stand out, for their ratio to be told."""
DOWN = 0.05
"""Share of both areas, from which on steps that lead down are told."""


def check_order(spectra: ChannelSpectra, windows: dict[str, Window], before: Window | None) -> None:
    """A caution where windows overlap, or do not follow each other."""
    named = windows if before is None else {"before": before, **windows}
    ends = [(-np.inf if a is None else a, np.inf if b is None else b) for a, b in named.values()]
    names = list(named)
    for i in range(len(names) - 1):
        if ends[i][1] > ends[i + 1][0]:
            what = "overlap" if ends[i + 1][1] > ends[i][0] else "do not follow each other"
            spectra.caution(
                f"the windows {names[i]} ({ends[i][0]:g} to {ends[i][1]:g}) and {names[i + 1]} "
                f"({ends[i + 1][0]:g} to {ends[i + 1][1]:g}) {what}: what is in both is counted "
                "twice, or as its own background",
                ClaimWarning,
            )


def check_scattering(spectra: ChannelSpectra) -> None:
    """A caution where spectra of EELS hold plural scattering."""
    result, factor = spectra.result, spectra.factor
    loss = has_edges(spectra.axis, metadata_along(result, result.axes[factor][0]))
    if result.model is None or not loss or factor in result.model.single_scattering:
        return
    spectra.caution(
        f"{factor} of this model holds plural scattering, which moves electrons from the lines "
        "behind them, more where it is thicker, and changes ratios: with the low loss of the same "
        "pixels `fusion.models.DualEELS(core, low, K)` has spectra without it",
        ClaimWarning,
    )


def which_are_told(
    spectra: ChannelSpectra, names: Sequence[str], values: Array, errors: Array
) -> NDArray[np.bool_]:
    """(n,) whether both lines stand out, and a caution where they do not."""
    known = np.isfinite(errors)  # an area whose scale is open may have a ratio that is not
    seen = values[:, :2] > LEAST * np.where(known[:, :2], errors[:, :2], 0)
    ratio, error = values[:, 2], np.where(np.isnan(errors[:, 2]), 0, errors[:, 2])
    told = np.asarray(seen.all(1) & (LEAST * error < ratio))
    for k in np.flatnonzero(~told):
        sizes = ", ".join(
            f"{name} is {with_error(v, e)}"
            for name, v, e in zip(names, values[k, :2], errors[k, :2], strict=True)
        )
        spectra.caution(
            f"{spectra.names[k]}: the ratio is not determined, as not both lines stand out by "
            f"{LEAST:g} standard errors: {sizes}",
            ClaimWarning,
        )
    return told


def check_steps(
    spectra: ChannelSpectra,
    k: int,
    names: Sequence[str],
    tops: Sequence[Top],
    channels: int,
    values: Array,
    errors: Array,
) -> None:
    """A caution where a step cannot stand where it does, or leads downwards."""
    if ends := [line for line, top in zip(names, tops, strict=False) if top.at_end]:
        spectra.caution(
            f"{spectra.names[k]} is highest at an end of the window of {' and '.join(ends)}, where "
            "its step stands: the window cuts the line: move it, or give `maxima`",
            ClaimWarning,
        )
    if values[6] < -LEAST * errors[6] and -values[6] * channels > DOWN * values[:2].sum():
        spectra.caution(
            f"{spectra.names[k]}: steps lead down, by {with_error(-values[6], errors[6])}: what "
            "lies before the lines falls faster than A E^−r does, or `behind` is too far",
            ClaimWarning,
        )


def checked_width(spectra: ChannelSpectra, width: Any) -> float:
    """The width of steps, if it is one; 1 eV where none was given."""
    if width is None:
        return ratio(spectra.axis.units, "eV") or 1.0
    if not (isinstance(width, int | float) and np.isfinite(width) and width >= 0):
        raise ValueError(f"`white_lines(width={width!r})`: a width is 0 or more; 0 is sharp.")
    return float(width)


def checked_maxima(maxima: Any, windows: Sequence[Array]) -> tuple[float, float] | None:
    """The energies of two steps, each in the window of its line, if they were given."""
    if maxima is None:
        return None
    pair = isinstance(maxima, tuple | list) and len(maxima) == 2
    if not pair or not all(
        isinstance(x, int | float | np.number) and np.isfinite(x) for x in maxima
    ):
        raise ValueError(
            f"`white_lines(maxima={maxima!r})`: give the energies of both, the lower one first: "
            "maxima=(641.0, 652.0)."
        )
    for x, energies in zip(maxima, windows, strict=True):
        if not energies.min() <= x <= energies.max():
            raise ValueError(
                f"`white_lines(maxima={maxima!r})`: {x:g} is not in the window of its line, "
                f"{energies.min():g} to {energies.max():g}: maxima=(641.0, 652.0)."
            )
    return float(maxima[0]), float(maxima[1])


def subshells(lines: dict[str, Window]) -> tuple[tuple[str, str], tuple[int, int]]:
    """Names of the two lines, the one of lower energy first, and electrons of their subshells."""
    found = {name: match for name in lines if (match := SUBSHELL.match(name))}
    shells = {match[1] for match in found.values()}
    order = sorted(found, key=lambda name: -int(found[name][2]))
    if len(lines) != 2 or len(found) != 2 or len(shells) != 1 or found[order[0]][2] == "1":
        raise ValueError(
            f"`white_lines({', '.join(f'{name}=…' for name in lines)})`: give the windows of two "
            "lines of one shell by their names: L3=(640, 648), L2=(650, 658), or M5=…, M4=…"
        )
    numbers = [int(found[name][2]) for name in order]
    electrons = [2 * -(-n // 2) for n in numbers]  # 2j + 1: 2 of L2, 4 of L3 and M4, 6 of M5
    return (order[0], order[1]), (electrons[0], electrons[1])
