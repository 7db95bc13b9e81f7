"""What a fit says of its answer: data that are met exactly, names that are of other spectra now."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius


def test_data_that_are_met_with_all_their_noise_are_told():
    noisy = np.random.default_rng(0).random((3, 9)) + 1
    data = fu.Dataset("eels", noisy, variance=np.full(9, 0.01))
    with pytest.warns(fu.ClaimWarning, match="'eels' is met exactly, noise and all"):
        fu.fit(fu.models.NMF(data, 3), Frobenius(data), starts=1, progress=False)


@pytest.mark.parametrize("other", [True, False])
def test_a_name_that_is_of_another_spectrum_now_is_told(other, recwarn):
    rng = np.random.default_rng(1)
    E = np.arange(60)[:, None]
    S = np.exp(-0.5 * ((E - [15, 45]) / 4) ** 2) + 0.01
    C = rng.random((40, 2))
    data = fu.Dataset("eels", C @ S.T + 1e-3 * rng.normal(size=(40, 60)))
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=2, progress=False)
    named = result.renamed({1: "shell", 2: "core"})
    moved = S[::-1] * [1.0, 0.3] + 2 * S.mean(1, keepdims=True) * [0.0, 1.0]
    again = fu.Dataset("eels", C[::-1] @ moved.T if other else data.numpy())
    recwarn.clear()
    fu.fit(fu.models.NMF(again, 2), Frobenius(again), init=named, progress=False)
    told = [str(w.message) for w in recwarn if "of what it set out from" in str(w.message)]
    assert bool(told) is other
