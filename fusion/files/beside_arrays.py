"""What lies beside an array of an npz and tells of it: axes, metadata, mask, variance.

Of an array `map`, before what has no name before it:

- `map_energy`, `map_eV`, `map_keV`, `map_wavelength`, `map_nm`, `map_wavenumber` and `energy` …:
  (channels,) positions along its last axis; `map_energy_units`, `energy_units` their unit,
  `map_energy_name` what they are;
- `map_metadata`, `metadata`: a text of JSON, as `Dataset.metadata`;
- `map_pixel_size`, `pixel_size`: the step of the scan, one number or one per axis, and
  `pixel_units`; or `nav_axes`, a text "('y', 0.5, 'nm')" per axis;
- `map_mask`, `mask`: True = left out, of pixels or of entries; `map_variance`, `variance`.

An array of the pixels of a map beside it is an image, without a spectral axis. Where no array has
two axes, those of one are spectra; one that only rises or falls, beside others, are positions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.axis_differences import is_plain_index
from fusion.algebra.unit_names import unit
from fusion.data.plain_metadata import from_text
from fusion.files.array_header import ArrayHeader
from fusion.files.beside_names import BY_UNIT, ENDING, SPECTRAL, TOLD, WORDS, is_noise
from fusion.files.calibration import axis_at, axis_name, complete_axes
from fusion.files.contents import listed
from fusion.files.noise_arrays import NOISE, fits

SCAN = ("z", "y", "x")
"""Names of vectors that hold positions of a scan, the last of them along its last axis."""


@dataclass(frozen=True)
class Calibration:
    """What is told of one array.

    Args:
        axes: of it.
        signal: how many of the last axes are spectral.
        noise: names of its "mask" and "variance" in the file.
        metadata: of the measurement.
        cautions: what does not fit it.
    """

    axes: Axes
    signal: int
    noise: dict[str, str]
    metadata: dict[str, Any]
    cautions: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken from beside it, for the history."""
        return tuple(f"{what} from {name}" for what, name in self.noise.items())


class Beside:
    """The arrays of one file, and which of them tells what of which.

    Args:
        path: of the file.
        headers: of all its arrays.
        small: those of one axis and the numbers and texts, by name.
    """

    def __init__(
        self, path: Path, headers: Sequence[ArrayHeader], small: dict[str, NDArray[Any]]
    ) -> None:
        self.path, self.headers, self.small = path, list(headers), small
        self.used: set[str] = set()

    @cached_property
    def data_sets(self) -> list[ArrayHeader]:
        """Arrays of two axes or more, and spectra with energies of their own name; else spectra."""
        whole = [h for h in self.headers if h.numeric and len(h.shape) >= 2]
        names = {h.name.casefold() for h in whole}
        spectra = [h for h in self.headers if h.numeric and self._is_spectrum(h)]
        return [h for h in whole if not is_noise(h.name, names)] + spectra or self._lone_spectra()

    def _lone_spectra(self) -> list[ArrayHeader]:
        """Arrays of one axis, where there are no others: those that are nothing for another one."""
        lone = [h for h in self.headers if h.numeric and len(h.shape) == 1 and h.shape[0] > 1]
        lone = [h for h in lone if not TOLD.search(h.name)]
        known = self._vectors
        positions = [h for h in lone if h.name in known and _monotonic(known[h.name])]
        return [h for h in lone if h not in positions] or lone

    def _is_spectrum(self, header: ArrayHeader) -> bool:
        return len(header.shape) == 1 and bool(self._own_energies(header))

    def is_meant(self, header: ArrayHeader) -> bool:
        """Whether what lies there without a name before it is its own."""
        return header.name == "data" or len(self.data_sets) == 1

    def calibration(self, header: ArrayHeader) -> Calibration:
        """Axes, mask and variance of an array.

        Raises:
            ValueError: if what is there for it does not fit.
        """
        name = self._spectral(header)
        signal = self._signal(header) if name is None else 1
        scan, cautions = self._scan(header, len(header.shape) - signal)
        spectral = [Axis("")] * signal if name is None else [self._energies(header, name)]
        axes = complete_axes([*scan, *spectral], header.shape, signal)
        metadata, unread = self._metadata(header)
        noise = self._noise(header, signal)
        return Calibration(axes, signal, noise, metadata, (*cautions, *unread))

    def unused(self) -> Iterator[str]:
        """What is there for another array by its name, and fits none; arrays of no real numbers."""
        names = {header.name for header in self.data_sets}
        rest = [h for h in self.headers if h.name not in names | self.used]
        if aside := [h for h in rest if TOLD.search(h.name)]:
            yield (
                f"{self.path.name}: {listed(aside)}: not used, as it is of no array there by its "
                "name and shape"
            )
        odd = [h for h in rest if h not in aside and len(h.shape) >= 2]
        if odd := [h for h in odd if not h.numeric]:
            yield f"left out of {self.path.name}: {listed(odd)}"

    @cached_property
    def _map_pixels(self) -> set[tuple[int, ...]]:
        return {h.shape[:-1] for h in self.data_sets if len(h.shape) >= 3}

    @cached_property
    def _vectors(self) -> dict[str, NDArray[Any]]:
        return {n: v for n, v in self.small.items() if v.ndim == 1 and v.dtype.kind in "iuf"}

    def _find(self, header: ArrayHeader, what: str) -> str | None:
        """The name of what is there for this array, else for all."""
        known = {name.casefold(): name for name in (h.name for h in self.headers)}
        return known.get(f"{header.name}_{what}".casefold(), known.get(what))

    def _own_energies(self, header: ArrayHeader) -> list[str]:
        start = f"{header.name}_".casefold()
        own = [name for name in self._vectors if name.casefold().startswith(start)]
        return [name for name in own if re.fullmatch(WORDS, name[len(start) :], re.IGNORECASE)]

    def _spectral(self, header: ArrayHeader) -> str | None:
        """Which array has the positions along the last axis; None where none is there."""
        size = header.shape[-1]
        if own := self._own_energies(header):
            if wrong := [name for name in own if self._vectors[name].size != size]:
                raise self._wrong_length(header, wrong[0])
            return own[0]
        if header.shape in self._map_pixels:
            return None
        fitting = [n for n, x in self._vectors.items() if x.size == size and n != header.name]
        bare = [name for name in fitting if re.fullmatch(WORDS, name, re.IGNORECASE)]
        like = [name for name in fitting if SPECTRAL.search(name)]
        steady = [n for n in fitting if _monotonic(self._vectors[n]) and not TOLD.search(n)]
        steady = [n for n in steady if n.lower() not in SCAN or len(header.shape) == 1]
        for some in (bare[:1], like, steady if not like else []):
            if len(some) == 1:
                return some[0]
        if self.is_meant(header) and "energy" in self._vectors:
            raise self._wrong_length(header, "energy")
        return None

    def _wrong_length(self, header: ArrayHeader, name: str) -> ValueError:
        return ValueError(
            f"{self.path}: {name} is of shape {self._vectors[name].shape}, {header.name} has "
            f"{header.shape[-1]} channels: give one energy for every channel."
        )

    def _energies(self, header: ArrayHeader, name: str) -> Axis:
        found, ending = SPECTRAL.search(name), ENDING.search(name)
        what = (found["what"] or "energy").lower() if found else ""
        names = [f"{name}_units", *([f"{what}_units"] if what else [])]
        told = next((n for n in names if n in self.small), None)
        called = self.small.get(f"{name}_name")
        self.used |= {name, f"{name}_name", *([told] if told else [])}
        units = unit(self.small[told]) if told else unit(ending[1]) if ending else ""
        bare = what or axis_name(ENDING.sub("", name)) or name
        bare = BY_UNIT.get(units, bare) if what == "energy" else bare
        bare = bare if called is None else axis_name(called)
        try:
            axis = axis_at(bare, self._vectors[name], units)
        except ValueError as error:
            raise ValueError(f"{self.path}: {name}: {error}") from error
        return Axis("") if what and is_plain_index(axis) else axis

    def _signal(self, header: ArrayHeader) -> int:
        """How many axes are spectral where no positions are told."""
        n = len(header.shape)
        if header.shape in self._map_pixels:
            return 0
        if self.is_meant(header):
            scanned = self._told_steps("nav_axes", header).size
            if 0 < scanned <= n:
                return n - scanned
            if n == 2 and self._told_steps("pixel_size", header).shape == (2,):
                return 0
            if n == 2 and all(
                axis.units or not axis.uniform or axis.scale != 1 or axis.offset
                for axis in self._positions(header, 2)
            ):
                return 0
        return 1

    def _positions(self, header: ArrayHeader, n: int) -> list[Axis]:
        """Axes of the scan at the positions of vectors called "y", "x"; no name where none fits."""
        found = []
        for name, size in zip(SCAN[len(SCAN) - n :], header.shape, strict=False):
            own = next((v for v in self._vectors if v.lower() == name), None)
            if own is None or self._vectors[own].size != size or not self.is_meant(header):
                found.append(Axis(""))
                continue
            told = f"{own}_units"
            self.used |= {own, *([told] if told in self.small else [])}
            found.append(axis_at(name, self._vectors[own], unit(self.small.get(told))))
        return found

    def _told_steps(self, what: str, header: ArrayHeader) -> NDArray[Any]:
        values = self.small.get(self._find(header, what) or "", np.array([]))
        return np.atleast_1d(values) if what == "nav_axes" else values

    def _scan(self, header: ArrayHeader, n: int) -> tuple[list[Axis], list[str]]:
        """Axes of the scan, and what does not fit them; no name where none is told."""
        named = self._find(header, "nav_axes")
        if named and n and self._told_steps("nav_axes", header).size == n:
            self.used |= {named, "pixel_size", "pixel_units"}
            with suppress(ValueError, SyntaxError, TypeError):
                entries = [ast.literal_eval(str(e)) for e in np.atleast_1d(self.small[named])]
                return [Axis(axis_name(a), float(s), units=unit(u)) for a, s, u in entries], []
        plain = self._positions(header, n) if 0 < n <= len(SCAN) else [Axis("") for _ in range(n)]
        name = self._find(header, "pixel_size")
        if name is None or name not in self.small:
            return plain, []
        size = self.small[name].squeeze() if self.small[name].size == 1 else self.small[name]
        own = name.casefold() != "pixel_size"
        meant = own or self.is_meant(header)
        if not (size.size == n if size.ndim else n >= 2 or (n == 1 and meant)):
            return plain, self._unfit(header, name, n) if meant else []
        self.used |= {name, *([units] if (units := self._find(header, "pixel_units")) else [])}
        if size.dtype.kind not in "iuf" or not (np.isfinite(size) & (size > 0)).all():
            return plain, [f"{name} of {self.path.name} is not used: no sizes above 0, but {size}"]
        told = np.atleast_1d(self.small.get(units or "", np.array("")))
        if told.size not in (1, n):
            return plain, [
                f"{name} of {self.path.name} is not used: {told.size} units for {n} axes"
            ]
        pairs = zip(np.broadcast_to(size, n), np.broadcast_to(told, n), strict=True)
        return [Axis("", float(step), units=unit(str(text))) for step, text in pairs], []

    def _unfit(self, header: ArrayHeader, name: str, n: int) -> list[str]:
        self.used |= {name, "pixel_units"}
        given, pixels = self.small[name].size, " × ".join(map(str, header.shape[:n])) or "none"
        return [
            f"{name} of {self.path.name} is not used: {given} numbers, {header.name} has {n} axes "
            f"of pixels ({pixels})"
        ]

    def _metadata(self, header: ArrayHeader) -> tuple[dict[str, Any], list[str]]:
        """What is known of the measurement, and which text tells none of it."""
        name = self._find(header, "metadata")
        text = self.small.get(name or "")
        if name is None or text is None or text.ndim or text.dtype.kind != "U":
            return {}, []
        self.used.add(name)
        try:
            return from_text(str(text)), []
        except (ValueError, RecursionError) as error:
            return {}, [f"{name} of {self.path.name} is not used: no JSON ({error})"]

    def _noise(self, header: ArrayHeader, signal: int) -> dict[str, str]:
        """Names of mask and variance."""
        known = {h.name.casefold(): h for h in self.headers}
        taken = {}
        for what in NOISE:
            own = known.get(f"{header.name}_{what}".casefold())
            bare = known.get(what)
            bare = None if bare in self.data_sets else bare
            if own is not None and not fits(what, own, header, signal):
                raise ValueError(
                    f"{self.path}: {own.name} is {own.shape} {own.dtype}, {header.name} of shape "
                    f"{header.shape}: give it the shape of the array"
                    + (", as booleans." if what == "mask" else ".")
                )
            if own is None and bare is not None and fits(what, bare, header, signal):
                own = bare if what == "mask" or self.is_meant(header) else None
            if own is not None:
                taken[what] = own.name
        self.used |= set(taken.values())
        return taken


def _monotonic(vector: NDArray[Any]) -> bool:
    """Whether it only rises or only falls, as positions do."""
    steps = np.diff(vector.astype(float))
    return bool((steps > 0).all() or (steps < 0).all())
