"""Arrays as text in a page: float32, or 16 bits between the extremes of every column; deflated."""

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
    return {"kind": "f4", "shape": list(array.shape), "text": _base64(array)}


def levels(values: Array) -> dict[str, Any]:
    """A matrix in 65534 steps from the lowest to the highest value of every column.

    Whole numbers from 0 to 65534 are kept as they are.
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
    return {
        "kind": "u2",
        "shape": list(values.shape),
        "low": floats(low),
        "step": floats(step),
        "text": _base64(codes),
    }


def _base64(array: Array) -> str:
    return b64encode(zlib.compress(array.tobytes(), 6)).decode()
