"""Signals of several detectors as one scan."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.hyperspy_signals import build

pytestmark = pytest.mark.filterwarnings(
    "ignore:Glyph .* missing from font:UserWarning"
)  # of the title


def test_signals_of_one_scan_are_read_cropped_binned_and_masked_together():
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    scan = fu.Scan(eels=s, edxs=e, adf=s.sum(-1))
    assert list(scan) == ["eels", "edxs", "adf"]
    part = scan.crop(y=(1.0, 2.5), x=slice(0, 6)).bin(y=2, x=2)
    assert [d.shape for d in part.values()] == [(2, 3, 40), (2, 3, 40), (2, 3)]
    mask = np.zeros((8, 7), dtype=bool)
    mask[2, 1] = True
    masked = scan.masked(mask)
    assert all(int(d.mask.sum()) == 1 for d in masked.values())
    with pytest.raises(ValueError, match="the axes of the scan are y, x"):
        scan.crop(energy=(1, 2))


@pytest.mark.parametrize(
    ("axis", "change", "said"),
    [
        ("x", {"scale": 0.6}, "x: steps of 0.5 and 0.6 nm"),
        ("y", {"offset": 3.0}, "y: begins at 1 and 3 nm"),
        ("x", {"units": "mrad"}, "x: in nm and in mrad"),
    ],
)
def test_signals_of_different_fields_of_view_are_told_apart(axis, change, said):
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    for key, value in change.items():
        setattr(e.axes_manager[axis], key, value)
    with pytest.raises(ValueError, match=said) as caught:
        fu.Scan(eels=s, edxs=e)
    assert "'eels' and 'edxs'" in str(caught.value)


def test_scans_of_other_sizes_are_told_apart_and_other_units_are_converted():
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    with pytest.raises(ValueError, match="7 and 6 entries"):
        fu.Scan(eels=s, edxs=e.inav[:6])
    with pytest.raises(ValueError, match=r"1 axes \(x\) and 2 \(y, x\)"):
        fu.Scan(eels=s, line=build("line")[0])
    for axis in e.axes_manager.navigation_axes:
        axis.scale, axis.offset, axis.units = axis.scale / 1e3, axis.offset / 1e3, "um"
    fu.Scan(eels=s, edxs=e)
    for axis in e.axes_manager.navigation_axes:
        axis.scale, axis.offset, axis.units = 1, 0, ""
    with pytest.warns(UserWarning, match="no calibration"):
        fu.Scan(eels=s, edxs=e)
