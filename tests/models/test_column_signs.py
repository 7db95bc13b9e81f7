"""Signs of a tensorly start: columns that are negative in pairs are positive."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.column_signs import with_positive_columns, with_positive_modes
from fusion.losses import Frobenius

A, B, C = (np.random.default_rng(i).random((n, 2)) for i, n in enumerate((5, 6, 7)))
DATA = fu.Dataset("x", np.einsum("ik,jk,lk->ijl", A, B, C))


@pytest.mark.parametrize("through", ["model", "init"])
def test_nothing_of_a_cp_start_is_lost(through):
    given = SimpleNamespace(weights=np.array([2.0, 1.0]), factors=[A * [-0.5, 1], B * [-1, 1], C])
    if through == "model":
        model, init = fu.models.CPD.from_tensorly(DATA, given), fu.Current()
    else:
        model, init = fu.models.CPD(DATA, 2), [given]
    result = fu.fit(model, Frobenius(DATA), init=init, starts=1, max_steps=0, progress=False)
    assert result.loss < 1e-20 * float((DATA.numpy() ** 2).sum()) + 1e-20


def test_the_tensor_stays_and_one_of_three_negative_columns_is_left():
    factors = [torch.tensor(-f) for f in (A, B, C)]
    turned = with_positive_columns(factors)
    product = torch.einsum("ik,jk,lk->ijl", *turned)
    torch.testing.assert_close(product, torch.einsum("ik,jk,lk->ijl", *factors))
    assert sum(bool((f < 0).any()) for f in turned) == 1


def test_a_tucker_start_keeps_its_tensor_with_positive_factors():
    core = torch.rand(2, 2, 2, dtype=torch.float64)
    factors = [torch.tensor(A * [-1, 1]), torch.tensor(B * [1, -1]), torch.tensor(C)]
    new_core, turned = with_positive_modes(core, factors)
    product = torch.einsum("abc,ia,jb,lc->ijl", new_core, *turned)
    torch.testing.assert_close(product, torch.einsum("abc,ia,jb,lc->ijl", core, *factors))
    assert all(bool((f >= 0).all()) for f in turned)
