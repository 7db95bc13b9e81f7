"""Every block of Python on the site's pages runs, and prints what stands below it; so do commands.

Rows of a table of words run after the blocks that stand before its end.
"""

from __future__ import annotations

import re
import runpy
import shlex
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from tests.helpers.paths import ROOT
from tests.helpers.undrawn import draw_as_they_stand

DOCS = ROOT / "docs"
FENCE = re.compile(
    r"(?P<reason><!-- not run: (?P<why>.*?) -->\n)?^```(?P<kind>python|sh)\n(?P<code>.*?)^```"
    r"(?:\n\n```text\n(?P<shown>.*?)^```)?",
    re.S | re.M,
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
NEEDED = {
    "from_hyperspy": ("hyperspy", "exspy"),
    "from_scikit_learn": ("sklearn",),
    "large_data": ("dask",),
    "go_on_with_a_fit": ("dask",),
    "atomic_per_cent": ("xraydb",),
    "save_and_export": ("rsciio", "bokeh", "tifffile"),
    "read_a_file_that_is_not_read": ("h5py",),
    "start/index": ("bokeh",),
}
"""Packages without which a page cannot run."""


ELSEWHERE = ("explain/methods", "explain/result", "hyperspy")
"""Pages that go on with files or signals of others: run by pages/test_readme and signals."""


def pages():
    for path in sorted(DOCS.rglob("*.md")):
        parts = path.relative_to(DOCS).parts
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        own = parts[0] not in ("_build", "gallery", "_extensions") and page not in ELSEWHERE
        if own and FENCE.search(path.read_text()):
            yield page


TABLES = [page for page in pages() if page.startswith("start/from_")]
"""Pages with a table of what something is called elsewhere, and here."""
ROWS = re.compile(r"^\| (.+?) \| (`.+`) \|$", re.M)


def text_of(page):
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def blocks(text):
    return [found.groupdict() for found in FENCE.finditer(text)]


def parts(page):
    """(text, rows of its table), of a page up to the end of the table of words, and of the rest."""
    text = text_of(page)
    if page not in TABLES:
        return [(text, [])]
    before, table = text.split("## Word for word", 1)
    table, rest = table.split("\n## ", 1)
    return [(before + table, ROWS.findall(table)), (rest, [])]


def said(text):
    """(words, numbers) of a printed text."""
    return NUMBER.sub("#", text).split(), [float(n) for n in NUMBER.findall(text)]


def hold(printed, shown):
    (words, numbers), (expected, values) = said(printed), said(shown)
    assert words == expected
    np.testing.assert_allclose(numbers, values, rtol=0.05, atol=0.1)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The folder in which a reader has run `python example_files.py`."""
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(DOCS / "example_files.py"), run_name="__main__")
    return folder


@pytest.fixture(autouse=True)
def as_they_stand(monkeypatch):
    draw_as_they_stand(monkeypatch)


@pytest.mark.parametrize("page", list(pages()))
def test_blocks_run_one_after_another_and_print_what_they_say(page, files, monkeypatch, capsys):
    for package in NEEDED.get(page, NEEDED.get(page.split("/")[-1], ())):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.chdir(files)
    here: dict = {"__name__": "__main__"}
    for text, rows in parts(page):
        for block in blocks(text):
            run(block, page, here, capsys)
        for theirs, ours in rows:
            row(ours, here)
            if page != "start/from_tensorlab":  # which needs MATLAB
                row(theirs, here)
        capsys.readouterr()
    plt.close("all")


def run(block, page, here, capsys):
    """A block, and what it prints held against what stands below it."""
    if block["why"]:
        return
    if block["kind"] == "sh":
        for line in block["code"].splitlines():
            command(line)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            exec(compile(block["code"], f"docs/{page}.md", "exec"), here)
    printed = capsys.readouterr().out
    if block["shown"]:
        hold(printed, block["shown"])


def command(line):
    """Runs a line of `sdfusion`; other programs of a shell are the reader's."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["sdfusion"]:
        assert main(words[1:]) == 0


def test_blocks_that_are_not_run_say_why_and_are_few():
    every = [block for page in pages() for block in blocks(text_of(page))]
    reasons = [block["why"] for block in every if block["reason"]]
    assert all(len(why.split()) > 2 for why in reasons)
    assert len(reasons) <= 12


def test_a_wrong_number_below_a_block_is_found():
    with pytest.raises(AssertionError):
        hold("K = 3", "K = 4")


@pytest.mark.parametrize("page", TABLES)
def test_a_table_of_words_has_its_rows(page):
    assert len(parts(page)[0][1]) > 10


def row(cell, here):
    """What the code of a cell gives; a statement gives nothing."""
    code = cell.strip("`")
    try:
        return eval(compile(code, cell, "eval"), here)
    except SyntaxError:
        return exec(compile(code, cell, "exec"), here)


def test_slices_of_both_programs_are_the_same_numbers(files, monkeypatch):
    pytest.importorskip("hyperspy", reason="hyperspy is not installed")
    monkeypatch.chdir(files)
    data = fu.load("map.npz")
    here = {"s": data.to_hyperspy(), "data": data}
    compared = 0
    for theirs, ours in ROWS.findall(text_of("start/from_hyperspy")):
        if re.match(r"`s\.(isig|inav|rebin|sum|mean)", theirs):
            a, b = row(theirs, here), row(ours, here)
            np.testing.assert_allclose(np.squeeze(a.data), np.squeeze(b.data), rtol=1e-6)
            compared += 1
    assert compared >= 7
