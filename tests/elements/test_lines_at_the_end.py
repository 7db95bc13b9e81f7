"""Lines just beyond the end of an axis: told from their tail, with a caution; not further out."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.elements.intensities import Fitted
from fusion.elements.xray_detector import USUAL
from fusion.xrays.table import lines

FULL = fu.Axis("energy", 0.01, 0.1, "keV", size=250)
TRUTH = {"O Ka": 40_000.0, "Si Ka": 90_000.0}


def spectra(last: float) -> fu.Dataset:
    """Four spectra of counts of O and Si with a background, up to an energy."""
    mean = np.full(FULL.size, 30.0)
    for name, total in TRUTH.items():
        for line in lines(name.split()[0], FULL):
            if line.shell == "K":
                mean += total * line.weight * USUAL.profile(FULL, line)
    counts = np.random.default_rng(0).poisson(np.tile(mean, (4, 1)))
    metadata = {"Signal": {"signal_type": "EDS_TEM"}}
    data = fu.Dataset("eds", counts, axes=["region", FULL], metadata=metadata)
    return data.crop(energy=(None, last))


def test_a_line_beyond_the_end_is_measured_by_its_tail_with_errors_that_hold():
    data = spectra(1.7)
    with pytest.warns(fu.CutWarning, match=r"Si Ka: lies at 1\.740 keV, .* to 1\.700 keV.*15 %"):
        found = Fitted(USUAL)(data, tuple(TRUTH), ())
    off = (found.values - np.array(list(TRUTH.values()))) / found.errors
    assert np.abs(off).max() < 4.5
    assert (found.errors[:, 1] < 0.05 * TRUTH["Si Ka"]).all()


def test_a_line_further_out_is_refused():
    with pytest.raises(ValueError, match=r"`Si Ka`: lies at 1\.740 keV, .* to 1\.500 keV"):
        Fitted(USUAL)(spectra(1.5), tuple(TRUTH), ())
