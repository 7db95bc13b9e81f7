"""The gallery names every notebook, with a picture that is the notebook's own."""

from __future__ import annotations

import io
import json
import re

import gallery
import numpy as np
import pytest
from PIL import Image

from tests.helpers.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"
PAGE = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_the_page_names_every_notebook_and_no_other():
    assert sorted(set(re.findall(r"\]\((\w+)\.ipynb\)", PAGE))) == NAMES
    assert sorted(gallery.PICTURES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_a_light_picture_with_words_and_a_sentence(name):
    row = next(line for line in PAGE.splitlines() if f"**{name}**" in line)
    assert re.search(rf'src="images/{name}\.png" width="\d+" alt="\w[^"]+"', row)
    assert len(row.split("<br>")[0].split(": ", 1)[1].split()) > 8
    assert (gallery.IMAGES / f"{name}.png").stat().st_size <= gallery.LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_the_one_in_the_notebook_in_its_colours(name):
    whole = gallery.pictures(NOTEBOOKS / f"{name}.ipynb")[gallery.PICTURES[name]]
    kept = Image.open(gallery.IMAGES / f"{name}.png").convert("RGB")
    paper = Image.open(io.BytesIO(whole)).convert("RGBA")
    paper = Image.alpha_composite(Image.new("RGBA", paper.size, "white"), paper).convert("RGB")
    off = np.abs(np.asarray(kept, float) - np.asarray(paper.resize(kept.size, Image.LANCZOS)))
    assert off.mean() < 2.0
    assert (off.max(-1) > 60).mean() < 1e-3  # of 255: no patch in another colour


def test_every_picture_is_shown_somewhere():
    front = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    for path in gallery.IMAGES.iterdir():
        assert f"images/{path.name}" in PAGE + front, path.name
        assert path.stat().st_size < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_says_neither_when_nor_where_it_was_executed(name):
    page = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert not any("execution" in cell["metadata"] for cell in page["cells"])
    words = [str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
             for cell in page["cells"] for output in cell.get("outputs", [])]  # fmt: skip
    assert not re.search(r"/tmp/|/home/|/root/|/Users/|[A-Z]:\\|ipykernel", "".join(words))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_asks_a_question_and_its_links_lead_somewhere(name):
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    title = texts[0].splitlines()[0]
    assert re.match(r"# .*\?", title)
    for target in re.findall(r"\]\(([^)#:]+)\)", "\n".join(texts)):
        assert (NOTEBOOKS / target).exists(), target
    assert not re.search(r"\b[Nn]otebook `?\d\d", "\n".join(texts))


def test_what_a_notebook_shows_is_made_tidy(tmp_path):
    said = "/tmp/ipykernel_7/12.py:2: ClaimWarning: `fit`: told\n"
    cell = {"cell_type": "code", "metadata": {"execution": {"iopub": "2026"}}, "source": [],
            "outputs": [{"output_type": "stream", "text": [said, "α 1/2\n"]}]}  # fmt: skip
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {"language_info": {"version": "3"}}}))
    gallery.tidy(path)
    page = json.loads(path.read_text(encoding="utf-8"))
    assert page["cells"][0]["outputs"][0]["text"] == ["ClaimWarning: `fit`: told\n", "α 1/2\n"]
    assert page["cells"][0]["metadata"] == {}
    assert page["metadata"]["language_info"] == {"name": "python"}
