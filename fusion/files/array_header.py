"""What an array of a file is, before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ArrayHeader:
    """An array of a file.

    Args:
        name: in the file: a key, or a path.
        shape: of it.
        dtype: of it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def numeric(self) -> bool:
        """Whether it could be measured: integers or floats."""
        return self.dtype.kind in "iuf" and 0 not in self.shape

    @property
    def size_text(self) -> str:
        """Its shape and type in words: "400 × 400 float32"."""
        return f"{' × '.join(map(str, self.shape))} {self.dtype}"

    def __str__(self) -> str:
        why = {"O": ", which only pickle could read", "c": ", not real"}.get(self.dtype.kind, "")
        return f"{self.name} {self.shape} {self.dtype}{why}"
