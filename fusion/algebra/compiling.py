"""Functions of arrays that are compiled, where numba is there (extra `fast`)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any
from zlib import crc32

MATHS = {"contract", "reassoc", "nsz", "arcp"}
"""What the compiler may do with sums and products; infinities and what is no number stay."""


@cache
def installed() -> bool:
    """Whether numba is there, which compiles them."""
    return find_spec("numba") is not None


def compiled(function: Any) -> Any:
    """Compiled at the first call, kept on disk where a folder can be written."""
    from numba import njit

    options = {"nogil": True, "fastmath": MATHS, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        return njit(**options)(function)


def written(parts: tuple[Any, ...]) -> int:
    """What functions are, in a number: numba looks for changes in the file of the one that calls
    them alone, so that this closes over it."""
    return crc32(repr([_told(getattr(part, "_defn", part).__code__) for part in parts]).encode())


def _told(code: Any) -> tuple[Any, ...]:
    """What a function is, the same in every process."""
    inner = [_told(c) if hasattr(c, "co_code") else c for c in code.co_consts]
    return code.co_code, code.co_names, inner
