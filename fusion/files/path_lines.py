"""Lines that open the arrays of an HDF5 file or zarr folder, each by its path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fusion.files.array_header import ArrayHeader
from fusion.files.stored_array import kind_of

IMAGE = 16
"""Rows and columns from which on floats of two axes without energies are taken for an image."""
ENERGIES = ("energ", "wavelength", "wavenumber")
"""Beginnings of names of arrays that hold positions along a spectral axis."""


def ways(path: Path) -> str:
    """How to go on with a file that nothing reads: the lines, or why there are none."""
    what, reader = ("zarr", "zarr") if path.is_dir() else ("HDF5", "h5py")
    try:
        rows = lines(path)
    except ValueError as error:
        return f"; {str(error).removeprefix(f'{path}: ')}"
    if not rows:
        return f": it is {what}, without an array of two axes or more."
    return (
        f": it is {what}; its arrays open by their paths, through {reader} "
        f'(an image: add axes=["y", "x"]; energies: energy="/path", or an array):\n{rows}'
    )


def lines(path: Path) -> str:
    """Lines that open the arrays of two axes or more of a file, and what leads out of it.

    Raises:
        ValueError: if it cannot be opened.
    """
    kind = kind_of(path)
    with kind.opened(path) as root:
        headers, elsewhere = kind.numeric_arrays(root)
    vectors = [header for header in headers if len(header.shape) == 1]
    shown = [header for header in headers if len(header.shape) > 1]
    calls = [_call(path, header, vectors) for header in shown]
    width = max(map(len, calls), default=0)
    rows = [f"  {c:<{width}}  {h.size_text}" for c, h in zip(calls, shown, strict=True)]
    rows += [f"  not followed: {link}" for link in elsewhere]
    return "\n".join(rows)


def _call(path: Path, header: ArrayHeader, vectors: Sequence[ArrayHeader]) -> str:
    """The line that opens an array, with its energies where they are plain to see."""
    group = header.name.rpartition("/")[0]
    beside = [
        vector.name
        for vector in vectors
        if vector.shape[0] == header.shape[-1]
        and vector.name.rpartition("/")[0] == group
        and any(word in vector.name.rpartition("/")[2].lower() for word in ENERGIES)
    ]
    told = f", energy={_quoted(beside[0])}" if len(beside) == 1 else ""
    image = header.dtype.kind == "f" and len(header.shape) == 2 and min(header.shape) >= IMAGE
    if not told and image:
        told = ', axes=["y", "x"]'
    return f"fu.load({_quoted(str(path))}, dataset={_quoted(header.name)}{told})"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
