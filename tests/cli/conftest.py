"""Files that commands read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.undrawn import draw_as_they_stand, draw_nothing


@pytest.fixture(autouse=True)
def not_looked_at(request, monkeypatch):
    """Pictures and pages are written empty, but for tests that look at them: marked `drawn`."""
    drawn = request.node.get_closest_marker("drawn")
    (draw_as_they_stand if drawn else draw_nothing)(monkeypatch)


@pytest.fixture
def cube() -> np.ndarray:
    rng = np.random.default_rng(0)
    cube = rng.gamma(1, 1, (30, 2)) @ rng.gamma(1, 1, (12, 2)).T
    return rng.poisson(20 * cube).reshape(5, 6, 12)


@pytest.fixture
def file(tmp_path, cube):
    path = tmp_path / "map.npz"
    np.savez(path, data=cube, other=cube, energy=np.linspace(90, 101, 12), energy_units="eV")
    return path


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two data sets in one file, and files that are none."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("two.npz", eels=random.poisson(5.0, (6, 7, 30)), eds=random.poisson(5.0, (6, 7, 30)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:-200])
    (tmp_path / "empty.npy").write_bytes(b"")
