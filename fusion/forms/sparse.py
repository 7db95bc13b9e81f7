"""Counts most of which are zero, as fits read them: the values that are not, with their places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.forms.reading import CHUNK
from fusion.forms.weights import Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOGETHER = 2**18
"""Non-zero values that are read together."""


class Sparse(Form):
    """The values that are not zero, as a list; the array itself is never made.

    Args:
        held: the values with their positions.
        weights: of rank one, on the same device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    def __init__(self, held: Entries, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__(held.shape, weights, dtype)
        self.held = held

    @property
    def device(self) -> torch.device:
        return self.held.x.device

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        step = max(1, CHUNK // self.shape[1])
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            part = slice(int(self.held.start[rows.start]), int(self.held.start[rows.stop]))
            block = self.held.x.new_zeros((rows.stop - start, self.shape[1]), dtype=dtype)
            i, j = self.held.i[part].long() - start, self.held.j[part].long()
            block[i, j] = self.held.x[part].to(dtype)
            yield rows, block

    def matmul(self, B: Tensor) -> Tensor:
        if self.device.type != "cpu":
            return self.held.matrix(self.held.x.to(B.dtype)) @ B
        made = B.new_empty(self.shape[0], B.shape[1])
        for rows, part in self._parts():
            made[rows] = torch.from_numpy(part.astype(B.numpy().dtype) @ B.numpy())
        return made

    def rmatmul(self, G: Tensor) -> Tensor:
        if self.device.type != "cpu":
            return self.held.transposed(self.held.x.to(G.dtype)) @ G
        total = G.new_zeros(self.shape[1], G.shape[1])
        for rows, part in self._parts():
            total += torch.from_numpy(part.astype(G.numpy().dtype).T @ G[rows].numpy())
        return total

    def _parts(self) -> Iterator[tuple[slice, csr_matrix]]:
        """Some rows at a time, so that what is made of them is small."""
        from scipy.sparse import csr_matrix  # loaded for sparse data alone

        start, j, x = (a.numpy() for a in (self.held.start, self.held.j, self.held.x))
        ends = np.searchsorted(start, np.arange(0, len(x) + TOGETHER, TOGETHER))
        ends = np.unique(np.append(ends, self.shape[0]).clip(0, self.shape[0]))
        for a, b in zip([0, *ends[:-1]], ends, strict=True):
            part = slice(int(start[a]), int(start[b]))
            if b > a:
                shape = (int(b - a), self.shape[1])
                own = csr_matrix((x[part], j[part], start[a : b + 1] - start[a]), shape)
                yield slice(int(a), int(b)), own

    def sums(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            columns = self.shape[1], self.device
            ones = torch.ones(columns[0], dtype=torch.float64, device=columns[1])
            c = ones if self.weights.cols is None else self.weights.cols.double()
            squares, total = c.new_zeros(self.shape[0]), torch.zeros_like(ones)
            for a in range(0, len(self.held.x), TOGETHER):
                i, j, x = (
                    each[a : a + TOGETHER] for each in (self.held.i, self.held.j, self.held.x)
                )
                x = x.double()
                squares.index_add_(0, i, x.square() * c.index_select(0, j))
                total.index_add_(0, j, x)
            self._sums = squares, total
        return self._sums

    def nonzeros(self) -> Entries:
        return self.held

    def rows(self, index: Tensor) -> Sparse:
        start = self.held.start.long()
        first, lengths = start[index], start[index + 1] - start[index]
        i = torch.repeat_interleave(lengths)  # the row of each entry, among those asked for
        place = (first - lengths.cumsum(0) + lengths)[i] + torch.arange(len(i), device=i.device)
        shape = (len(index), self.shape[1])
        held = Entries(i, self.held.j[place], self.held.x[place], shape)
        return Sparse(held, self.weights.some(index), self.dtype)

    @property
    def density(self) -> float:
        return len(self.held.x) / (self.shape[0] * self.shape[1])
