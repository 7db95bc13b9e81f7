"""Oxford Instruments' h5oina, as its published specification (version 8.0) says.

https://github.com/oinanoanalysis/h5oina: a group per acquisition, in it one per technique, each
with Data and Header; every array of Data has a row per pixel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import degrees, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.files.calibration import slug
from fusion.files.contents import StoredDataset, first_line, free_name
from fusion.files.hdf5_links import DAMAGE, numeric_arrays, opened
from fusion.files.oxford_arrays import Pixels, image, spectra
from fusion.files.path_lines import ways
from fusion.files.told_axes import text

EDS = re.compile(r"EDS(\d*)$")
IMAGES = ("SE", "BSE", "FSE")
"""Groups of electron images, by detector."""
COMPUTED = (
    *("Window Integral", "Peak Area", "Composition", "Composition Sigma"),
    *("Apparent Concentration", "K Ratio"),
)
"""Groups of images of elements, which were computed from the spectra."""
OF_A_TEM = 30.0
"""kV above which a microscope is one of transmission; the specification does not say which."""


def in_h5oina(
    path: Path, *, lazy: bool | None = None, segments: bool = False, **options: Any
) -> list[StoredDataset]:
    """X-ray spectra, electron images and images of elements of an h5oina file.

    Args:
        path: of the file.
        lazy: False: spectra are read now; otherwise where they are needed.
        segments: is of no meaning here: several detectors are several data sets.
        options: none; `dataset="/a/b"` opens any array of the file.

    Raises:
        ValueError: if it holds none of them, or not as its header says.
    """
    if options:
        raise ValueError(
            f"`load({path.name!r}, {next(iter(options))}=…)`: h5oina has no such option: it has "
            'dataset="/path" of any array in it.'
        )
    try:
        with opened(path) as file:
            if elsewhere := numeric_arrays(file)[1]:
                raise ValueError(
                    f"it leads into other files, {elsewhere[0]}, which is not followed"
                )
            slices = [text(name) for name in np.ravel(file["Index"][()])] if "Index" in file else []
            names = [name for name in slices or list(file) if name in file]
            found = [
                entry for name in names for entry in _in_slice(path, file[name], len(names) > 1)
            ]
    except DAMAGE as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: not as h5oina is ({first_line(error)}){ways(path)}") from error
    if not found:
        raise ValueError(
            f"{path}: no EDS spectra, and no electron images, as h5oina has them{ways(path)}"
        )
    return [entry.stored(lazy=lazy is not False) for entry in _named(found)]


@dataclass(frozen=True)
class Found:
    """One array of the file."""

    name: str
    pixels: Pixels
    where: str
    energy: Axis | None
    metadata: dict[str, Any]
    made_from: str = ""

    def stored(self, *, lazy: bool) -> StoredDataset:
        """As a data set, unread."""
        if self.energy is not None:
            return spectra(
                self.name, self.pixels, self.where, self.energy, self.metadata, lazy=lazy
            )
        return image(self.name, self.pixels, self.where, self.metadata, self.made_from)


def _named(found: list[Found]) -> list[Found]:
    """None of them with the name of another."""
    names: list[str] = []
    for entry in found:
        names.append(free_name(entry.name, names))
    return [
        Found(name, e.pixels, e.where, e.energy, e.metadata, e.made_from)
        for name, e in zip(names, found, strict=True)
    ]


def _in_slice(path: Path, group: Any, several: bool) -> Iterator[Found]:
    """What one acquisition holds."""
    ending = f"_{slug(group.name)}" if several else ""
    detectors = [name for name in group if EDS.match(name)]
    for technique in detectors:
        yield from _eds(path, group[technique], technique.lower(), ending)
    if "Electron Image" in group:
        technique = group["Electron Image"]
        header, data = technique["Header"], technique["Data"]
        for kind in IMAGES:
            for name in data.get(kind, ()):
                called = slug(name) or kind.lower()
                where = data[kind][name].name
                yield Found(called + ending, Pixels.of(path, header, None), where, None, {})


def _eds(path: Path, group: Any, name: str, ending: str) -> Iterator[Found]:
    """Spectra of one detector, and images of elements that were computed from them."""
    header, data = group["Header"], group["Data"]
    pixels = Pixels.of(path, header, data)
    metadata = _metadata(header)
    if "Spectrum" in data:
        energy = Axis("energy", _one(header, "Channel Width"), _one(header, "Start Channel"), "eV")
        yield Found(name + ending, pixels, data["Spectrum"].name, energy, metadata)
    several = name != "eds"
    for kind in COMPUTED:
        for key in data.get(kind, ()):
            called = slug(key if kind == COMPUTED[0] else f"{kind} {key}")
            called = f"{name}_{called}" if several else called
            where = data[kind][key].name
            yield Found(called + ending, pixels, where, None, {}, f"{kind} of {key}")


def _one(header: Any, key: str) -> float:
    """A number of a header."""
    return float(np.ravel(header[key][()])[0])


def _metadata(header: Any) -> dict[str, Any]:
    """The microscope and detector, under the names of HyperSpy."""
    known = {
        key: value
        for key in ("Beam Voltage", "Magnification", "Detector Elevation", "Detector Azimuth")
        if key in header and isfinite(value := _one(header, key))
    }
    angles = {
        "elevation_angle": known.get("Detector Elevation"),
        "azimuth_angle": known.get("Detector Azimuth"),
    }
    detector = {key: degrees(value) for key, value in angles.items() if value is not None}
    scope: dict[str, Any] = {"Detector": {"EDS": detector}} if detector else {}
    for key, name in (("Beam Voltage", "beam_energy"), ("Magnification", "magnification")):
        scope |= {name: known[key]} if key in known else {}
    kind = "TEM" if known.get("Beam Voltage", 0.0) > OF_A_TEM else "SEM"
    return {
        "Acquisition_instrument": {kind: scope},
        "Signal": {"signal_type": f"EDS_{kind}"},
    }
