"""The front page: its Python blocks run one after another, and print what stands below them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fusion as fu
from fusion.simulate import core_loss_edge, poisson_counts
from tests.helpers.paths import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
ELSEWHERE = ("From HyperSpy and back",)  # in signals/test_round_trip.py
SECTIONS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])
BLOCKS = [
    (name, code, shown)
    for name, text in SECTIONS.items()
    if name not in ELSEWHERE
    for code, shown in re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.S)
]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def spectrum_image(path):
    """A scan with a zero-loss peak and the Si-L edge at 105 eV, as the page assumes."""
    energy = np.linspace(-10.25, 159.75, 341)
    peak = 2000 * np.exp(-0.5 * (energy / 0.8) ** 2)
    tail = np.where(energy > 20, 200 * (np.maximum(energy, 20) / 50) ** -2.0, 0)
    edge = core_loss_edge(energy[energy > 1], 105.0, [(3.0, 2.0, 2.0)], jump=1.0)
    edge = np.pad(edge, (len(energy) - len(edge), 0))
    amount = np.linspace(0.2, 1, 48).reshape(6, 8, 1)
    counts = poisson_counts(peak + tail + 60 * amount * edge / edge.max())
    np.savez(path, data=counts, energy=energy, energy_units="eV")


def said(text):
    """(words, numbers) of a printed text."""
    return NUMBER.sub("#", text).split(), [float(n) for n in NUMBER.findall(text)]


@pytest.mark.slow
def test_every_python_block_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spectrum_image("map.npz")
    here: dict = {}
    for name, code, shown in BLOCKS:
        exec(compile(code, f"README.md, {name}", "exec"), here)
        printed = capsys.readouterr().out
        if shown:
            (words, numbers), (expected, values) = said(printed), said(shown)
            assert words == expected
            np.testing.assert_allclose(numbers, values, rtol=0.05, atol=0.1)
    assert {"scene", "answer", "other", "net"} <= set(here)


def test_links_and_pictures_of_the_pages_are_there():
    for page in ("README.md", "ERRORS.md", "notebooks/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", text):
            path = (ROOT / page).parent / "".join(target)
            assert path.exists(), f"{page}: {''.join(target)}"


def test_the_front_page_is_short_and_has_two_commands():
    lines = PAGE.splitlines()
    assert len(lines) <= 250
    assert sum(line.startswith("python -m pip install -c constraints.txt") for line in lines) == 2


def test_names_with_fu_on_the_page_are_there():
    for name in set(re.findall(r"\bfu\.((?:models\.)?[A-Za-z]\w*)", PAGE)):
        owner = fu
        for part in name.split("."):
            assert hasattr(owner, part), f"fu.{name}"
            owner = getattr(owner, part)
