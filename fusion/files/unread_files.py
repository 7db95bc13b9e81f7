"""What to do with a file that no reader reads."""

from __future__ import annotations

from pathlib import Path

from fusion.files.path_lines import ways
from fusion.files.zarr_folders import is_zarr

MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "HDF5", (".h5", ".hdf5", ".hspy", ".emd", ".nxs", ".h5oina", ".nc")),
    (b"PK\x03\x04", "a zip archive (npz, prz)", (".npz", ".prz", ".zip", ".zspy")),
    (b"\x93NUMPY", "a NumPy array", (".npy",)),
    (b"II*\0", "TIFF", (".tif", ".tiff", ".elid")),
    (b"MM\0*", "TIFF", (".tif", ".tiff")),
    (b"II+\0", "TIFF", (".tif", ".tiff")),
    (b"\0\0\0\x03", "DigitalMicrograph 3", (".dm3",)),
    (b"\0\0\0\x04", "DigitalMicrograph 4", (".dm4",)),
    (b"AAMVHFSS", "a Bruker composite", (".bcf", ".pan")),
    (b"WDF1", "Renishaw", (".wdf",)),
    (b"#FORMAT", "msa", (".msa", ".emsa")),
    (b"\x89PNG", "a PNG picture", (".png",)),
    (b"\xff\xd8\xff", "a JPEG picture", (".jpg", ".jpeg")),
    (b"<?xml", "XML", (".xml", ".spx")),
)
"""How files begin, what they are then, and how they end."""


def way_on(path: Path) -> str:
    """How to go on with a file that nothing reads: what it is, by its beginning, what opens it."""
    what, _ = _kind(path)
    if what == "HDF5" or is_zarr(path):
        return ways(path)
    export = (
        "export it there as .hspy, .msa, .rpl or .tif, or read it as an array and save that, "
        "numpy.savez('map.npz', data=array)."
    )
    if what and not rename(path):
        return f": it begins as {what} does: cut off or damaged? Copy it again; else {export}"
    return rename(path) or f": {export}"


def rename(path: Path) -> str:
    """What its true suffix is, where it begins as other files do; else empty."""
    what, suffixes = _kind(path)
    if not suffixes or path.suffix.lower() in suffixes:
        return ""
    return f": it begins as {what} does: rename it to {path.stem}{suffixes[0]}."


def _kind(path: Path) -> tuple[str, tuple[str, ...]]:
    """What a file is by its beginning, and the suffixes of such; empty where it is not known."""
    start = b""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(16)
    found = [(what, suffixes) for magic, what, suffixes in MAGIC if start.startswith(magic)]
    return found[0] if found else ("", ())
