"""Options that name a data set, `--energy eels=95:150`: what is done to which."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

import fusion as fu
from fusion.cli.bin_option import bins_by_dataset
from fusion.cli.named_options import by_dataset, split_name
from fusion.cli.prepared_data import prepared

RANGED = "eels (800–1146 eV)"


@pytest.fixture
def scan(tmp_path) -> Path:
    """EELS in eV, EDXS in keV, of one scan."""
    random = np.random.default_rng(0)
    path = tmp_path / "scan.npz"
    np.savez(
        path,
        eels=random.poisson(9.0, (6, 8, 30)),
        eels_energy=100.0 + np.arange(30),
        eels_energy_units="eV",
        edxs=random.poisson(9.0, (6, 8, 20)),
        edxs_energy=0.5 + 0.5 * np.arange(20),
        edxs_energy_units="keV",
    )
    return path


def read(*files: Path, joint: bool = True, **options) -> dict[str, fu.Dataset]:
    usual = {"bins": (), "background_window": (), "variance": (), "mask": (), "signal": ()}
    chosen = prepared(files, joint=joint, **(usual | options))
    return {each.data.name: each.data for each in chosen}


def refused(*files: Path, **options) -> str:
    with pytest.raises(click.UsageError) as caught:
        read(*files, **options)
    return caught.value.message


def test_windows_are_for_the_data_sets_that_they_name(scan):
    data = read(scan, energy=["eels=105:110", "EDXS=2:4"])
    np.testing.assert_allclose(data["eels"].axes[-1].values, np.arange(105.0, 111.0))
    np.testing.assert_allclose(data["edxs"].axes[-1].values, [2, 2.5, 3, 3.5, 4])
    assert read(scan, energy=["eels=105:110"])["edxs"].shape == (6, 8, 20)


def test_a_window_without_a_name_is_for_the_data_sets_without_one_of_their_own(scan):
    data = read(scan, energy=["105:110", "edxs=:"])
    assert (data["eels"].shape[-1], data["edxs"].shape[-1]) == (6, 20)


def test_backgrounds_variances_and_masks_are_for_the_data_set_that_they_name(scan, tmp_path):
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = True
    np.save(tmp_path / "a=b.npy", mask)
    data = read(
        scan,
        background_window=["eels=100:110"],
        variance=["edxs=4"],
        mask=[f"edxs={tmp_path / 'a=b.npy'}"],
    )
    assert (data["eels"].numpy() < 0).any()
    assert not (data["edxs"].numpy() < 0).any()
    assert data["eels"].mask is None
    assert int(data["edxs"].mask.sum()) == 1
    assert data["eels"].variance is not None or "subtract" in data["eels"].history[-1]
    assert float(data["edxs"].variance) == 4.0


def test_a_file_whose_name_holds_an_equals_sign_is_a_file(scan, tmp_path):
    np.save(tmp_path / "a=b.npy", np.eye(6, 8, dtype=bool))
    data = read(scan, mask=[str(tmp_path / "a=b.npy")])
    assert [int(each.mask.sum()) for each in data.values()] == [6, 6]


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("2", {"eels": (6, 8, 15), "edxs": (6, 8, 10)}),
        ("energy=2", {"eels": (6, 8, 15), "edxs": (6, 8, 10)}),
        ("eels=3", {"eels": (6, 8, 10), "edxs": (6, 8, 20)}),
        ("eels:energy=3", {"eels": (6, 8, 10), "edxs": (6, 8, 20)}),
        ("edxs:y=3", {"eels": (6, 8, 30), "edxs": (2, 8, 20)}),
        ("y=3", {"eels": (2, 8, 30), "edxs": (2, 8, 20)}),
        (":y=3", {"eels": (2, 8, 30), "edxs": (2, 8, 20)}),
    ],
)
def test_bins_are_along_the_axis_and_of_the_data_set_that_is_meant(scan, text, shapes):
    data = read(scan, bins=[text])
    assert {name: each.shape for name, each in data.items()} == shapes
    total = read(scan)["eels"].numpy().sum()
    assert data["eels"].numpy().sum() == total


def test_a_bin_that_names_the_data_set_goes_before_one_that_does_not(scan):
    data = read(scan, bins=["2", "eels=5"])
    assert (data["eels"].shape[-1], data["edxs"].shape[-1]) == (6, 10)


def test_a_word_that_is_a_data_set_and_an_axis_is_asked_about():
    datasets = [fu.Dataset("y", np.ones((4, 6, 12))), fu.Dataset("b", np.ones((4, 6, 12)))]
    with pytest.raises(click.UsageError, match=r'":y=2" for the axis of all, "y:AXIS=2"'):
        bins_by_dataset(["y=2"], datasets)
    assert bins_by_dataset([":y=2"], datasets) == {"y": {"y": 2}, "b": {"y": 2}}
    assert bins_by_dataset(["y:x=2"], datasets) == {"y": {"x": 2}, "b": {}}


def test_names_may_hold_spaces_dashes_colons_and_equals_signs():
    names = [RANGED, "a=b", "a"]
    assert split_name("--energy", "EELS (800-1146 ev)=850:1000", names)[:2] == (RANGED, "850:1000")
    assert split_name("--energy", "a=b=1:2", names)[:2] == ("a=b", "1:2")
    assert split_name("--energy", "a=1:2", names)[:2] == ("a", "1:2")
    colons = [fu.Dataset(name, np.ones((4, 6, 12))) for name in ("a:b", "a")]
    assert bins_by_dataset(["a:b:y=2", "a:x=3"], colons) == {"a:b": {"y": 2}, "a": {"x": 3}}


def test_a_name_that_two_data_sets_could_have_is_asked_about():
    with pytest.raises(click.UsageError, match='"EELS" or "eels"'):
        split_name("--energy", "Eels=1:2", ["EELS", "eels"])
    assert split_name("--energy", "eels=1:2", ["EELS", "eels"]).name == "eels"


def test_axes_are_addressed_by_their_unit_and_the_option_that_fits_is_named(scan, tmp_path):
    np.savez(
        tmp_path / "cl.npz",
        data=np.ones((4, 6, 12)),
        data_wavelength=np.linspace(400, 455, 12),
        data_wavelength_units="nm",
    )
    cube = fu.Dataset("cl", np.ones((4, 6, 12)), axes=["y", "x", fu.Axis("l", 5.0, 400, "nm")])
    cube.save(tmp_path / "cl.hspy")
    said = refused(tmp_path / "cl.hspy", joint=False, energy=["410:420"])
    assert "in nm: --wavelength 410:420" in said
    (data,) = read(tmp_path / "cl.hspy", joint=False, wavelength=["410:420"]).values()
    np.testing.assert_allclose(data.axes[-1].values, [410, 415, 420])
    assert "--energy 1:2" in refused(scan, wavelength=["1:2"])


def test_channels_are_counted_from_0_and_the_last_is_in(scan, tmp_path):
    data = read(scan, channels=["eels=5:9", "edxs=18:"])
    np.testing.assert_allclose(data["eels"].axes[-1].values, 100 + np.arange(5.0, 10))
    assert data["edxs"].shape[-1] == 2
    np.save(tmp_path / "plain.npy", np.ones((4, 6, 12)))
    assert "--channels" in refused(tmp_path / "plain.npy", joint=False, energy=["2:5"])
    (plain,) = read(tmp_path / "plain.npy", joint=False, channels=["2:5"]).values()
    assert plain.shape == (4, 6, 4)
    assert "channels 0 to 29" in refused(scan, channels=["eels=5:30"])


def test_a_bin_that_leaves_a_rest_says_what_to_crop_to(scan):
    with pytest.raises(ValueError, match='--energy "eels=105:124", or take one of 3, 7, 21'):
        read(scan, energy=["eels=105:125"], bins=["eels=2"])
    with pytest.raises(ValueError, match="take one of 2, 3, 6"):
        read(scan, bins=["y=5"])


def test_of_two_that_are_for_the_same_none_is_put_aside(scan):
    assert "are for the same" in refused(scan, energy=["eels=105:110", "Eels=106:"])
    assert "are for the same" in refused(scan, energy=["105:110", "106:"])
    assert "both for energy of eels" in refused(scan, bins=["eels=2", "eels:energy=3"])
    assert "another option cuts" in refused(scan, energy=["eels=105:110"], channels=["eels=1:2"])
    assert "one of its own" in refused(scan, energy=["1:2", "eels=105:", "edxs=1:"])


def test_a_mask_without_a_name_must_fit_all(scan, tmp_path):
    np.save(tmp_path / "m.npy", np.arange(30) < 3)
    said = refused(scan, mask=[str(tmp_path / "m.npy")])
    assert "edxs holds spectra (6 × 8 × 20)" in said
    assert "mask of shape (30,)" in said
    assert "eels holds" not in said
    assert int(read(scan, mask=[f"eels={tmp_path / 'm.npy'}"])["eels"].mask.sum()) == 3


def test_all_that_is_given_is_used_or_refused():
    image = fu.Dataset("adf", np.ones((4, 6)), axes=["y", "x"], signal=0)
    entries = [split_name("--x", "5", ["adf"])]
    with pytest.raises(click.UsageError, match="--x 5: cannot be used here: adf is no spectrum"):
        by_dataset("--x", entries, [image], lambda data, value, named: "is no spectrum")
    assert by_dataset("--x", entries, [image], lambda data, value, named: "") == {"adf": "5"}
