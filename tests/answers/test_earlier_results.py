"""Results that earlier versions wrote still open."""

from pathlib import Path

import numpy as np
import pytest

import fusion as fu

WRITTEN = Path(__file__).with_name("result_4fe05fb.npz")
"""By commit 4fe05fb: NMF of 3 of `layers(shape=(6, 7), channels=30)`, with soft orthogonality."""


def test_a_result_of_commit_4fe05fb_opens_whole():
    result = fu.Result.load(WRITTEN)
    assert {name: factor.shape for name, factor in result.factors.items()} == {
        "C": (42, 3),
        "S": (30, 3),
    }
    assert result.loss == float.fromhex("0x1.259d97870a876p+22")
    assert all(np.isfinite(factor).all() for factor in result.factors.values())
    assert [axis.name for axis in result.axes["C"][0]] == ["y", "x"]
    assert result.data["net"].explained_variance > 0.9
    assert result.converged
    assert "ξ" in result.formula
    assert result.history["loss"][-1] == pytest.approx(result.loss)


def test_it_is_drawn_and_written_again(tmp_path):
    result = fu.Result.load(WRITTEN)
    result.plot()
    (path,) = result.save(tmp_path / "again.npz")
    again = fu.Result.load(path)
    for name, factor in result.factors.items():
        np.testing.assert_array_equal(again.factors[name], factor)
