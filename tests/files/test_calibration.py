"""Names, units and positions of other programs, in this project's words."""

from __future__ import annotations

import numpy as np

from fusion.algebra.unit_names import unit
from fusion.files.calibration import axis_at, axis_name, slug
from fusion.files.signal_dictionaries import names

# --- NumPy's files ---------------------------------------------------------------------------


def test_even_positions_are_uniform_to_the_precision_in_which_they_are_stored():
    assert axis_at("e", np.linspace(0.15, 10, 985, dtype=np.float32)).uniform
    assert axis_at("e", 400 + 0.3 * np.arange(2048)).uniform
    uneven = 400 + 0.3 * np.arange(2048) ** 1.001
    np.testing.assert_array_equal(axis_at("e", uneven).values, uneven)
    assert axis_at("e", [7.0]).offset == 7.0
    assert not axis_at("e", [7.0, 7.0]).uniform


# --- microscopes' files ----------------------------------------------------------------------


def test_names_within_a_file_are_short_and_none_is_given_twice():
    def entry(kind: str, title: str, ndim: int = 3) -> dict:
        told = {"General": {"title": title}, "Signal": {"signal_type": kind}}
        return {"data": np.zeros((2,) * ndim), "metadata": told}

    losses = [entry("EELS", "EELS (low loss)"), entry("EELS", "EELS (high loss)")]
    assert names(losses, "file") == ["eels_low_loss", "eels_high_loss"]
    alike = [entry("EDS_TEM", "EDS"), entry("EDS_TEM", "EDS"), entry("EDS_TEM", "EDS", 1)]
    assert names(alike, "file") == ["eds", "eds_2", "eds_spectrum"]
    assert names([entry("", "", 2), entry("", "Übersicht µ", 2)], "file") == ["file", "ubersicht"]
    assert slug("HAADF-Detector 2!") == "haadf_detector_2"


def test_words_of_other_programs_become_this_projects():
    written = ["Energy-loss", "X-ray energy", "Width", "HEIGHT", "Tilt_angle", "<undefined>", None]
    ours = ["energy loss", "energy", "x", "y", "tilt angle", "", ""]
    assert [axis_name(each) for each in written] == ours
    assert [unit(u) for u in ("EV", "kev", "um", "μm", "1/nm", "<undefined>", None, "meV")] == [
        *("eV", "keV", "µm", "µm", "1/nm", "", "", "meV")
    ]
