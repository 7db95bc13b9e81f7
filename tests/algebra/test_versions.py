"""`show_versions` prints what a report of a fault needs, and loads nothing for it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version

import torch

import fusion as fu
from fusion.algebra.versions import NEEDED, OPTIONAL
from tests.helpers.paths import ROOT


def rows(text):
    """{name: what is told of it}."""
    return {line[:13].strip(): line[14:] for line in text.splitlines()}


def test_versions_are_those_that_are_installed(capsys):
    assert fu.show_versions() is None
    told = rows(capsys.readouterr().out)
    assert told["sdfusion"] == fu.__version__
    assert told["Python"].startswith(sys.version.split()[0])
    for name in NEEDED:
        assert told[name] == version(name)


def test_torch_tells_threads_and_devices_once_it_is_loaded(capsys):
    fu.show_versions()
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("torch uses"))
    assert f"{torch.get_num_threads()} thread" in line
    assert "CUDA" in line
    assert ("no CUDA device" in line) == (not torch.cuda.is_available())


def test_nothing_heavy_is_loaded_for_it_and_what_is_not_installed_is_left_out(monkeypatch, capsys):
    code = (
        "import sys, fusion as fu; fu.show_versions(); "
        "sys.exit(bool({'torch', 'numpy', 'numba', 'hyperspy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    monkeypatch.setitem(OPTIONAL, "fast", ("no-such-package",))
    fu.show_versions()
    assert "no-such-package" not in capsys.readouterr().out


def test_every_dependency_that_is_declared_is_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {name.split(">")[0] for name in project["dependencies"]} == set(NEEDED)
    extras = project["optional-dependencies"]
    used = {
        name.split(">")[0].split("[")[0]
        for extra in ("io", "sklearn", "hyperspy", "elements", "fast", "report")
        for name in extras[extra]
    } - {"sdfusion"}
    assert used <= {name for names in OPTIONAL.values() for name in names}
