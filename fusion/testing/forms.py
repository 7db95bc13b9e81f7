"""What every form of data keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.func import vmap
from torch.testing import assert_close

from fusion.algebra.prediction import CP
from fusion.forms.contract import Form
from fusion.likelihood import elementwise
from fusion.likelihood.entry_losses import Elementwise
from fusion.testing.random_tensors import STARTS, normal, uniform


class FormContract(ABC):
    """What every form of data keeps to: ‖X‖², ⟨X, M⟩ with its gradient, sums over entries."""

    rank = 3
    losses: tuple[Elementwise, ...] = ()
    """Entry-wise losses that are held against autograd; the data must suit them."""

    @abstractmethod
    def make(self, dtype: torch.dtype) -> tuple[Form, Tensor, Tensor]:
        """The form, and its values and weights in full, float64 (row, column)."""

    def factors(
        self, shape: tuple[int, int], dtype: torch.dtype, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """L (row, r) and R (column, r), positive."""
        L, R = (uniform(n, self.rank, seed=seed + 7 * i) for i, n in enumerate(shape))
        return L.to(dtype).requires_grad_(), R.to(dtype).requires_grad_()

    def test_norm_is_the_expanded_one_in_float64(self) -> None:
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
            form, X, W = self.make(dtype)
            assert form.norm2().dtype == torch.float64
            assert_close(form.norm2(), (W * X.square()).sum(), rtol=tolerance, atol=0)

    def test_count_is_the_number_of_entries_with_weight(self) -> None:
        form, _, W = self.make(torch.float64)
        assert form.count() == int((W > 0).sum())

    def test_inner_product_and_its_gradient_are_the_expanded_ones(self) -> None:
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            form, X, W = self.make(dtype)
            if not form.rank_one:
                return
            L, R = self.factors(form.shape, dtype)
            inner = form.inner(L, R)
            expected = (W * X * (L.double() @ R.double().T)).sum()
            assert inner.dtype == torch.float64
            assert_close(inner, expected, rtol=tolerance, atol=tolerance)
            made, wanted = (torch.autograd.grad(v, (L, R)) for v in (inner, expected))
            assert_close(made, wanted, rtol=tolerance, atol=tolerance * float(X.abs().max()))

    def test_inner_product_over_starts_equals_a_loop(self) -> None:
        form, _, _ = self.make(torch.float64)
        if not form.rank_one:
            return
        pairs = [self.factors(form.shape, torch.float64, seed) for seed in range(STARTS)]
        L, R = (torch.stack(p).detach().requires_grad_() for p in zip(*pairs, strict=True))
        together = vmap(form.inner)(L, R)
        assert_close(together, torch.stack([form.inner(a, b) for a, b in pairs]))
        loop = [torch.autograd.grad(form.inner(a, b), (a, b)) for a, b in pairs]
        gL, gR = torch.autograd.grad(together.sum(), (L, R))
        assert_close(gL, torch.stack([a for a, _ in loop]))
        assert_close(gR, torch.stack([b for _, b in loop]))

    def test_entrywise_value_and_gradient_are_those_of_autograd(self) -> None:
        for loss in self.losses:
            form, X, W = self.make(torch.float64)
            L, R = self.factors(form.shape, torch.float64)
            made = elementwise.value(form, loss, CP(L, R))
            expected = (_masked(W, loss.value(X, L @ R.T)) + loss.linear * W * (L @ R.T)).sum()
            assert_close(made, expected, rtol=1e-10, atol=1e-10)
            both = (torch.autograd.grad(v, (L, R)) for v in (made, expected))
            assert_close(*both, rtol=1e-9, atol=1e-9)

    def test_entrywise_curvature_is_the_gauss_newton_product(self) -> None:
        for loss in self.losses:
            form, X, W = self.make(torch.float64)
            L, R = self.factors(form.shape, torch.float64)
            dL, dR = normal(*L.shape, seed=3), normal(*R.shape, seed=4)
            scalar = elementwise.curvature(form, loss, CP(L, R))
            gradient = torch.autograd.grad(scalar, (L, R), create_graph=True)
            made = torch.autograd.grad(gradient, (L, R), (dL, dR))
            D = _masked(W, loss.curvature(X, L @ R.T)).detach()
            h = D * (dL @ R.T + L @ dR.T)
            assert_close(made, (h @ R, h.T @ L), rtol=1e-9, atol=1e-9)

    def test_entrywise_value_over_starts_equals_a_loop(self) -> None:
        for loss in self.losses:
            form, _, _ = self.make(torch.float64)
            pairs = [self.factors(form.shape, torch.float64, seed) for seed in range(STARTS)]

            def value(L: Tensor, R: Tensor, form: Form = form, loss: Elementwise = loss) -> Tensor:
                return elementwise.value(form, loss, CP(L, R))

            L, R = (torch.stack(p).detach() for p in zip(*pairs, strict=True))
            assert_close(vmap(value)(L, R), torch.stack([value(*pair) for pair in pairs]))


def _masked(weight: Tensor, value: Tensor) -> Tensor:
    """weight · value with 0·∞ = 0."""
    return torch.where(weight > 0, weight * value, 0)
