"""`LearnedSmoothness`: its formula, and that the weight follows roughness and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.language.surrogate import FitInformation
from fusion.losses import Frobenius, LearnedSmoothness
from fusion.testing import TermContract, uniform

OPTIONS = {"starts": 1, "max_steps": 40, "progress": False}


class Curves(fu.Model):
    """C known, S looked for."""

    def __init__(self, data: fu.Dataset, C: np.ndarray) -> None:
        super().__init__()
        self.name, self.C = data.name, torch.from_numpy(C)
        self.S = fu.Factor((data.channels, C.shape[1]), fu.constraints.Free())

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}


class TestLearnedSmoothness(TermContract):
    def make(self):
        data = fu.Dataset("data", uniform(6, 5, 12))
        return fu.models.NMF(data, 3), Frobenius(data) + LearnedSmoothness("S")


def test_weights_and_value_are_those_of_the_formula():
    model = fu.models.NMF(fu.Dataset("data", uniform(6, 5, 12)), 2)
    S, bend = model.S.detach().numpy(), uniform(12, 2, seed=3).numpy() + 1
    term = LearnedSmoothness("S", order=2)
    told = {"S": FitInformation(torch.zeros(12, 2), torch.from_numpy(bend))}
    state = term.refresh(model, {}, told)
    h = bend.mean(0)
    rough = (np.diff(S, 2, axis=0) ** 2).sum(0)
    d = (2 - 2 * np.cos(np.pi * np.arange(1, 12) / 12)) ** 2
    before = 1e-3 * h
    told_directions = (h / (h + before * d[:, None])).sum(0)
    expected = np.clip(told_directions / rough, before / 10, before * 10)
    np.testing.assert_allclose(state["weights"].numpy(), expected)
    np.testing.assert_allclose(term.value(model, state).item(), 0.5 * (expected * rough).sum())
    assert list(term.learned(state)) == ["λ1", "λ2"]


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 60)
    S = np.stack([np.sin(6 * x), rng.standard_normal(60)], 1)
    C = rng.random((30, 2))
    data = C @ S.T + rng.standard_normal((30, 60))
    return fu.Dataset("data", data, variance=1.0), C, S


def fitted(noisy, *terms):
    data, C, _ = noisy
    loss = 1.0 * Frobenius(data)
    for term in terms:
        loss = loss + term
    return fu.fit(Curves(data, C), loss, **OPTIONS)


def test_smooth_columns_are_nearer_to_the_truth_and_rough_ones_are_left_alone(noisy):
    S, plain, learned = noisy[2], fitted(noisy), fitted(noisy, LearnedSmoothness("S"))
    before, after = (np.linalg.norm(r["S"] - S, axis=0) for r in (plain, learned))
    assert after[0] < 0.6 * before[0]
    assert after[1] < 1.02 * before[1]
    weights = [learned.history[f"λ{k} of LearnedSmoothness('S')"][-1] for k in (1, 2)]
    assert weights[0] > 100 * weights[1]


def test_the_weight_is_near_the_one_that_is_best_by_the_truth(noisy):
    S, learned = noisy[2][:, 0], fitted(noisy, LearnedSmoothness("S"))
    found = float(np.linalg.norm(learned["S"][:, 0] - S))
    tried = [
        fitted(noisy, weight * fu.losses.Smoothness(lambda m: m.S[:, :1], order=2))
        for weight in np.geomspace(1, 1e4, 5)
    ]
    assert found < 1.3 * min(float(np.linalg.norm(r["S"][:, 0] - S)) for r in tried)


def test_what_it_cannot_compare_is_refused():
    with pytest.raises(ValueError, match="give 1 or more"):
        LearnedSmoothness("S", order=0)
    with pytest.raises(ValueError, match="give a factor's name"):
        LearnedSmoothness(lambda m: m.S)  # pyright: ignore[reportArgumentType]
    model = fu.models.NMF(fu.Dataset("data", uniform(6, 5, 3)), 2)
    with pytest.raises(ValueError, match="has no 4 unknown rows"):
        LearnedSmoothness("S").check(model)
