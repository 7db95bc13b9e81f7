"""Spectra that a fit can hardly tell apart are told of, unless another detector does."""

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius

E = np.arange(80)
BROAD = np.exp(-0.5 * ((E - np.array([[35], [38], [60]])) / 9) ** 2).T  # 1 and 2: 13.5° apart
MAPS = np.random.default_rng(0).dirichlet([0.4] * 3, 120)


def messages(loss, model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fu.ClaimWarning)
        result = fu.fit(model, loss, starts=3, progress=False)
    return result, [m for m in result.messages if "° apart" in m]


def held(data, S):
    """A model with these spectra."""

    class Known(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((data[0].pixels, 3))
            for d, s in zip(data, S, strict=True):
                setattr(self, f"S_{d.name}", fu.Factor((d.channels, 3), fu.constraints.Fixed(s)))

        def forward(self):
            return {d.name: fu.cp(self.C, getattr(self, f"S_{d.name}")) for d in data}

    return Known()


def test_the_nearest_pair_is_named_with_its_angle():
    data = fu.Dataset("a", MAPS @ BROAD.T)
    unit = BROAD / np.linalg.norm(BROAD, axis=0)
    angle = np.degrees(np.arccos(unit[:, 0] @ unit[:, 1]))
    _, (text,) = messages(Frobenius(data), held([data], [BROAD]))
    assert f"components 1 and 2 are {angle:.1f}° apart:" in text
    with pytest.warns(fu.ClaimWarning, match="° apart"):
        fu.fit(held([data], [BROAD]), Frobenius(data), starts=1, progress=False)


def test_another_detector_that_tells_them_apart_is_enough():
    other = np.eye(20)[:, [3, 9, 3]] + 0.01
    a, b = fu.Dataset("a", MAPS @ BROAD.T), fu.Dataset("b", MAPS @ other.T)
    _, said = messages(Frobenius(a) + 1.0 * Frobenius(b), held([a, b], [BROAD, other]))
    assert not said


def test_components_that_are_empty_are_near_to_none():
    S = BROAD.copy()
    S[:, 1] = 0
    data = fu.Dataset("a", MAPS @ S.T)
    _, said = messages(Frobenius(data), held([data], [S]))
    assert not said
