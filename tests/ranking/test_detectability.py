"""`detectability`: the least amount of a trace that stands out of the noise."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.planted_ranks import CHANNELS, PIXELS, correlated, data, expected


def planted_trace(rng, amount: float, kind: str) -> tuple[fu.Dataset, np.ndarray]:
    """Two components and a third of this amount in 5 % of the pixels."""
    M = 100 * expected(np.random.default_rng(0), 2)
    s = np.exp(-0.5 * ((np.arange(CHANNELS) - 30) / 3.0) ** 2)
    held = rng.permutation(PIXELS) < 0.05 * PIXELS
    M = M + amount * np.outer(held, s / s.sum())
    X = rng.poisson(M) if kind == "counts" else M + 10 * correlated(rng)
    return fu.Dataset("a", X.astype(float)), s


@pytest.mark.parametrize("kind", ["counts", "correlated"])
def test_a_trace_is_counted_from_the_clear_amount_on(kind):
    rng = np.random.default_rng(1)
    least = fu.detectability(*planted_trace(rng, 0, kind), 0.05)
    amounts = {"hidden": 0.7 * least.amount, "counted": 1.3 * least.clear}
    found = {
        name: [planted_trace(rng, amount, kind)[0].noise().scree for _ in range(4)]
        for name, amount in amounts.items()
    }
    assert sum(scree.rank > 2 for scree in found["hidden"]) <= 1
    assert sum(scree.clear > 2 for scree in found["counted"]) >= 3


def test_white_noise_has_the_threshold_of_the_phase_transition():
    """z² = (θ² + n)(θ² + m) / θ² at the edge z; nothing shows below θ = (n m)^¼."""
    rng = np.random.default_rng(0)
    n, m = 600, 200
    blank = fu.Dataset("a", rng.standard_normal((n, m)))
    noise = blank.noise()
    found = fu.detectability(blank, np.ones(m), 1.0, noise=noise)
    z2 = noise.scree.edge**2 - n - m
    theta = np.sqrt((z2 + np.sqrt(z2**2 - 4 * n * m)) / 2)
    assert found.amount / found.limit == pytest.approx(theta / (n * m) ** 0.25, rel=0.03)
    assert found.limit == pytest.approx((n * m) ** 0.25 * np.sqrt(m / n), rel=0.05)


def test_what_is_wrong_with_a_trace_is_said():
    dataset = data("many counts", 2)
    for wrong, fraction in ((np.ones(3), 0.1), (np.zeros(CHANNELS), 0.1), (np.ones(CHANNELS), 0.0)):
        with pytest.raises(ValueError, match="give a"):
            fu.detectability(dataset, wrong, fraction)
