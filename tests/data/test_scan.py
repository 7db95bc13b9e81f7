"""`Scan`: several detectors on one scan, prepared together."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.simulate import detectors


@pytest.fixture(scope="module")
def scene():
    return detectors(shape=(12, 14), channels=60, dose=2, seed=0)


def test_a_scan_is_a_dictionary_of_its_data_sets_with_the_axes_that_all_share(scene):
    scan = fu.Scan(*scene.datasets.values())
    assert list(scan) == ["low_loss", "core_loss", "edxs", "adf"]
    assert scan.shape == (12, 14)
    assert [axis.name for axis in scan.axes] == ["y", "x"]
    assert scan["edxs"].shape == (4, 12, 14, 60)
    assert "edxs" in repr(scan)


def test_all_are_cropped_binned_and_masked_together(scene):
    scan = fu.Scan(*scene.datasets.values())
    part = scan.crop(y=slice(2, 10), x=(1.0, None)).bin(y=2, x=3)
    assert part.shape == (4, 4)
    edxs, adf = scan["edxs"].numpy(), scan["adf"].numpy()
    wanted = edxs[:, 2:10, 2:].reshape(4, 4, 2, 4, 3, 60).sum((2, 4))
    np.testing.assert_array_equal(part["edxs"].numpy(), wanted)
    np.testing.assert_array_equal(
        part["adf"].numpy(), adf[2:10, 2:].reshape(4, 2, 4, 3).sum((1, 3))
    )
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 2] = True
    hidden = part.masked(mask)
    assert hidden["edxs"].mask is not None
    assert hidden["edxs"].mask.expand(4, 4, 4, 60)[:, 1, 2].all()
    assert int(hidden["edxs"].mask.expand(4, 4, 4, 60).sum()) == 4 * 60
    for name in ("low_loss", "adf"):
        held = hidden[name].mask
        assert held is not None
        assert int(held.expand(hidden[name].shape).sum()) == (60 if name == "low_loss" else 1)


def test_what_is_not_of_the_scan_is_prepared_alone(scene):
    scan = fu.Scan(*scene.datasets.values())
    with pytest.raises(ValueError, match=r"the axes of the scan are y, x: prepare others"):
        scan.crop(energy=(1, 2))
    with pytest.raises(ValueError, match=r"`Scan.bin\(segment=…\)`"):
        scan.bin(segment=2)
    with pytest.raises(
        ValueError, match=r"mask of shape \(14, 12\), the scan has \(12, 14\) \(y, x\)"
    ):
        scan.masked(np.zeros((14, 12)))
    shorter = scan.replaced(scan["edxs"].crop(energy=(0.2, 2.0)))
    assert shorter["edxs"].shape[-1] < 60
    assert shorter["adf"] is scan["adf"]
    with pytest.raises(KeyError, match="there are low_loss, core_loss"):
        scan["eels"]


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (fu.Axis("x", 0.5, units="nm", size=5), "x: 6 and 5 entries"),
        (fu.Axis("x", 0.6, units="nm", size=6), "x: steps of 0.5 and 0.6 nm"),
        (fu.Axis("x", 0.5, 2.0, "nm", size=6), "x: begins at 0 and 2 nm"),
        (fu.Axis("x", 0.5, units="µm", size=6), "x: steps of 0.5 and 500 nm"),
        (fu.Axis("x", 0.5, units="mrad", size=6), "x: in nm and in mrad"),
        (fu.Axis("tilt", 0.5, units="nm", size=6), "x: the other is called tilt"),
        (
            fu.Axis("x", units="nm", values=np.arange(6) ** 1.1 / 2),
            "x: steps of|x: positions differ",
        ),
    ],
)
def test_data_sets_that_are_no_one_scan_are_said_to_differ_and_in_what(axis, said):
    first = fu.Dataset("eels", np.ones((6, 9)), axes=[fu.Axis("x", 0.5, units="nm"), "e"])
    other = fu.Dataset("edxs", np.ones((axis.size, 9)), axes=[axis, "e"])
    with pytest.raises(
        ValueError, match=f"'eels' and 'edxs' do not have the same pixels: .*({said})"
    ):
        fu.Scan(first, other)


def test_one_name_twice_no_data_set_and_no_pixels_are_said():
    data = fu.Dataset("eels", np.ones((6, 9)))
    with pytest.raises(ValueError, match="each with a name of its own"):
        fu.Scan(data, data)
    with pytest.raises(ValueError, match="one data set or more"):
        fu.Scan()
    with pytest.raises(ValueError, match="a data set has no pixels"):
        fu.Scan(data, fu.Dataset("edxs", np.ones(9)))


def test_both_ranges_of_dual_eels_lose_the_drift_that_the_zero_loss_shows():
    rng = np.random.default_rng(0)
    drift = rng.uniform(-1.5, 1.5, (4, 5))  # eV
    x, y = -6 + 0.25 * np.arange(160), 400 + 0.5 * np.arange(120)
    low = np.exp(-0.5 * ((x - drift[..., None]) / 0.5) ** 2) * 1e4
    core = 1e3 * np.exp(-0.5 * ((y - 430 - drift[..., None]) / 2) ** 2) + 10
    axes = fu.Axis("energy loss", 0.25, -6, "eV"), fu.Axis("energy loss", 0.0005, 0.4, "keV")
    keys = {"low": low, "core": core}
    scan = fu.Scan(
        *(
            fu.Dataset(k, v, axes=["y", "x", a])
            for (k, v), a in zip(keys.items(), axes, strict=True)
        )
    )
    made = scan.align("low", "core", energy_loss=(-5, 5), progress=False)
    for name, place in (("low", 0.0), ("core", 430.0)):
        data = made[name]
        spectra, energies = data.numpy() - data.numpy().min(), data.axes[-1].values
        energies = energies * (1000 if name == "core" else 1)
        centres = (spectra * energies).sum(-1) / spectra.sum(-1)
        assert np.ptp(centres) < 0.06
        assert abs(centres.mean() - place - np.median(drift)) < 0.3
    assert list(made) == ["low", "core"]


def test_a_drift_is_not_carried_to_what_has_other_pixels_or_units():
    low = fu.Dataset("low", np.ones((4, 5, 60)), axes=["y", "x", fu.Axis("e", 0.5, -5, "eV")])
    image = fu.Dataset("light", np.ones((4, 5, 60)), axes=["y", "x", fu.Axis("l", 1, 300, "nm")])
    four = fu.Dataset("four", np.ones((2, 4, 5, 60)), axes=["segment", "y", "x", low.axes[-1]])
    scan = fu.Scan(low, image, four)
    with pytest.raises(ValueError, match="energies in eV, 'light' in nm"):
        scan.align("low", "light", energy=(-5, 5))
    with pytest.raises(ValueError, match="what shares one drift has the same pixels"):
        scan.align("low", "four", energy=(-5, 5))
    with pytest.raises(ValueError, match="name the data set that shows the drift"):
        scan.align(energy=(-5, 5))
