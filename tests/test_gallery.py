"""The gallery names every notebook, with a picture that is the notebook's own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import gallery  # noqa: E402

PAGE = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def test_the_page_names_every_notebook_and_no_other():
    assert sorted(set(re.findall(r"\]\((\w+)\.ipynb\)", PAGE))) == NAMES
    assert sorted(gallery.PICTURES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_a_light_picture_with_words_and_a_sentence(name):
    row = next(line for line in PAGE.splitlines() if f"**{name}**" in line)
    assert re.search(rf'src="images/{name}\.png" width="\d+" alt="\w[^"]+"', row)
    assert len(row.split(": ", 1)[1].split()) > 8
    assert (gallery.IMAGES / f"{name}.png").stat().st_size <= gallery.LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_the_one_in_the_notebook(name):
    np, Image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    import io

    number = gallery.PICTURES[name]
    now = gallery.small(gallery.pictures(NOTEBOOKS / f"{name}.ipynb")[number])
    kept = (gallery.IMAGES / f"{name}.png").read_bytes()
    now, kept = (Image.open(io.BytesIO(one)).convert("L") for one in (now, kept))
    assert now.size == kept.size
    assert np.abs(np.asarray(now, float) - np.asarray(kept, float)).mean() < 1.0


def test_every_picture_is_shown_somewhere():
    front = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    for path in gallery.IMAGES.iterdir():
        assert f"images/{path.name}" in PAGE + front, path.name
        assert path.stat().st_size < 300_000
