"""Which versions of what are at work, for a report of a fault; imports nothing heavy."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from fusion._version import __version__

NEEDED = ("torch", "numpy", "scipy", "tensorly", "matplotlib", "tqdm", "click", "threadpoolctl")
OPTIONAL = {
    "fast": ("numba",),
    "io": ("rosettasciio", "tifffile", "imagecodecs", "pybaselines", "h5py", "zarr"),
    "hyperspy": ("hyperspy", "exspy"),
    "sklearn": ("scikit-learn",),
    "elements": ("xraydb",),
    "report": ("bokeh",),
    "arrays": ("dask", "sparse"),
}
"""Packages that are used where they are installed, by the extra of pip that brings them."""


def show_versions() -> None:
    """Print the versions of all that is at work: put them into a report of a fault.

    Of packages that are optional only those that are installed. Of torch its threads and devices,
    too, once it is loaded.

    Example:
        >>> fu.show_versions()
        sdfusion      ...
        Python        ...
        platform      ...
        torch         ...
    """
    rows = [
        ("sdfusion", __version__),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", f"{platform.platform()}, {os.cpu_count()} cores"),
    ]
    needed = [(name, _version(name) or "not installed") for name in NEEDED]
    rows += [needed[0], *(("torch uses", told) for told in _torch_uses()), *needed[1:]]
    optional = (name for names in OPTIONAL.values() for name in names)
    rows += [(name, found) for name in optional if (found := _version(name))]
    print("\n".join(f"{name:<13} {told}" for name, told in rows))


def _version(name: str) -> str:
    """Of an installed package; "" where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _torch_uses() -> list[str]:
    """Threads and devices of torch, where it is loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    device = "no CUDA device"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        device = f"CUDA {torch.version.cuda}: {', '.join(names)}"
    n = torch.get_num_threads()
    return [f"{n} thread{'s' * (n != 1)}; {device}"]
