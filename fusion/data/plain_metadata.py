"""Metadata as JSON has them, to be written beside an array and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Mappings, lists, numbers and texts as they are; of all else what it says."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def as_text(metadata: Mapping[str, Any]) -> str:
    """A line of JSON."""
    return json.dumps(plain(metadata), ensure_ascii=False)


def from_text(text: str) -> dict[str, Any]:
    """What `as_text` wrote.

    Raises:
        ValueError: if the text is none.
    """
    held = json.loads(text)
    if not isinstance(held, dict):
        raise ValueError(f"{type(held).__name__} instead of an object")
    return held
