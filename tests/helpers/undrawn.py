"""Pictures and pages that a test does not look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fusion as fu


def draw_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn and written, but nothing is moved to where it has room.

    Finding that takes longer than all else; tests/plots looks at it.
    """

    def written(self: Any, *args: Any, **options: Any) -> None:
        from matplotlib.figure import Figure

        self.set_layout_engine("none")
        Figure.savefig(self, *args, **options)

    monkeypatch.setattr("fusion.plots.figures.Picture.savefig", written)


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and pages are files at once, without anything in them."""
    draw_no_picture(monkeypatch)
    monkeypatch.setattr(fu.Result, "report", _empty)


def draw_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are files at once, pages are as they are."""
    monkeypatch.setattr("fusion.plots.figures.Picture.savefig", _empty)


def _empty(self: Any, path: Any, **options: Any) -> None:
    Path(path).write_bytes(b"\x89PNG")
