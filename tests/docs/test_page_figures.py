"""A page that shows what its code gives shows just that: the code saves the picture's file."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_extensions"))
page_figures = importlib.import_module("page_figures")


@pytest.mark.parametrize(("name", "place"), page_figures.BY_CODE.items())
def test_the_page_shows_the_picture_and_saves_it_in_its_code(name, place):
    page, saved = place
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert f"pictures/{name}.png)" in text
    assert f'savefig("{saved}")' in text


def test_a_picture_is_what_the_blocks_of_the_page_save(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nimport matplotlib.pyplot as plt\nfrom pathlib import Path\n"
        "figure = plt.figure(figsize=(1, 1))\nassert Path('map.npz').exists()\n```\n\n"
        "```python\nfigure.savefig('mine.png')\n```\n\n```python\n1 / 0  # not reached\n```\n"
    )
    page_figures.by_code(page, "mine.png", tmp_path / "picture.png")
    import matplotlib.image

    assert matplotlib.image.imread(tmp_path / "picture.png").shape[:2] == (150, 150)


def test_a_picture_older_than_its_page_is_drawn_again(tmp_path):
    picture, page = tmp_path / "a.png", tmp_path / "a.md"
    page.touch()
    assert page_figures.is_older(picture, [page])
    picture.touch()
    os.utime(page, (1, 1))
    assert not page_figures.is_older(picture, [page])
    os.utime(picture, (0, 0))
    assert page_figures.is_older(picture, [page])
