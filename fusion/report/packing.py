"""Arrays and texts as letters in a page: deflated, with what is alike put side by side first."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
NOTHING = 65535
"""Stands for NaN."""
LEVELS = 65534


def floats(values: Any) -> dict[str, Any]:
    """An array as float32, exact to seven digits."""
    array = np.ascontiguousarray(values, dtype="<f4")
    return {"kind": "f4", "shape": list(array.shape), "text": _base64(_planes(array))}


def levels(values: Array) -> dict[str, Any]:
    """A matrix in 65534 steps from the lowest to the highest value of every column.

    Whole numbers from 0 to 65534 are kept as they are. "steps" says whether a row's codes are
    differences of neighbours, which is shorter where spectra are smooth.
    """
    seen = np.isfinite(values)
    low = np.where(seen, values, np.inf).min(0)
    high = np.where(seen, values, -np.inf).max(0)
    low, high = (np.where(seen.any(0), x, 0.0) for x in (low, high))
    whole = bool((values[seen] == np.rint(values[seen])).all())
    if whole and low.min() >= 0 and high.max() <= LEVELS:
        low, step = np.zeros_like(low), np.ones_like(low)
    else:
        step = np.where(high > low, (high - low) / LEVELS, 1.0)
    codes = np.rint((np.where(seen, values, low) - low) / step)
    codes = np.where(seen, codes, NOTHING).astype("<u2")
    plain, differences = (_base64(_planes(each)) for each in (codes, _differences(codes)))
    return {
        "kind": "u2",
        "shape": list(values.shape),
        "low": floats(low),
        "step": floats(step),
        "steps": len(differences) < len(plain),
        "text": min(plain, differences, key=len),
    }


def packed_text(text: str) -> str:
    """A text, such as a script."""
    return _base64(text.encode())


def _differences(codes: Array) -> Array:
    """From one code of a row to the next, modulo 2¹⁶; small steps down and up are small numbers."""
    step = np.diff(codes, axis=1, prepend=np.zeros((len(codes), 1), codes.dtype)).astype("<i2")
    return ((step << 1) ^ (step >> 15)).astype("<u2")


def _planes(array: Array) -> bytes:
    """First bytes of all numbers, then second ones, …: like stands beside like."""
    return array.reshape(-1, 1).view(np.uint8).T.tobytes()


def _base64(raw: bytes) -> str:
    return b64encode(zlib.compress(raw, 6)).decode()
