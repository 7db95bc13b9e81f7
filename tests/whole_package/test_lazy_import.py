"""`import fusion` is light, and every public name is there all the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fusion as fu

HEAVY = {"torch", "numpy", "scipy", "matplotlib", "tensorly", "hyperspy", "sklearn", "bokeh"}


LIGHT = [
    "import fusion",
    "import fusion; dir(fusion); fusion.__version__",
    "from fusion.cli import main\nassert main(['--help']) in (0, None)",
]
NEEDS_TORCH = "import fusion; fusion.fit"
REPORT = "import fusion.report, fusion; assert callable(fusion.report), fusion.report"


@pytest.fixture(scope="module")
def loaded():
    """{code: the heavy packages that are loaded after it}, one after the other in one process."""
    show = f"import sys\nprint('loaded', *{HEAVY!r} & set(sys.modules))"
    code = "\n".join(f"{each}\n{show}" for each in (*LIGHT, NEEDS_TORCH, REPORT))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [set(line.split()[1:]) for line in run.stdout.split("\n") if line[:6] == "loaded"]
    return dict(zip((*LIGHT, NEEDS_TORCH, REPORT), told, strict=True))


@pytest.mark.parametrize("code", LIGHT)
def test_nothing_heavy_is_loaded_before_it_is_used(code, loaded):
    assert loaded[code] == set()


def test_torch_is_loaded_with_the_first_name_that_needs_it(loaded):
    assert "torch" in loaded[NEEDS_TORCH]


def test_dir_shows_public_names_only_and_all_of_them():
    names = dir(fu)
    assert [name for name in names if name.startswith("_")] == ["__version__"]
    assert set(fu.__all__) <= set(names)
    assert {"plots", "simulate", "estimators", "elements"} <= set(names)
    for name in names:
        assert getattr(fu, name) is not None


def test_type_checkers_are_told_the_same_places():
    tree = ast.parse(Path(fu.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body for alias in node.names}
    rooms = {name for name, module in told.items() if module == "fusion"}
    assert rooms == set(fu._ROOMS)
    assert {name: told[name] for name in set(told) - rooms} == fu._PLACES
    assert set(fu.__all__) == set(told) - {"estimators"} | {"__version__"}


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fu.nothing  # noqa: B018
    assert not hasattr(fu, "search_everything")


def test_the_report_is_the_function_whatever_was_imported_before(loaded):
    assert REPORT in loaded  # else what it asserts there has failed
    module = import_module("fusion.report")
    assert fu.report is module.report
    assert fu.Report is module.Report


def test_star_import_brings_all_public_names():
    space: dict = {}
    exec("from fusion import *", space)
    assert set(fu.__all__) <= set(space)


def test_all_of_every_public_package_is_there():
    for room in (*fu._ROOMS, "solvers", "testing", "files", "signals", "ranking", "report"):
        module = import_module(f"fusion.{room}")
        assert module.__all__, room
        for name in module.__all__:
            assert hasattr(module, name), f"fusion.{room}.{name}"
