"""What a line model takes from metadata, and what it refuses in words."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.elements import KFactors, LineModel
from tests.xrays.literal_spectrum import BEAM, ELEVATION
from tests.xrays.small_line_model import (
    ELEMENTS,
    ENERGY,
    spectra,
)

EDS_TEM = {"Signal": {"signal_type": "EDS_TEM"}}
SEM = {"Signal": {"signal_type": "EDS_SEM"}}
LOSS = fu.Axis("energy loss", 1.0, 400.0, "eV", size=500)


@pytest.mark.parametrize(
    ("told", "options"),
    [
        ("Au: no X-ray line between", {"elements": ["O", "Fe", "Au"], "narrow": True}),
        ("metadata say EDS_SEM", {"metadata": SEM}),
        ("X-ray spectra on an axis in keV", {"axis": LOSS}),
        ("say no beam energy: give it in keV", {"beam_energy": None}),
        ("do not say how high the detector stands", {"elevation": None}),
        ("beam_energy=200000 keV", {"beam_energy": 200e3}),
        ("beam_energy=15 keV", {"beam_energy": 15.0}),
        ("elevation=0°", {"elevation": 0.0}),
        ("elevation=-20°", {"elevation": -20.0}),
        ("elevation=95°", {"elevation": 95.0}),
        ("there is no element 'Xx'", {"elements": ["O", "Xx"]}),
        ("continuum='none': give", {"continuum": "none"}),
        ("mass_thickness=5e-05: give", {"mass_thickness": 5e-5}),
        (r"mass_thickness=\(-1e-05, 0.2\): give", {"mass_thickness": (-1e-5, 0.2)}),
    ],
)
def test_what_is_missing_or_of_another_kind_is_refused_in_words(told, options):
    given = {"beam_energy": BEAM, "elevation": ELEVATION, "elements": ELEMENTS} | options
    axis = given.pop("axis", ENERGY)
    if given.pop("narrow", False):
        axis = fu.Axis("energy", 0.01, 0.3, "keV", size=100)  # up to 1.3 keV
    data = spectra(axis, metadata=given.pop("metadata", EDS_TEM if axis is not LOSS else {}))
    with pytest.raises(ValueError, match=told):
        LineModel(data, given.pop("elements"), **given)


def test_beam_energy_and_elevation_are_taken_from_the_metadata_unless_they_are_given():
    microscope = {"beam_energy": 300.0, "Detector": {"EDS": {"elevation_angle": 18.0}}}
    data = spectra(metadata=EDS_TEM | {"Acquisition_instrument": {"TEM": microscope}})
    read = LineModel(data, ELEMENTS).acquisition
    assert (read.beam_energy, read.elevation) == (300.0, 18.0)
    given = LineModel(data, ELEMENTS, beam_energy=80, elevation=22).acquisition
    assert (given.beam_energy, given.elevation) == (80.0, 22.0)


@pytest.mark.parametrize(
    ("told", "values", "options"),
    [
        ("every k must be > 0", {"Fe K": 0.0}, {}),
        ("every k must be > 0", {"Fe K": -1.2}, {}),
        ("every k must be > 0", {"Fe K": np.nan}, {}),
        ("every k must be > 0", {"Fe K": (1.2, -0.1)}, {}),
        ("no k factors: leave", {}, {}),
        ("there is no element 'Xy'", {"Xy K": 1.0}, {}),
        ("'Fe': name a family", {"Fe": 1.5}, {}),
        ("'Fe Kb': name a family", {"Fe Kb": 1.5, "O K": 1.0}, {}),
        ("error=5: give a relative", {"Fe K": 1.0}, {"error": 5}),
        ("'atomic' or 'weight'", {"Fe K": 1.0}, {"kind": "mass"}),
    ],
)
def test_k_factors_that_mean_nothing_are_refused_in_words(told, values, options):
    with pytest.raises(ValueError, match=told):
        KFactors(values, **options)


def test_data_without_a_count_are_refused_in_words():
    empty = fu.Dataset("edxs", np.zeros((2, ENERGY.size)), axes=["pixel", ENERGY], metadata=EDS_TEM)
    with pytest.raises(ValueError, match="not one count in 'edxs'"):
        LineModel(empty, ELEMENTS, beam_energy=BEAM, elevation=ELEVATION)


def test_a_detector_of_negative_thickness_is_refused_in_words():
    with pytest.raises(ValueError, match=r"window=-1.0.*0 or more"):
        fu.elements.Response(window=-1.0)
