"""The front page and the pages that it hands on to: their blocks run, and print what they say."""

from __future__ import annotations

import re
import shlex

import gallery
import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from fusion.simulate import core_loss_edge, poisson_counts
from tests.helpers.paths import ROOT
from tests.helpers.undrawn import draw_as_they_stand

NAMES = ("README.md", "docs/explain/result.md", "docs/explain/methods.md")
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
FRONT = PAGES["README.md"]
ELSEWHERE = "From HyperSpy"  # in signals/test_round_trip.py
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def blocks(page):
    """(section, code, what it prints) of the blocks of Python."""
    for part in PAGES[page].split("\n## "):
        if not part.startswith(ELSEWHERE):
            found = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", part, re.S)
            yield from ((part.split("\n", 1)[0], *pair) for pair in found)


def first_map():
    """`map.npz`, as the page says: written by the first cell of the first lesson."""
    exec(gallery.code(ROOT / "notebooks/01_first_map.ipynb")[0], {})


def edge_after_zero_loss(path):
    """A scan with a zero-loss peak and the Si-L edge at 105 eV, as `Before a fit` assumes."""
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
@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in PAGES[page]])
def test_every_python_block_runs_and_prints_what_it_says(page, tmp_path, monkeypatch, capsys):
    draw_as_they_stand(monkeypatch)
    monkeypatch.chdir(tmp_path)
    first_map()
    edge_after_zero_loss("eels.npz")
    here: dict = {}
    for section, code, shown in blocks(page):
        exec(compile(code, f"{page}, {section}", "exec"), here)
        printed = capsys.readouterr().out
        if shown:
            (words, numbers), (expected, values) = said(printed), said(shown)
            assert words == expected
            np.testing.assert_allclose(numbers, values, rtol=0.05, atol=0.1)
    assert here["result"].converged


@pytest.mark.slow
def test_the_commands_for_a_file_of_ones_own_run_and_write_what_they_say(tmp_path, monkeypatch):
    draw_as_they_stand(monkeypatch)
    monkeypatch.chdir(tmp_path)
    first_map()
    section = FRONT.split("\n## Your own file")[1].split("\n## ")[0]
    lines = re.findall(r"(?m)^sdfusion (.*)$", section)
    assert [line.split()[0] for line in lines] == ["info", "rank", "unmix"]
    for line in lines:
        assert main(shlex.split(line, comments=True)) == 0
    assert (tmp_path / "rank.png").stat().st_size > 1000
    told = section.split("The folder `answer` gets")[1].split(". Open the")[0]
    written = sorted(path.name for path in (tmp_path / "answer").iterdir())
    assert written == sorted(re.findall(r"`([\w.]+)`", told))


def test_links_and_pictures_of_the_pages_are_there():
    for page in (*PAGES, "docs/hyperspy.md", "ERRORS.md", "notebooks/README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)|src=\"([^\":]+)\"", text):
            path = (ROOT / page).parent / "".join(target)
            assert path.exists(), f"{page}: {''.join(target)}"


def test_a_link_to_a_section_meets_one():
    for page, text in PAGES.items():
        for name, anchor in re.findall(r"\]\(([^)#:]+)#([\w-]+)\)", text):
            target = ((ROOT / page).parent / name).read_text(encoding="utf-8")
            titles = re.findall(r"(?m)^#+ (.*)$", target)
            assert anchor in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


def test_the_front_page_is_short_and_has_two_commands():
    lines = FRONT.splitlines()
    assert len(lines) <= 112
    assert sum(line.startswith("python -m pip install -c constraints.txt") for line in lines) == 2


@pytest.mark.parametrize("page", [page for page in PAGES if "fu." in PAGES[page]])
def test_names_with_fu_on_the_page_are_there(page):
    for name in set(re.findall(r"\bfu\.((?:models\.)?[A-Za-z]\w*)", PAGES[page])):
        owner = fu
        for part in name.split("."):
            assert hasattr(owner, part), f"fu.{name}"
            owner = getattr(owner, part)
