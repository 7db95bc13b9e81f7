"""`data[…]`: entries and positions, half open, as HyperSpy's `inav[…].isig[…]`."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu

ENERGY = fu.Axis("energy loss", 0.5, 400.0, "eV")


def data(**options) -> fu.Dataset:
    counts = np.arange(4 * 5 * 60.0).reshape(4, 5, 60) + 1
    axes = [fu.Axis("y", 2.0, 10.0, "nm"), fu.Axis("x", 2.0, units="nm"), ENERGY]
    return fu.Dataset("eels", counts, axes=axes, metadata={"General": {"title": "a"}}, **options)


def test_floats_are_positions_and_whole_numbers_entries_the_last_left_out():
    part = data()[1:3, -2:, 405.0:410.0]
    assert part.shape == (2, 2, 10)
    np.testing.assert_array_equal(part.numpy(), data().numpy()[1:3, 3:, 10:20])
    assert [axis.values[0] for axis in part.axes] == [12.0, 6.0, 405.0]
    assert part.axes[-1].values[-1] == 409.5
    assert part.history[-1] == "[1:3, -2:, 405.0:410.0]"
    assert part.metadata == data().metadata


def test_crop_takes_the_last_position_and_a_slice_does_not():
    assert data().crop(energy_loss=(405, 410)).shape[-1] == 11
    assert data()[..., 405.0:410.0].shape[-1] == 10


def test_one_number_takes_its_axis_away():
    spectrum, image = data()[3, 4], data()[..., 400.6]
    np.testing.assert_array_equal(spectrum.numpy(), data().numpy()[3, 4])
    assert (spectrum.signal, [a.name for a in spectrum.axes]) == (1, ["energy loss"])
    np.testing.assert_array_equal(image.numpy(), data().numpy()[..., 1])
    assert (image.signal, [a.name for a in image.axes]) == (0, ["y", "x"])
    line = data()[12.1, ..., ::3]
    np.testing.assert_array_equal(line.numpy(), data().numpy()[1, :, ::3])
    assert line.axes[-1].scale == 1.5
    assert data()[np.int64(3), np.float32(8)].shape == (60,)


@pytest.mark.parametrize("shape", [(4, 5), (60,), (4, 5, 60), (1, 5, 1)])
def test_mask_and_variance_are_those_of_the_part(shape):
    rng = np.random.default_rng(0)
    if shape in ((4, 5), (60,)):
        mask, wide = rng.random(shape) < 0.3, (4, 5, 1) if len(shape) == 2 else (1, 1, 60)
    else:
        mask, wide = rng.random(shape) < 0.3, shape
    variance = 1 + rng.random(wide)
    whole = data(mask=mask, variance=variance)
    full_mask = np.broadcast_to(whole.mask.numpy(), whole.shape)
    full_variance = np.broadcast_to(variance, whole.shape)
    for key in ((slice(1, 3), slice(2, None), slice(5, 50, 2)), (1, 2), (Ellipsis, 7), (slice(2),)):
        part = whole[key]
        np.testing.assert_array_equal(np.broadcast_to(part.mask, part.shape), full_mask[key])
        np.testing.assert_allclose(np.broadcast_to(part.variance, part.shape), full_variance[key])


def test_lazy_data_stay_lazy():
    dask = pytest.importorskip("dask.array")
    part = fu.Dataset("a", dask.ones((4, 5, 60), chunks=2), axes=["y", "x", ENERGY])[1:, 2, 405.0:]
    assert part.lazy is not None
    assert part.shape == (3, 50)


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        (
            (0, 0, 0, 0),
            IndexError,
            r"4 parts for 3 axes \(y, x, energy loss\)",
        ),
        ((Ellipsis, Ellipsis), IndexError, "one … at most"),
        (4, IndexError, r"`eels\[4\]`: 4 lies outside y: it has 4 entries"),
        (-5, IndexError, "-5 lies outside y"),
        ((Ellipsis, 399.0), IndexError, "positions run from 400 to 429.5 eV"),
        ((Ellipsis, slice(430.0, None)), IndexError, "430.0 lies outside energy loss"),
        ((Ellipsis, slice(None, 399.0)), IndexError, "399.0 lies outside energy loss"),
        ((Ellipsis, slice(410.0, 405.0)), ValueError, "nothing is left of the 60 entries"),
        (slice(3, 3), ValueError, "nothing is left of the 4 entries along y"),
        (slice(None, None, -1), ValueError, r"a step of -1 along y.*`bin\(y=2\)`"),
        ((Ellipsis, slice(None, None, 0.5)), ValueError, "a step of 0.5"),
        ("energy", TypeError, r"'energy' for y: give whole numbers.*`crop\(y=\(first, last\)\)`"),
        ([0, 1], TypeError, "list for y"),
        (np.ones(4, bool), TypeError, "ndarray for y"),
        (True, TypeError, "True for y"),
        (None, TypeError, "None for y"),
        (slice("a", None), TypeError, "'a' for y"),
        (float("nan"), TypeError, "nan for y"),
        ((0, 1, 2), ValueError, r"one value is no data set.*`eels.data\[0, 1, 2\]`"),
    ],
)
def test_what_cannot_be_is_said(key, kind, said):
    with pytest.raises(kind, match=said):
        data()[key]


@pytest.mark.parametrize("even", [True, False])
def test_along_a_falling_axis_before_is_above_and_behind_is_below(even):
    x = 700.0 - 10 * np.arange(41)
    axis = fu.Axis("wavelength", -10.0, 700.0, "nm") if even else fu.Axis("wavelength", values=x)
    light = fu.Dataset("light", 1 + np.arange(82.0).reshape(2, 41), axes=["x", axis])
    assert light[:, 800.0:600.0].axes[-1].values.tolist() == x[:10].tolist()
    assert light[:, 400.0:100.0].axes[-1].values.tolist() == x[30:].tolist()
    for key in (slice(250.0, None), slice(None, 750.0)):
        with pytest.raises(
            IndexError, match="lies outside wavelength: positions run from 700 to 300"
        ):
            light[:, key]


def test_a_data_set_is_no_sequence_of_its_rows():
    with pytest.raises(TypeError, match="not iterable"):
        iter(data())


def axes_of_all_kinds(rng):
    """An axis, even or not, rising or falling, as ours and as HyperSpy's dictionary."""
    n = int(rng.integers(2, 30))
    entry = {"name": "energy", "units": "eV", "navigate": False}
    if rng.random() < 0.3:
        values = np.cumsum(rng.integers(1, 5, n)) * 0.5 - 5
        values = values[:: int(rng.choice([-1, 1]))].copy()
        return fu.Axis("energy", values=values, units="eV", size=n), entry | {"axis": values}
    scale = float(rng.choice([0.5, 0.1, 2.0, 0.3, -0.5, -0.1, -2.0]))
    offset = float(rng.choice([0, -3, 100, -7.25, 400.5]))
    even = {"scale": scale, "offset": offset, "size": n}
    return fu.Axis("energy", scale, offset, "eV", size=n), entry | even


def some_end(rng, axis, *, inside):
    """Nothing, an entry, or a position: anywhere, at an entry, or half way between two."""
    n, x = axis.size, axis.values
    kind = rng.random()
    if kind < 0.15:
        return None
    if kind < 0.35:
        return int(rng.integers(-n, n + 1))
    i = rng.integers(0, n - 1)
    beyond = 0.0 if inside else 3.0
    if kind < 0.7:
        return float(rng.uniform(min(x) - beyond, max(x) + beyond))
    return float(x[i] + (x[i + 1] - x[i]) * rng.choice([0.0, 0.5]))


def compare(rng, axis, ours, theirs) -> bool:
    """Some part of both, or that neither has it; whether a slice of both was compared."""
    inside = axis.values[0] > axis.values[-1]
    ends = [some_end(rng, axis, inside=inside) for _ in range(2)]
    key = slice(*ends, rng.choice([None, 2, 3])) if rng.random() < 0.8 else ends[0]
    if key is None:
        return False
    try:
        expected = theirs.isig[key]
    except (IndexError, ValueError):
        with pytest.raises((IndexError, ValueError), match=r"outside|nothing is left"):
            ours[:, key]
        return False
    if 0 in expected.data.shape:
        with pytest.raises(ValueError, match="nothing is left"):
            ours[:, key]
        return False
    part = ours[:, key]
    np.testing.assert_array_equal(part.numpy().reshape(2, -1), expected.data.reshape(2, -1))
    if not isinstance(key, slice):
        return False
    there = expected.axes_manager.signal_axes[0].axis
    np.testing.assert_allclose(part.axes[-1].values, there, atol=1e-12)
    return True


@pytest.mark.parametrize("seed", range(4))
def test_slices_are_those_of_hyperspy(seed):
    """On falling axes only inside: HyperSpy takes what lies before their first entry for behind."""
    hs = pytest.importorskip("hyperspy.api")
    rng = np.random.default_rng(seed)
    compared = 0
    for _ in range(50):
        axis, entry = axes_of_all_kinds(rng)
        counts = 1 + np.arange(2.0 * axis.size).reshape(2, -1)
        ours = fu.Dataset("a", counts, axes=["x", axis])
        theirs = hs.signals.Signal1D(counts, axes=[{"size": 2, "navigate": True}, entry])
        compared += sum(compare(rng, axis, ours, theirs) for _ in range(3))
    assert compared > 40


def test_maps_are_in_the_order_of_the_array_where_hyperspy_has_x_first():
    hs = pytest.importorskip("hyperspy.api")
    whole = data()
    entries = [
        {"name": a.name, "scale": a.scale, "offset": a.offset, "size": a.size, "navigate": i < 2}
        for i, a in enumerate(whole.axes)
    ]
    signal = hs.signals.Signal1D(whole.numpy(), axes=entries)
    np.testing.assert_array_equal(
        whole[11.9:16.0, 2:4, 405.0:410.0].numpy(),
        signal.inav[2:4, 11.9:16.0].isig[405.0:410.0].data,
    )
