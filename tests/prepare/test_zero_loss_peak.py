"""The zero-loss peak of every pixel: where it was put and how wide it was made, and its errors."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu

STEP, SIGMA = 0.25, 0.5


def _low(places: np.ndarray, widths: np.ndarray, seed: int | None = 0, counts: float = 2e4):
    """Peaks of σ = 0.5 eV times the widths, a plasmon behind, Poisson counts."""
    x = -6 + STEP * np.arange(240)
    at, w = places[..., None], SIGMA * widths[..., None]
    peak = counts * STEP / w * np.exp(-0.5 * ((x - at) / w) ** 2) / np.sqrt(2 * np.pi)
    expected = peak + 0.002 * counts * np.exp(-0.5 * ((x - 22) / 4) ** 2)
    made = expected if seed is None else np.random.default_rng(seed).poisson(expected)
    axis = fu.Axis("energy loss", STEP, -6, "eV")
    return fu.Dataset("low", made, axes=["y", "x", axis], metadata=META)


META = {
    "Acquisition_instrument": {
        "TEM": {
            "beam_energy": 200.0,
            "convergence_angle": 20.0,
            "Detector": {"EELS": {"collection_angle": 40.0}},
        }
    }
}


@pytest.mark.parametrize("spread", [0.02, 0.4], ids=["still", "drifting"])
def test_positions_and_widths_are_the_planted_ones_within_their_errors(spread):
    rng = np.random.default_rng(3)
    places = rng.normal(0.1, spread, (20, 25))
    widths = rng.uniform(0.85, 1.2, (20, 25))
    peak = fu.zero_loss_peak(_low(places, widths))
    for found, error, truth in (
        (peak.position, peak.position_errors, places),
        (peak.width, peak.width_errors, 2 * np.sqrt(2 * np.log(2)) * SIGMA * widths),
    ):
        off = (found - truth) / error
        assert abs(np.median(found - truth)) < 0.01
        assert 0.8 < np.std(off) < 1.35
    assert np.median(peak.position_errors) == pytest.approx(SIGMA / np.sqrt(2e4), rel=0.2)
    assert "FWHM" in str(peak)


def test_dark_pixels_have_none():
    low = _low(np.zeros((3, 4)), np.ones((3, 4)))
    counts = low.numpy().copy()
    counts[1, 2] = 0
    peak = fu.zero_loss_peak(low.derive(counts, "dark"))
    assert np.isnan(peak.position[1, 2])
    assert np.isfinite(peak.width).sum() == 11


def test_too_few_channels_are_refused():
    low = _low(np.zeros((3, 4)), np.ones((3, 4)), seed=None)
    with pytest.raises(ValueError, match=r"has 3 channels of 0\.25 eV"):
        fu.zero_loss_peak(low, zero_loss=(-0.25, 0.25))


def test_a_mean_free_path_is_the_formula_of_the_reference():
    density, E, a, b = 5.12, 200.0, 20.0, 40.0
    F = (1 + E / 1022) / (1 + E / 511) ** 2
    narrow = 5.5 * density**0.3 / (F * E)
    one = a**2 + b**2 + abs(a**2 - b**2)
    inverse = 11 * density**0.3 / (200 * F * E)
    inverse *= np.log((one + 2 * narrow**2) / (one + 2 * 20**2) * 20**2 / narrow**2)
    found = fu.mean_free_path(density, beam_energy=E, convergence=a, collection=b)
    assert found == pytest.approx(1 / inverse, rel=1e-12)


def test_thickness_in_nm_takes_beam_and_angles_from_the_metadata_or_as_given():
    low = _low(np.zeros((3, 4)), np.ones((3, 4)))
    thin = fu.relative_thickness(low)
    path = fu.mean_free_path(3.0, beam_energy=200, convergence=20, collection=40)
    thick = thin.in_nm(3.0)
    np.testing.assert_allclose(thick.values, path * thin.values)
    np.testing.assert_allclose(thick.errors, path * thin.errors)
    other = fu.mean_free_path(3.0, beam_energy=200, convergence=20, collection=10)
    assert thin.in_nm(3.0, collection=10.0).mean_free_path == pytest.approx(other)
    assert "nm" in str(thick)
    bare = fu.relative_thickness(fu.Dataset("low", low.numpy(), axes=low.axes))
    with pytest.raises(ValueError, match="say no convergence nor collection"):
        bare.in_nm(3.0, beam_energy=200)


@pytest.mark.parametrize("number", ["density", "beam_energy", "collection"])
def test_numbers_below_zero_are_refused(number):
    given = {"density": 3.0, "beam_energy": 200.0, "convergence": 0.0, "collection": 10.0}
    with pytest.raises(ValueError, match="above zero"):
        fu.mean_free_path(**given | {number: -1.0})


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ({"beam_energy": 2e5}, "give keV, not eV"),
        ({"collection": 0.01}, "give mrad, not radians"),
        ({"density": 3000.0}, "not kg/m³"),
        ({"density": "MgO"}, "density='MgO'"),
    ],
    ids=str,
)
def test_slips_of_units_are_told(slip, said):
    given = {"density": 3.0, "beam_energy": 200.0, "convergence": 0.0, "collection": 10.0}
    with pytest.raises((ValueError, TypeError), match=said):
        fu.mean_free_path(**given | slip)
