"""What a user says of a fit by blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from os import PathLike
from pathlib import Path

from fusion.algebra.calls import checked_class, whole_number
from fusion.algebra.memory import total_bytes

LEAST = 2**20
"""Bytes that blocks have to be given."""
SHARE = 4
"""Of the memory that there is, one part in so many is taken."""
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
SIZE = re.compile(r"\s*([0-9.]+)\s*([kmgt]?i?)b?\s*", re.IGNORECASE)


@checked_class
@dataclass(frozen=True)
class Blocks:
    """How `fit` goes through data that are larger than memory.

    Args:
        memory: that blocks in work, sample and maps may take together, "4 GB" or a number of bytes;
            default: a quarter of what the machine, or the control group, has in all.
        out: folder of a zarr store for maps, their standard errors given the spectra, spectra,
            residual and noise maps, which is written at the end (extra `large`); None: none is.
        checkpoint: file that is written after every pass; a fit that was ended goes on from it.
        passes: over the data, at most, the first look and the last included.
        sample: pixels on which the factors are found first and every step is made; None: as many
            as an eighth of the memory holds, 16384 at most.

    Raises:
        ValueError: if a number means nothing.

    Example:
        >>> fu.Blocks(memory="4 GB").bytes
        4000000000
    """

    memory: str | float | None = None
    out: str | PathLike[str] | None = None
    checkpoint: str | PathLike[str] | None = None
    passes: int = 7
    sample: int | None = None

    def __post_init__(self) -> None:
        whole_number(f"Blocks(passes={self.passes!r})", self.passes, least=3)
        if self.sample is not None:
            whole_number(f"Blocks(sample={self.sample!r})", self.sample, least=2)
        if self.bytes < LEAST:
            what = f"{self.bytes} bytes are too few" if self.bytes else "no size"
            raise ValueError(
                f"`Blocks(memory={self.memory!r})`: {what}: give what blocks of the data may take, "
                "such as '4 GB' or 4e9, 1 MiB at least."
            )
        for name in ("out", "checkpoint"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, str | PathLike):
                raise ValueError(f"`Blocks({name}={given!r})`: give a path, or None.")
            if "://" in str(given or ""):
                raise ValueError(
                    f"`Blocks({name}={given!r})`: written to disks that are mounted alone: give a "
                    "path, and copy it from there."
                )
        if self.checkpoint_path is not None and not self.checkpoint_path.absolute().parent.is_dir():
            folder = self.checkpoint_path.absolute().parent
            raise ValueError(
                f"`Blocks(checkpoint={str(self.checkpoint)!r})`: there is no folder {folder}: make "
                "it, or give another place."
            )

    @property
    def bytes(self) -> int:
        """`memory` as a number."""
        if self.memory is None:
            return (total_bytes() or 2**32) // SHARE
        if isinstance(self.memory, Real) and not isinstance(self.memory, bool):
            return int(self.memory) if isfinite(self.memory) else 0
        found = SIZE.fullmatch(str(self.memory))
        try:
            return int(float(found[1]) * UNITS[found[2].lower()]) if found else 0
        except ValueError:
            return 0

    @property
    def checkpoint_path(self) -> Path | None:
        """Where a checkpoint is kept."""
        return None if self.checkpoint is None else Path(self.checkpoint)
