"""The examples (`>>>`) in the package's docstrings run, and say what they say there."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

import fusion as fu
from tests.helpers.paths import ROOT

FOLDERS = {"fusion": "fusion", "models": "fusion.models", "losses": "fusion.losses"}
OPTIONAL = ("hyperspy", "exspy", "rsciio", "sklearn", "bokeh", "xraydb", "pybaselines")
MOST_USED = [
    fu.Dataset,
    fu.Axis,
    fu.Factor,
    fu.Model,
    fu.cp,
    fu.tucker,
    fu.fit,
    fu.term,
    fu.Result,
    fu.load,
    fu.rank,
    fu.mlls,
    fu.compare,
    fu.ambiguity,
    fu.standard_errors,
]
MOST_USED += [
    fu.models.NMF,
    fu.models.CPD,
    fu.models.SharedMaps,
    fu.models.SoftlyCoupled,
    fu.models.WithBackground,
]
MOST_USED += [fu.losses.Frobenius, fu.losses.Poisson, fu.losses.SoftOrthogonality, fu.losses.ARD]


def modules():
    """Names of the modules in which an example stands."""
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>>" in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                yield ".".join([package, *(part for part in parts if part != "__init__")])


def examples(name):
    """The examples of a module that is not imported, unless what it builds on is there."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [one for one in finder.find(module, extraglobs={"fu": fu, "np": np}) if one.examples]


@pytest.mark.parametrize("name", list(modules()))
def test_examples_run_and_print_what_they_say(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = examples(name)
    assert found, f"{name}: `>>>` stands outside a docstring"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for one in found:
        runner.run(one, out=told.append)
    assert not runner.failures, "".join(told)


@pytest.mark.parametrize("thing", MOST_USED, ids=lambda thing: thing.__name__)
def test_the_most_used_names_have_an_example(thing):
    assert ">>> " in (thing.__doc__ or "")


def test_an_example_that_is_wrong_is_found():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    runner = doctest.DocTestRunner()
    runner.run(wrong, out=lambda _: None)
    assert runner.failures == 1
