"""Pixels that come in batches: all of them while they are few, then a random sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.seeds import generator


class Reservoir:
    """A uniform sample of all rows seen, at most so many.

    Args:
        most: rows that are kept.
        seed: of the choice.

    References:
        Vitter, ACM Trans. Math. Softw. 11:37 (1985), algorithm R.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.seen_rows = max(1, int(most)), 0
        self.numbers = np.empty(0, dtype=np.int64)
        """Which of all rows seen those kept are."""
        self._parts: list[NDArray[Any]] = []
        self._full: NDArray[Any] | None = None
        self._random = generator(seed)

    @property
    def rows(self) -> NDArray[Any]:
        """What is kept, (row, column)."""
        if self._full is None:
            self._parts = [np.concatenate(self._parts)]
            return self._parts[0]
        return self._full

    @property
    def share(self) -> float:
        """Of the rows seen."""
        return min(1.0, self.most / max(self.seen_rows, 1))

    def add(self, batch: NDArray[Any]) -> None:
        """Take in rows; those kept are copied."""
        room = max(0, self.most - self.seen_rows)
        if room:
            self._parts.append(np.array(batch[:room]))
            first = self.seen_rows + np.arange(len(self._parts[-1]))
            self.numbers = np.concatenate([self.numbers, first])
        late = batch[room:]
        if len(late):
            if self._full is None:
                self._full = np.array(self.rows)
                self._parts = []
            place = self._random.integers(0, self.seen_rows + min(room, len(batch)) + 1
                                          + np.arange(len(late)))  # fmt: skip
            kept = place < self.most
            self._full[place[kept]] = late[kept]  # of several for one place the last stays
            new = self.seen_rows + len(batch) - len(late) + np.flatnonzero(kept)
            self.numbers[place[kept]] = new
        self.seen_rows += len(batch)
