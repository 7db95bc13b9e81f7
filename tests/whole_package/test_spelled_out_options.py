"""Methods that hand on to a function have its options by name, with its defaults and types."""

from __future__ import annotations

import inspect
import re
import sys

import pytest

import fusion as fu
from fusion import plots
from fusion.elements import Composition, ModelledComposition, composition
from fusion.files.by_path import WORDS, at_path
from fusion.prepare.noise import Noise

HANDED_ON = {
    "Ambiguity.plot": (fu.Ambiguity.plot, plots.plot_ambiguity),
    "Comparison.plot": (fu.Comparison.plot, plots.plot_comparison),
    "Dataset.plot": (fu.Dataset.plot, plots.plot_dataset),
    "ModelledComposition.plot": (ModelledComposition.plot, plots.plot_composition),
    "Noise.plot": (Noise.plot, plots.plot_noise),
    "Ranking.plot": (fu.Ranking.plot, plots.plot_ranking),
    "ReferenceFit.plot": (fu.ReferenceFit.plot, plots.plot_references),
    "Result.composition": (fu.Result.composition, composition),
    "Result.plot": (fu.Result.plot, plots.plot_result),
    "Result.report": (fu.Result.report, fu.report),
}
PLACES = {
    method: {"composition": "fusion.elements", "report": "fusion.report"}.get(
        method.__name__, "fusion.plots"
    )
    for method, _ in HANDED_ON.values()
}
"""Where methods take the functions from."""
AXES_BY_NAME = {"crop", "bin", "with_axes", "align"}
"""Their keywords are the names of axes."""


def options(function):
    """(kind, default, annotation) of all parameters behind the first, by name."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: (p.kind, p.default) for p in parameters}, {
        p.name: str(p.annotation) for p in parameters if p.kind is p.KEYWORD_ONLY
    }


@pytest.mark.parametrize(("method", "function"), HANDED_ON.values(), ids=HANDED_ON)
def test_a_method_has_the_options_of_the_function_behind_it(method, function):
    assert options(method) == options(function)


@pytest.mark.parametrize(("method", "function"), HANDED_ON.values(), ids=HANDED_ON)
def test_every_option_of_a_method_reaches_the_function_and_is_told(method, function, monkeypatch):
    named = options(method)[1]
    sentinels = {name: object() for name in named}
    handed = {}
    home = plots.comparison if method is fu.Comparison.plot else sys.modules[PLACES[method]]
    monkeypatch.setattr(home, function.__name__, lambda *_, **given: handed.update(given))
    inspect.unwrap(method)(*[None] * (1 + (method is fu.Result.composition)), **sentinels)
    assert handed == sentinels
    for name in named:
        assert re.search(rf"\b{name}: ", method.__doc__), name


def test_a_wrong_option_is_told_with_those_that_there_are():
    data = fu.simulate.layers(shape=(6, 8), channels=40).datasets["net"]
    with pytest.raises(TypeError, match=r"`plot`: there is no option 'element': use `elements=`"):
        data.plot(element="Si")


def test_load_spells_out_what_opens_an_array_by_its_path():
    told = set(inspect.signature(fu.load).parameters)
    by_path = set(inspect.signature(at_path).parameters) - {"path", "name", "options"}
    assert by_path | set(WORDS) <= told


def test_no_public_method_of_what_a_user_holds_hides_its_options():
    held = (fu.Ambiguity, fu.Comparison, fu.Dataset, fu.Model, fu.Loss, fu.Ranking, fu.ReferenceFit)
    for kind in (*held, fu.Report, fu.Result, fu.Scan, Composition, Noise):
        for name, member in vars(kind).items():
            if name.startswith("_") or not inspect.isfunction(member) or name in AXES_BY_NAME:
                continue
            kinds = {p.kind for p in inspect.signature(member).parameters.values()}
            hidden = inspect.Parameter.VAR_KEYWORD in kinds
            assert not hidden or (kind, name) == (fu.Dataset, "derive"), f"{kind.__name__}.{name}"


def test_no_public_function_hides_its_options_but_those_of_others():
    """`fu.load` hands on to readers of other packages, whose options are theirs."""
    for name in fu.__all__:
        function = getattr(fu, name)
        if not inspect.isfunction(function):
            continue
        kinds = {p.kind for p in inspect.signature(function).parameters.values()}
        assert name == "load" or inspect.Parameter.VAR_KEYWORD not in kinds, name
