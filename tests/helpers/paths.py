"""Where the checkout and the shared data are: no test counts the folders above itself."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "pyproject.toml").exists())
SHARED = ROOT.parent / "shared" / "data"
"""Measured and simulated maps beside the checkout, not part of it."""


def shared_file(*parts: str) -> Path:
    """A file of the shared data; the test is skipped, with the reason, where it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {path}: the shared data are not on this machine")
    return path
