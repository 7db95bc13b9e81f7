"""One spelling of every unit, however files and people write it."""

from __future__ import annotations

import re
from typing import Any

UNDEFINED = ("", "none", "undefined", "<undefined>", "t.undefined")
SPELLINGS = {
    "mev": "meV",
    "ev": "eV",
    "kev": "keV",
    "picometer": "pm",
    "nanometer": "nm",
    "nanometers": "nm",
    "um": "µm",
    "μm": "µm",
    "micron": "µm",
    "microns": "µm",
    "micrometer": "µm",
    "å": "Å",
    "angstrom": "Å",
    "angstroms": "Å",
    "meters": "m",
    "metres": "m",
    "cm^-1": "1/cm",
    "cm-1": "1/cm",
    "cm⁻¹": "1/cm",
    "1 / cm": "1/cm",
    "cm^{-1}": "1/cm",
}
"""Units that are written in several ways, by their `str.casefold`; no value is converted."""
KNOWN = {*SPELLINGS.values(), "m", "mm", "rad", "mrad"}
LENGTHS = ("m", "mm", "µm", "nm", "Å", "pm")
ENERGIES = ("eV", "keV", "meV", "MeV")
SPECTRAL = (*ENERGIES, "1/cm")
"""Units that only a spectral axis has; a wavelength shares its unit with lengths."""
BRACKETS = re.compile(r"^(?P<name>.*\S)\s*[(\[](?P<units>[^()\[\]]+)[)\]]$")


def clean(value: Any) -> str:
    """The text of a name or a unit; empty where it says that there is none."""
    cleaned = "" if value is None else str(value).strip().strip("$").strip()
    return "" if cleaned.casefold() in UNDEFINED else cleaned


def unit(value: Any) -> str:
    """The unit as the project writes it: "eV", "keV", "nm", "µm" …; "MeV" is no "meV"."""
    cleaned = clean(value)
    if cleaned.startswith("M") and cleaned.casefold() == "mev":
        return "MeV"
    return SPELLINGS.get(cleaned.casefold(), cleaned)


def name_and_unit(name: str, units: str) -> tuple[str, str]:
    """Both, the unit from brackets behind the name where it is not given: "Energy loss (eV)"."""
    units = unit(units)
    found = BRACKETS.match(name)
    if found is not None and unit(found["units"]) in KNOWN and units in ("", unit(found["units"])):
        return found["name"], unit(found["units"])
    return name, units
