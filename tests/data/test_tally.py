"""Sums and counts of a data set in one pass."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.data.tally import tally
from tests.helpers.inspected_data import holed, spectra


def test_parts_of_the_pass_add_up(monkeypatch):
    whole = tally(spectra(holed()))
    monkeypatch.setattr("fusion.data.tally.PART", 100)
    parts = tally(spectra(holed()))
    np.testing.assert_allclose(parts.totals, whole.totals)
    np.testing.assert_allclose(parts.means, whole.means)
    assert (parts.zeros, parts.broken, parts.maximum) == (whole.zeros, 2, whole.maximum)


def test_pixels_with_masked_channels_have_comparable_totals():
    mask = np.zeros((15, 16, 40), bool)
    mask[0, 0, :20] = True
    totals = tally(spectra(np.ones((15, 16, 40)), mask=mask)).totals
    np.testing.assert_allclose(totals, 40.0)


PARTS = {
    "whole": lambda X: X,
    "part of a larger scan": lambda X: np.concatenate([X, X], 1)[:, : X.shape[1]],
    "part of more channels": lambda X: np.concatenate([X, X], 2)[..., : X.shape[2]],
    "blocks": lambda X: pytest.importorskip("dask.array").from_array(X, chunks=(2, 4, 3)),
    "blocks of a pixel": lambda X: pytest.importorskip("dask.array").from_array(X, (1, 1, 8)),
    "sparse": lambda X: pytest.importorskip("sparse").COO.from_numpy(X),
}
MASKS = {"none": None, "pixels": (5, 6, 1), "channels": (1, 1, 8), "entries": (5, 6, 8)}


@pytest.mark.parametrize("signal", [1, 2])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", PARTS)
def test_sums_of_every_kind_of_data_are_those_of_numpy(monkeypatch, kind, mask, signal):
    monkeypatch.setattr("fusion.data.parts.PART", 50)
    monkeypatch.setattr("fusion.data.parts.BLOCKS", 400)
    monkeypatch.setattr("fusion.data.tally.PART", 50)
    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, (5, 6, 8)) - (0 if kind == "sparse" else 0.5)
    if kind != "sparse":
        X[1, 2, 3], X[2] = np.nan, np.inf
    hidden = np.zeros(X.shape, bool)
    given = None
    if MASKS[mask]:
        given = rng.random(MASKS[mask]) < 0.3
        hidden = np.broadcast_to(given, X.shape)
    data = fu.Dataset("a", PARTS[kind](X), signal=signal, mask=given)
    if kind == "sparse" and (mask, signal) in {("entries", 1), ("entries", 2), ("pixels", 2)}:
        with pytest.raises(ValueError, match="sparse, with a mask of single entries"):
            tally(data)
        return
    told, flat, out = tally(data), X.reshape(data.matrix_shape), hidden.reshape(data.matrix_shape)
    seen = np.isfinite(flat) & ~out
    kept, values = np.where(seen, flat, 0), flat[seen]
    np.testing.assert_allclose(told.rows, kept.sum(1))
    np.testing.assert_allclose(told.columns, kept.sum(0))
    np.testing.assert_array_equal(told.row_counts, seen.sum(1))
    np.testing.assert_array_equal(told.column_counts, seen.sum(0))
    np.testing.assert_array_equal(told.filled_rows, (kept != 0).any(1))
    np.testing.assert_array_equal(told.filled_columns, (kept != 0).any(0))
    assert (told.minimum, told.maximum) == (values.min(), values.max())
    assert told.at_maximum == (values == values.max()).sum()
    assert (told.zeros, told.negatives) == ((values == 0).sum(), (values < 0).sum())
    assert (told.masked, told.broken) == (out.sum(), (~np.isfinite(flat) & ~out).sum())
    assert told.whole == (kind == "sparse")
    first = np.argwhere(~np.isfinite(flat) & ~out)
    assert told.first_broken == (tuple(first[0]) if len(first) else None)
    assert set(told.sample) <= set(values)


@pytest.mark.parametrize("channels", [1023, 1024, 1025])
def test_the_sample_is_spread_over_all_channels(monkeypatch, channels):
    monkeypatch.setattr("fusion.data.tally.SAMPLE", 2**10)
    monkeypatch.setattr("fusion.data.parts.PART", 5 * channels)
    X = np.broadcast_to(np.arange(1.0, channels + 1), (1024, channels)).copy()
    sample = tally(fu.Dataset("a", X)).sample
    assert len(sample) == pytest.approx(1024, rel=0.02)
    assert len(set(sample)) > 0.6 * len(sample)


def test_what_is_broken_in_lazy_data_is_told_with_its_place_without_reading_them():
    da = pytest.importorskip("dask.array")
    X = np.ones((4, 5, 6))
    X[2, 3, 4] = np.nan
    data = fu.Dataset("a", da.from_array(X, chunks=(2, 2, 2)))
    with pytest.raises(ValueError, match=r"1 of 120 values are NaN .* the first at \(2, 3, 4\)"):
        data.check()
    assert data._tensor is None
