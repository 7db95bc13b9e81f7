"""Which axes of an array are spectral: by unit, type, format and name, before any flag.

Readers flag axes as navigation or signal as their viewer shows them, a stack of images, say, for
what was measured as a map of spectra. What the axes are is told better by, in this order:

1. their units: an energy or a wavenumber;
2. the type of the signal (EELS, EDS, CL …): one spectral axis, and the word of the file's format;
3. their names: "wavelength", "energy" …;
4. the flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fusion.algebra.unit_names import LENGTHS, SPECTRAL, clean

Entry = Mapping[str, Any]

ONE_AXIS = ("EELS", "EDS", "CL", "PL", "RAMAN", "XPS", "XAS", "XRF", "AES", "SIMS", "LUMINESCENCE")
"""Types of signal that are spectra, by their beginning."""
FULL_NAME = re.compile(
    r"energy|loss|wave ?(length|number)|raman|binding|m/z|lambda|λ", re.IGNORECASE
)
"""Names that only a spectral axis has; what tifffile joins with "|" is no name."""
FAINT_NAME = re.compile(r"shift|frequency|channel", re.IGNORECASE)
"""Names that spectral axes have, and others: for where nothing is flagged."""
OF_THE_BEAM = re.compile(r"beam|incident|excitation|primary", re.IGNORECASE)
"""Names of energies that are set, not measured."""
SPATIAL_NAMES = ("x", "y", "width", "height", "kx", "ky", "qx", "qy")
SPATIAL_UNITS = (*LENGTHS, "px", "pixel", "pixels", "1/nm", "1/Å", "mrad", "deg")
RECIPROCAL = ("1/nm", "1/Å", "mrad")
FORMATS = {"Spectrum image": "spectra", "Spectrum": "spectra", "Image": "image"}
"""DigitalMicrograph's own word for what an array is."""


def signal_axes(entry: Entry, axes: Sequence[Entry], units: Sequence[str]) -> list[int]:
    """Which axes of the array are spectral, in the order of the array.

    Args:
        entry: RosettaSciIO's dictionary.
        axes: its axes, one per axis of the array, in the array's order.
        units: theirs, as this project writes them.
    """
    n = len(axes)
    flagged = [i for i in range(n) if not axes[i].get("navigate", False)]
    by_unit = [i for i in range(n) if units[i] in SPECTRAL]
    series = [i for i in by_unit if _is_set(axes, units, i, flagged)]
    if len(by_unit) == 1 and not series:
        return by_unit
    kind, word = signal_type(entry), _format_word(entry)
    one = kind.startswith(ONE_AXIS) or word == "spectra" or record_by(entry) == "spectrum"
    energies = kind.startswith(("EELS", "EDS"))  # which no axis in nm has
    possible = [i for i in range(n) if not (energies and units[i] in LENGTHS)]
    named = [i for i in _named(axes, FULL_NAME) if i not in series]
    if not named and _are_images(entry, axes, units, flagged):
        return [] if n == 2 else flagged
    if one and possible and word != "image":
        return [_spectral_axis(entry, axes, flagged, possible)]
    if len(flagged) in (0, n):  # nothing is told by flags
        named = named or _named(axes, FAINT_NAME)
        if len(named) == 1 and n > 1:
            return named
        return [] if n == 2 else [n - 1]
    images = "DIFFRACTION" in kind
    return named if len(named) == 1 and named[0] not in flagged and not images else flagged


def _named(axes: Sequence[Entry], pattern: re.Pattern[str]) -> list[int]:
    """Which axes have such a name."""
    names = [clean(axis.get("name")) for axis in axes]
    return [i for i, name in enumerate(names) if pattern.search(name) and "|" not in name]


def _is_set(axes: Sequence[Entry], units: Sequence[str], i: int, flagged: Sequence[int]) -> bool:
    """Whether an axis in eV is that of a series, over energies of the beam, say."""
    if i in flagged:
        return False
    others = [axes[j] for j in flagged]
    beside = bool(_named(others, FULL_NAME)) or any(units[j] in RECIPROCAL for j in flagged)
    return beside or bool(OF_THE_BEAM.search(clean(axes[i].get("name"))))


def _are_images(
    entry: Entry, axes: Sequence[Entry], units: Sequence[str], flagged: Sequence[int]
) -> bool:
    """Whether two flagged axes are those of images, whatever was measured in them."""
    told = entry.get("post_process") or _format_word(entry) == "spectra" or record_by(entry)
    if len(flagged) != 2 or told:
        return False
    names = [clean(axes[i].get("name")).lower() for i in flagged]
    spatial = [
        name in SPATIAL_NAMES or units[i] in SPATIAL_UNITS
        for i, name in zip(flagged, names, strict=True)
    ]
    return all(spatial)


def _spectral_axis(
    entry: Entry, axes: Sequence[Entry], flagged: Sequence[int], possible: Sequence[int]
) -> int:
    """The one spectral axis of what is known to be spectra."""
    n = len(axes)
    if len(possible) == 1:
        return possible[0]
    named = _named(axes, FULL_NAME) or _named(axes, FAINT_NAME)
    if len(named) == 1:
        return named[0]
    if len(flagged) == 1:
        return flagged[0]
    # DigitalMicrograph shows images of a stack: what is not an image's axis is the spectrum's
    stack = [i for i in range(n) if i not in flagged]
    if len(stack) == 1 and n > 2 and (entry.get("post_process") or record_by(entry) == "image"):
        return stack[0]
    return n - 1


def signal_type(entry: Entry) -> str:
    """The type of the signal in capitals, "EELS", "EDS_TEM"; empty where none is told."""
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return clean(signal.get("signal_type")).upper()


def record_by(entry: Entry) -> str:
    """What files before hspy 3.0 tell: "spectrum" or "image"; empty where nothing is told."""
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return clean(signal.get("record_by")).lower()


def _format_word(entry: Entry) -> str:
    """ "spectra" or "image", as the file's own word says; empty where there is none."""
    value: Any = entry.get("original_metadata")
    for key in ("ImageList", "TagGroup0", "ImageTags", "Meta Data", "Format"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return FORMATS.get(str(value), "")
