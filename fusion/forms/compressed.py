"""Data in a few directions a mode: what a least-squares fit reads while it iterates."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import prod

import torch
from torch import Tensor

from fusion.algebra.prediction import CP, Expanded, Prediction, Tucker
from fusion.forms.contract import Form
from fusion.forms.weights import Weights

WORTH = 2**20
"""Fewest entries of data that are compressed: below, passes over them cost little."""
SHRINKS = 3
"""How many times more rows and columns than directions there must be."""
POWER = 3
"""Power iterations of the range finder."""
ROWS = 4096
"""Rows on which all but the last are made, where there are `MANY` times more."""
MANY = 4
OVERSAMPLED = 2
"""Directions a component, and as many more: so the noise that a fit follows is kept, too."""


class Compressed:
    """W ∘ X ≈ core ×₁ U₁ ×₂ U₂ …, with the weights and the norm of the whole.

    ½‖X‖² − ⟨X, M⟩ + ½⟨M, M⟩ with the approximate X in the middle alone: exact as far as M lies in
    the span of the U. Everything else is asked of `whole`.
    """

    def __init__(self, whole: Form, core: Tensor, bases: list[Tensor]) -> None:
        self.whole, self.core = whole, core.double()  # as `Fit.half_squares` meets them
        self.bases = [U.double() for U in bases]
        self.weights, self.dtype, self.shape = whole.weights, whole.dtype, whole.shape
        self.rank_one, self.unweighted = True, whole.unweighted
        self.norm: Tensor | None = None
        self.entries: int | None = None

    def rows(self, index: Tensor) -> Compressed:
        """Some of the rows of a matrix; what was left out is shared out evenly."""
        few = copy(self)
        few.bases = [self.bases[0][index], self.bases[1]]
        few.shape, few.weights = (len(index), self.shape[1]), self.weights.some(index)
        share = len(index) / self.shape[0]
        few.norm = self.norm2() * share
        few.entries = max(1, round(self.count() * share))
        return few

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return self.whole.device

    def norm2(self) -> Tensor:
        """Σ w x² of the whole, float64."""
        return self.whole.norm2() if self.norm is None else self.norm

    def count(self) -> int:
        """Number of entries with weight."""
        return self.whole.count() if self.entries is None else self.entries

    def overlap(self, M: Prediction) -> Tensor:
        """⟨X, M⟩ with the weights, float64."""
        small = M.projected(self.bases)
        return (self.core * small.dense()).sum(dtype=torch.float64)

    def met(self, R: Tensor) -> Tensor:
        """(W ∘ X) R of a matrix: (start, column, n) → (start, row, n)."""
        U, V = self.bases
        small = self.core @ (V.T @ R)
        if len(small) > 1:
            return torch.einsum("ir,srn->sin", U, small)
        return (small.mT.contiguous() @ U.T).mT.contiguous()  # half the time of U @ small

    def met_back(self, L: Tensor) -> Tensor:
        """(W ∘ X)ᵀ L of a matrix: (start, row, n) → (start, column, n)."""
        U, V = self.bases
        return V @ (self.core.T @ (L.mT @ U).mT)

    def weighted(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of W ∘ (L Rᵀ)."""
        return self.weights.applied(L, R)


def compressed(form: Form, M: Prediction) -> Compressed | None:
    """The data in as many directions as this prediction needs; None where that does not pay.

    Weights of every entry are taken as those of its row times those of its column meanwhile.
    """
    if isinstance(M, Expanded) or prod(form.shape) < WORTH:
        return None
    if not form.rank_one:
        near = _with_product_weights(form)
        if near is None:
            return None
        form = near
    tensor = form.unweighted and isinstance(M, CP | Tucker) and len(M.shape) > 2
    widths = _widths(M) if tensor else [M.two_way()[1].shape[1]] * 2
    ranks = [OVERSAMPLED * (r + 1) for r in widths]
    if SHRINKS * ranks[-1] > min(form.shape):
        return None
    left, right = _low_rank_pair(form, ranks[-1])
    if not tensor:
        unit = torch.eye(left.shape[1], dtype=left.dtype, device=left.device)
        return Compressed(form, unit, [left, right])
    return Compressed(form, *_compressed_modes(left.reshape(*M.shape[:-1], -1), right, ranks))


def _with_product_weights(form: Form) -> Form | None:
    """The form with weights of rank one near its own; None where single entries have none."""
    rows, cols = form.shape
    device, dtype = form.device, form.dtype
    of_rows = torch.empty(rows, device=device, dtype=torch.float64)
    of_cols = torch.zeros(cols, device=device, dtype=torch.float64)
    seen_rows = torch.zeros(rows, device=device, dtype=torch.int64)
    seen_cols = torch.zeros(cols, device=device, dtype=torch.int64)
    for part, x in form.blocks(dtype):
        w = form.weights.chunk(part, form.shape)
        assert w is not None
        w = w.expand_as(x)
        of_rows[part], seen_rows[part] = w.sum(1, dtype=torch.float64), (w > 0).sum(1)
        of_cols += w.sum(0, dtype=torch.float64)
        seen_cols += (w > 0).sum(0)
    total, seen = of_rows.sum(), int(seen_rows.sum())
    if not total > 0 or seen != int((seen_rows > 0).sum()) * int((seen_cols > 0).sum()):
        return None
    near = copy(form)
    near.weights = Weights(*((sums / total.sqrt()).to(dtype) for sums in (of_rows, of_cols)))
    near._sums = near._norm2 = None
    return near


def _widths(M: Prediction) -> list[int]:
    """Columns of every factor of a tensor decomposition."""
    assert isinstance(M, CP | Tucker)
    return [f.shape[-1] for f in M.factors]


def _low_rank_pair(form: Form, rank: int) -> tuple[Tensor, Tensor]:
    """(L (row, r), R (column, r)) with W ∘ X ≈ L Rᵀ: the shorter side in r directions.

    With one factor in the span of these directions, the other, which holds most of the unknowns, is
    fitted as to the whole. Randomised range finder with power iterations on W^½ ∘ X: three passes
    over data of many rows, which a sample has prepared, seven over others.

    References:
        Halko, Martinsson & Tropp, SIAM Review 53:217 (2011).
    """
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(min(form.shape), rank, generator=generator, dtype=torch.float64)
    directions = start.to(form.device, form.dtype)
    iterations, dtype = POWER, form.dtype
    if form.shape[0] >= max(form.shape[1], MANY * ROWS):
        index = torch.randperm(form.shape[0], generator=generator)[:ROWS].sort().values
        iterations, dtype = 1, form.native
        directions = _power_iterations(form.rows(index.to(form.device)), directions, POWER, dtype)
    directions = _power_iterations(form, directions, iterations, dtype)
    there, _ = _weighted_products(form, directions)
    left, right = there(directions.to(dtype)).to(form.dtype), directions
    if form.shape[0] < form.shape[1]:
        left, right = right, left
    rows, cols = form.weights.rows, form.weights.cols
    left = left if rows is None else left * rows.sqrt()[:, None]
    return left, right if cols is None else right * cols.sqrt()[:, None]


def _power_iterations(form: Form, directions: Tensor, times: int, dtype: torch.dtype) -> Tensor:
    """Orthonormal directions of the shorter side after so many power iterations in a precision."""
    there, here = _weighted_products(form, directions)
    for _ in range(times):
        met = here(there(directions.to(dtype)))
        directions = torch.linalg.qr(met.to(directions.dtype))[0]
    return directions


def _weighted_products(
    form: Form, directions: Tensor
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """W^½ ∘ X from the side on which directions lie to the other one, and back."""
    rows, cols = (
        None if w is None else w.sqrt()[:, None] for w in (form.weights.rows, form.weights.cols)
    )

    def scale(A: Tensor, w: Tensor | None) -> Tensor:
        return A if w is None else A * w.to(A.dtype)

    def times(B: Tensor) -> Tensor:
        return scale(form.matmul(scale(B, cols)), rows)

    def back(G: Tensor) -> Tensor:
        return scale(form.rmatmul(scale(G, rows)), cols)

    return (times, back) if len(directions) == form.shape[1] else (back, times)


def _orthonormal(A: Tensor) -> Tensor:
    """An orthonormal basis of the columns, through the Gram matrix: A is tall."""
    unit = torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
    for again in range(2):
        gram = A.T @ A
        if again and bool((gram - unit).abs().max() < 1e-9):
            break
        values, vectors = torch.linalg.eigh(gram)
        floor = values[-1] * torch.finfo(A.dtype).eps * len(values)
        kept = values > floor
        A = A @ torch.where(kept, vectors / values.clamp_min(floor).sqrt(), 0)
    return A


def _compressed_modes(rest: Tensor, last: Tensor, ranks: list[int]) -> tuple[Tensor, list[Tensor]]:
    """Core and bases of a tensor (n_1, n_2, …, r) whose last mode is compressed already."""
    bases = []
    for mode, rank in enumerate(ranks[:-1]):
        unfolded = rest.movedim(mode, 0).flatten(1)
        basis = _leading_singular_vectors(unfolded, min(rank, *unfolded.shape))
        bases.append(basis)
        small = (basis.T @ unfolded).reshape(
            -1, *(n for i, n in enumerate(rest.shape) if i != mode)
        )
        rest = small.movedim(0, mode)
    return rest, [*bases, last]


def _leading_singular_vectors(A: Tensor, rank: int) -> Tensor:
    """Leading left singular vectors, from the Gram matrix of the shorter side."""
    if A.shape[0] <= A.shape[1]:
        return torch.linalg.eigh(A @ A.T)[1][:, -rank:]
    return _orthonormal(A @ torch.linalg.eigh(A.T @ A)[1][:, -rank:])
