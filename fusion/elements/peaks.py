"""Which lines or edges explain the peaks of a spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.axis import Axis
from fusion.xrays.table import KEV, edges, is_energy_loss, lines

Array = NDArray[np.float64]

SIGMAS = 7.0
"""Noises from a peak to the valleys beside it; of noise alone that is 4 to 5."""
LEAST = {False: 0.002, True: 0.03}
"""Root of the highest peak, of lines and of edges, below whose share one is not looked at."""
BEFORE, BEHIND = 3.0, 35.0
"""eV by which a peak of near-edge structure may lie before and behind the onset it belongs to."""
SOUGHT = [*range(4, 43), *range(44, 61), *range(62, 84), 90, 92]
"""Atomic numbers that an unexplained peak may have: Be to U, but for what does not last."""


@dataclass(frozen=True)
class Peak:
    """One peak of a spectrum.

    Attributes:
        position: in the axis' unit; height: above zero, in the spectrum's unit.
        names: of the lines or edges that explain it, likeliest first; empty where none does.
        others: where none does, lines or edges of other elements that could, nearest first.
    """

    position: float
    height: float
    names: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Peaks(Sequence[Peak]):
    """The peaks of a spectrum, by position, and the unit of the axis they lie on."""

    peaks: tuple[Peak, ...]
    units: str

    def __len__(self) -> int:
        return len(self.peaks)

    def __getitem__(self, index: Any) -> Any:
        return self.peaks[index]

    @property
    def unexplained(self) -> tuple[Peak, ...]:
        """Those that no line or edge of the elements explains."""
        return tuple(peak for peak in self.peaks if not peak.names)

    def __str__(self) -> str:
        rows = [f"{f'peak ({self.units})':>12}  {'height':>9}  explained by"]
        for p in self.peaks:
            others = f"nothing; could be {', '.join(p.others)}" if p.others else "nothing"
            rows.append(f"{p.position:12.5g}  {p.height:9.3g}  {', '.join(p.names) or others}")
        return "\n".join(rows)

    __repr__ = __str__


def explain(
    spectrum: ArrayLike,
    axis: Axis,
    elements: str | Iterable[str],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> Peaks:
    """The peaks of a spectrum with the lines or edges of these elements that explain them.

    Peaks are looked for in the root of the spectrum, where counts have one noise; they stand seven
    noises above the valleys beside them. Of X-rays a line explains a peak that lies within
    half a detector's width (130 eV at Mn Ka); of losses an edge explains what lies from 3 eV
    before its onset to 35 eV behind, the nearest onset first.

    Args:
        spectrum: (channel,), a component's or a measured one; for edges less its background.
        axis: of the channels, in eV or keV.
        elements: that are expected.
        metadata: of the data set, whose signal type tells X-rays from losses, as for `labels`.

    Raises:
        ValueError: if the spectrum does not fit the axis, or there is no such element.
    """
    y = np.asarray(spectrum, dtype=float)
    if y.ndim != 1:
        raise ValueError(
            f"`explain`: a spectrum of shape {y.shape}: give one, such as `result['S'][:, 0]`."
        )
    axis = axis.sized(len(y))
    edged, x = is_energy_loss(axis, metadata), axis.values
    known, every = _named_energies(elements, edged), None
    peaks = []
    for i in _peak_indices(y, x * KEV[axis.units], edged):
        at = float(x[i]) * KEV[axis.units]
        names, others = _names_near(known, at, edged), []
        if not names:  # most often all have one, and lines of all elements take a while to look up
            every = _named_energies(_all_elements(), edged) if every is None else every
            others = _names_near(every, at, edged)[:4]
        peaks.append(Peak(float(x[i]), float(y[i]), tuple(names), tuple(others)))
    return Peaks(tuple(peaks), axis.units)


def _named_energies(elements: str | Iterable[str], edged: bool) -> list[tuple[float, float, str]]:
    """(keV, weight, name) of the lines or the edges."""
    if edged:
        return [(e.energy * KEV["eV"], 1.0, e.name) for e in edges(elements) if e.major]
    return [(line.energy, line.weight, line.name) for line in lines(elements, least=0.01)]


def _all_elements() -> list[str]:
    from fusion.xrays.table import tables

    return [tables().atomic_symbol(z) for z in SOUGHT]


def _names_near(known: Sequence[tuple[float, float, str]], at: float, edged: bool) -> list[str]:
    """Those that explain a peak: the nearest first, lines the stronger the farther they reach."""
    if edged:
        low, high = at - BEHIND * KEV["eV"], at + BEFORE * KEV["eV"]
        nearest = sorted((abs(at - e), name) for e, _, name in known if low <= e <= high)
    else:
        reach = _line_width(at) / 2
        nearest = sorted(
            (abs(at - e) / reach - w, name) for e, w, name in known if abs(at - e) <= reach
        )
    return [name for _, name in nearest]


def _line_width(energy: Any) -> Any:
    """Full width of a line in a detector, keV."""
    from fusion.simulate.xrays import detector_fwhm

    return detector_fwhm(np.maximum(energy, 0.0), noise=0.05)


def _peak_indices(y: Array, x: Array, edged: bool) -> list[int]:
    """Where peaks are."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    order = np.argsort(x)
    root = np.sqrt(np.clip(np.nan_to_num(y[order]), 0, None))
    step = float(np.median(np.abs(np.diff(x))))
    wide = 0.7e-3 if edged else 0.4 * float(_line_width(np.median(x)))  # keV
    sigma = max(wide / step / 2.355, 0.5)
    smooth = gaussian_filter1d(root, sigma, mode="nearest")
    curvature = root[2:] - 2 * root[1:-1] + root[:-2]
    noise = 1.4826 * float(np.median(np.abs(curvature - np.median(curvature)))) / 6**0.5
    if np.allclose(root**2, np.round(root**2)) and root.max(initial=0.0) > 1:
        noise = max(noise, 0.5)  # of counts
    noise /= (2 * np.pi**0.5 * sigma) ** 0.5  # of what is smoothed
    least = max(SIGMAS * noise, LEAST[edged] * float(smooth.max(initial=0.0)))
    peaks, _ = find_peaks(smooth, prominence=least)
    return [int(order[i]) for i in peaks]
