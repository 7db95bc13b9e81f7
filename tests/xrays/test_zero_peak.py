"""Spectra that begin with the zero peak of the electronics: refused, or begun above it."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.cli.composing import _of_xrays
from fusion.xrays.electronics import begins_at
from tests.elements.two_oxides import ELEMENTS, counts

EDS = {"Signal": {"signal_type": "EDS_TEM"}}
SCOPE = {"TEM": {"beam_energy": 200.0, "Detector": {"EDS": {"elevation_angle": 22.0}}}}
BEFORE = 30  # channels of 10 eV before the 0.2 keV at which the counts begin


def spectra(height=400.0, unit=1.0, before=BEFORE):
    """A map of two oxides behind a zero peak; the unit in keV."""
    lines = counts(300)
    energy = 0.2 + 0.01 * np.arange(-before, lines.shape[-1])
    peak = height * np.exp(-0.5 * (energy / 0.025) ** 2)
    shown = np.random.default_rng(1).poisson(np.broadcast_to(peak, (*lines.shape[:2], len(peak))))
    shown[..., before:] += lines
    axis = fu.Axis("energy", 0.01 / unit, float(energy[0]) / unit, "keV" if unit == 1 else "eV")
    metadata = EDS | {"Acquisition_instrument": SCOPE}
    return fu.Dataset("edxs", shown, axes=["y", "x", axis], metadata=metadata)


@pytest.mark.parametrize(("unit", "crop"), [(1.0, "0.2"), (1e-3, "200")])
def test_a_line_model_of_a_zero_peak_is_refused_with_the_crop_that_mends_it(unit, crop):
    data = spectra(unit=unit)
    with pytest.raises(ValueError, match="zero peak of the detector's electronics") as told:
        fu.elements.LineModel(data, ELEMENTS)
    assert f".crop(energy=({crop}, None))" in str(told.value)
    fu.elements.LineModel(data.crop(energy=(float(crop), None)), ELEMENTS)


def test_boron_is_looked_for_below_the_threshold():
    assert begins_at(spectra(), ELEMENTS) == 0.2
    assert begins_at(spectra(), ("B", "N")) == 0.15


def test_what_has_no_such_peak_is_taken_as_it_is():
    assert begins_at(spectra(height=0.0), ELEMENTS) is None
    assert begins_at(spectra(before=0), ELEMENTS) is None


def test_the_command_begins_above_it_and_says_so(capsys):
    used = _of_xrays(spectra(), "O,Mg", "Al", quiet=False)
    assert "edxs: from 0.2 keV on: below are the zero peak" in capsys.readouterr().err
    assert used.channels[0].values[[0, -1]] == pytest.approx([0.2, 2.49])
    assert _of_xrays(used, "O,Mg", "Al", quiet=False) is used
    _of_xrays(spectra(), "O,Mg", "Al", quiet=True)
    assert capsys.readouterr().err == ""
