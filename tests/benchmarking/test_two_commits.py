"""The suites of asv load without asv, and every case runs, at a small size; nothing is timed."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from benchmarks import beside
from benchmarks.two_commits import beyond_fits
from benchmarks.two_commits import case as base
from fusion.cli import main
from fusion.simulate import concurrent
from tests.helpers.paths import ROOT
from tests.helpers.undrawn import draw_nothing

MODULES = ("beyond_fits", "counts", "dense", "equations")
SMALL = {
    "NmfOneStart": {"sizes": (256, 32, 2)},
    "NmfTenStarts": {"sizes": (256, 32, 2), "starts": 2},
    "PoissonOneStart": {"sizes": (256, 64, 2)},
    "PoissonTenStarts": {"sizes": (256, 64, 2), "starts": 2},
    "Equation14OfCounts": {"sizes": (8, 20, 24, 2)},
    "Equation13": {"every": 8, "starts": 2},
    "ArdFromTen": {"every": 10, "starts": 1},
    "Equation14": {"every": 12, "starts": 2},
    "Equation15": {"every": 12, "starts": 2},
    "FePt": {"every": 8},
    "AlFeSi3N4": {"every": 8},
    "Mantle88GPa": {"every": 10},
    "SparseMaps": {"every": 10},
    "Rank": {"every": 16},
    "Ambiguity": {"every": 24},
    "Demo": {},
}
LONG = ("Demo", "Rank", "Ambiguity")


def cases():
    """The classes that asv finds: public, not abstract, with a method that it times."""
    found = {}
    for module in (import_module(f"benchmarks.two_commits.{name}") for name in MODULES):
        for name, value in vars(module).items():
            if not name.startswith("_") and inspect.isclass(value) and hasattr(value, "time_call"):
                found[name] = value
    return found


def test_asv_finds_every_case_and_nothing_else():
    assert set(cases()) == set(SMALL)
    assert not any(inspect.isabstract(each) for each in cases().values())


def small_scene(**options):
    """What `sdfusion demo` simulates, on a sixth of the pixels."""
    return concurrent(**options | {"shape": (12, 14), "channels": 80})


def here(command, **options):
    """A command of `sdfusion` in this process, where nothing is drawn."""
    assert command[:3] == [sys.executable, "-m", "fusion"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = main(command[3:])
    assert status == 0
    return subprocess.CompletedProcess(command, status, said.getvalue())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in SMALL]
)
def test_a_case_runs_and_the_loss_beside_the_time_is_that_of_the_call(name, tmp_path, monkeypatch):
    if name not in ("Demo", "NmfOneStart") and not base.DATA.is_dir():
        pytest.skip(f"no data in {base.DATA}")
    calls = []
    case = cases()[name]()
    for option, value in SMALL[name].items():
        assert hasattr(case, option)
        setattr(case, option, value)
    call = case.call
    monkeypatch.setattr(case, "call", lambda data: calls.append(0) or call(data))
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)
    monkeypatch.setattr(beyond_fits.subprocess, "run", here)
    monkeypatch.setattr("fusion.cli.demo_scene.concurrent", small_scene)
    folder = case.setup_cache()
    case.setup(folder)
    case.time_call(folder)
    case.teardown(folder)
    case.setup(folder)
    assert np.isfinite(case.track_loss_of_call(folder))
    assert calls == [0]  # one run for both
    (tmp_path / f"{name}.json").write_text("12.5")
    assert case.track_loss_of_call(folder) == 12.5


def test_without_a_call_that_was_timed_the_loss_is_of_a_call_now(tmp_path):
    case = cases()["NmfOneStart"]()
    case.sizes = (256, 32, 2)
    case.setup(str(tmp_path))
    assert np.isfinite(case.track_loss_of_call(str(tmp_path)))


def test_data_that_are_missing_are_a_skip_of_asv(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "DATA", tmp_path)
    with pytest.raises(NotImplementedError, match=r"FePt_core_shell\.npz"):
        cases()["FePt"]().setup(str(tmp_path))


def test_asv_loads_the_suites_beside_an_installed_package_of_another_commit(tmp_path):
    """As asv does: the folder's parent on the path, and not the checkout with its `fusion`."""
    package = tmp_path / "fusion"
    package.symlink_to(ROOT / "fusion")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT / 'benchmarks')!r}]; "
        "import two_commits.counts, benchmarks.generators, fusion; print(fusion.__file__)"
    )
    said = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True,
                          capture_output=True, text=True, env={"PATH": ""})  # fmt: skip
    assert said.stdout.strip() == str(package / "__init__.py")


# --- the table -------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path):
    """What asv keeps of two commits: times of two cases, the loss of one, one that failed."""
    folder = tmp_path / "results" / "machine"
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text("{}")
    numbers = {
        "a" * 40: {"m.A.time_call": [[2.0]], "m.A.track_loss_of_call": [[-100.0]],
                   "m.B.time_call": [[3.0]]},
        "b" * 40: {"m.A.time_call": [[0.5]], "m.A.track_loss_of_call": [[-101.0]],
                   "m.B.time_call": [None], "m.C.time_call": [1.0]},
    }  # fmt: skip
    for commit, entries in numbers.items():
        text = {"commit_hash": commit, "result_columns": ["result", "params"], "results": entries}
        (folder / f"{commit[:8]}-env.json").write_text(json.dumps(text))
    return tmp_path / "results"


def test_losses_stand_beside_times_and_a_failure_is_told(results):
    assert beside.rows(results, "a" * 40, "b" * 40) == [
        ["m.A", "2 s", "0.5 s", "4", "-100", "-1.0e-02"],
        ["m.B", "3 s", "failed, or skipped", "", "", ""],
        ["m.C", "not run", "1 s", "", "", ""],
    ]


def test_a_commit_without_results_is_named(results):
    with pytest.raises(SystemExit, match="cccccccc: no results"):
        beside.rows(results, "a" * 40, "c" * 40)
