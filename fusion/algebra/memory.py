"""Memory that did not suffice, in a line: what was asked for, what is free, what would fit."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")
LIMITS = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where the control group tells its limit, of version 2 and 1."""
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
ASKED = re.compile(r"allocate ([0-9.]+) (bytes|[KMGTP]iB)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory: NumPy's class, or PyTorch's words."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def out_of_memory(call: str, error: BaseException) -> ValueError:
    """The error as users read it."""
    need = asked_bytes(str(error))
    more = "more memory is needed than there is" if need is None else f"{_size(need)} more needed"
    free = free_bytes()
    there = "" if free is None else f", {_size(free)} free"
    return ValueError(
        f"`{call}`: {more}{there}: crop or bin the data first, or give them lazily (a dask array), "
        "so that they are looked at block by block."
    )


def asked_bytes(text: str) -> int | None:
    """How many bytes NumPy or PyTorch asked for, by what their errors say."""
    found = ASKED.search(text)
    return None if found is None else int(float(found[1]) * UNITS[found[2]])


def free_bytes() -> int | None:
    """Bytes that programs may have now; None where the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def total_bytes() -> int | None:
    """Bytes that there are in all, of the machine or of its control group, the lesser."""
    told = [_in_all(), *(_limit(path) for path in LIMITS)]
    return min((n for n in told if n), default=None)


def _in_all() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not told on this system
        return None


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max": none
        return None


def hand_back() -> None:
    """Give memory that is free back to the system, where the C library can: arrays of threads that
    come and go leave it in pieces, which add up to several times what is in use."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not the C library of GNU
        return None


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB"


class HandsBack:
    """Gives free memory back each time that so many bytes were read and let go.

    Not each time: what asks for memory next then has it again page by page.

    Args:
        every: bytes.
    """

    def __init__(self, every: int) -> None:
        self.every, self.read = every, 0

    def after(self, size: int) -> None:
        """So many bytes more were read."""
        self.read += size
        if self.read > self.every:
            self.read = 0
            hand_back()
