"""Dense counts, most of which are zero, as a list of those that are not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.forms.entries import Entries
from fusion.likelihood import count_kernels
from fusion.likelihood.compiling import compiled


def listed(x: NDArray[Any], most: float) -> Entries | None:
    """The values that are not zero, row by row; None where they are more than a share of all.

    Args:
        x: (row, column), whole numbers.
        most: the share.
    """
    if np.count_nonzero(x) > most * x.size:
        return None
    kind = np.float32 if x.itemsize <= 2 else np.float64
    if count_kernels.installed():
        ends, fill = _kernels()
        start = np.zeros(len(x) + 1, np.int64)
        ends(x, start)
        np.cumsum(start, out=start)
        i, j = np.empty(start[-1], np.int32), np.empty(start[-1], np.int32)
        values = np.empty(start[-1], kind)
        fill(x, start, i, j, values)
    else:
        i, j = (place.astype(np.int32) for place in np.nonzero(x))
        values = x[i, j].astype(kind)
    rows, columns, counts = (torch.from_numpy(each) for each in (i, j, values))
    return Entries(rows, columns, counts, (x.shape[0], x.shape[1]))


@cache
def _kernels() -> tuple[Any, Any]:
    """(how many are in every row, written behind it; places and values of all)."""

    def ends(x, start):
        for i in range(x.shape[0]):
            count = 0
            for j in range(x.shape[1]):
                count += x[i, j] != 0
            start[i + 1] = count

    def fill(x, start, row, column, values):
        for i in range(x.shape[0]):
            k = start[i]
            for j in range(x.shape[1]):
                if x[i, j] != 0:
                    row[k], column[k], values[k] = i, j, x[i, j]
                    k += 1

    return compiled(ends), compiled(fill)
