"""Data that were divided by the size of their noise before."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import fusion as fu
from fusion.estimators import ScaledDataWarning, Unmixer
from fusion.estimators.scaled_data import is_scaled
from fusion.losses import Gaussian, Poisson
from fusion.prepare.transforms import KeenanKotula
from tests.helpers.planted_pixels import K, planted


def test_data_that_were_scaled_by_their_noise_are_told():
    X, _, _ = planted()
    data = fu.Dataset("edxs", X)
    Y = KeenanKotula(data).forward(data).numpy() / np.sqrt(X.sum())
    for likelihood, said in ((Poisson, "a fit of counts is wrong"), (Gaussian, "turned back")):
        with pytest.warns(ScaledDataWarning, match=said):
            Unmixer(K, likelihood=likelihood, starts=1).fit(Y)
    assert is_scaled(Y)
    assert is_scaled(scipy.sparse.csr_array(Y))
    for other in (X, X / 1.0, X / X.max(), X / X.sum(), X / X.sum(1, keepdims=True), -Y):
        assert not is_scaled(other)
    picked = np.random.default_rng(0).choice(len(Y), 30, replace=False)
    assert is_scaled(Y[picked], share=0.5)
