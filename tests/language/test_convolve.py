"""`convolve` and `shift`: a dense Toeplitz matrix in value, gradient and curvature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine.curvature import Curvature, states_at
from fusion.engine.objective import Objective
from fusion.losses import Frobenius
from fusion.testing import LinearMapContract

SIZES = [(n, losses, zero) for n in (16, 17) for losses in (9, 40) for zero in (0, 5)]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def toeplitz(D: torch.Tensor, n: int, zero: int) -> torch.Tensor:
    """(r, n, n), entry by entry: what of a spectrum at channel f arrives at channel e."""
    T = torch.zeros(D.shape[1], n, n, dtype=D.dtype)
    for e in range(n):
        for f in range(n):
            if 0 <= e - f + zero < len(D):
                T[:, e, f] = D[e - f + zero]
    return T


def by_matrix(S: torch.Tensor, D: torch.Tensor, zero: int) -> torch.Tensor:
    made = torch.einsum("ref,fk->erk", toeplitz(D, len(S), zero), S)
    return made.flatten(1)


@pytest.mark.parametrize(("n", "losses", "zero"), SIZES)
def test_it_is_the_dense_toeplitz_in_value_and_gradient(n, losses, zero):
    S, D = random(n, 3).requires_grad_(), random(losses, 2, seed=1)
    made, dense = fu.convolve(S, D, zero=zero), by_matrix(S, D, zero)
    torch.testing.assert_close(made, dense, rtol=1e-10, atol=1e-10)
    w = random(n, 6, seed=2)
    pulled, expected = (torch.autograd.grad(x, S, w)[0] for x in (made, dense))
    torch.testing.assert_close(pulled, expected, rtol=1e-10, atol=1e-10)


def test_kernels_may_be_unknowns():
    S, D = random(6, 2).requires_grad_(), random(4, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, d: fu.convolve(s, d, zero=1), (S, D))


class Plural(fu.Model):
    """Maps under a low loss of two kernels, by one of two ways to write the same map."""

    def __init__(self, data: fu.Dataset, dense: bool) -> None:
        super().__init__()
        self.name, self.dense = data.name, dense
        self.weights, self.D = random(data.matrix_shape[0], 2, seed=4), random(9, 2, seed=5)
        self.C = fu.Factor((data.pixels, 2))
        self.S = fu.Factor((data.channels, 2))

    def forward(self):
        left = (self.weights[:, :, None] * self.C[:, None]).flatten(1)
        if self.dense:
            return {self.name: fu.cp(left, by_matrix(self.S, self.D, 2))}
        return {self.name: fu.cp(left, fu.convolve(self.S, self.D, zero=2))}


def products(dense: bool) -> torch.Tensor:
    data = fu.Dataset("eels", random(3, 4, 11, seed=6).abs(), variance=np.linspace(1, 2, 11))
    objective = Objective(Plural(data, dense), 1.0 * Frobenius(data))
    flat = torch.cat([objective.current() * (1 + 0.1 * s) + 0.05 * s for s in range(2)])
    curvature = Curvature(objective, flat, states_at(objective, batched=True))
    return curvature(random(*flat.shape, seed=7))


def test_curvature_of_a_fit_is_that_of_the_dense_toeplitz_for_all_starts():
    torch.testing.assert_close(products(False), products(True), rtol=1e-10, atol=1e-10)


def test_a_shift_by_channels_moves_and_by_parts_of_them_is_exact_for_parabolas():
    x = torch.arange(12, dtype=torch.float64)
    S = torch.stack([x.square(), 3 - x], 1)
    moved = fu.shift(S, torch.tensor([2.0, -1.25], dtype=torch.float64)).reshape(12, 2, 2)
    torch.testing.assert_close(moved[2:, 0], S[:-2])
    at = x + 1.25
    torch.testing.assert_close(moved[1:9, 1], torch.stack([at.square(), 3 - at], 1)[1:9])
    # nothing comes round from the other end
    torch.testing.assert_close(moved[:2, 0], torch.zeros(2, 2, dtype=torch.float64))


def test_a_shift_has_its_derivative_by_the_displacement():
    S, by = random(9, 2).requires_grad_(), torch.tensor([0.3, -1.6], dtype=torch.float64)
    assert torch.autograd.gradcheck(fu.shift, (S, by.requires_grad_()))


@pytest.mark.parametrize(
    ("S", "D", "zero", "said"),
    [
        (random(8, 2), random(4, 1), 4, "rows 0 to 3"),
        (random(8, 2), random(4, 1), -1, "rows 0 to 3"),
        (random(8), random(4, 1), 0, r"spectra \(8,\), kernels \(4, 1\)"),
    ],
)
def test_what_does_not_fit_is_said(S, D, zero, said):
    with pytest.raises(ValueError, match=said):
        fu.convolve(S, D, zero=zero)


class TestConvolve(LinearMapContract):
    def make(self):
        D = random(7, seed=1)
        return lambda S: fu.convolve(S, D.to(S), zero=2), 10


class TestShift(LinearMapContract):
    def make(self):
        by = torch.tensor(0.4, dtype=torch.float64)
        return lambda S: fu.shift(S, by), 10
