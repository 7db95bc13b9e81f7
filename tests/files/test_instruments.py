"""What instruments write and readers hand on wrongly: the values that were measured."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from tests.helpers.instrument_files import dm3, pts, rpl, spd, wdf
from tests.helpers.microscope_files import io, velox

RNG = np.random.default_rng(0)
CUBE = RNG.random((50, 4, 6)).astype("f4")  # energies first, as DigitalMicrograph has it


@io
@pytest.mark.parametrize(
    ("kind", "axis", "word"),
    [
        ("CL", (-800.0, 0.5, "nm"), "wavelength"),
        ("EELS", (0.0, 5.0, "meV"), "energy"),
        ("EELS", (100.0, 0.5, "eV"), "energy"),
        ("X-ray", (20.0, 0.01, "keV"), "energy"),
    ],
)
def test_a_spectrum_image_of_gatan_has_its_spectra_last_in_any_unit(tmp_path, kind, axis, word):
    scan = (0.0, 2.0, "nm")
    path = tmp_path / "map.dm3"
    dm3(path, CUBE, [axis, scan, scan], Format="Spectrum image", Signal=kind)
    data = load(path)
    assert (data.shape, data.signal) == ((4, 6, 50), 1)
    np.testing.assert_array_equal(data.numpy(), CUBE.transpose(1, 2, 0))
    first = -axis[0] * axis[1]
    np.testing.assert_allclose(data.axes[-1].values[[0, -1]], [first, first + 49 * axis[1]], 1e-6)
    part = data.crop(**{word: (first, first + 9 * axis[1])})
    assert part.shape == (4, 6, 10)


@io
def test_a_stack_of_images_of_gatan_stays_one(tmp_path):
    path = tmp_path / "stack.dm3"
    dm3(path, CUBE, [(0.0, 1.0, "s"), (0, 2.0, "nm"), (0, 2.0, "nm")], Format="Image")
    data = load(path)
    assert (data.shape, data.signal) == ((50, 4, 6), 2)


@io
@pytest.mark.parametrize("by", ["vector", "image"])
def test_the_step_of_a_ripple_map_is_in_ev(tmp_path, by):
    counts = RNG.poisson(3, (4, 6, 50))
    path = tmp_path / "map.rpl"
    rpl(path, counts, by=by, **{"ev-per-chan": 10, "signal": "EDS_SEM"})
    data = load(path)
    np.testing.assert_array_equal(data.numpy(), counts)
    assert (data.axes[-1].units, data.axes[-1].scale) == ("eV", 10.0)
    assert data.metadata["Signal"]["signal_type"] == "EDS_SEM"


def orders(rows: int, columns: int) -> dict[str, list[tuple[int, int]]]:
    """Ways to scan a map: (row, column) of one spectrum after the other."""
    by_row = [(i, j) for i in range(rows) for j in range(columns)]
    return {
        "by row": by_row,
        "by column": [(i, j) for j in range(columns) for i in range(rows)],
        "there and back": [
            (i, j if i % 2 == 0 else columns - 1 - j) for i in range(rows) for j in range(columns)
        ],
        "from below": by_row[::-1],
    }


@io
@pytest.mark.parametrize("order", ["by row", "by column", "there and back", "from below"])
def test_spectra_of_renishaw_stand_where_they_were_measured(tmp_path, order):
    cube = RNG.random((3, 5, 8)).astype("f4")
    flag = {"by column": 2, "there and back": 4}.get(order, 0)
    wdf(tmp_path / "map.wdf", cube, orders(3, 5)[order], flag)
    data = load(tmp_path / "map.wdf")
    np.testing.assert_array_equal(data.numpy(), cube)
    np.testing.assert_allclose(data.axes[0].values, [50, 52, 54])
    np.testing.assert_allclose(data.axes[1].values, [10, 12, 14, 16, 18])
    assert any("put where they were measured" in step for step in data.history) == (
        order != "by row"
    )


@io
@pytest.mark.parametrize("shape", [(16, 8), (8, 16), (8, 8)])
def test_no_count_of_a_jeol_map_is_lost(tmp_path, shape):
    counts = np.zeros((*shape, 4096), int)
    counts[..., 200:211] = RNG.poisson(1.0, (*shape, 11))
    counts[-1, -1, 300] = 1
    pts(tmp_path / "map.pts", counts)
    data = load(tmp_path / "map.pts")
    got = data.numpy()
    assert got.shape[:2] == shape
    assert got.sum(dtype=int) == counts.sum()
    np.testing.assert_array_equal(got.sum(2, dtype=int), counts.sum(2))


@io
def test_counts_of_a_large_map_stay_sparse_and_can_be_cropped_and_binned(tmp_path):
    counts = np.zeros((128, 128, 4096), np.uint8)
    places = RNG.integers(0, 128, (2, 300)), RNG.integers(100, 400, 300)
    counts[(*places[0], places[1])] = RNG.integers(1, 4, 300)
    pts(tmp_path / "map.pts", counts)
    data = load(tmp_path / "map.pts")
    assert data.entries is not None
    shift = int(np.flatnonzero(counts.sum((0, 1)))[0] - np.unique(data.entries.j.numpy())[0])
    part = data.crop(y=slice(3, 99), energy=slice(100 - shift, 400 - shift)).bin(y=2, energy=3)
    dense = np.zeros(part.shape, int)
    rows = np.divmod(part.entries.i.numpy(), part.shape[1])
    dense[(*rows, part.entries.j.numpy())] = part.entries.x.numpy()
    want = counts[3:99, :, 100:400].reshape(48, 2, 128, 100, 3).sum((1, 4), dtype=int)
    np.testing.assert_array_equal(dense, want)
    assert part.axes[0].values[0] == pytest.approx(data.axes[0].values[3:5].mean())


@io
def test_what_a_reader_warns_of_is_raised_and_stands_in_the_history(tmp_path):
    counts = RNG.poisson(1.0, (4, 6, 100))
    spd(tmp_path / "map.spd", counts)
    with pytest.warns(fu.FileWarning, match=r"map\.spc.*No spectral metadata"):
        data = load(tmp_path / "map.spd")
    np.testing.assert_array_equal(data.numpy(), counts)
    assert any("map.spc" in step for step in data.history)
    assert any("channel numbers alone" in step for step in data.history)


SCAN = RNG.poisson(2.0, (5, 6, 64)).astype(np.uint16)


@io
@pytest.mark.parametrize("surveys", [["z"], ["0"], ["0", "z"]])
@pytest.mark.parametrize("size", [(3, 3), (12, 12)])
def test_a_velox_map_has_the_shape_of_its_scan_whatever_images_are_beside_it(
    tmp_path, surveys, size
):
    images = {"scan": SCAN.sum(2, dtype=np.uint16)}
    images |= {name: np.ones(size, np.uint16) for name in surveys}
    path = velox(tmp_path / "map.emd", SCAN, images, scan=(5, 6))
    if surveys == ["0", "z"] and size == (3, 3):  # the reader drops the end of the stream
        with pytest.warns(fu.FileWarning, match="left out: a map of 5 × 6 pixels"):
            held = load(path)
        assert set(held) == {"scan", "0", "z", "eds"}
        assert held["eds"].shape == (64,)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(path, signal="eds")
    np.testing.assert_array_equal(data.numpy(), SCAN)


@io
def test_segments_of_a_velox_detector_come_as_their_sum_or_as_one_stack(tmp_path):
    path = velox(tmp_path / "map.emd", SCAN, {"haadf": SCAN[..., 0]}, detectors=3)
    np.testing.assert_array_equal(load(path, signal="eds").numpy(), 3 * SCAN)
    stack = load(path, signal="eds", segments=True)
    assert [axis.name for axis in stack.axes] == ["segment", "y", "x", "energy"]
    np.testing.assert_array_equal(stack.numpy(), np.stack([SCAN] * 3))
    one = load(path, signal="eds", rebin_energy=4)
    np.testing.assert_array_equal(one.numpy(), 3 * SCAN.reshape(5, 6, 16, 4).sum(3))


@io
def test_an_option_that_the_reader_does_not_have_is_named_with_those_that_it_has(tmp_path):
    path = velox(tmp_path / "map.emd", SCAN, {"haadf": SCAN[..., 0]})
    with pytest.raises(ValueError, match=r"binning=….*EMD has no such option; it has.*rebin_ene"):
        load(path, binning=4)
