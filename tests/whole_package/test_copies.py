"""Copies, pickles and batches of models, losses and results."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.func import functional_call, vmap

import fusion as fu
from fusion import models
from fusion.losses import ARD, Gaussian, Norm, SoftOrthogonality
from tests.helpers.two_components import CHANNELS, Deviating, K, cube

MODELS = {
    "NMF": lambda d: models.NMF(d, 2),
    "CPD": lambda d: models.CPD(d, 2),
    "Tucker": lambda d: models.Tucker(d, (2, 2, 2)),
    "SharedMaps": lambda d: models.SharedMaps(d, K=2),
    "SharedSpectra": lambda d: models.SharedSpectra(d, K=2),
    "of one's own": Deviating,
}


def prediction(model):
    return model.predict()["a"].dense().detach()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("copy", [deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_of_a_model_are_equal_and_apart(name, copy):
    model = MODELS[name](fu.Dataset("a", cube()))
    before = prediction(model)
    other = copy(model)
    assert type(other) is type(model)
    assert torch.equal(prediction(other), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert torch.equal(prediction(model), before)
    assert not torch.equal(prediction(other), before)


@pytest.mark.parametrize("name", MODELS)
def test_models_run_under_functional_call_and_vmap(name):
    model = MODELS[name](fu.Dataset("a", cube()))
    generator = torch.Generator().manual_seed(0)
    batch = {
        key: torch.rand((3, *p.shape), generator=generator, dtype=p.dtype)
        for key, p in model.named_parameters()
    }

    def dense(parameters):
        return functional_call(model, parameters, ())["a"].dense()

    together = vmap(dense)(batch)
    for s in range(3):
        model.load_state_dict({key: value[s] for key, value in batch.items()}, strict=False)
        assert torch.allclose(together[s], prediction(model), rtol=1e-12)


@pytest.mark.parametrize("copy", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles_of_losses_and_results_are_equal(copy):
    data = fu.Dataset("a", cube(), mask=np.arange(CHANNELS) == 1)
    loss = Gaussian(data) + 0.05 * SoftOrthogonality("C") + ARD("C") + 0.1 * Norm("C")
    model = models.NMF(data, K)
    assert copy(loss).formula() == loss.formula()
    assert float(copy(loss)(model).detach()) == float(loss(model).detach())
    result = fu.fit(model, loss, starts=1, max_steps=5, progress=False)
    other = copy(result)
    for name, value in result.factors.items():
        assert np.array_equal(other.factors[name], value, equal_nan=True)
    assert other.loss == result.loss
    assert torch.equal(prediction(other.model), prediction(result.model))
