"""Conjugate gradients: when they end, and how often the preconditioner is asked."""

from __future__ import annotations

import pytest
import torch

from fusion.engine import conjugate_gradients
from fusion.engine.conjugate_gradients import inner, solve

PARTS = [slice(0, 12), slice(12, 20)]


def problem(starts=3):
    """(H (start, n, n), gradient, free), two parts that do not meet, in units of 1 and 1e6."""
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(starts, 20, 20, generator=generator, dtype=torch.float64)
    units = torch.where(torch.arange(20) < 12, 1.0, 1e-6).double()
    meet = torch.zeros(20, 20, dtype=torch.float64)
    for part in PARTS:
        meet[part, part] = 1
    H = (A.mT @ A + torch.eye(20)) * meet * units[:, None] * units
    return H, torch.randn(starts, 20, generator=generator).double() * units, torch.ones(starts, 20)


def solved(P, parts, tolerance=1e-2):
    """(direction, products, how often the preconditioner was asked), and what is exact."""
    H, g, free = problem()
    asked = []

    def precondition(r):
        asked.append(1)
        return (P(H) @ r[..., None])[..., 0]

    d, _, made = solve(
        lambda p: (H @ p[..., None])[..., 0], precondition, g, free.double(),
        tolerance=tolerance, max_products=50, parts=parts,
    )  # fmt: skip
    return d, made, len(asked), -torch.linalg.solve(H, g)


def test_an_exact_preconditioner_is_asked_once():
    d, made, asked, exact = solved(torch.linalg.inv, PARTS)
    assert (made, asked) == (1, 1)
    torch.testing.assert_close(d, exact)
    assert solved(torch.linalg.inv, [])[1:3] == (1, 2)


def test_a_part_in_large_units_does_not_hide_what_is_left_of_another():
    def right_in_one_part(H):
        """The inverse of the first block; of the second a number by which whole steps are best."""
        made, (first, second), g = torch.zeros_like(H), PARTS, problem()[1][:, PARTS[1]]
        made[:, first, first] = torch.linalg.inv(H[:, first, first])
        bend = (g * (H[:, second, second] @ g[..., None])[..., 0]).sum(1)
        best = (g.square().sum(1) / bend)[:, None]
        made[:, second, second] = torch.diag_embed(best.expand(-1, 8))
        return made

    (d, made, _, exact), (wanted, products, *_) = (
        solved(right_in_one_part, parts) for parts in (PARTS, [])
    )
    assert made == products > 1
    torch.testing.assert_close(d, wanted)
    torch.testing.assert_close(d[:, PARTS[0]], exact[:, PARTS[0]], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("long", [1, 10**6])
def test_inner_products_are_those_of_every_start(monkeypatch, long):
    monkeypatch.setattr(conjugate_gradients, "LONG", long)
    a, b = torch.randn(2, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(inner(a, b), (a * b).sum(1))
    torch.testing.assert_close(inner(a[:, 3:9], b[:, 3:9]), (a[:, 3:9] * b[:, 3:9]).sum(1))
