"""The fit that a search for elements rests on: derivatives, what detectors do, thresholds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.elements.found_background import coincidences, escape_shares, escapes, shelf
from fusion.elements.found_evidence import threshold
from fusion.elements.found_fit import Fit, amounts_of
from fusion.elements.found_lines import CandidateLines, Detector, spread
from fusion.elements.found_spectrum import Spectrum
from fusion.xrays.response import Response

CHANNELS = 0.2 + 0.01 * np.arange(900)


@pytest.fixture(scope="module")
def fit():
    lines = CandidateLines(["O", "Ti", "Ni", "Sr"], CHANNELS, 200.0, Response(), None)
    counts = np.full(len(CHANNELS), 50.0)
    spectrum = Spectrum(counts, np.ones(len(CHANNELS)), lines, 200.0, 22.0)
    made = Fit(spectrum)
    made.weigh(spectrum.start())
    return made


def spot_of(fit):
    """Somewhere off all that is expected."""
    spectrum = fit.spectrum
    spot = fit.with_elements(spectrum.start(), {0: 3e4, 1: 8e4, 2: 2e4})
    spectrum.hold(spot, everything=True)
    spot = fit.with_unsure(spot)
    rng = np.random.default_rng(0)
    moved = [0.05 * rng.standard_normal(len(p)) for p in spot.parts[1:6]]
    u, calibration, absorbers, depth, bends = (
        p + d for p, d in zip(spot.parts[1:6], moved, strict=True)
    )
    extra = np.array([0.8, 0.01, 0.005])
    return replace(
        spot, u=u, calibration=calibration, absorbers=absorbers, depth=depth, bends=bends,
        extra=extra,
    )  # fmt: skip


def test_changes_are_the_derivatives_of_expected_counts(fit):
    spot = spot_of(fit)
    assert len(spot.u) > 6
    _, changes = fit.spectrum.expected(spot)
    names = ("n", "u", "calibration", "absorbers", "depth", "bends", "extra")
    row = 0
    for name in names:
        value = getattr(spot, name)
        for i in range(len(value)):
            step = 1.0 if name == "n" else 1e-4
            ends = []
            for sign in (1, -1):
                new = value.copy()
                new[i] += sign * step
                ends.append(fit.spectrum.expected(replace(spot, **{name: new}))[0])
            slope = (ends[0] - ends[1]) / (2 * step)
            scale = np.abs(slope).max() + 1e-9
            # shapes of shifted lines change with their shift to second order alone
            assert np.abs(changes[row] - slope).max() < 0.03 * scale, (name, i)
            row += 1
    assert row == len(changes)


def test_lines_move_and_widen_as_their_slopes_say(fit):
    lines, at, h = fit.spectrum.lines, Detector(0.002, 1.001, 1.1, 0.95), 1e-4
    groups = np.arange(len(lines.groups))
    _, moved, wider = lines.shapes(at, groups)

    def differ(up, down):
        return (lines.shapes(up, groups)[0] - lines.shapes(down, groups)[0]) / (2 * h)

    by_keV = differ(at._replace(offset=at.offset + h), at._replace(offset=at.offset - h))
    np.testing.assert_allclose(moved, by_keV, rtol=0, atol=1e-4 * np.abs(by_keV).max())
    ends = (at._replace(noise=at.noise * s, fano=at.fano * s) for s in (1 + h, 1 - h))
    by_share = differ(*ends) / spread(lines.variance, at, lines.energies)[:, None]
    np.testing.assert_allclose(wider, by_share, rtol=0, atol=1e-4 * np.abs(by_share).max())


def test_a_fit_of_expected_counts_gives_back_what_they_were_made_of(fit):
    spot = spot_of(fit)
    spot = replace(spot, extra=np.array([1.0, 0.0, 0.0]), bends=spot.bends - 2)
    expected, _ = fit.spectrum.expected(spot)
    spectrum = Spectrum(expected, np.ones(len(CHANNELS)), fit.spectrum.lines, 200.0, 22.0)
    again = Fit(spectrum)
    start = spectrum.start()
    again.weigh(start)
    found = again.settle(again.with_elements(start, {0: 1e4, 1: 1e4, 2: 1e4, 3: 1e3}))
    each = found.n * spectrum.candidates(found)[list(found.active)].sum(1)
    size = fit.spectrum.candidates(spot)[list(spot.active)].sum(1)
    np.testing.assert_allclose(each[:3], spot.n * size, rtol=0.05)
    assert each[3] < 300  # of Sr, which is not there; noise would be as much
    assert set(amounts_of(found, [3])) == {0, 1, 2}


def test_escapes_are_those_of_silicon():
    """Shares as they are tabulated for the front of a silicon detector; none below its edge."""
    shares = escape_shares(np.array([2.013, 2.307, 4.51, 6.40, 1.80]))
    np.testing.assert_allclose(shares[:4], [0.0165, 0.0151, 0.0067, 0.0032], rtol=0.15)
    assert shares[4] == 0


def test_what_escapes_is_1740_eV_below_and_two_photons_at_their_sum():
    line = np.exp(-0.5 * ((CHANNELS - 4.51) / 0.04) ** 2)
    lost = escapes(line, CHANNELS)
    assert CHANNELS[np.argmax(lost)] == pytest.approx(4.51 - 1.74, abs=0.011)
    assert lost.sum() == pytest.approx(0.0067 * line.sum(), rel=0.15)
    both = coincidences(line, CHANNELS)
    assert CHANNELS[np.argmax(both)] == pytest.approx(9.02, abs=0.011)
    assert both.sum() == pytest.approx(line.sum(), rel=0.05)


def test_a_shelf_is_flat_below_its_line_and_nothing_above():
    line = np.exp(-0.5 * ((CHANNELS - 6.4) / 0.04) ** 2)
    made = shelf(line, CHANNELS)
    below = made[CHANNELS < 6.0]
    assert np.ptp(below) < 1e-12
    assert below[0] == pytest.approx(line.sum() * 0.01 / 6.4, rel=1e-3)
    assert made[CHANNELS > 6.8].max() < 1e-9


def test_the_threshold_is_half_chi_squared_for_all_candidates_together():
    assert threshold(1) == pytest.approx(2.7055, abs=1e-3)
    assert threshold(74) == pytest.approx(10.27, abs=0.05)
