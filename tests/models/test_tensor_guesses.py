"""Guesses for CPD and Tucker: tensorly's tensors, and singular vectors."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import CPD, Tucker
from tests.helpers.model_data import a, predicted

RNG = np.random.default_rng(0)


def test_cpd_takes_a_tensorly_tensor_with_its_weights_as_a_guess():
    from tensorly.cp_tensor import CPTensor, cp_to_tensor

    cp = CPTensor((np.array([2.0, 0.5]), [RNG.random((n, 2)) for n in a.shape]))
    made, _ = predicted(CPD.from_tensorly(a, cp))
    np.testing.assert_allclose(made["a"], cp_to_tensor(cp), rtol=1e-12)


def test_cpd_takes_torch_factors_with_a_gradient():
    class Found:
        weights = None
        factors = [torch.rand(n, 2, requires_grad=True) for n in a.shape]  # noqa: RUF012

    made, _ = predicted(CPD.from_tensorly(a, Found()))
    f = [factor.detach().numpy() for factor in Found.factors]
    np.testing.assert_allclose(made["a"], np.einsum("ik,jk,lk->ijl", *f), rtol=1e-5)


def test_tucker_takes_a_tensorly_tensor_as_a_guess():
    from tensorly.tucker_tensor import TuckerTensor, tucker_to_tensor

    ranks = (2, 3, 2)
    factors = [RNG.random((n, r)) for n, r in zip(a.shape, ranks, strict=True)]
    tensor = TuckerTensor((RNG.random(ranks), factors))
    made, _ = predicted(Tucker.from_tensorly(a, tensor))
    np.testing.assert_allclose(made["a"], tucker_to_tensor(tensor), rtol=1e-12)


@pytest.mark.parametrize(
    "model", [CPD.from_svd(a, 3), Tucker.from_svd(a, (2, 2, 2))], ids=["cpd", "tucker"]
)
def test_svd_start_is_positive_and_nearer_to_the_data_than_nothing(model):
    _, factors = predicted(model)
    assert all((value >= 0).all() for value in factors.values())
    with torch.no_grad():
        assert float(Frobenius(a)(model)) < 0.25 * float((a.tensor**2).sum())
    assert all(module.assigned for module in model.factor_modules().values())


def test_svd_start_ignores_what_is_masked():
    values = RNG.random((4, 5, 12))
    values[1, 2] = np.nan
    masked = fu.Dataset("a", values, mask=~np.isfinite(values[..., 0]))
    _, factors = predicted(CPD.from_svd(masked, 2))
    assert all(np.isfinite(value).all() for value in factors.values())


def test_tensorly_keeps_its_backend():
    import tensorly as tl

    before = tl.get_backend()
    CPD.from_svd(a, 2)
    Tucker.from_svd(a, (2, 2, 2))
    assert tl.get_backend() == before
