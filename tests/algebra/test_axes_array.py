"""Arrays with axes do what arrays do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.axes_array import AxesArray

VALUES = np.arange(12.0).reshape(2, 3, 2)
AXES = (
    fu.Axis("y", 0.5, units="nm"),
    fu.Axis("x", 0.5, units="nm"),
    fu.Axis("component", offset=1),
)
MAPS = AxesArray(VALUES, AXES, ["shell", "2"])


def test_what_is_computed_is_what_numpy_computes_and_plain():
    pairs = [
        (MAPS + 1, VALUES + 1),
        (1 - MAPS, 1 - VALUES),
        (MAPS / MAPS.sum(-1, keepdims=True), VALUES / VALUES.sum(-1, keepdims=True)),
        (np.sqrt(MAPS), np.sqrt(VALUES)),
        (np.mean(MAPS, axis=0), VALUES.mean(0)),
        (MAPS[..., 1], VALUES[..., 1]),
        (MAPS.max(0), VALUES.max(0)),
        (np.stack(list(MAPS)), VALUES),
        (np.asarray(MAPS, dtype=np.float32), VALUES.astype(np.float32)),
    ]
    for found, expected in pairs:
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    assert (MAPS.shape, MAPS.ndim, len(MAPS), MAPS.dtype) == ((2, 3, 2), 3, 2, np.float64)


def test_an_answer_is_not_written_to_through_it():
    with pytest.raises(ValueError, match="read-only"):
        MAPS.values[0] = 1
    VALUES[0, 0, 0] = 0.0  # the owner may


def test_copies_and_pickles_are_alike():
    for other in (copy.deepcopy(MAPS), pickle.loads(pickle.dumps(MAPS))):
        np.testing.assert_array_equal(other, MAPS)
        assert other.axes == MAPS.axes
        assert other.components == ("shell", "2")


def test_axes_of_another_number_or_length_are_refused():
    with pytest.raises(ValueError, match="argument"):
        AxesArray(VALUES, AXES[:2])
    with pytest.raises(ValueError, match="7 entries, the array 2"):
        AxesArray(VALUES, (fu.Axis("y", size=7), *AXES[1:]))


def test_the_peak_is_a_position_in_the_unit_of_the_axis():
    energy = fu.Axis("energy", 0.1, 5.0, "keV")
    assert AxesArray(np.array([0.0, np.nan, 3.0, 1.0]), (energy,)).peak == pytest.approx(5.2)
    assert AxesArray(VALUES[..., 1], AXES[:2]).peak == (0.5, 1.0)
    assert np.isnan(AxesArray(np.array([np.nan]), (energy,)).peak)


def test_it_is_shown_in_a_line_without_values():
    assert repr(MAPS) == "AxesArray(y 2, x 3, component 2; shell; float64, 12 values)"


def test_matplotlib_draws_it():
    from matplotlib.figure import Figure

    drawn = Figure().add_subplot().imshow(AxesArray(VALUES[..., 0], AXES[:2]))
    np.testing.assert_array_equal(drawn.get_array(), VALUES[..., 0])
