"""`sdfusion plot`: answers and data as pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.helpers.commands import fails, run
from tests.helpers.undrawn import draw_no_picture, draw_nothing

pytestmark = pytest.mark.drawn


def test_plot_makes_a_page_of_a_saved_answer_and_says_what_is_missing(
    file, tmp_path, capsys, monkeypatch
):
    draw_no_picture(monkeypatch)
    assert run("unmix", file, "-k", 2, "-o", tmp_path, "--starts", 1, "--quiet") == 0
    assert "not at hand" not in (tmp_path / "report.html").read_text()
    assert run("plot", tmp_path / "result.npz", "-o", tmp_path / "page.html") == 0
    assert "not at hand" in (tmp_path / "page.html").read_text()
    monkeypatch.setitem(sys.modules, "bokeh", None)
    monkeypatch.setattr("fusion.cli.output.find_spec", lambda name: None)
    told = fails(capsys, "plot", tmp_path / "result.npz", "-o", tmp_path / "page.html")
    assert 'pip install "sdfusion[report]"' in told
    assert run("unmix", file, "-k", 2, "-o", tmp_path / "b", "--starts", 1) == 0
    assert 'pip install "sdfusion[report]"' in capsys.readouterr().out
    assert not (tmp_path / "b" / "report.html").exists()


def test_plot_draws_the_data_of_a_file(file, tmp_path, cube, capsys):
    assert run("plot", file, "--signal", "data", "-o", tmp_path / "a.png") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube)
    said = fails(capsys, "plot", tmp_path / "two.npz", "-o", tmp_path / "b.png", lines=3)
    assert "edxs" in said  # which of the two?
    assert not (tmp_path / "b.png").exists()


def test_plot_draws_an_answer_again(file, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        draw_nothing(patched)  # only what is drawn again is looked at
        assert run("unmix", file, "-k", 2, "-o", out, "--starts", 1, "--quiet") == 0
    assert run("plot", out / "result.npz", "-o", tmp_path / "a.pdf") == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert ".png, .pdf or .svg" in fails(
        capsys, "plot", out / "result.npz", "-o", tmp_path / "a.doc", status=2
    )
