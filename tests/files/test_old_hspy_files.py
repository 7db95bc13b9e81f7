"""Files of HyperSpy 0.4 to 0.8, and of today's, come back with their calibration."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fusion.files import load
from tests.helpers.microscope_files import CUBE, LOSS, MAP, same

pytestmark = pytest.mark.skipif(
    find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"'
)


def old(path: Path, data: np.ndarray, version: str | None, **told: str) -> Path:
    """A file as hyperspy 0.4 to 0.8 wrote it: `mapped_parameters`, flags called `slice_bool`."""
    h5py = pytest.importorskip("h5py", reason="hspy needs h5py")
    places = {"y": (0.5, 1.0, "nm"), "x": (0.5, 2.0, "nm"), "Energy loss": (0.25, 90.0, "eV")}
    with h5py.File(path, "w") as file:
        if version is not None:
            file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", version
        group = file.create_group(f"Experiments/{told.get('title', 'a map')}")
        group["data"] = data
        labels = ["y", "x", "Energy loss"][3 - data.ndim :]
        for i, label in enumerate(labels):
            scale, offset, units = places[label]
            axis = group.create_group(f"axis-{i}")
            axis.attrs.update({"name": label, "scale": scale, "offset": offset, "units": units})
            axis.attrs.update({"size": data.shape[i], "index_in_array": i})
            if version != "1.2":
                axis.attrs["slice_bool"] = i == data.ndim - 1
            else:
                axis.attrs["navigate"] = i < data.ndim - 1
        names = ("metadata", "original_metadata")
        names = names if version == "1.2" else ("mapped_parameters", "original_parameters")
        mapped, _ = (group.create_group(name) for name in names)
        mapped.attrs.update({"record_by": "spectrum", "original_filename": "a.dm3", **told})
        tem = mapped.create_group("TEM")
        tem.attrs["beam_energy"] = 200.0
    return path


@pytest.mark.parametrize("version", [None, "1.0", "1.1", "1.2"])
@pytest.mark.parametrize("suffix", ["hspy", "hdf5"])
def test_a_map_of_an_old_version_comes_back_with_its_calibration(tmp_path, version, suffix):
    told = {"title": "Übersicht µ", "signal_type": "EELS"}
    dataset = load(old(tmp_path / f"old.{suffix}", CUBE, version, **told))
    same(dataset, CUBE, *MAP, LOSS)
    assert dataset.signal == 1
    if version != "1.2":
        assert dataset.metadata["General"]["title"] == "Übersicht µ"
        assert dataset.metadata["Acquisition_instrument"]["TEM"]["beam_energy"] == 200


def test_a_line_of_an_old_version_without_units_is_of_spectra_not_an_image(tmp_path):
    h5py = pytest.importorskip("h5py", reason="hspy needs h5py")
    path = old(tmp_path / "old.hdf5", CUBE[0], "1.0", title="line")
    with h5py.File(path, "a") as file:
        for i in range(2):
            file[f"Experiments/line/axis-{i}"].attrs["units"] = "<undefined>"
    dataset = load(path)
    assert dataset.signal == 1
    np.testing.assert_array_equal(dataset.numpy(), CUBE[0])
