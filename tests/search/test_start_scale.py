"""The size and the turn of a start know every kind of weights."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Free
from fusion.engine.objective import Objective
from fusion.losses import L1, Frobenius, Poisson
from fusion.search.initialisation import random_values, scalable
from fusion.search.start_scale import rescaled_to_data
from tests.helpers.small_results import Coupled, spectrum_image


class Signed(fu.Model):
    def __init__(self, data, K):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), Free())
        self.S = fu.Factor((data.channels, K), Free())

    def forward(self):
        return {"a": fu.cp(self.C, self.S)}


def masked_entry():
    X = np.random.default_rng(0).poisson(5.0, (4, 5, 8))
    mask = np.zeros(X.shape, bool)
    mask[1, 2, 3] = True
    return X, {"mask": mask}


def full_variance():
    random = np.random.default_rng(0)
    X = random.poisson(5.0, (4, 5, 8))
    return X, {"variance": random.uniform(0.5, 2.0, X.shape)}


@pytest.mark.parametrize("made", [masked_entry, full_variance])
def test_no_start_of_any_sign_ends_at_nothing(made):
    X, options = made()
    data = fu.Dataset("a", X, **options)
    weight = 1 / options.get("variance", np.ones(X.shape)) * ~options.get("mask", X < 0)
    nothing = 0.5 * float((weight * X**2).sum())
    losses = fu.fit(Signed(data, 2), Frobenius(data), starts=10, progress=False).losses
    assert (losses < 0.5 * nothing).all()


def test_gauges_of_masked_data_are_those_of_the_model():
    """Norms of unit columns go into the maps, whatever is masked."""
    X, options = masked_entry()
    data = fu.Dataset("a", X, **options)
    model = fu.models.NMF(data, 2)
    fits = [
        fu.fit(model, Frobenius(data), starts=3, solver=s, progress=False)
        for s in (fu.HALS(), None)
    ]
    assert fits[0].loss == pytest.approx(fits[1].loss, rel=1e-3)


@pytest.mark.parametrize("weight", [1, 10, 100])
def test_a_strong_penalty_on_counts_is_fitted_from_where_it_starts(weight):
    data = fu.Dataset("a", np.random.default_rng(0).poisson(3.0, (6, 7, 12)))
    loss = Poisson(data) + weight * L1("C")
    result = fu.fit(fu.models.NMF(data, 2), loss, starts=2, progress=False)
    assert np.isfinite(result.loss)
    C, S = result["C"], result["S"]
    M, X = C @ S.T, data.numpy().reshape(42, 12)
    by_hand = (M - X * np.log(np.where(X > 0, M, 1))).sum() + weight * C.sum()
    assert result.loss == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("scale", [1e12, 1e-12])
def test_data_sets_of_other_units_are_both_met_by_a_start(scale):
    random = np.random.default_rng(0)
    a = fu.Dataset("a", random.random((4, 5, 8)))
    b = fu.Dataset("b", scale * random.random((4, 5, 3)))
    loss = Frobenius(a) + Frobenius(b)
    begun = fu.fit(
        fu.models.SharedMaps(a, b, K=2), loss, starts=1, max_steps=0, compress=False, progress=False
    )
    assert min(begun.explained_variance.values()) > 0.2


def test_what_is_best_at_nothing_shrinks_only_until_its_size_no_longer_matters():
    a, b = spectrum_image("a"), spectrum_image("b", (5, 6, 9))
    objective = Objective(Coupled(a, b, 2), Frobenius(a) + Frobenius(b))
    drawn = [random_values(objective, torch.Generator().manual_seed(i)) for i in range(8)]
    values = {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}
    made = rescaled_to_data(objective, values, scalable(objective))
    size = (made["N"] / values["N"])[:, 0, 0]
    assert size.min() < 1e-3  # of some starts N is best at nothing
    assert size.min() > 1e-9
    longer = rescaled_to_data(objective, made, scalable(objective))
    distances = [objective.likeness(each)[0] for each in (made, longer)]
    torch.testing.assert_close(*distances, rtol=1e-3, atol=0)
