"""Elements that the list of a line model lacks are named, and nothing where it lacks none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from fusion.cli.composition_files import composition_report
from fusion.elements import Finding, LineModel
from fusion.elements.doubts import missing_told, peaks_without_element
from fusion.elements.found_lines import CandidateLines
from fusion.elements.found_missing import missing
from fusion.elements.found_search import Search
from fusion.elements.found_spectrum import Spectrum
from fusion.losses import Poisson
from fusion.xrays.response import Response
from tests.elements import two_oxides
from tests.elements.test_found import CHANNELS, dataset, drawn, expected


def named(data, elements):
    return [one.element for one in missing(data, LineModel(data, elements))]


@pytest.mark.parametrize(("trace", "strong"), [("Si", "Sr"), ("P", "Zr"), ("S", "Pb")])
def test_an_element_under_the_lines_of_one_of_the_list_is_named_and_no_other(trace, strong):
    host = {strong: 0.3, "Fe": 0.4, "O": 0.3}
    data = drawn(host | {trace: 0.03})
    (found,) = missing(data, LineModel(data, [*host]))
    assert found.element == trace
    assert found.upon == (strong,)
    assert found.sigmas > 4
    assert named(data, [*host, trace]) == []


@pytest.mark.parametrize("left", ["Sr", "Ti", "O"])
def test_one_of_the_main_elements_that_is_left_out_is_named_alone(left):
    host = {"Sr": 0.2, "Ti": 0.2, "O": 0.6}
    assert named(drawn(host), [e for e in host if e != left]) == [left]


@pytest.mark.parametrize("order", [("Al", "Br"), ("Br", "Al")])
def test_of_two_that_look_alike_the_one_is_taken_with_which_the_fit_is_best(order):
    """Br L lies 6 eV beside Al K."""
    counts = np.random.default_rng(0).poisson(expected({"Al": 0.4, "Fe": 0.2, "O": 0.4}))
    lines = CandidateLines(["O", "Fe", *order], CHANNELS, 200.0, Response(), None)
    spectrum = Spectrum(counts.astype(float), np.ones(len(counts)), lines, 200.0, 22.0)
    search = Search(spectrum, known=[0, 1])
    spot = search.fit.with_elements(spectrum.start(), {0: 2e5, 1: 2e5})
    search.fit.weigh(spot)
    spot = search.fit.settle(spot)
    best, new, taken = search.best_of(spot, [2, 3], np.full(4, 1e5))
    assert lines.elements[best] == "Al"
    assert taken
    assert new.active == (0, 1, best)
    assert search.fit.dispersion(spectrum.expected(new)[0]) < 1.5


def test_several_are_named_the_clearest_first():
    host = {"Ti": 0.3, "O": 0.67, "Cu": 0.02, "Cl": 0.01}
    data = drawn(host)
    found = missing(data, LineModel(data, ["Ti", "O"]))
    assert {one.element for one in found} == {"Cu", "Cl"}
    assert found[0].sigmas > found[1].sigmas


def test_where_the_list_is_whole_none_is_named_in_nineteen_draws_of_twenty():
    host = {"Fe": 0.2, "Ti": 0.2, "O": 0.6}
    lists = [named(drawn(host, seed, counts=1e5), [*host]) for seed in range(10)]
    assert sum(map(bool, lists)) <= 1


def test_an_element_of_the_list_that_is_absent_changes_nothing():
    host = {"Fe": 0.2, "Ti": 0.2, "O": 0.6}
    data = drawn(host | {"Cl": 0.02})
    assert named(data, [*host, "Sr", "P"]) == ["Cl"]


def test_the_axis_that_a_fit_found_to_be_off_is_where_the_search_begins():
    spectrum = expected({"Fe": 0.3, "Cl": 0.02, "O": 0.68})
    counts = np.random.default_rng(0).poisson(spectrum)
    data = dataset(counts, offset=0.16)  # 60 eV, four standard deviations, too high
    lines = LineModel(data, ["Fe", "O"])
    lines.factor_modules()["calibration"].assign([[4.0], [0.0], [0.0], [0.0]])
    assert [one.element for one in missing(data, lines)] == ["Cl"]
    lines.factor_modules()["calibration"].assign([[0.0], [0.0], [0.0], [0.0]])
    assert missing(data, lines) == ()


def test_where_there_are_no_counts_nothing_is_looked_for():
    data = dataset(np.sqrt(expected({"Fe": 1, "O": 1})))
    assert missing(data, LineModel(data, ["O"])) == ()


# ---- what is told ------------------------------------------------------------------------------


def test_a_composition_has_it_and_says_so_once():
    data = two_oxides.dataset(300, grid=0.3)  # silicon, too
    k = two_oxides.k_factors()
    model = fu.models.Compositions(data, two_oxides.ELEMENTS, 2, k_factors=k)
    result = fu.fit(model, Poisson(data), starts=1, max_steps=10, progress=False)
    found = result.composition(progress=False)
    assert result.stamp in found.messages  # ten steps are no answer yet
    assert [one.element for one in found.missing] == ["Si"]
    told = [text for text in found.messages if "the list lacks" in text]
    assert len(told) == 1
    assert f"lacks, Si ({found.missing[0].sigmas:.1f} σ" in told[0]
    assert "add it (to `others`" in told[0]
    assert not any(text.startswith("a peak at") for text in found.messages)
    assert any("Si may be missing" in text for text in found.messages if "far from" in text)


def test_a_composition_of_a_whole_list_says_nothing_of_it():
    found = two_oxides.fitted().composition(progress=False)
    assert found.missing == ()
    assert not any("lacks" in text or "a peak at" in text for text in found.messages)


def test_a_peak_that_no_line_explains_is_told_with_what_it_could_be():
    data = two_oxides.dataset(300, grid=0.3)
    model = fu.models.Compositions(data, two_oxides.ELEMENTS, 2)
    result = fu.fit(model, Poisson(data), starts=1, max_steps=10, progress=False)
    (told,) = peaks_without_element(result.data["edxs"], two_oxides.ELEMENTS)
    assert told.startswith("a peak at 1.74 keV")
    assert "Si K" in told
    assert list(peaks_without_element(result.data["edxs"], [*two_oxides.ELEMENTS, "Si"])) == []


def finding(element, sigmas, upon=(), rival=None):
    return Finding(element, sigmas**2, (f"{element} La",), 500.0, 60.0, upon, rival)


def test_words_of_one_and_of_many():
    assert list(missing_told([])) == []
    (one,) = missing_told([finding("Nb", 8.8)])
    assert "lacks, Nb (8.8 σ): add it (" in one
    assert "tables" not in one
    many = [finding(e, 9.0 - i, ("Sr",)) for i, e in enumerate(("Nb", "Zr", "Si", "Al", "P", "K"))]
    (told,) = missing_told(many)
    assert "Al (6.0 σ, upon Sr) and 2 more (`.missing`): add them" in told
    assert told.endswith("upon Sr they may be what tables lack of that")
    (told,) = missing_told([finding("Mg", 90.0, ("As",)), finding("As", 5.0, ("Mg",), "Br")])
    assert "As or Br (5.0 σ, upon Mg)" in told
    assert "tables" not in told  # neither is of the list


def test_the_report_of_a_command_has_what_is_missing():
    found = two_oxides.fitted().composition(progress=False)
    told = composition_report(replace(found, missing=(finding("As", 5.0, ("Mg",), "Br"),)))
    assert told["missing"] == [
        {"element": "As", "sigmas": 5.0, "counts": 500.0, "counts_error": 60.0}
        | {"upon": ["Mg"], "or": "Br"}
    ]
