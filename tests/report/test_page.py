"""What the page holds: equation, table, cautions, lines, and what it needs."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import fusion as fu
from fusion.elements import labels
from fusion.losses import Poisson
from fusion.models import NMF
from fusion.report.contents import Scene
from fusion.report.marks import shown_end
from tests.helpers.report_data import cube, dataset, unpacked


def test_the_page_holds_equation_starts_table_cautions_and_names_nothing_as_markup(tmp_path):
    data = dataset("<b>map</b>", cube())
    result = fu.fit(NMF(data, 2), Poisson(data), starts=1, max_steps=2, progress=False)
    page = result.report(tmp_path / "r.html").html
    assert (tmp_path / "r.html").read_text() == page
    assert "<b>map</b>" not in page
    assert "X ≈ C Sᵀ" in page
    assert "ln M_" in page
    assert "One start only" in page
    assert "raise max_steps" in page
    assert page.count('data-number="0"') == 3  # legend, row and name


def test_a_loaded_result_shows_its_fit_says_that_no_data_were_at_hand_and_takes_them(
    joint, tmp_path
):
    joint.save(tmp_path / "joint.npz")
    loaded = fu.Result.load(tmp_path / "joint.npz")
    alone, held = Scene(loaded), Scene(joint)
    assert [p["measured"] for p in alone.payload["parts"]] == [None, None]
    for name in ("left0", "right0", "left1", "right1"):
        np.testing.assert_allclose(unpacked(alone.arrays[name]), unpacked(held.arrays[name]))
    assert "measured data of eels were not at hand" in loaded.report().html
    eels = joint.minimised.datasets["eels"]
    again = Scene(loaded, [eels])
    np.testing.assert_array_equal(
        unpacked(again.arrays["measured0"]), unpacked(held.arrays["measured0"])
    )
    with pytest.raises(ValueError, match=r"the result is of 'eels', 'edxs'"):
        loaded.report(data=eels.renamed("other"))
    with pytest.raises(ValueError, match=r"fitted were \(10, 12, 30\)"):
        loaded.report(data=eels.crop(energy=(100, 120)))


@pytest.fixture(scope="module")
def marked(joint):
    """The page with the lines of an element and one more."""
    return joint.report(elements=["U"], lines={"edxs": [(110.0, "Fe Kα")]}).html


def test_elements_are_marked_in_every_data_set_on_an_axis_of_energies(joint, marked):
    names = [name for axis in joint.data.values() for _, name in labels(axis.axes[-1], ["U"])]
    assert names
    assert all(json.dumps(name)[1:-1] in marked for name in ["Fe Kα", *names])


def test_lines_are_marked_in_the_data_set_they_are_given_for_and_no_other_name_is_taken(
    joint, marked
):
    assert "Fe K\\u03b1" in marked
    with pytest.raises(ValueError, match="'xrd' is none of the data sets"):
        joint.report(lines={"xrd": [(1.0, "a")]})


def test_a_notebook_shows_the_page_in_a_frame_that_holds_it_all(joint_report):
    shown = joint_report._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert shown.count("<iframe") == 1
    assert "<script" not in shown


def test_without_bokeh_the_error_says_what_to_install(joint, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ImportError, match=r'pip install "sdfusion\[report\]"'):
        joint.report()


def test_the_axis_of_x_rays_ends_where_their_counts_and_lines_end():
    axis = fu.Axis("energy", 0.01, 0.0, "keV", size=4000)
    mean = np.where(axis.values < 9.0, 1.0, 0.0)
    assert shown_end(axis, {}, mean, []) == pytest.approx(9.0 * 1.04, rel=0.01)
    assert shown_end(axis, {}, mean, [[14.1, "Sr Ka"]]) == pytest.approx(14.1 * 1.04)
    assert shown_end(axis, {}, np.ones(4000), []) is None
    losses = fu.Axis("energy loss", 0.5, 0.0, "eV", size=4000)
    assert shown_end(losses, {}, mean, []) is None  # edges are far below the zero loss
