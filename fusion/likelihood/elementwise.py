"""Fits that are no square of a difference, for autograd: value, gradient, curvature."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded, Prediction
from fusion.forms.contract import Form
from fusion.likelihood.entry_losses import Elementwise, weighted
from fusion.likelihood.passes import Passes, passes


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
    def forward(reads: Passes, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return reads.evaluate(L, R)

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
    def forward(reads: Passes, L: Tensor, R: Tensor) -> Tensor:
        return reads.total(L, R)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.mark_non_differentiable(output)


class CurvatureScalar(_PerStart):
    """A scalar 0 with gradient 0, and with the Gauss–Newton matrix at (L, R) as Hessian."""

    @staticmethod
    def forward(reads: Passes, L: Tensor, R: Tensor) -> Tensor:
        return L.new_zeros((), dtype=torch.float64)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.reads = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, g: Tensor
    ) -> tuple[None, Tensor, Tensor]:
        return None, *_CurvatureGradient.apply(ctx.reads, *ctx.saved_tensors, g)


class _CurvatureGradient(_PerStart):
    """The gradient of `Curvature`: 0 here, its derivative the Gauss–Newton product."""

    @staticmethod
    def forward(reads: Passes, L: Tensor, R: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(L), torch.zeros_like(R)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        ctx.reads, ctx.bend = inputs[0], inputs[0].bend(*inputs[1:3])
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dL: Tensor, dR: Tensor
    ) -> tuple[None, Tensor, Tensor, None]:
        L, R, g = ctx.saved_tensors
        hL, hR = ctx.reads.product(L, R, dL, dR, ctx.bend)
        return None, g.to(L.dtype) * hL, g.to(R.dtype) * hR, None


def value(form: Form, loss: Elementwise, M: Prediction) -> Tensor:
    """Σ w ℓ(x, m) with its linear part, a float64 scalar with gradient."""
    if isinstance(M, Expanded):
        x, w = _values_and_weights(form)
        made = loss.value(x, M.matrix)
        made = (made if w is None else weighted(w, made)).sum(dtype=torch.float64)
    elif torch.is_grad_enabled():
        made = ValueWithGradient.apply(*_of(form, loss, M))[0]
    else:
        made = ValueAlone.apply(*_of(form, loss, M))
    return made + loss.linear * _weighted_sum_of_prediction(form, M) if loss.linear else made


def curvature(form: Form, loss: Elementwise, M: Prediction) -> Tensor:
    """A scalar whose Hessian at M is Σ w ∂²ℓ/∂m² (∂m)(∂m)ᵀ."""
    if isinstance(M, Expanded):
        x, w = _values_and_weights(form)
        here = M.matrix.detach()
        d = loss.curvature(x, here)
        d = d if w is None else weighted(w, d)
        return 0.5 * (d * (M.matrix - here).square()).sum(dtype=torch.float64)
    return CurvatureScalar.apply(*_of(form, loss, M))


def _of(form: Form, loss: Elementwise, M: Prediction) -> tuple[Passes, Tensor, Tensor]:
    """Passes over the data for this prediction, and its factors."""
    L, R = M.two_way()
    return passes(form, loss, L), L, R


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
