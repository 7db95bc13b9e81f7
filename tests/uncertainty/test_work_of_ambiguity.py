"""What the search for a band does, counted: descents, steps, curvature products."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Poisson
from fusion.solvers import GaussNewton
from fusion.uncertainty import tangent_pulls
from tests.helpers.mixtures import nmf_of
from tests.helpers.planted_factors import pure


@pytest.fixture
def counted(monkeypatch) -> list[tuple[int, int]]:
    """(steps of all starts, products) of every descent."""
    made, minimise = [], GaussNewton.minimise

    def counting(self, objective, flat, *rest, **named):
        outcome = minimise(self, objective, flat, *rest, **named)
        made.append((len(flat) * (len(outcome.history) - 1), outcome.products))
        return outcome

    monkeypatch.setattr(GaussNewton, "minimise", counting)
    return made


def counts() -> fu.Result:
    rng = np.random.default_rng(3)
    mean = 200 * pure(rng, 60) @ pure(rng, 40).T
    return nmf_of(rng.poisson(mean).astype(float), 3, Poisson)


def test_a_band_of_counts_takes_few_steps(counted):
    fit = counts()
    counted.clear()
    fu.ambiguity(fit)
    steps, products = np.sum(counted, 0)
    assert steps <= 110  # 379 without proposals
    assert products <= 50  # 113


def test_the_curvature_tells_beforehand_how_strong_pulls_have_to_be(monkeypatch):
    told, proposals = [], tangent_pulls.proposals

    def kept(objective, term, pull, start, signs, rise):
        found = proposals(objective, term, pull, start, signs, rise)
        told.append((objective, pull, start, found, rise))
        return found

    monkeypatch.setattr("fusion.uncertainty.extreme_answers.proposals", kept)
    fu.ambiguity(counts())
    objective, _, start, found, rise = told[0]
    assert bool(found.near.any())
    points = (start + 0.1 * found.direction[found.near]).clamp_min(0)
    losses = objective.fits(objective.values(points), objective.no_states()).sum(1)
    here = objective.fits(objective.values(start), objective.no_states()).sum(1)
    risen = ((losses - here) / (0.01 * rise)).detach().numpy()
    np.testing.assert_allclose(risen, 1, atol=0.35)  # the loss has a slope there: not all are free
