"""Passes over the data for M = L Rᵀ and Σ w ℓ(x, m): over all entries, or the non-zero ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.likelihood.entry_losses import Elementwise, weighted


class Passes(ABC):
    """What likelihoods read of their data, for one start; the data stay as they are."""

    @abstractmethod
    def total(self, L: Tensor, R: Tensor) -> Tensor:
        """Σ w ℓ alone, float64."""

    @abstractmethod
    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(Σ w ℓ, its gradient in L, its gradient in R)."""

    @abstractmethod
    def bend(self, L: Tensor, R: Tensor) -> Any:
        """What is kept of the curvature at this point, for the two that follow."""

    @abstractmethod
    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: Any, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Gauss–Newton product: the curvature of ℓ times dM = dL Rᵀ + L dRᵀ, taken to L and R.

        The whole second derivative has the slope of ℓ times dR and dL on top.
        """

    @abstractmethod
    def blocks(self, L: Tensor, R: Tensor, bend: Any) -> tuple[Tensor, Tensor]:
        """Row blocks of `product` in L and in R, (row, K, K) and (column, K, K)."""


class EntryPasses(Passes):
    """All entries, in chunks of rows: one is held at a time."""

    def __init__(self, form: Form, loss: Elementwise) -> None:
        self.form, self.loss = form, loss

    def total(self, L: Tensor, R: Tensor) -> Tensor:
        return self.evaluate(L, R)[0]

    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value = L.new_zeros((), dtype=torch.float64)
        gL, gR = torch.empty_like(L), torch.zeros_like(R)
        for rows, x, w in self.form.chunks():
            m = L[rows] @ R.T
            part, h = self.loss.value(x, m), self.loss.slope(x, m)
            part, h = (part, h) if w is None else (weighted(w, part), weighted(w, h))
            value = value + part.sum(dtype=torch.float64)
            gL[rows] = h @ R
            gR.addmm_(h.T, L[rows])
        return value, gL, gR

    def bend(self, L: Tensor, R: Tensor) -> None:
        """Nothing: it would be of the size of the data."""

    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: Any, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        hL, hR = torch.empty_like(L), torch.zeros_like(R)
        lefts, rights = torch.cat([dL, L], 1), torch.cat([R, dR], 1).T
        for rows, x, w in self.form.chunks():
            h = lefts[rows] @ rights
            if not self.loss.quadratic:
                h.mul_(self.loss.curvature(x, L[rows] @ R.T))
                h = h if w is None else weighted(w, h)
            elif w is not None:  # h has nothing of the data in it, nothing of what is masked
                h.mul_(w)
            hL[rows] = h @ R
            hR.addmm_(h.T, L[rows])
            if whole:
                slope = self.loss.slope(x, L[rows] @ R.T)
                slope = slope if w is None else weighted(w, slope)
                hL[rows] += slope @ dR
                hR.addmm_(slope.T, dL[rows])
        return hL, hR

    def blocks(self, L: Tensor, R: Tensor, bend: Any) -> tuple[Tensor, Tensor]:
        LL, RR = pairs(L), pairs(R)
        halves = torch.empty_like(LL), torch.zeros_like(RR)
        for rows, x, w in self.form.chunks():
            if self.loss.quadratic and w is not None:
                d = w.to(L).expand(x.shape)
            else:
                d = self.loss.curvature(x, L[rows] @ R.T)
                d = d if w is None else weighted(w, d)
            halves[0][rows] = d @ RR
            halves[1].addmm_(d.T, LL[rows])
        return unpacked(halves[0], L.shape[1]), unpacked(halves[1], L.shape[1])


class NonzeroPasses(Passes):
    """The non-zero entries alone, for a loss that is nothing elsewhere; weights of rank one."""

    def __init__(self, form: Form, loss: Elementwise) -> None:
        self.form, self.loss = form, loss

    def total(self, L: Tensor, R: Tensor) -> Tensor:
        total = L.new_zeros((), dtype=torch.float64)
        for part in self.form.entries().parts():  # nothing of the size of the entries is made
            value, w = self.loss.value(part.x, part.sample(L, R)), self.entry_weights(part)
            total = total + (value if w is None else w * value).sum(dtype=torch.float64)
        return total

    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        entries = self.form.entries()
        m, w = entries.sample(L, R), self.entry_weights()
        value, h = self.loss.value(entries.x, m), self.loss.slope(entries.x, m)
        value, h = (value, h) if w is None else (w * value, w * h)
        return value.sum(dtype=torch.float64), *entries.spread(h, L, R)

    def bend(self, L: Tensor, R: Tensor) -> Tensor:
        """The weighted curvature of ℓ at the entries."""
        entries, w = self.form.entries(), self.entry_weights()
        d = self.loss.curvature(entries.x, entries.sample(L, R))
        return d if w is None else w * d

    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: Any, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        entries = self.form.entries()
        dM = entries.sample(torch.cat([dL, L], 1), torch.cat([R, dR], 1))
        hL, hR = entries.spread(bend * dM, L, R)
        if whole:
            w, slope = self.entry_weights(), self.loss.slope(entries.x, entries.sample(L, R))
            more = entries.spread(slope if w is None else w * slope, dL, dR)
            hL, hR = hL + more[0], hR + more[1]
        return hL, hR

    def blocks(self, L: Tensor, R: Tensor, bend: Any) -> tuple[Tensor, Tensor]:
        halves = self.form.entries().spread(bend, pairs(L), pairs(R))
        return unpacked(halves[0], L.shape[1]), unpacked(halves[1], L.shape[1])

    def entry_weights(self, part: Entries | None = None) -> Tensor | None:
        """Weights of the entries, or of a part of them; None = ones."""
        entries, weights = part or self.form.entries(), self.form.weights
        if weights.rows is None and weights.cols is None:
            return None
        made = torch.ones_like(entries.x)
        made = made if weights.rows is None else made * weights.rows.index_select(0, entries.i)
        return made if weights.cols is None else made * weights.cols.index_select(0, entries.j)


def pairs(F: Tensor) -> Tensor:
    """Products of two entries of a row, (row, K (K + 1) / 2): (k, l ≤ k) by rows of a triangle."""
    k, l = torch.tril_indices(*[F.shape[1]] * 2, device=F.device)  # noqa: E741
    return F[:, k] * F[:, l]


def unpacked(half: Tensor, K: int) -> Tensor:
    """Symmetric matrices (row, K, K) of their lower triangles, (row, K (K + 1) / 2)."""
    k, l = torch.tril_indices(K, K, device=half.device)  # noqa: E741
    full = half.new_empty(len(half), K, K)
    full[:, k, l] = full[:, l, k] = half
    return full
