"""What the search for a band does, counted: descents, steps, curvature products."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Poisson
from fusion.solvers import GaussNewton
from fusion.uncertainty import tangent_pulls
from fusion.uncertainty.extreme_answers import ends_of_others
from tests.helpers.mixtures import nmf_of
from tests.helpers.planted_factors import pure


def counted(fit: fu.Result) -> tuple[fu.Ambiguity, np.ndarray]:
    """(its band, (steps of all starts, products) of all descents that found it)."""
    made, minimise = [], GaussNewton.minimise

    def counting(self, objective, flat, *rest, **named):
        outcome = minimise(self, objective, flat, *rest, **named)
        made.append((len(flat) * (len(outcome.history) - 1), outcome.products))
        return outcome

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(GaussNewton, "minimise", counting)
        return fu.ambiguity(fit), np.sum(made, 0)


def counts() -> fu.Result:
    rng = np.random.default_rng(3)
    mean = 200 * pure(rng, 60) @ pure(rng, 40).T
    return nmf_of(rng.poisson(mean).astype(float), 3, Poisson)


def test_a_band_of_counts_takes_few_steps():
    steps, products = counted(counts())[1]
    assert steps <= 82  # 379 without proposals
    assert products <= 30  # 113


@cache
def blended_counts() -> fu.Result:
    """No row is pure: what a pull leads along is hardly held by bounds."""
    rng = np.random.default_rng(9)
    mean = 20 * rng.random((300, 3)) @ rng.random((80, 3)).T
    return nmf_of(rng.poisson(mean).astype(float), 3, Poisson)


@cache
def band_of_blended_counts() -> tuple[fu.Ambiguity, np.ndarray]:
    return counted(blended_counts())


def test_a_band_of_blended_counts_takes_few_products():
    steps, products = band_of_blended_counts()[1]
    assert steps <= 275
    assert products <= 105  # 253 with the row blocks alone


def test_the_band_is_that_of_row_blocks_alone_and_all_pulls_to_their_ends(monkeypatch):
    fit, made = blended_counts(), band_of_blended_counts()[0]
    monkeypatch.setattr("fusion.engine.linear_system.mixing_corrections", lambda *_: [])
    monkeypatch.setattr("fusion.uncertainty.extreme_answers.SAME", 0.0)
    wanted = fu.ambiguity(fit)
    assert made.unique == wanted.unique
    for name, (low, high) in wanted.bands.items():
        width = (high - low).sum(0)
        assert (np.abs(made.bands[name].low - low).sum(0) < 2e-3 * width).all()
        assert (np.abs(made.bands[name].high - high).sum(0) < 2e-3 * width).all()


def test_a_pull_that_ended_where_one_before_it_did_goes_no_further():
    a, b = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    way = torch.stack([a, 1.005 * a, 1.1 * a, -a, b, b])
    settled = torch.tensor([1, 1, 1, 1, 0, 1]).bool()[:, None]
    found = ends_of_others(way, settled)[:, 0]
    assert found.tolist() == [False, True, False, False, False, False]


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
