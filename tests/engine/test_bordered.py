"""A few variables beside all others: their inverse by blocks against the dense one."""

from __future__ import annotations

import torch

from fusion.engine.bordered import Border

N, FEW, STARTS = 12, torch.tensor([3, 4, 10]), 2


def case(seed=0):
    """A positive definite matrix a start, what moves, and r where it does."""
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(STARTS, N, 2 * N, generator=generator, dtype=torch.float64)
    free = (torch.rand(STARTS, N, generator=generator) < 0.8).double()
    r = torch.randn(STARTS, N, generator=generator, dtype=torch.float64) * free
    return A @ A.mT, free, r


def exact(H, free):
    both = free[:, :, None] * free[:, None]
    return torch.linalg.inv(H * both + torch.diag_embed(1 - free)) * both


def solved(H, free, r, P):
    def precondition(v):
        return (P @ v[..., None])[..., 0]

    border = Border(FEW, H[:, :, FEW].permute(2, 0, 1).clone(), precondition, free)
    z = precondition(r)
    border.add(z, r)
    return z


def test_with_the_inverse_of_the_others_it_is_the_whole_inverse():
    H, free, r = case()
    others = free.clone()
    others[:, FEW] = 0
    made = solved(H, free, r, exact(H, others))
    wanted = (exact(H, free) @ r[..., None])[..., 0]
    assert torch.allclose(made, wanted, rtol=1e-9, atol=1e-11)


def test_with_too_rough_an_inverse_of_the_others_the_few_stand_alone():
    H, free, r = case(1)
    others, few = free.clone(), torch.zeros_like(free)
    others[:, FEW] = 0
    few[:, FEW] = free[:, FEW]
    P = 1e3 * exact(H, others)
    wanted = ((P + exact(H, few)) @ r[..., None])[..., 0]
    assert torch.allclose(solved(H, free, r, P), wanted, rtol=1e-9, atol=1e-11)
