"""Every format that RosettaSciIO writes itself comes back with its axes."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from tests.helpers.microscope_files import CUBE, EV, LOSS, MAP, axes_of, hspy, same, write

pytestmark = pytest.mark.skipif(
    find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"'
)
COUNTS = CUBE.astype(np.float32)  # a type that all formats know
TITLE = "Übersicht µ 日本"
NEEDS = {
    "semper": "",
    "blockfile": "skimage",
    "zspy": "zarr",
    "tiff": "tifffile",
    "image": "imageio",
}
WHOLE = [
    ("hspy", "hspy"),
    ("zspy", "zspy"),
    ("emd", "emd"),
    ("nexus", "nxs"),
    ("ripple", "rpl"),
    ("digitalsurf", "sur"),
]
"""Formats that hold maps, lines, spectra and images with their calibration."""


def needed(api: str) -> None:
    """Skip where a package is missing that the writer needs."""
    if package := NEEDS.get(api, "h5py" if api in ("hspy", "emd", "nexus") else ""):
        zarr = pytest.importorskip(package, reason=f"{api} needs {package}")
        if api == "zspy" and not hasattr(zarr.storage, "NestedDirectoryStore"):
            pytest.skip("RosettaSciIO writes zspy with zarr < 3 only")


@pytest.mark.parametrize(("api", "suffix"), WHOLE)
@pytest.mark.parametrize("what", ["map", "line", "spectrum", "image"])
def test_what_is_written_comes_back_with_its_axes(tmp_path, api, suffix, what):
    needed(api)
    y, x = MAP
    data, labels, axes, signal = {
        "map": (COUNTS, ("y", "x", "Energy loss"), (y, x, LOSS), 1),
        "line": (COUNTS[0], ("x", "Energy loss"), (x, LOSS), 1),
        "spectrum": (COUNTS[0, 0], ("Energy loss",), (LOSS,), 1),
        "image": (COUNTS[..., 0], ("y", "x"), (y, x), 0),
    }[what]
    if api == "digitalsurf":  # its writer rounds floats and changes the highest ones
        data = data.astype(np.uint16)
    told = axes_of(data, *labels, signal=signal or 2)
    path = tmp_path / f"{what}.{suffix}"
    write(path, api, data, told, "EELS" if signal else "", title=TITLE)
    dataset = load(path)
    assert isinstance(dataset, fu.Dataset)
    assert dataset.signal == signal
    same(dataset, data, *axes)


def test_semper_gives_the_values_of_a_map_and_of_an_image_but_not_their_units(tmp_path):
    for data, labels, signal in ((COUNTS, "y x Energy", 1), (COUNTS[..., 0], "y x", 2)):
        told = axes_of(data, *labels.split(), signal=signal)
        dataset = load(write(tmp_path / f"{signal}.unf", "semper", data, told, title="plain"))
        np.testing.assert_array_equal(dataset.numpy(), data)
        assert dataset.signal == signal % 2


@pytest.mark.parametrize(("api", "suffix"), [("hspy", "hspy"), ("zspy", "zspy"), ("emd", "emd")])
def test_a_title_in_any_script_is_kept_and_makes_a_plain_name(tmp_path, api, suffix):
    needed(api)
    path = tmp_path / f"Größe.{suffix}"
    told = axes_of(COUNTS[..., 0], "y", "x", signal=2)
    image = load(write(path, api, COUNTS[..., 0], told, title=TITLE))
    assert image.metadata["General"]["title"] == TITLE
    assert image.name == "ubersicht"
    nameless = tmp_path / f"日本.{suffix}"
    assert load(write(nameless, api, COUNTS[..., 0], told, title="日本")).name == "data"


def test_one_spectrum_of_counts_per_second_and_its_beam_come_back_from_msa(tmp_path):
    told = axes_of(EV, "Energy loss")
    path = write(tmp_path / "s.msa", "msa", EV * 1.5, told, "EELS", title="Übersicht")
    same(load(path), EV * 1.5, LOSS)


def test_a_stack_of_filtered_images_is_a_map_with_its_energies_last(tmp_path):
    needed("tiff")
    stack = np.moveaxis(COUNTS, 2, 0)
    told = axes_of(stack, "Energy loss", "y", "x", signal=2)
    dataset = load(write(tmp_path / "s.tif", "tiff", stack, told))
    np.testing.assert_array_equal(dataset.numpy(), COUNTS)
    assert [a.units for a in dataset.axes] == ["nm", "nm", "eV"]
    np.testing.assert_allclose(dataset.axes[-1].values, LOSS.sized(12).values)


def test_a_picture_without_calibration_is_an_image_of_plain_pixels(tmp_path):
    needed("image")
    data = CUBE[..., 0].astype(np.uint8)
    told = axes_of(data, "y", "x", signal=2)
    image = load(write(tmp_path / "p.png", "image", data, told))
    same(image, data, fu.Axis("y"), fu.Axis("x"))
    assert image.signal == 0


def test_a_scan_of_diffraction_patterns_has_two_signal_axes(tmp_path):
    needed("blockfile")
    data = np.arange(5 * 6 * 4 * 4, dtype=np.uint8).reshape(5, 6, 4, 4)
    told = axes_of(data, "y", "x", "ky", "kx", signal=2)
    dataset = load(write(tmp_path / "b.blo", "blockfile", data, told))
    np.testing.assert_array_equal(dataset.numpy(), data)
    assert dataset.signal == 2


@pytest.mark.parametrize(("api", "suffix"), [("hspy", "hspy"), ("zspy", "zspy")])
def test_uneven_energies_and_energies_first_come_back_in_order(tmp_path, api, suffix):
    needed(api)
    first = np.moveaxis(COUNTS, 2, 0)
    uneven = {"_type": "DataAxis", "axis": EV**1.01, "navigate": False}
    flags = {"Energy": uneven, "x": {"navigate": True}, "y": {"navigate": True}}
    told = axes_of(first, "Energy loss", "y", "x", **flags)
    dataset = load(write(tmp_path / f"a.{suffix}", api, first, told, "EELS"))
    same(dataset, COUNTS, *MAP, fu.Axis("energy loss", values=EV**1.01, units="eV"))


def test_a_file_without_metadata_is_named_by_itself_and_has_the_usual_axes(tmp_path):
    h5py = pytest.importorskip("h5py", reason="hspy needs h5py")
    path = hspy(tmp_path / "My scan.hspy", CUBE, "y", "x", "Energy loss")
    with h5py.File(path, "a") as file:
        (group,) = file["Experiments"].values()
        for name in ("metadata", "original_metadata"):
            del group[name]
            group.create_group(name)
        for i in range(3):
            for key in ("name", "units"):
                group[f"axis-{i}"].attrs[key] = "<undefined>"
    dataset = load(path)
    np.testing.assert_array_equal(dataset.numpy(), CUBE)
    assert dataset.name == "my_scan"
    assert [axis.name for axis in dataset.axes] == ["y", "x", "channel"]
    assert [axis.scale for axis in dataset.axes] == [0.5, 0.5, 0.25]
