"""Any whole number is a seed, wherever one is taken."""

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.seeds import generator


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_seeds_of_numpy_draw_what_they_drew(seed):
    assert generator(seed).random() == np.random.default_rng(seed).random()


@pytest.mark.parametrize("seed", [-5, 2**70])
def test_seeds_that_numpy_has_none_for_draw_the_same_twice(seed):
    scene = fu.simulate.layers(shape=(8, 10), channels=60, seed=seed)
    data = scene.datasets["net"]
    masks = [data.sample_pixels(0.5, seed=seed).mask for _ in range(2)]
    assert bool((masks[0] == masks[1]).all())
    quick = {"ard": False, "stability": False, "seed": seed}
    assert fu.rank(data, **quick).recommended >= 0
    fit = fu.fit(
        fu.models.NMF(data, 2), fu.losses.Frobenius(data), seed=seed, starts=1, progress=False
    )
    assert np.isfinite(fit.loss)
