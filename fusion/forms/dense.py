"""Arrays in memory, as fits read them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion.forms import compiled_products, compiled_reading
from fusion.forms.contract import Form
from fusion.forms.reading import CHUNK
from fusion.forms.weights import Weights

EXACT = torch.float32, torch.uint8, torch.int8, torch.uint16, torch.int16
"""Types whose values single precision holds."""
RESIDENT = 2**22
"""Up to this many entries data are kept in the factors' precision; above, chunks are converted."""
FEW, PANEL = 16, 12
"""Columns above which in single precision, and multiples of which in double, X B is as fast as
(Bᵀ Xᵀ)ᵀ, which else takes a third to two thirds of its time (MKL)."""


class Dense(Form):
    """An array in the precision it came in.

    Args:
        array: (row, column), any real type, finite (masked entries hold zeros).
        weights: on the same device, in `dtype`.
        dtype: precision of the factors and of every product.
        resident: entries up to which they are kept in that precision; of what is read a few times
            alone a copy does not pay.
    """

    def __init__(
        self, array: Tensor, weights: Weights, dtype: torch.dtype, resident: int = RESIDENT
    ) -> None:
        super().__init__((array.shape[0], array.shape[1]), weights, dtype)
        self.array = array.to(dtype) if array.numel() <= resident else array

    @property
    def compiled(self) -> bool:
        return compiled_reading.serves(self.array)

    @property
    def device(self) -> torch.device:
        return self.array.device

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        step = self._step()
        same = self.array.dtype == dtype
        size = (0 if same else min(step, self.shape[0]), self.shape[1])
        buffer = self.array.new_empty(size, dtype=dtype)
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            x = self.array[rows]
            yield rows, x if same else buffer[: len(x)].copy_(x)

    def _step(self) -> int:
        """Rows that are read together; a GPU wants more at a time."""
        return max(1, (CHUNK if self.device.type == "cpu" else 8 * CHUNK) // self.shape[1])

    def whole(self) -> Tensor:
        return self.array.to(self.dtype)

    def rows(self, index: Tensor) -> Dense:
        return Dense(self.array[index], self.weights.some(index), self.dtype)

    @property
    def native(self) -> torch.dtype:
        exact = self.array.dtype in EXACT
        return torch.float32 if exact else self.dtype

    def matmul(self, B: Tensor) -> Tensor:
        if compiled_products.multiplies(self.array, B):
            return compiled_products.product(self.array, B)
        if self._at_once(B.dtype):
            return _product(self.array, B).contiguous()
        made = B.new_empty(self.shape[0], B.shape[1])
        for rows, x in self.blocks(B.dtype):
            made[rows] = _product(x, B)
        return made

    def rmatmul(self, G: Tensor) -> Tensor:
        if compiled_products.multiplies(self.array, G):
            return compiled_products.product_back(self.array, G).to(G.dtype)
        if self._at_once(G.dtype):
            return (G.T @ self.array).T  # several times faster than Xᵀ G where X is tall
        total = torch.zeros(G.shape[1], self.shape[1], dtype=torch.float64, device=G.device)
        for rows, x in self.blocks(G.dtype):
            total += torch.bmm(_one_batch_a_thread(G[rows]).mT, _one_batch_a_thread(x)).sum(0)
        return total.T.to(G.dtype)

    def _at_once(self, dtype: torch.dtype) -> bool:
        """Whether one product with all the data is best: a GPU, or nothing to gain from parts."""
        few = self.array.numel() <= CHUNK
        return self.array.dtype == dtype and (few or self.device.type != "cpu")

    def sums(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            ones = torch.ones(self.shape[1], dtype=torch.float64, device=self.device)
            c = ones if self.weights.cols is None else self.weights.cols.double()
            if self.compiled:
                self._sums = compiled_reading.sums(self.array, c)
                return self._sums
            squares, total = c.new_empty(self.shape[0]), torch.zeros_like(ones)
            room = c.new_empty(min(self.shape[0], self._step()), self.shape[1])
            for rows, x in self.blocks(torch.float64):
                total += total.new_ones(len(x)) @ x  # faster than a sum over tall columns
                squared = torch.mul(x, x, out=room[: len(x)])  # new room each time would pile up
                torch.mv(squared, c, out=squares[rows])
            self._sums = squares, total
        return self._sums

    def residual_squares(self, L: Tensor, R: Tensor, damped: float | None = None) -> Tensor:
        if not self.compiled or self.weights.full is not None:
            return super().residual_squares(L, R, damped)
        beside = L, R, self.weights.cols
        kept = {} if self._kept is None else self._kept
        over = kept.get(tuple(map(id, beside)), (None, None))[1]
        if over is None or (damped is not None and over.damped is None):
            # weights go in single precision there, which sums do not
            wanted = self._sums is None and self._kept is not None and beside[2] is None
            over = compiled_reading.looked_over(self.array, *beside, damped, sums=wanted)
            self._sums = self._sums or over.sums
            kept[tuple(map(id, beside))] = beside, over
        squares = over.squares if damped is None else over.damped
        assert squares is not None
        made = squares.to(L)
        return made if self.weights.rows is None else made * self.weights.rows


def _product(x: Tensor, B: Tensor) -> Tensor:
    """X B, as (Bᵀ Xᵀ)ᵀ where that is faster."""
    columns = B.shape[1]
    whole = columns > FEW if B.dtype == torch.float32 else columns % PANEL == 0
    return x @ B if whole else (B.T.contiguous() @ x.T).T


def _one_batch_a_thread(x: Tensor) -> Tensor:
    """Rows in as many batches as there are threads: each reads what it has converted itself."""
    threads = torch.get_num_threads() if x.device.type == "cpu" else 1
    return x.unflatten(0, (threads, -1)) if len(x) % threads == 0 else x[None]
