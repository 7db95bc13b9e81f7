"""Fits in which the mean mass thickness of the specimen was told, held against truth."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from fusion.constraints import NonNegative, UnitColumns
from fusion.elements import LineModel
from fusion.elements.from_line_model import misfit_of
from fusion.engine.objective import Objective
from fusion.losses import Poisson
from fusion.search.on_sums import edge_of_sums
from tests.elements.two_oxides import ELEMENTS, SHAPE, TRUTH, amounts, dataset, k_factors

T = float(amounts()[0].mean())
"""g/cm², of the specimen."""
FEW, MANY = 60, 2000
"""Counts a pixel, with which common unknowns are found on sums of pixels, and on pixels."""


class Phases(fu.Model):
    """A model of one's own, which says no more than that it has lines, and which atoms."""

    def __init__(self, edxs, **options):
        super().__init__()
        self.lines = LineModel(edxs, ELEMENTS, **options)
        self.C = fu.Factor((edxs.pixels, 2))
        self.A = fu.Factor((len(ELEMENTS), 2), NonNegative(), UnitColumns())

    def atoms(self):
        return self.C @ self.A.T

    def forward(self):
        return {"edxs": self.lines(self.atoms())}


MODELS = {
    "Compositions": lambda data, **options: fu.models.Compositions(data, ELEMENTS, 2, **options),
    "ElementMaps": lambda data, **options: fu.models.ElementMaps(data, ELEMENTS, **options),
    "a model of one's own": Phases,
}


@cache
def result(kind, mean, told):
    data = dataset(mean)
    model = MODELS[kind](data, k_factors=k_factors(), mass_thickness=told)
    return fu.fit(model, Poisson(data), starts=1, progress=False)


@cache
def composition(kind, mean, told):
    return result(kind, mean, told).composition(progress=False)


def phases(made):
    """(MgO, Al2O3) at.% of a composition of components."""
    rows = [int(made.atomic[:, 1].argmax()), int(made.atomic[:, 2].argmax())]
    return made.atomic[rows], made.atomic_errors[rows]


def test_few_counts_are_fitted_on_sums_and_many_are_not():
    edges = []
    for mean in (FEW, MANY):
        data = dataset(mean)
        model = fu.models.ElementMaps(data, ELEMENTS, k_factors=k_factors())
        edges.append(edge_of_sums(Objective(model, 1.0 * Poisson(data))))
    assert edges[0] > edges[1] == 1


@pytest.mark.parametrize("mean", [FEW, MANY])
@pytest.mark.parametrize("kind", list(MODELS))
def test_a_thickness_that_is_right_is_what_is_found_within_its_error(kind, mean):
    made = composition(kind, mean, (T, 0.03))
    low, high = made.mass_thickness_interval
    assert abs(np.log(made.mass_thickness_mean / T)) < 2 * 0.03  # a factor of 3 off by κ alone
    assert low < T < high
    assert np.log(high / low) <= 2 * 1.96 * 0.03 * (1 + 1e-9)
    assert not any("far from" in text for text in made.messages)


@pytest.mark.parametrize("kind", ["Compositions", "a model of one's own"])
def test_compositions_are_right_where_the_thickness_that_was_told_is(kind):
    atomic, errors = phases(composition(kind, MANY, (T, 0.03)))
    there = TRUTH > 0
    assert (np.abs(atomic - TRUTH) < 3 * errors + 0.05)[there].all()
    whole = composition("ElementMaps", MANY, (T, 0.03))
    n = amounts()[1].mean(0)
    assert (np.abs(whole.atomic - 100 * n / n.sum()) < 3 * whole.atomic_errors + 0.05).all()


def test_a_thickness_that_is_told_makes_compositions_surer():
    """How much oxygen was absorbed is most of what few counts leave open."""
    known = phases(composition("Compositions", FEW, (T, 0.03)))[1]
    usual = phases(composition("Compositions", FEW, None))[1]
    assert (known[TRUTH > 0] < 0.6 * usual[TRUTH > 0]).all()


@pytest.mark.parametrize("kind", ["Compositions", "ElementMaps"])
def test_what_is_told_and_what_counts_tell_are_weighed_by_their_errors(kind):
    """1 / σ² of logarithms, as of two measurements of one number."""
    counted = composition(kind, MANY, None)
    both = composition(kind, MANY, (2 * T, 0.5))
    low, high = np.log(counted.mass_thickness_interval)
    own, told = ((high - low) / (2 * 1.96)) ** -2, 0.5**-2
    mean = np.log(counted.mass_thickness_mean) * own + np.log(2 * T) * told
    assert np.log(both.mass_thickness_mean) == pytest.approx(mean / (own + told), abs=0.15)
    low, high = np.log(both.mass_thickness_interval)
    assert (high - low) / (2 * 1.96) == pytest.approx((own + told) ** -0.5, rel=0.25)


@pytest.mark.parametrize("error", [0.03, 0.001])
def test_a_thickness_that_the_counts_contradict_is_said_to_be_far_off(error):
    """By how much the loss would fall without it, also where it is as it was told to be."""
    told = (10 * T, error)
    made = composition("Compositions", MANY, told)
    free, held = result("Compositions", MANY, None), result("Compositions", MANY, told)
    kappa = free.model.lines.absorption.item()  # of which something is expected there
    u = np.log(made.mass_thickness_mean / told[0]) / error
    rise = held.loss - 0.5 * u**2 - (free.loss - 0.5 * kappa**2)
    (text,) = [text for text in made.messages if "far from what was expected" in text]
    found = re.search(r"mass thickness (-[\d.]+) σ", text)
    assert found is not None
    off = float(found[1])
    assert off < -5
    assert off == pytest.approx(-((u**2 + 2 * rise / misfit_of(held)) ** 0.5), rel=0.02)
    low, high = made.mass_thickness_interval
    assert np.log(high / low) <= 2 * error * abs(off) * 1.1  # 1.96 · |off| / 1.96


def test_others_of_the_grid_do_not_count():
    data = dataset(MANY, grid=0.3)
    model = fu.models.Compositions(
        data,
        ELEMENTS,
        2,
        k_factors=k_factors(others=("Si",)),
        others=["Si"],
        mass_thickness=(T, 0.02),
    )
    found = fu.fit(model, Poisson(data), starts=1, progress=False)
    made = found.composition(progress=False)
    assert abs(np.log(made.mass_thickness_mean / T)) < 2 * 0.02
    assert (np.abs(phases(made)[0] - TRUTH) < 3 * phases(made)[1] + 0.05)[TRUTH > 0].all()
    with torch.no_grad():
        atoms, lines = found.model.atoms(), found.model.lines
        everything = float((lines.mass_scale * (atoms @ lines.masses)).mean())
    silicon = 0.3 * amounts()[1].mean() * 28.085
    assert everything / made.mass_thickness_mean == pytest.approx(1 + silicon / T, rel=0.02)


@pytest.mark.parametrize("mean", [FEW, MANY])
def test_pixels_that_are_masked_neither_count_nor_make_up_for_others(mean):
    """Nothing else tells what is in them: all that is missing would go there."""
    seen = np.ones(SHAPE, dtype=bool)
    seen[:4, :6] = False
    full = dataset(mean)
    mask = np.broadcast_to(~seen[..., None], full.shape)
    data = fu.Dataset("edxs", full.numpy(), axes=full.axes, metadata=full.metadata, mask=mask)
    right = float(amounts()[0].reshape(SHAPE)[seen].mean())
    model = fu.models.Compositions(
        data, ELEMENTS, 2, k_factors=k_factors(), mass_thickness=(right, 0.03)
    )
    made = fu.fit(model, Poisson(data), starts=1, progress=False).composition(progress=False)
    assert abs(np.log(made.mass_thickness_mean / right)) < 2 * 0.03
    assert made.mass_thickness[seen].mean() == pytest.approx(made.mass_thickness_mean, rel=1e-9)
    atomic, errors = phases(made)
    assert (np.abs(atomic - TRUTH) < 3 * errors + 0.05)[TRUTH > 0].all()


def test_the_mean_that_is_told_is_that_of_the_map_with_its_loss():
    found = result("Compositions", FEW, (T, 0.03))
    made = composition("Compositions", FEW, (T, 0.03))
    off = np.log(made.mass_thickness.mean() / T) / 0.03
    (term,) = [t for _, t in found.minimised.terms if "mass_thickness" in str(t)]
    with torch.no_grad():
        assert term.value(found.model, {}).item() == pytest.approx(0.5 * off**2, abs=1e-9)
