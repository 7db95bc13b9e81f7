"""Pages that show a name at work, and what stands below a constant."""

from __future__ import annotations

import importlib
import sys

import pytest

import fusion as fu
from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
shown_at_work = importlib.import_module("shown_at_work")


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("fusion.rank", "how_to/choose_k"),
        ("fusion.models.WithReferences", "how_to/fix_one_spectrum"),
        ("fusion.GaussNewton", "start/from_scikit_learn"),
    ],
)
def test_a_name_leads_to_the_page_that_uses_it(name, page):
    assert page in [where for _, where in shown_at_work.uses(name, most=100)]


def test_a_name_that_is_part_of_another_is_not_found_there():
    pages = [where for _, where in shown_at_work.uses("fusion.losses.Norm", most=100)]
    assert "explain/equations" in pages  # Norm("N") stands there
    assert "how_to/your_own_model" not in pages  # only SquaredNorm("N", …)


def test_titles_are_those_of_the_pages():
    assert ("Choose the number of components", "how_to/choose_k") in shown_at_work.uses(
        "fusion.rank"
    )


def test_a_constant_has_the_words_below_it_and_not_those_of_another_of_its_name():
    pytest.importorskip("sphinx", reason="the site's packages are not installed")
    public_names = importlib.import_module("public_names")
    words = public_names.words_below("fusion.simulate.LINES", fu.simulate.LINES)
    assert words.startswith("Energies in keV")
