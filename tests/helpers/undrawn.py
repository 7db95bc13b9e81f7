"""Pictures and pages that a test does not look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fusion as fu


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and pages are files at once, without anything in them."""

    def empty(self: Any, path: Any, **options: Any) -> None:
        Path(path).write_bytes(b"\x89PNG")

    monkeypatch.setattr("fusion.plots.figures.Picture.savefig", empty)
    monkeypatch.setattr(fu.Result, "report", empty)
