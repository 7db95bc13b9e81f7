"""A mass thickness that was told, as a belief about the mean over a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.elements import LineModel
from fusion.engine.objective import Objective
from fusion.testing import TermContract
from fusion.xrays.known_thickness import KnownThickness
from fusion.xrays.table import atomic_mass
from tests.xrays.literal_spectrum import BEAM, ELEVATION
from tests.xrays.small_line_model import ELEMENTS, ENERGY, N, spectra

TOLD, ERROR = 5e-5, 0.1
GIVEN = {"beam_energy": BEAM, "elevation": ELEVATION, "mass_thickness": (TOLD, ERROR)}


def maps(elements=ELEMENTS, n=N, absorption=0.4, **options):
    """A map of every element, κ off by so much."""
    model = fu.models.ElementMaps(spectra(), elements, **GIVEN, **options)
    model.factor("N").assign(torch.from_numpy(n))
    model.factor("lines.absorption").assign(torch.full((1, 1), absorption, dtype=torch.float64))
    return model


def told(model):
    """The belief about the thickness among those of the model."""
    (term,) = [each for each in model.all_beliefs() if isinstance(each, KnownThickness)]
    return term


def deviation(model, n=N, elements=ELEMENTS, weights=None):
    """ln(κ Σ_p w_p Σ_i n_pi M_i / T) / σ."""
    masses = np.array([atomic_mass(e) for e in elements])
    mean = np.average(n[:, : len(elements)] @ masses, weights=weights)
    return np.log(model.lines.mass_scale.item() * mean / TOLD) / ERROR


def test_it_is_half_the_square_of_the_logarithm_of_the_mean_over_what_was_told():
    model = maps()
    expected = 0.5 * deviation(model) ** 2
    assert told(model).value(model, {}).item() == pytest.approx(expected, rel=1e-9)
    assert expected > 1


def test_what_is_elsewhere_absorbs_and_is_no_part_of_the_thickness():
    n = np.column_stack([N, [300.0, 20.0, 7.0]])
    model = maps([*ELEMENTS, "Cu"], n, elsewhere=["Cu"])
    expected = 0.5 * deviation(model, n) ** 2
    assert told(model).value(model, {}).item() == pytest.approx(expected, rel=1e-9)
    with torch.no_grad():
        with_copper = model.lines.emitted(torch.from_numpy(n))
        n[:, 2] = 0
        without = model.lines.emitted(torch.from_numpy(n))
    oxygen = [i for i, group in enumerate(model.lines.groups) if group.name == "O Ka"]
    assert (with_copper[:, oxygen] < without[:, oxygen]).all()


def test_of_sums_the_mean_is_weighed_by_how_many_pixels_each_has():
    model, pixels = maps(), spectra().pixels
    term = told(model).on_sums({pixels: torch.tensor([0, 0, 1, 0, 2, 1, 0])})
    expected = 0.5 * deviation(model, weights=[4, 2, 1]) ** 2
    assert term.value(model, {}).item() == pytest.approx(expected, rel=1e-9)


def test_pixels_that_are_masked_are_no_part_of_the_mean_nor_of_that_of_sums():
    mask = np.zeros((3, ENERGY.size), dtype=bool)
    mask[1], mask[0, :5] = True, True
    data = fu.Dataset("edxs", np.full((3, ENERGY.size), 2.0), axes=["x", ENERGY], mask=mask)
    over = fu.models.ElementMaps(data, ELEMENTS, **GIVEN).lines.over_map
    values = torch.tensor([1.0, 1e9, 5.0], dtype=torch.float64)
    assert over(values).item() == 3
    of_sums = over.on_sums({data.pixels: torch.tensor([0, 1, 0])})
    assert of_sums(values[:2]).item() == 1


def test_its_curvature_is_the_square_of_its_slope_where_the_logarithm_itself_bends_down():
    model = maps(n=30 * N)
    objective = Objective(model, 1.0 * told(model))
    flat = objective.current()[0].requires_grad_()

    def value(x):
        return objective.penalties(objective.values(x[None]), objective.no_states()).sum()

    def curvature(x):
        return objective.penalty_curvature(objective.values(x[None]), objective.no_states()).sum()

    (slope,) = torch.autograd.grad(value(flat), flat)
    found = torch.autograd.functional.hessian(curvature, flat)
    u = deviation(model, 30 * N)
    assert u > 10
    np.testing.assert_allclose(found, torch.outer(slope, slope) / u**2, rtol=1e-7, atol=1e-12)
    (own,) = [slot.part for slot in objective.slots if slot.name == "lines.absorption"]
    assert slope[own].item() == pytest.approx(u * 1.5 / ERROR, rel=1e-9)


def test_of_the_unknowns_all_but_the_scale_of_absorption_are_expected_for_themselves():
    model, usual = (
        maps(),
        fu.models.ElementMaps(spectra(), ELEMENTS, beam_energy=BEAM, elevation=22),
    )
    (expected,) = [each for each in model.all_beliefs() if str(each) == "Expected(lines)"]
    (all_of_them,) = usual.all_beliefs()
    assert set(all_of_them.names) - set(expected.names) == {"lines.absorption"}
    assert len(model.all_beliefs()) == 2


def test_it_is_told_in_words_with_its_numbers():
    term = told(maps())
    assert str(term) == "Expected(lines.mass_thickness = 5e-05 ± 10 %)"
    assert term.formula()[0] == "½(ln(⟨ρt⟩/5e-05)/0.1)²"


class Phases(fu.Model):
    """A model of one's own that does not say which atoms there are."""

    def __init__(self, edxs):
        super().__init__()
        self.lines = LineModel(edxs, ELEMENTS, **GIVEN)
        self.N = fu.Factor((edxs.pixels, len(ELEMENTS)))

    def forward(self):
        return {"edxs": self.lines(self.N)}


def test_a_model_that_does_not_say_which_atoms_there_are_is_refused_with_the_line_that_does():
    data = spectra()
    with pytest.raises(
        ValueError, match=r"`Phases` does not say which atoms .*`def atoms\(self\): return"
    ):
        fu.fit(Phases(data), fu.losses.Poisson(data), progress=False)


class TestKnownThickness(TermContract):
    interchangeable = False

    def make(self):
        model = maps()
        return model, told(model)
