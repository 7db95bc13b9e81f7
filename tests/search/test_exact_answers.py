"""Data without noise, whose fit leaves nothing: it is said in words, not as a share of nothing."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson, SquaredNorm

RNG = np.random.default_rng(0)
EXACT = np.outer(RNG.random(40) + 1, RNG.random(30) + 1)
NUMBER = re.compile(r"e[+-]\d{3}")


def fit(data, more=None, kind=Frobenius, **options):
    loss = kind(data) if more is None else kind(data) + more
    return fu.fit(fu.models.NMF(data, 1), loss, starts=1, progress=False, **options)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("steps", [5, 6, 7])
def test_an_exact_answer_that_was_stopped_is_told_as_exact(unit, steps):
    data = fu.Dataset("eels", unit * EXACT.reshape(5, 8, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(data, max_steps=steps)
    assert not result.converged
    assert "exact: nothing is left of the data but rounding" in result.messages


def test_a_penalty_that_is_not_at_rest_is_still_no_answer():
    data = fu.Dataset("eels", EXACT.reshape(5, 8, 30))
    exact = fit(data)
    start = {name: exact[name].copy() for name in ("C", "S")}
    with pytest.warns(fu.ClaimWarning, match="nothing is left of the data but rounding; 20 to"):
        result = fit(data, 1e-9 * SquaredNorm("S", 1.0), init=[start], max_steps=1)
    assert not any(NUMBER.search(text) for text in result.messages)


def test_noisy_data_are_told_the_share_as_before():
    noisy = RNG.poisson(9 * EXACT).reshape(5, 8, 30)
    for kind in (Frobenius, Poisson):
        with pytest.warns(fu.ClaimWarning, match="lowered the loss by [0-9.e+-]+ of what is left"):
            fit(fu.Dataset("eels", noisy), kind=kind, max_steps=2, solver=fu.LBFGS())
