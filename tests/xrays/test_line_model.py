"""The spectrum of a specimen's atoms, against the equations with loops and differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.xrays.table import atomic_mass
from tests.xrays.literal_spectrum import CHANNELS, ELEVATION, continuum_of, left, lines_of, mu
from tests.xrays.small_line_model import (
    ALL,
    ELEMENTS,
    EXPECTED,
    N,
    line_model,
    predicted,
    spectra,
)


@pytest.mark.parametrize("unknowns", [EXPECTED, ALL], ids=["as expected", "all unknowns moved"])
def test_lines_are_those_of_the_equations_with_loops(unknowns):
    model = line_model(unknowns)
    expected = lines_of(N, model.mass_scale.item(), unknowns)
    found = predicted(model)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * expected.max())
    strong = expected > 1e-4 * expected.max()  # tails are differences in the literal one
    np.testing.assert_allclose(found[strong], expected[strong], rtol=1e-9)


@pytest.mark.parametrize("continuum", ["absorbed", "not absorbed"])
def test_the_continuum_is_that_of_the_equations_in_steps_of_an_electron_volt(continuum):
    model = line_model(ALL, continuum=continuum)
    kappa = model.mass_scale.item()
    expected = continuum_of(N, kappa, ALL, model.high, continuum == "absorbed")
    found = predicted(model)[1]
    from_end = CHANNELS[-1] - CHANNELS
    end = (CHANNELS < 0.35) | (from_end < 0.1)  # cells end there, or a window opens
    np.testing.assert_allclose(found[:, end], expected[:, end], rtol=6e-3)
    np.testing.assert_allclose(found[:, ~end], expected[:, ~end], rtol=2e-3)
    assert np.median(np.abs(found / expected - 1)) < 3e-4


def test_absorption_at_knots_tells_that_at_all_energies_of_the_continuum():
    model = line_model(
        replace(ALL, absorption=(0.8,)), continuum="absorbed"
    )  # to 1e-4 g/cm² over the sine
    kappa = model.mass_scale.item() / np.sin(np.radians(ELEVATION))
    energies, knots = model.fine.numpy(), model.knots
    mass = N * [atomic_mass(e) for e in ELEMENTS]
    assert 8e-5 < kappa * mass.sum(1).max() < 1e-4
    expected = left(kappa * mass @ np.stack([mu(e, energies) for e in ELEMENTS]))
    with torch.no_grad():
        shares = model.emitted(torch.from_numpy(N))[:, -knots:].numpy()
    heavy = N @ np.array([8.0, 26.0]) ** (1 + 0.3 * 0.5)
    found = shares @ model.hats.numpy() / heavy[:, None]
    assert expected.min() < 0.4
    off = np.abs(found / expected - 1)
    assert (off < 3.5e-3).mean() > 0.98
    table_bends = (energies > 0.7199) & (energies < 0.8446)  # between Fe L2 and L1, unlike a line
    assert off[:, ~table_bends].max() < 7e-3
    assert off.max() < 0.03
    assert len(energies) > 5 * knots  # else nothing would be saved


def test_no_less_than_nothing_comes_from_beyond_the_ends():
    model = line_model(ALL)
    ends = model.factor("ends")
    assert ends.lower == -1
    np.testing.assert_array_equal(ends.constrain(torch.tensor([[-3.0], [0.5]])), [[-1.0], [0.5]])


def test_the_prediction_is_lines_and_continuum_together():
    model = line_model(ALL)
    with torch.no_grad():
        left, right = model(torch.from_numpy(N)).two_way()
    np.testing.assert_allclose((left @ right.T).numpy(), sum(predicted(model)), rtol=1e-12)


def test_an_axis_in_electron_volts_gives_the_same_spectrum():
    axis = fu.Axis("energy", 10.0, 250.0, "eV", size=len(CHANNELS))
    data = spectra(axis, metadata={"Signal": {"signal_type": "EDS_TEM"}})
    for found, expected in zip(
        predicted(line_model(ALL, data=data)), predicted(line_model(ALL)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_ends_scale_what_comes_from_beyond_the_axis_and_nothing_else():
    usual, none, twice, less = (
        predicted(line_model(replace(ALL, ends=ends)))[1]
        for ends in ((0.0, 0.0), (-1.0, -1.0), (1.0, 1.0), (-3.0, -3.0))
    )
    np.testing.assert_allclose(twice - usual, usual - none, atol=1e-12 * usual.max())
    np.testing.assert_array_equal(less, none)  # never below nothing
    inside = np.abs(CHANNELS - CHANNELS.mean()) < 3.3  # the axis reaches from 0.25 to 7.84 keV
    np.testing.assert_allclose(none[:, inside], usual[:, inside], rtol=1e-8)
    # a channel at the end sees about as much from either side, the continuum being even there
    np.testing.assert_allclose(none[:, -1] / usual[:, -1], 0.5, atol=0.2)
    assert (none[:, 0] < 0.95 * usual[:, 0]).all()


def test_gradients_are_finite_and_equal_to_differences_even_where_a_pixel_is_empty():
    model = line_model(replace(ALL, ends=(0.3, -0.4)))
    n = torch.tensor(np.vstack([N, [0.0, 0.0]]), requires_grad=True)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(4, len(CHANNELS))))

    def value():
        return ((model.emitted(n) @ model.shapes().T) * weights).sum()

    unknowns = [n, *model.parameters()]
    slopes = torch.autograd.grad(value(), unknowns)
    for unknown, slope in zip(unknowns, slopes, strict=True):
        assert torch.isfinite(slope).all()
        step, flat = 1e-5 * (1e2 if unknown is n else 1), unknown.data.view(-1)
        for i, along in enumerate(slope.flatten().tolist()):
            before, ends = float(flat[i]), []
            for side in (1, -1):
                flat[i] = before + side * step
                ends.append(float(value().detach()))
            flat[i] = before
            assert along == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-6)
