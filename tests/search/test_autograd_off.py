"""What needs derivatives takes them, whatever the caller has switched off."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, SoftOrthogonality

X = np.random.default_rng(0).random((6, 7, 12))


def everything():
    data = fu.Dataset("a", X)
    model = fu.models.NMF(data, 2)
    loss = Frobenius(data) + 0.01 * SoftOrthogonality("C")
    result = fu.fit(model, loss, starts=2, progress=False)
    return float(result.loss), float(result.errors()["S"].sum()), float(loss(model).detach())


@pytest.fixture(scope="module")
def expected():
    return everything()


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_fit_errors_and_loss_are_the_same(expected, switch):
    with switch():
        assert everything() == expected
    assert torch.is_grad_enabled()
