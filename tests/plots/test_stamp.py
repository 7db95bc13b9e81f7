"""Pictures of a fit that was stopped before it converged say so."""

from __future__ import annotations

from functools import cache

import pytest

import fusion as fu
from fusion import plots
from fusion.models import NMF
from fusion.plots.plain_names import _texts
from tests.helpers.short_fits import counts

SAID = "not converged: 2 steps"
PLOTS = {
    "result": lambda result: plots.plot_result(result),
    "publication": lambda result: plots.plot_publication(result),
    "overlay": lambda result: plots.plot_overlay(result),
    "map": lambda result: plots.plot_map(result, 1),
    "spectra": lambda result: plots.plot_spectra(result),
}


@cache
def fit(**options) -> fu.Result:
    data = fu.Dataset("a", counts(), axes=["y", "x", "energy"])
    return fu.fit(NMF(data, 2), fu.losses.Frobenius(data), starts=1, progress=False, **options)


def said(figure) -> list[str]:
    return [text.get_text() for text in _texts(figure) if "converged" in text.get_text()]


@pytest.mark.filterwarnings("ignore::fusion.ClaimWarning")
@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_of_no_answer_yet_is_stamped_once(name):
    assert said(PLOTS[name](fit(max_steps=2))) == [SAID]


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_of_an_answer_is_not(name):
    assert said(PLOTS[name](fit())) == []


@pytest.mark.filterwarnings("ignore::fusion.ClaimWarning")
def test_the_page_says_it_in_red_before_all_else():
    pytest.importorskip("bokeh")
    html = fit(max_steps=2).report().html
    verdict = html[html.index('<p class="verdict') :][:200]
    assert verdict.startswith('<p class="verdict bad" role="alert">Not converged: 2 steps; stopped')
    assert '<p class="verdict good">' in fit().report().html
