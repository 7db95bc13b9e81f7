"""Fits that are no square of a difference: value, gradient, Gauss–Newton curvature, by chunks.

For M = L Rᵀ and a loss Σ ℓ(x, m) the data are read in chunks, and one is held at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded, Prediction
from fusion.forms.contract import Form


class Elementwise(ABC):
    """ℓ(x, m) with its first two derivatives in m, entry by entry."""

    @abstractmethod
    def value(self, x: Tensor, m: Tensor) -> Tensor:
        """ℓ."""

    @abstractmethod
    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        """∂ℓ/∂m."""

    @abstractmethod
    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        """∂²ℓ/∂m², or a non-negative stand-in."""

    def bends(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """(slope, curvature) where x ≠ 0, in one go."""
        return self.slope(x, m), self.curvature(x, m)

    def rise(self, x: Tensor, m: Tensor, to: Tensor) -> Tensor:
        """ℓ(x, to) − ℓ(x, m) where x ≠ 0; NaN where that is nothing."""
        return self.value(x, to) - self.value(x, m)

    vanishes_at_zero: bool = False
    """Whether ℓ = 0 wherever x = 0, so that the non-zero entries are all."""
    linear: float = 0.0
    """Coefficient of a part Σ w m that comes on top of ℓ: column sums give it."""


class Square(Elementwise):
    """½ (x − m)²."""

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        return 0.5 * (x - m).square()

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return m - x

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.ones_like(m)


class SquareOfPrediction(Elementwise):
    """½ m², whatever the data are."""

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        return 0.5 * m.square()

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return m

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.ones_like(m)


SQUARE = Square()
SQUARE_OF_PREDICTION = SquareOfPrediction()


class Chunks:
    """The entries of a form, or its non-zero ones, to sample M at and spread gradients from."""

    def __init__(self, form: Form, loss: Elementwise) -> None:
        self.form, self.loss = form, loss
        self.sparse = loss.vanishes_at_zero and form.rank_one and form.density < 0.25

    def total(self, L: Tensor, R: Tensor) -> Tensor:
        """Σ w ℓ alone."""
        if not self.sparse:
            return self.evaluate(L, R)[0]
        entries, w = self.form.entries(), self.entry_weights()
        value = self.loss.value(entries.x, entries.sample(L, R))
        return (value if w is None else w * value).sum(dtype=torch.float64)

    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(Σ w ℓ, its gradient in L, its gradient in R)."""
        if self.sparse:
            entries = self.form.entries()
            m, w = entries.sample(L, R), self.entry_weights()
            value, h = self.loss.value(entries.x, m), self.loss.slope(entries.x, m)
            value, h = (value, h) if w is None else (w * value, w * h)
            return value.sum(dtype=torch.float64), *entries.spread(h, L, R)
        value, gL, gR = (
            L.new_zeros((), dtype=torch.float64),
            torch.empty_like(L),
            torch.zeros_like(R),
        )
        for rows, x, w in self.form.chunks():
            m = L[rows] @ R.T
            part, h = self.loss.value(x, m), self.loss.slope(x, m)
            part, h = (part, h) if w is None else (_weighted(w, part), _weighted(w, h))
            value = value + part.sum(dtype=torch.float64)
            gL[rows] = h @ R
            gR.addmm_(h.T, L[rows])
        return value, gL, gR

    def bend(self, L: Tensor, R: Tensor) -> Tensor | None:
        """The weighted curvature of ℓ at the non-zero entries, where these are all that count."""
        if not self.sparse:
            return None
        entries, w = self.form.entries(), self.entry_weights()
        d = self.loss.curvature(entries.x, entries.sample(L, R))
        return d if w is None else w * d

    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Gauss–Newton product: the curvature of ℓ times dM = dL Rᵀ + L dRᵀ, taken to L and R."""
        if bend is not None:
            entries = self.form.entries()
            dM = entries.sample(torch.cat([dL, L], 1), torch.cat([R, dR], 1))
            return entries.spread(bend * dM, L, R)
        hL, hR = torch.empty_like(L), torch.zeros_like(R)
        for rows, x, w in self.form.chunks():
            h = self.loss.curvature(x, L[rows] @ R.T) * (dL[rows] @ R.T + L[rows] @ dR.T)
            h = h if w is None else _weighted(w, h)
            hL[rows] = h @ R
            hR.addmm_(h.T, L[rows])
        return hL, hR

    def blocks(self, L: Tensor, R: Tensor, bend: Tensor | None) -> tuple[Tensor, Tensor]:
        """Row blocks of `product` in L and in R, (row, K, K) and (column, K, K)."""
        K = L.shape[1]
        a, b = torch.triu_indices(K, K, device=L.device)
        LL, RR = L[:, a] * L[:, b], R[:, a] * R[:, b]
        if bend is not None:
            halves = self.form.entries().spread(bend, LL, RR)
        else:
            halves = torch.empty_like(LL), torch.zeros_like(RR)
            for rows, x, w in self.form.chunks():
                d = self.loss.curvature(x, L[rows] @ R.T)
                d = d if w is None else _weighted(w, d)
                halves[0][rows] = d @ RR
                halves[1].addmm_(d.T, LL[rows])
        blocks = []
        for half in halves:
            full = half.new_empty(len(half), K, K)
            full[:, a, b] = full[:, b, a] = half
            blocks.append(full)
        return blocks[0], blocks[1]

    def entry_weights(self) -> Tensor | None:
        """Weights of the non-zero entries; None = ones."""
        entries, weights = self.form.entries(), self.form.weights
        if weights.rows is None and weights.cols is None:
            return None
        made = torch.ones_like(entries.x)
        made = made if weights.rows is None else made * weights.rows.index_select(0, entries.i)
        return made if weights.cols is None else made * weights.cols.index_select(0, entries.j)


def _weighted(w: Tensor, value: Tensor) -> Tensor:
    """w·value with 0·∞ = 0: what is masked does not count."""
    return torch.where(w > 0, w * value, 0)


class _PerStart(torch.autograd.Function):
    """A function of (…, L, R, …) mapped start by start: its cost lies in the data, not overhead."""

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple, *inputs: Any) -> tuple[Any, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        moved = [x if d is None else x.movedim(d, 0) for x, d in zip(inputs, in_dims, strict=True)]
        calls = [
            cls.apply(*(x if d is None else x[s] for x, d in zip(moved, in_dims, strict=True)))
            for s in range(info.batch_size)
        ]
        if isinstance(calls[0], tuple):
            return tuple(torch.stack(parts) for parts in zip(*calls, strict=True)), (0,) * len(
                calls[0]
            )
        return torch.stack(calls), 0


class ValueWithGradient(_PerStart):
    """Σ w ℓ(x, L Rᵀ), float64; value and gradient from one pass over the data."""

    @staticmethod
    def forward(chunks: Chunks, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return chunks.evaluate(L, R)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.save_for_backward(output[1], output[2])
        ctx.mark_non_differentiable(output[1], output[2])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, g: Tensor, *_: Any
    ) -> tuple[None, Tensor, Tensor]:
        gL, gR = ctx.saved_tensors
        return None, g.to(gL.dtype) * gL, g.to(gR.dtype) * gR


class ValueAlone(_PerStart):
    """The same without a gradient, where none is asked for."""

    @staticmethod
    def forward(chunks: Chunks, L: Tensor, R: Tensor) -> Tensor:
        return chunks.total(L, R)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.mark_non_differentiable(output)


class CurvatureScalar(_PerStart):
    """A scalar 0 with gradient 0, and with the Gauss–Newton matrix at (L, R) as Hessian."""

    @staticmethod
    def forward(chunks: Chunks, L: Tensor, R: Tensor) -> Tensor:
        return L.new_zeros((), dtype=torch.float64)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.chunks = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, g: Tensor
    ) -> tuple[None, Tensor, Tensor]:
        return None, *_CurvatureGradient.apply(ctx.chunks, *ctx.saved_tensors, g)


class _CurvatureGradient(_PerStart):
    """The gradient of `Curvature`: 0 here, its derivative the Gauss–Newton product."""

    @staticmethod
    def forward(chunks: Chunks, L: Tensor, R: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(L), torch.zeros_like(R)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        ctx.chunks, ctx.bend = inputs[0], inputs[0].bend(*inputs[1:3])
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dL: Tensor, dR: Tensor
    ) -> tuple[None, Tensor, Tensor, None]:
        L, R, g = ctx.saved_tensors
        hL, hR = ctx.chunks.product(L, R, dL, dR, ctx.bend)
        return None, g.to(L.dtype) * hL, g.to(R.dtype) * hR, None


def value(form: Form, loss: Elementwise, M: Prediction) -> Tensor:
    """Σ w ℓ(x, m) with its linear part, a float64 scalar with gradient."""
    if isinstance(M, Expanded):
        x, w = _values_and_weights(form)
        made = loss.value(x, M.matrix)
        made = (made if w is None else _weighted(w, made)).sum(dtype=torch.float64)
    elif torch.is_grad_enabled():
        made = ValueWithGradient.apply(Chunks(form, loss), *M.two_way())[0]
    else:
        made = ValueAlone.apply(Chunks(form, loss), *M.two_way())
    return made + loss.linear * _weighted_sum_of_prediction(form, M) if loss.linear else made


def curvature(form: Form, loss: Elementwise, M: Prediction) -> Tensor:
    """A scalar whose Hessian at M is Σ w ∂²ℓ/∂m² (∂m)(∂m)ᵀ."""
    if isinstance(M, Expanded):
        x, w = _values_and_weights(form)
        here = M.matrix.detach()
        d = loss.curvature(x, here)
        d = d if w is None else _weighted(w, d)
        return 0.5 * (d * (M.matrix - here).square()).sum(dtype=torch.float64)
    return CurvatureScalar.apply(Chunks(form, loss), *M.two_way())


def _values_and_weights(form: Form) -> tuple[Tensor, Tensor | None]:
    """All values and weights at once, for a prediction that is expanded anyway."""
    return form.whole(), form.weights.chunk(slice(None), form.shape)


def _weighted_sum_of_prediction(form: Form, M: Prediction) -> Tensor:
    """Σ w m, from column sums where the weights are of rank one."""
    if isinstance(M, Expanded):
        w = form.weights.chunk(slice(None), form.shape)
        return (M.matrix if w is None else w * M.matrix).sum(dtype=torch.float64)
    L, R = form.weighted(*M.two_way())
    if form.weights.full is not None:
        return ((form.weights.full @ R) * L).sum(dtype=torch.float64)
    return (L.sum(0, dtype=torch.float64) * R.sum(0, dtype=torch.float64)).sum()
