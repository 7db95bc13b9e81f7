"""Counts most of which are zero, as fits read them: the values that are not, with their places."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.forms.reading import CHUNK
from fusion.forms.weights import Weights


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
        return self.held.matrix(self.held.x.to(B.dtype)) @ B

    def rmatmul(self, G: Tensor) -> Tensor:
        return self.held.transposed(self.held.x.to(G.dtype)) @ G

    def sums(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            x = self.held.x.double()
            c = torch.ones(self.shape[1]) if self.weights.cols is None else self.weights.cols
            ones = x.new_ones(self.shape[0], 1)
            squares = self.held.matrix(x.square()) @ c.to(x)[:, None]
            self._sums = squares[:, 0], (self.held.transposed(x) @ ones)[:, 0]
        return self._sums

    def nonzeros(self) -> Entries:
        return self.held

    def rows(self, index: Tensor) -> Sparse:
        place = self.held.i.new_full((self.shape[0],), -1)
        place[index] = torch.arange(len(index), dtype=place.dtype, device=place.device)
        i = place.index_select(0, self.held.i)
        keep = i >= 0
        shape = (len(index), self.shape[1])
        held = Entries(i[keep], self.held.j[keep], self.held.x[keep], shape)
        return Sparse(held, self.weights.some(index), self.dtype)

    @property
    def density(self) -> float:
        return len(self.held.x) / (self.shape[0] * self.shape[1])
