"""h5oina files as the specification of Oxford Instruments, version 8.0, describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

COUNTS = np.random.default_rng(3).poisson(4.0, (4, 5, 16)).astype(np.int32)
HEADER = {
    "Beam Voltage": 15.0,
    "Magnification": 5000.0,
    "Channel Width": 20.0,
    "Start Channel": -100.0,
    "Number Channels": 16,
    "Detector Elevation": np.pi / 6,
    "Detector Azimuth": np.pi / 4,
    "Processor Type": "X4",
}


def h5oina(
    path: Path,
    counts: np.ndarray = COUNTS,
    *,
    order: np.ndarray | None = None,
    positions: bool = True,
    spectrum: bool = True,
    detectors: tuple[str, ...] = ("EDS",),
    slices: tuple[str, ...] = ("1",),
    **changes: Any,
) -> Path:
    """A file with a map (y, x, channel), or a line (x, channel), images of elements and SE images.

    Args:
        path: of the file.
        counts: of the map or line.
        order: in which pixels, row by row, are written; row by row by default.
        positions: whether X and Y are written.
        spectrum: whether spectra are written, which is new in version 7.0.
        detectors: names of the groups of EDS.
        slices: names of the acquisitions.
        changes: entries of the header, by name with "_" for spaces.
    """
    h5py = pytest.importorskip("h5py", reason="h5oina needs h5py")
    rows, columns = counts.shape[:2] if counts.ndim == 3 else (1, counts.shape[0])
    order = np.arange(rows * columns) if order is None else order
    cells = {"X Cells": columns, "Y Cells": rows, "X Step": 0.5, "Y Step": 0.25 * (rows > 1)}
    header = cells | HEADER | {key.replace("_", " "): value for key, value in changes.items()}
    pixels = counts.reshape(rows * columns, -1)[order]

    def put(group: Any, entries: dict[str, Any]) -> None:
        for key, value in entries.items():
            group[key] = [value]

    with h5py.File(path, "w") as file:
        put(file, {"Manufacturer": "Oxford Instruments", "Format Version": "8.0"})
        file["Index"] = list(slices)
        for name in slices:
            for technique in detectors:
                group = file.create_group(f"{name}/{technique}")
                put(group.create_group("Header"), header)
                data = group.create_group("Data")
                if positions:
                    data["X"] = (order % columns * 0.5).astype(np.float32)[:, None]
                    data["Y"] = (order // columns * 0.25).astype(np.float32)[:, None]
                data["Live Time"] = np.ones((rows * columns, 1), np.float32)
                if spectrum:
                    data.create_dataset("Spectrum", data=pixels, compression="lzf")
                window = pixels[:, 5:8].sum(1, dtype=np.float32)
                window[0] = np.nan
                data["Window Integral/Al Ka1"] = window[:, None]
                data["Composition/Al"] = window
            group = file.create_group(f"{name}/Electron Image")
            put(group.create_group("Header"), cells | {"Beam Voltage": 15.0})
            image = np.arange(rows * columns, dtype=np.uint16)
            group["Data/SE/Electron Image 1"] = image[:, None]
    return path
