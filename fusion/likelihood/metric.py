"""Gauss–Newton curvature of a fit in closed form, in the tensors of its prediction.

For a fit Σ w ℓ(x, m) with M = ⟦T₁, T₂, …⟧ the product is Jᵀ D J, D = w ℓ''(m) and J the derivative
of M by the tensors T_j. Starts come first in every array: T_j is (start, n_j, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from fusion.algebra.prediction import CP, Expanded, Prediction, Tucker
from fusion.forms.contract import Form
from fusion.likelihood.entry_losses import SQUARE, Elementwise
from fusion.likelihood.passes import passes

Directions = Sequence[Tensor | None]
"""A direction for every tensor; None = zero."""


class RowBlocks(NamedTuple):
    """The block of every row of a tensor: weight[row] · matrix[start, row or 0]."""

    matrix: Tensor  # (start, row or 1, K, K)
    weight: Tensor | None = None  # (row,)


class Coupling(NamedTuple):
    """How tensors meet beside their row blocks: U M Uᵀ, where U = w T ⊗ 1 for a tensor T.

    Uᵀ d is (w T)ᵀ d, an (r, r) matrix, flattened; of a core, which has no rows, d itself.
    """

    bases: Sequence[tuple[Tensor | None, Tensor | None]]  # T (start, n, r) and w (n,); None: a core
    sizes: Sequence[int]  # r² of every tensor, or the size of the core
    matrix: Tensor  # (start, p, p), p = Σ sizes, symmetric


class Metric(ABC):
    """Curvature at one point, for all starts.

    Args:
        form: the data.
        loss: ℓ.
        parts: the tensors, with starts in front.
        scale: (start,) factor of the whole.
    """

    @abstractmethod
    def __init__(
        self, form: Form, loss: Elementwise, parts: Sequence[Tensor], scale: Tensor
    ) -> None: ...

    @abstractmethod
    def product(self, d: Directions, wanted: Sequence[bool] | None = None) -> list[Tensor | None]:
        """Jᵀ D J d, for every tensor; of those that are not wanted it may be None."""

    @abstractmethod
    def blocks(self, j: int) -> RowBlocks | None:
        """Its row blocks in tensor j; None where they are no such thing (a core)."""

    def coupling(self) -> Coupling | None:
        """All that it has beside its blocks; None where that is not of low rank."""
        return None

    def made_whole(self) -> None:  # noqa: B027
        """From now on products are of the whole second derivative, where the form has it."""


def closed_form(
    form: Form, M: Prediction, loss: Elementwise
) -> tuple[type[Metric], tuple[Tensor, ...]] | None:
    """The closed form that the curvature of this loss has, and the tensors in which it has it.

    The prediction's own where Gram matrices serve, else those of its two-way form; None for an
    expanded one.
    """
    if isinstance(M, Expanded):
        return None
    if loss is not SQUARE or not form.rank_one:
        return Entrywise, M.two_way()
    if isinstance(M, CP) and (len(M.factors) == 2 or form.unweighted):
        return CPGrams, M.factors
    if isinstance(M, Tucker) and form.unweighted:
        return TuckerGrams, (M.core, *M.factors)
    return CPGrams, M.two_way()


class CPGrams(Metric):
    """Least squares of a CP tensor: K × K matrices between the passes over the factors."""

    def __init__(
        self, form: Form, loss: Elementwise, parts: Sequence[Tensor], scale: Tensor
    ) -> None:
        self.factors, self.scale = list(parts), scale.to(parts[0].dtype)[:, None, None]
        two = len(parts) == 2
        self.weights = [form.weights.rows, form.weights.cols] if two else [None] * len(parts)
        self.weighted = [
            f if w is None else f * w[:, None]
            for f, w in zip(self.factors, self.weights, strict=True)
        ]
        grams = [w.mT @ f for w, f in zip(self.weighted, self.factors, strict=True)]
        modes = range(len(parts))
        self.own = [reduce(torch.mul, _all_but(grams, j), self.scale) for j in modes]
        self.rest = [
            [reduce(torch.mul, _all_but(grams, i, j), self.scale) for i in modes] for j in modes
        ]

    def product(self, d: Directions, wanted: Sequence[bool] | None = None) -> list[Tensor | None]:
        met = [None if x is None else x.mT @ w for x, w in zip(d, self.weighted, strict=True)]
        made: list[Tensor | None] = []
        for j, (factor, weight) in enumerate(zip(self.factors, self.weights, strict=True)):
            if wanted is not None and not wanted[j]:
                made.append(None)
                continue
            mine = d[j]
            h = torch.zeros_like(factor) if mine is None else mine @ self.own[j]
            cross = [D * self.rest[j][i] for i, D in enumerate(met) if i != j and D is not None]
            if cross:
                h.baddbmm_(factor, reduce(torch.add, cross))
            made.append(h if weight is None else h.mul_(weight[:, None]))
        return made

    def blocks(self, j: int) -> RowBlocks:
        return RowBlocks(self.own[j][:, None], self.weights[j])

    def coupling(self) -> Coupling:
        k = self.factors[0].shape[-1]
        modes, n = range(len(self.factors)), k * k
        here = torch.arange(n, device=self.scale.device)
        there = here.reshape(k, k).T.flatten()  # T_i meets the directions of T_j crosswise
        matrix = self.scale.new_zeros(len(self.scale), len(modes) * n, len(modes) * n)
        for j in modes:
            for i in modes:
                if i != j:
                    matrix[:, j * n + here, i * n + there] = self.rest[j][i].flatten(1)
        bases = list(zip(self.factors, self.weights, strict=True))
        return Coupling(bases, [n] * len(modes), matrix)


def _all_but(grams: Sequence[Tensor], *left_out: int) -> list[Tensor]:
    """The Gram matrices of the other modes: their Hadamard product is what a mode sees of them."""
    return [g for i, g in enumerate(grams) if i not in left_out]


class TuckerGrams(Metric):
    """Least squares of a Tucker tensor M = G ×₁ T₁ ×₂ T₂ …, with P_i = T_iᵀ T_i.

    A direction (dG, dT_i) enters through dG and Q_i = T_iᵀ dT_i, of the size of the core, and
    through dT_i itself where both sides have it.
    """

    def __init__(
        self, form: Form, loss: Elementwise, parts: Sequence[Tensor], scale: Tensor
    ) -> None:
        self.core, *self.factors = parts
        self.scale = scale.to(self.core.dtype)
        self.grams = [f.mT @ f for f in self.factors]
        modes = range(len(self.factors))
        self.near = [self._met(self.core, i) for i in modes]  # G times all P but that of one mode
        self.own = [
            self.scale[:, None, None] * _unfold(self.near[i], i) @ _unfold(self.core, i).mT
            for i in modes
        ]
        self.pairs = self._pairs()

    def _met(self, G: Tensor, *left_out: int) -> Tensor:
        """A tensor of the core's size times the Gram matrices of the other modes."""
        for i, P in enumerate(self.grams):
            if i not in left_out:
                G = _mode_product(G, P, i)
        return G

    def _pairs(self) -> Tensor:
        """What the Q of one mode makes of the Q of another, (start, Σ r², Σ r²)."""
        modes, rows = range(len(self.factors)), []
        for i in modes:
            row = []
            for j in modes:
                r, q = self.core.shape[1 + i], self.core.shape[1 + j]
                if i == j:
                    row.append(self.core.new_zeros(len(self.core), r * r, r * r))
                    continue
                V, G = (
                    X.movedim((1 + i, 1 + j), (1, 2)).reshape(len(X), r, q, -1)
                    for X in (self._met(self.core, i, j), self.core)
                )
                pair_block = torch.einsum("sadr,sbcr->sabcd", V, G)
                row.append(pair_block.reshape(len(V), r * r, q * q))
            rows.append(torch.cat(row, 2))
        return torch.cat(rows, 1)

    def product(self, d: Directions, wanted: Sequence[bool] | None = None) -> list[Tensor | None]:
        dG, *dT = d
        Q = [
            P.new_zeros(P.shape) if v is None else f.mT @ v
            for f, v, P in zip(self.factors, dT, self.grams, strict=True)
        ]
        small = (self.pairs @ torch.cat([q.flatten(1) for q in Q], 1)[..., None])[..., 0]
        R = torch.split(small, [q[0].numel() for q in Q], 1)
        core = torch.zeros_like(self.core) if dG is None else self._met(dG)
        for i, (q, near) in enumerate(zip(Q, self.near, strict=True)):
            core = core + _mode_product(near, q, i)
        products: list[Tensor | None] = [core * self.scale.reshape(-1, *[1] * (core.ndim - 1))]
        for i, (f, v, r) in enumerate(zip(self.factors, dT, R, strict=True)):
            inner = r.reshape(Q[i].shape)
            if dG is not None:
                inner = inner + _unfold(dG, i) @ _unfold(self.near[i], i).mT
            h = f @ (self.scale[:, None, None] * inner)
            products.append(h if v is None else torch.baddbmm(h, v, self.own[i]))
        return products

    def block_of_core(self) -> Tensor:
        """The block of the whole core, (start, n, n): Gram matrices multiplied by Kronecker."""
        made = self.scale[:, None, None]
        for P in self.grams:
            rows, cols = made.shape[1] * P.shape[1], made.shape[2] * P.shape[2]
            made = torch.einsum("sab,scd->sacbd", made, P).reshape(len(P), rows, cols)
        return made

    def blocks(self, j: int) -> RowBlocks | None:
        return None if j == 0 else RowBlocks(self.own[j - 1][:, None])

    def coupling(self) -> Coupling:
        n, starts = self.core[0].numel(), len(self.core)
        matrix = self.core.new_zeros(starts, n + len(self.pairs[0]), n + len(self.pairs[0]))
        matrix[:, n:, n:] = self.pairs
        at = n
        for i, near in enumerate(self.near):
            r = near.shape[1 + i]
            each = torch.eye(r * r, dtype=near.dtype, device=near.device).reshape(-1, r, r)
            met = torch.einsum("eab,sbm->seam", each, _unfold(near, i))
            rest = near.movedim(1 + i, 1).shape[2:]
            met = met.unflatten(3, rest).movedim(2, 2 + i).flatten(2)  # (start, r², n)
            matrix[:, at : at + r * r, :n] = met
            matrix[:, :n, at : at + r * r] = met.mT
            at += r * r
        bases = [(None, None), *((f, None) for f in self.factors)]
        sizes = [n, *(f.shape[-1] ** 2 for f in self.factors)]
        return Coupling(bases, sizes, matrix * self.scale[:, None, None])


def _unfold(G: Tensor, mode: int) -> Tensor:
    """(start, n of the mode, all others)."""
    return G.movedim(1 + mode, 1).flatten(2)


def _mode_product(G: Tensor, A: Tensor, mode: int) -> Tensor:
    """G ×_mode A with one matrix a start, (start, n', n)."""
    moved = G.movedim(1 + mode, 1)
    return (A @ moved.flatten(2)).unflatten(2, moved.shape[2:]).movedim(1, 1 + mode)


class Entrywise(Metric):
    """Any other loss, or general weights: passes over the data, M = L Rᵀ."""

    def __init__(
        self, form: Form, loss: Elementwise, parts: Sequence[Tensor], scale: Tensor
    ) -> None:
        self.L, self.R = parts
        self.reads, self.form, self.linear = passes(form, loss, self.L), form, loss.linear
        self.whole = False
        self.scale = scale.to(self.L.dtype)
        self.bends = [self.reads.bend(L, R) for L, R in zip(self.L, self.R, strict=True)]
        self.made: list[Tensor] | None = None

    def product(self, d: Directions, wanted: Sequence[bool] | None = None) -> list[Tensor | None]:
        dL, dR = (
            torch.zeros_like(x) if v is None else v
            for x, v in zip((self.L, self.R), d, strict=True)
        )
        made = [
            self.reads.product(*given, whole=self.whole)
            for given in zip(self.L, self.R, dL, dR, self.bends, strict=True)
        ]
        both = [torch.stack(h) for h in zip(*made, strict=True)]
        if self.whole and self.linear:
            w = self.form.weights
            for h, v, mine, theirs in zip(
                both, (dR, dL), (w.rows, w.cols), (w.cols, w.rows), strict=True
            ):
                total = v.sum(1, keepdim=True) if theirs is None else theirs.to(v) @ v
                total = total.reshape(len(v), 1, -1) * self.linear
                h.add_(total if mine is None else mine.to(v)[:, None] * total)
        return [h * self.scale[:, None, None] for h in both]

    def made_whole(self) -> None:
        # a linear part under weights entry by entry would take a pass of its own
        self.whole = self.form.rank_one or not self.linear

    def blocks(self, j: int) -> RowBlocks:
        if self.made is None:
            made = [
                self.reads.blocks(*given) for given in zip(self.L, self.R, self.bends, strict=True)
            ]
            self.made = [torch.stack(b) for b in zip(*made, strict=True)]
        return RowBlocks(self.made[j] * self.scale[:, None, None, None])
