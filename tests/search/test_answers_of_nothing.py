"""Starts that predict nothing where counts are, and answers that predict nothing at all."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import L1, Frobenius, Poisson, SoftOrthogonality

QUIET = {"progress": False, "seed": 0, "starts": 1}


def test_an_answer_of_nothing_says_so():
    data = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 8)))
    with pytest.warns(fu.ClaimWarning, match="predicts 0 everywhere"):
        found = fu.fit(fu.models.NMF(data, 2), Frobenius(data) + 1e6 * L1("C"), **QUIET)
    assert not found["C"].any()
    assert any("predicts 0 everywhere" in message for message in found.messages)


def test_a_deviation_that_takes_all_away_is_left_out_of_a_start_for_counts():
    random = np.random.default_rng(0)
    a, b = (fu.Dataset(name, random.poisson(0.3, (4, 5, n))) for name, n in (("a", 8), ("b", 6)))
    model = fu.models.SoftlyCoupled(a, b, 1)
    model.N = -2 * model.C.detach()
    loss = Poisson(a) + 5 * Poisson(b) + SoftOrthogonality("C")
    found = fu.fit(model, loss, init=fu.Current(), solver=fu.Adam(), max_steps=5, **QUIET)
    assert np.isfinite(found.loss)
