"""Inverses that rows share by pattern, against one inverse a row."""

from __future__ import annotations

import pytest
import torch

from fusion.engine.linear_system import _inverse
from fusion.engine.row_blocks import Block
from fusion.engine.row_inverses import ByPattern, EachRow


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def shared(generator, starts, rows, weighted):
    """Five patterns of every start; of the last start one has no row."""
    few = torch.randn(5 * starts, 3, 3, generator=generator, dtype=torch.float64)
    owner = torch.arange(starts).repeat_interleave(5)
    which = (
        torch.randint(0, 4, (starts, rows), generator=generator) + 5 * torch.arange(starts)[:, None]
    )
    which[:-1] = torch.where(which[:-1] % 5 == 2, which[:-1] + 2, which[:-1])
    weight = torch.rand(rows, generator=generator, dtype=torch.float64) + 0.5 if weighted else None
    return ByPattern(few + few.mT, which, owner, weight)


@pytest.mark.parametrize(("starts", "rows", "weighted"), [(1, 301, False), (3, 70, True)])
def test_what_rows_share_is_what_each_would_have(generator, starts, rows, weighted):
    made = shared(generator, starts, rows, weighted)
    each = EachRow(made.whole())
    v, few, many = (
        torch.randn(starts, rows, k, generator=generator, dtype=torch.float64) for k in (3, 2, 4)
    )
    torch.testing.assert_close(made.times(v), each.times(v), rtol=1e-12, atol=1e-12)
    literal = torch.einsum("sra,srb,srij->sabij", few, many, made.whole())
    for inverses in (made, each):
        torch.testing.assert_close(inverses.summed(few, many), literal, rtol=1e-10, atol=1e-10)
        both = torch.einsum("sra,srb,srij->sabij", few, few, made.whole())
        torch.testing.assert_close(inverses.summed(few, few), both, rtol=1e-10, atol=1e-10)


def test_one_matrix_for_all_rows_sums_by_their_products(generator):
    one = torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64)
    a, b = (torch.randn(2, 9, k, generator=generator, dtype=torch.float64) for k in (2, 4))
    literal = torch.einsum("sra,srb,sij->sabij", a, b, one[:, 0])
    torch.testing.assert_close(EachRow(one).summed(a, b), literal, rtol=1e-12, atol=1e-12)


def test_many_rows_with_one_matrix_are_inverted_by_pattern(generator):
    rows, root = 5000, torch.randn(3, 3, generator=generator, dtype=torch.float64)
    matrix = (root @ root.T + torch.eye(3))[None, None]
    free = (torch.rand(1, 3 * rows, generator=generator) > 0.3).double()
    weight = torch.rand(rows, generator=generator, dtype=torch.float64) + 0.5
    made = _inverse(Block(slice(0, 3 * rows), rows, matrix, weight), None, free)
    assert isinstance(made, ByPattern)
    assert len(made.few) <= 8
    for row in (0, 1234, rows - 1):
        kept = free.view(rows, 3)[row].nonzero()[:, 0]
        wanted = torch.zeros(3, 3, dtype=torch.float64)
        inside = torch.linalg.inv(weight[row] * matrix[0, 0][kept][:, kept])
        wanted[kept[:, None], kept] = inside
        torch.testing.assert_close(made.whole()[0, row], wanted, rtol=1e-10, atol=1e-12)
