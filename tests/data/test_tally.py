"""Sums and counts of a data set in one pass."""

from __future__ import annotations

import numpy as np

from fusion.data.tally import tally
from tests.helpers.inspected_data import holed, spectra


def test_parts_of_the_pass_add_up(monkeypatch):
    whole = tally(spectra(holed()))
    monkeypatch.setattr("fusion.data.tally.PART", 100)
    parts = tally(spectra(holed()))
    np.testing.assert_allclose(parts.totals, whole.totals)
    np.testing.assert_allclose(parts.means, whole.means)
    assert (parts.zeros, parts.broken, parts.maximum) == (whole.zeros, 2, whole.maximum)


def test_pixels_with_masked_channels_have_comparable_totals():
    mask = np.zeros((15, 16, 40), bool)
    mask[0, 0, :20] = True
    totals = tally(spectra(np.ones((15, 16, 40)), mask=mask)).totals
    np.testing.assert_allclose(totals, 40.0)
