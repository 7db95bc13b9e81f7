"""Names of arrays that are there for another array beside them: `map_energy`, `map_mask` …"""

from __future__ import annotations

import re
from collections.abc import Collection

from fusion.files.noise_arrays import NOISE

WORDS = r"(?P<what>energy|wavelength|wavenumber)(?:_(?P<of>ev|kev|nm))?|(?P<unit>ev|kev|nm)"
SPECTRAL = re.compile(rf"(?:^|_)(?:{WORDS})$", re.IGNORECASE)
TOLD = re.compile(
    rf"(?:^|_)(?:{WORDS}|\w+_(?:units|name)|pixel_size|pixel_units|nav_axes|metadata|mask|variance)$",
    re.IGNORECASE,
)
"""Names of what is there for another array."""
ENDING = re.compile(r"(?:^|_)(ev|kev|nm)$", re.IGNORECASE)
BY_UNIT = {"nm": "wavelength", "µm": "wavelength", "1/cm": "wavenumber"}
"""What positions that are called energies are, by their unit."""


def is_noise(name: str, names: Collection[str]) -> bool:
    """Whether it is the variance or mask of another array."""
    owner, _, what = name.casefold().rpartition("_")
    return what in NOISE and (owner in names if owner else len(names) > 1)
