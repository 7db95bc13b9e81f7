"""Where lines lie and how wide they are, what leaves a layer, and what is believed of unknowns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.elements import Response
from fusion.xrays.line_model import left_of
from fusion.xrays.table import atomic_mass
from tests.xrays.literal_spectrum import BEAM, CHANNELS, ELEVATION
from tests.xrays.small_line_model import (
    ALL,
    ELEMENTS,
    EXPECTED,
    N,
    line_model,
    spectra,
)


def test_offset_and_gain_move_every_line_to_where_they_say():
    model = line_model(replace(EXPECTED, calibration=(0.8, -1.2, 0.0, 0.0)))
    assert model.offset.item() == pytest.approx(0.012, rel=1e-12)
    assert model.gain.item() == pytest.approx(1 - 0.0036, rel=1e-12)
    with torch.no_grad():
        shapes = model.shapes()[:, : len(model.groups)].numpy()
    np.testing.assert_allclose(shapes.sum(0), 1, rtol=1e-7)  # a photon each
    found = CHANNELS @ shapes / shapes.sum(0)
    expected = [0.012 + (1 - 0.0036) * group.energy for group in model.groups]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_noise_and_fano_factor_widen_lines_as_they_say():
    response = Response(noise=0.08, fano=0.13)
    model = line_model(replace(EXPECTED, calibration=(0, 0, 1.0, -1.0)), response=response)
    (at,) = [i for i, g in enumerate(model.groups) if g.name == "O Ka"]
    with torch.no_grad():
        shape = model.shapes()[:, at].numpy()
    mean = CHANNELS @ shape
    variance = (CHANNELS - mean) ** 2 @ shape - 0.01**2 / 12  # of a channel itself
    energy = model.groups[at].energy
    spread = sum(share * (e - energy) ** 2 for e, share in model.groups[at].parts)
    expected = (0.08 * np.exp(0.15) / 2.354820045) ** 2 + 0.13 * np.exp(-0.15) * 3.65e-3 * energy
    assert variance == pytest.approx(expected + spread, rel=1e-6)


def test_what_leaves_a_layer_is_right_from_nothing_to_very_thick_ones():
    depth = torch.tensor(
        [0.0, 1e-300, 1e-12, 9.9e-5, 1.01e-4, 0.02, 5.0, 800.0], dtype=torch.float64
    )
    expected = [1.0, *(-np.expm1(-depth[1:].numpy()) / depth[1:].numpy())]
    np.testing.assert_allclose(left_of(depth).numpy(), expected, rtol=1e-12)
    at = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(left_of(at).sum(), at)
    assert slope.item() == -0.5


def test_mass_thickness_starts_near_what_was_told_and_grows_by_its_unknown():
    told = line_model(mass_thickness=(5e-5, 0.1))
    masses = np.array([atomic_mass(e) for e in ELEMENTS])
    per_atom = (told.owner @ told.sent).numpy()
    atoms = 2.0 * len(CHANNELS) / per_atom.sum()  # of each, if they give all counts of a pixel
    start = told.mass_scale.item()
    assert start * atoms * masses.sum() == pytest.approx(5e-5, rel=1e-12)
    told.factor("absorption").assign(torch.full((1, 1), 2.0, dtype=torch.float64))
    assert told.mass_scale.item() == pytest.approx(start * np.exp(1.5 * 2.0), rel=1e-12)
    with torch.no_grad():
        found = told.mass_thickness(torch.from_numpy(N)).numpy()
    np.testing.assert_allclose(found, told.mass_scale.item() * N @ masses, rtol=1e-12)


def test_beliefs_are_half_the_squares_of_all_that_is_not_known():
    model = line_model(replace(ALL, ends=(0.3, -0.4)))
    (belief,) = model.beliefs()
    expected = sum(0.5 * float((p.detach() ** 2).sum()) for p in model.parameters())
    assert belief.value(model, {}).item() == pytest.approx(expected, rel=1e-12)
    assert expected > 1
    fresh = line_model()
    assert fresh.beliefs()[0].value(fresh, {}).item() == 0  # all as it is expected at first


def test_a_model_hands_on_the_beliefs_of_its_line_model_once():
    model = fu.models.ElementMaps(spectra(), ELEMENTS, beam_energy=BEAM, elevation=ELEVATION)
    (belief,) = model.all_beliefs()
    assert set(belief.names) == {n for n in model.factor_modules() if n.startswith("lines.")}
    assert str(belief) == "Expected(lines)"
