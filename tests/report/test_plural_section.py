"""Pages of EELS with plural scattering: thickness, low loss, and what are components."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("bokeh", reason='needs pip install "sdfusion[report]"')

import fusion as fu
from fusion.report.components import noisy_maps
from fusion.report.contents import Scene
from fusion.report.plural_scattering import plural_section
from tests.helpers.dual_eels_fit import few_steps

pytestmark = pytest.mark.filterwarnings("ignore::fusion.CutWarning")  # of the dark pixel


@pytest.fixture(scope="module")
def page():
    return few_steps().report(progress=False).html


def test_the_page_has_thickness_low_loss_and_a_picture(page):
    section = page[page.index('id="plural-scattering"') : page.index("<h2>Starts</h2>")]
    values = few_steps().model.relative_thickness().values
    assert f"{np.nanmean(values):.3g} ± {np.nanstd(values):.2g}" in section
    assert f"{few_steps().model.D.shape[1]} kernels" in section
    assert f"{few_steps().model.onset:.5g} eV" in section
    assert "1 pixels, without thickness" in section
    assert "data:image/png;base64," in section


def test_backgrounds_are_not_counted_among_the_components(page):
    assert re.search(r"<h1[^>]*>\s*3 components in core", page)
    assert "fall below zero" not in page  # as a background may


def test_maps_of_backgrounds_are_not_told_to_be_no_phase():
    scene = Scene(few_steps())
    (part,), names = scene.parts, scene.names
    assert names[-2:] == ["background 1", "background 2"]
    left = part.left.copy()
    left[:, -1] = np.random.default_rng(0).normal(0, 1, len(left))
    object.__setattr__(part, "left", left)
    assert not noisy_maps([part], scene.numbers, names)
    left[:, 0] = np.random.default_rng(0).exponential(1, len(left))
    assert "component 1 changes" in noisy_maps([part], scene.numbers, names)[0]


def test_pages_of_other_results_have_no_such_section():
    data = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 6)))
    other = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), max_steps=1, progress=False)
    assert plural_section(other) is None
