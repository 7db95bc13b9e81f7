"""Pages of compositions: tables and maps in at.%, components, lines by their names."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')
pytest.importorskip("bokeh", reason='needs pip install "sdfusion[report]"')

from fusion.elements import Stoichiometry
from fusion.losses import Poisson
from fusion.report.composition import composition_section
from fusion.report.contents import Scene
from tests.elements.two_oxides import ELEMENTS, dataset, fitted, k_factors
from tests.helpers.report_data import unpacked


def predicted(result):
    """(pixel, channel)."""
    with torch.no_grad(), result.model.once():
        return result.model.predict()["edxs"].dense().numpy()


@pytest.fixture(scope="module")
def page():
    return fitted(300).report(progress=False).html


def test_the_page_has_the_tables_the_formulas_and_a_picture_of_the_maps(page):
    composition = fitted(300).composition(progress=False)
    section = page[page.index('id="composition"') : page.index("<h2>Starts</h2>")]
    for i in range(2):
        for j in range(3):
            assert composition.cell(i, j).replace("<", "&lt;") in section
            assert composition.cell(i, j, weight=True).replace("<", "&lt;") in section
        low, high = composition.atomic_intervals[i, 0]
        assert f"{low:.1f} to {high:.1f}" in section
    assert "Al₂O₃" in section
    assert composition.thickness_text in section
    assert "data:image/png;base64," in section


def test_a_composition_that_is_given_stands_on_the_page_and_says_how_oxygen_was_counted(
    monkeypatch,
):
    module = sys.modules[composition_section.__module__]
    monkeypatch.setattr(module, "_pictures", lambda found: [])
    result = fitted(300)
    made = result.composition(oxygen=Stoichiometry(), progress=False)
    section = composition_section(result, made)
    assert section["elements"] == ("O (stoich.)", "Mg", "Al")
    assert section["formula"] == "formula (stoich.)"
    assert ("oxygen", dict(made.facts)["oxygen"]) in section["facts"]
    assert section["tables"][0]["rows"][0]["cells"][0][0] == made.cell(0, 0)


@pytest.mark.parametrize("given", [{"O": 50.0}, fitted], ids=["a dictionary", "of another result"])
def test_a_composition_of_another_result_is_refused_before_a_page_is_made(given):
    made = given
    if given is fitted:
        made = replace(fitted(300).composition(progress=False), _source=None)
    with pytest.raises(ValueError, match="no composition that the model of this result found"):
        fitted(300).report(composition=made, progress=False)


def test_the_fitted_lines_are_named_without_being_asked_for(page):
    said = json.loads(re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)[1])
    named = {name.split()[0] for _, name in said["parts"][0]["lines"]}
    assert named == set(ELEMENTS)


def test_components_are_the_phases_and_the_fit_is_that_of_the_model():
    scene, expected = Scene(fitted(300)), predicted(fitted(300))
    assert scene.names == ["1", "2"]
    left, right = (unpacked(scene.arrays[f"{side}0"]) for side in ("left", "right"))
    np.testing.assert_allclose((left.T @ right).sum(0), expected.sum(0), rtol=1e-4)
    np.testing.assert_allclose(right.sum(1), 1, rtol=1e-5)
    fit = unpacked(scene.arrays["fit0"]).reshape(expected.shape)
    np.testing.assert_allclose(fit, expected, atol=1e-3 * expected.max())
    off = np.abs(left.T @ right - expected).sum() / expected.sum()
    assert 1e-4 < off < 0.05  # but for how absorption changes from pixel to pixel


def test_elements_without_components_have_their_names_and_others_too():
    data = dataset(300)
    model = fu.models.ElementMaps(data, ELEMENTS, k_factors=k_factors())
    result = fu.fit(model, Poisson(data), starts=1, max_steps=2, progress=False)
    scene = Scene(result)
    assert scene.names == list(ELEMENTS)
    left, right = (unpacked(scene.arrays[f"{side}0"]) for side in ("left", "right"))
    np.testing.assert_allclose((left.T @ right).sum(0), predicted(result).sum(0), rtol=1e-4)
    beside = fu.models.Compositions(data, ELEMENTS[:2], 2, k_factors=k_factors(), others=["Al"])
    result = fu.fit(beside, Poisson(data), starts=1, max_steps=2, progress=False)
    assert Scene(result).names == ["1", "2", "Al"]


def test_pages_of_other_results_have_no_such_section():
    data = dataset(300)
    result = fu.fit(fu.models.NMF(data, 2), Poisson(data), starts=1, max_steps=2, progress=False)
    assert composition_section(result) is None
    assert Scene(result).payload["parts"][0]["fit"] is None
