"""Signals written by RosettaSciIO (GPL, so used through its interface alone)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from fusion.data.signal_type import nested
from fusion.files.factor_dictionaries import Signal

OPTIONS: dict[str, dict[str, Any]] = {
    "hspy": {"show_progressbar": False},
    "zspy": {"show_progressbar": False},
}
OF_A_TEM = 30.0
"""keV of the beam above which an msa's EDS is read as that of a TEM."""
LETTERS = 256
"""Of Latin-1, in which msa is written."""
IN_MSA = ("", "EELS", "CL")
"""Types that are told by an msa alone."""


def write_signal(api: str, path: Path, signal: Signal, **more: Any) -> None:
    """With RosettaSciIO's writer; `more`: options of it."""
    writer = import_module(f"rsciio.{api}").file_writer
    options = _msa_options(signal) if api == "msa" else OPTIONS.get(api, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer(str(path), signal, **options, **more)


def _msa_options(signal: Signal) -> dict[str, Any]:
    """Six significant digits with "XY"; six decimals with "Y", which whole numbers need.

    The writer turns its table of keywords to a SEM for good once it has met one: it is reset.
    """
    table = import_module("rsciio.msa._api").keywords
    for key, entry in _KEYWORDS.setdefault("msa", deepcopy(table)).items():
        table[key].update(entry)
    y = np.asarray(signal["data"])
    whole = bool(np.isfinite(y).all() and (y == np.round(y)).all())
    return {"format": "Y" if whole else "XY"}


_KEYWORDS: dict[str, Any] = {}
"""The table as it was before the first file."""


def imagej_labels(labels: Sequence[str]) -> list[Any]:
    """Tags of a tif with a name for every image of a stack, as ImageJ shows them above it.

    The names are UTF-16, so that they may be of any script.
    """
    import tifffile

    order = "<" if sys.byteorder == "little" else ">"
    return list(tifffile.imagej_metadata_tag({"Labels": list(labels)}, order))


def type_lost_in_msa(metadata: Mapping[str, Any]) -> Iterator[str]:
    """The type of the signal where an msa is read as one of another."""
    kind = str(nested(metadata, "Signal", "signal_type") or "")
    beam = _beam_energy(metadata, kind)
    known = {"EDS_TEM": beam > OF_A_TEM, "EDS_SEM": beam <= OF_A_TEM}.get(kind, kind in IN_MSA)
    if not known:
        why = f", as the beam has {beam:g} keV" if kind.startswith("EDS") and beam else ""
        why = why or ", as no beam energy is known" * kind.startswith("EDS")
        yield f"the type of the signal ({kind}{why})"


def fits_msa(text: str) -> bool:
    """Whether an msa can hold it: its writer leaves out what Latin-1 does not have."""
    return all(ord(letter) < LETTERS for letter in text)


def _beam_energy(metadata: Mapping[str, Any], kind: str) -> float:
    """keV as the writer finds it; 0 for none."""
    microscope = "SEM" if "SEM" in kind else "TEM"
    value = nested(metadata, "Acquisition_instrument", microscope, "beam_energy")
    return float(value) if isinstance(value, Real) else 0.0
