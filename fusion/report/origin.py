"""Where a page comes from: files of the data, versions, how to cite."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fusion._version import __version__
from fusion.answers.result import Result

REVIEW = (
    "S. Muto and M. Shiga, Application of machine learning techniques to electron microscopic/"
    "spectroscopic image data analysis, Microscopy 69 (2020) 110–122, doi:10.1093/jmicro/dfz036"
)
"""Where the equations are from."""


def files(result: Result) -> list[str]:
    """ "eels: EELS_SI.dm4, measured 2019-05-14", for every data set that knows."""
    told = []
    for name, summary in result.data.items():
        general = summary.metadata.get("General")
        general = general if isinstance(general, Mapping) else {}
        file, date = (str(general.get(key) or "") for key in ("original_filename", "date"))
        if file:
            told.append(f"{name}: {file}{f', measured {date}' if date else ''}")
    return told


def versions() -> str:
    """Of what the page, and the fit if it was in this process, was made with."""
    used = [("sdfusion", __version__), ("Python", platform.python_version())]
    used += [(name, _version(name)) for name in ("torch", "numpy", "bokeh")]
    return ", ".join(f"{name} {number}" for name, number in used if number)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def citations() -> list[str]:
    """What a paper that uses the answer cites."""
    return [f"sdfusion {__version__}, structured data fusion of spectrum images", REVIEW]


def origin(result: Result) -> list[tuple[str, list[Any]]]:
    """(what, lines) for the foot of the page."""
    told = [("files", files(result)), ("versions", [versions()]), ("cite", citations())]
    return [(what, lines) for what, lines in told if lines]
