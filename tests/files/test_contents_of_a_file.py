"""All that is in a file has a name, the only map is meant, one scan is fitted together."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.cli.fitting import losses_by_dataset
from fusion.files import SeveralDatasets, load, one, scan_in
from fusion.files.dataset_names import element_of, names
from tests.helpers.microscope_files import io, velox

RNG = np.random.default_rng(1)
CUBE = RNG.poisson(2.0, (5, 6, 64)).astype(np.uint16)


def entry(title: str, kind: str, ndim: int) -> dict:
    metadata = {"General": {"title": title}, "Signal": {"signal_type": kind}}
    return {"data": np.zeros((2,) * ndim), "metadata": metadata}


@pytest.mark.parametrize(
    ("title", "element"),
    [
        ("Fe", "Fe"), ("Fe-EELS", "Fe"), ("Si Kα1", "Si"), ("O map", "O"), ("Ca K wt%", "Ca"),
        ("SE", ""), ("CL", ""), ("HAADF", ""), ("DF-S", ""), ("a", ""), ("In-lens", ""), ("", ""),
    ],
)  # fmt: skip
def test_images_of_elements_are_known_by_their_titles(title, element):
    assert element_of(entry(title, "", 2)) == element


def test_ranges_of_one_detector_are_named_by_their_energies_and_detectors_by_number():
    three = [entry("EELS", "EELS", 3) for _ in range(3)]
    ranges = ["800–1146 eV", "480–826 eV", "0–325 eV"]
    assert names(three, "x", ranges) == [f"eels ({text})" for text in ranges]
    two = [entry("EDS", "EDS_TEM", 3) for _ in range(2)]
    assert names(two, "x", ["0–20 keV"] * 2) == ["eds", "eds_2"]
    apart = [entry("EDS 1", "EDS_SEM", 3), entry("EDS 2", "EDS_SEM", 3)]
    assert names(apart, "x", ["0–20 keV"] * 2) == ["eds_1", "eds_2"]


@io
def test_the_only_map_is_meant_and_a_scan_is_it_with_the_images_beside_it(tmp_path):
    images = {"HAADF": CUBE.sum(2), "Fe": CUBE[..., 0], "survey": np.ones((9, 9), np.uint16)}
    path = velox(tmp_path / "v.emd", CUBE, images, scan=(5, 6))
    assert one(path).name == "eds"
    with pytest.warns(fu.FileWarning, match=r"fe \(made from the spectra, Fe\), survey \(image\)"):
        together = scan_in(path)
    assert [data.name for data in together] == ["eds", "haadf"]
    assert [data.name for data in scan_in(path, ["fe", "EDS"])] == ["fe", "eds"]


def test_xrays_of_a_single_spectrum_are_counts_for_the_command_line():
    counts = RNG.poisson(3.0, 200)
    for kind, loss in (("EDS_TEM", "poisson"), ("EELS", "gaussian")):
        data = fu.Dataset("a", counts, metadata={"Signal": {"signal_type": kind}})
        assert losses_by_dataset([], [data]) == {"a": loss}


def test_two_maps_are_to_be_chosen_from_a_complete_list_that_can_be_pasted(tmp_path):
    path = tmp_path / "many.npz"
    np.savez(path, **{f"map_{i:02d}": CUBE for i in range(30)})
    with pytest.raises(SeveralDatasets) as caught:
        one(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 31
    for i, line in enumerate(lines[1:]):
        assert line.split()[0] == f'signal="map_{i:02d}"'
    assert caught.value.lines("--signal ").splitlines()[1].split()[:2] == ["--signal", '"map_00"']


def test_several_files_and_patterns_give_all_by_name_and_by_file_where_names_are_the_same(tmp_path):
    for i in range(3):
        np.savez(tmp_path / f"tilt_{i}.npz", data=CUBE + i)
    held = load(str(tmp_path / "tilt_*.npz"))
    assert list(held) == ["tilt_0", "tilt_1", "tilt_2"]
    assert all(data.name == name for name, data in held.items())
    np.testing.assert_array_equal(held["tilt_2"].numpy(), CUBE + 2)
    both = load([tmp_path / "tilt_0.npz", tmp_path / "tilt_1.npz"], signal="data")
    assert list(both) == ["tilt_0", "tilt_1"]
    (tmp_path / "b").mkdir()
    np.savez(tmp_path / "b" / "tilt_0.npz", data=CUBE)
    twice = load([tmp_path / "tilt_0.npz", tmp_path / "b" / "tilt_0.npz"])
    assert list(twice) == ["tilt_0", "tilt_0_2"]
    with pytest.raises(ValueError, match="no file fits this pattern"):
        load(str(tmp_path / "none_*.npz"))
    with pytest.raises(ValueError, match="download it first"):
        load("https://example.org/map.emd")


def test_the_spectral_axis_is_addressed_by_its_unit_whatever_it_is_called():
    def map_of(name: str, units: str) -> fu.Dataset:
        return fu.Dataset("a", CUBE, axes=["y", "x", fu.Axis(name, 2.0, 100.0, units)])

    for name, units, word in (
        ("x", "keV", "energy"),
        ("depth", "eV", "energy"),
        ("position", "nm", "wavelength"),
        ("z", "1/cm", "wavenumber"),
    ):
        data = fu.Dataset("a", CUBE, axes=["row", "column", map_of(name, units).axes[-1]])
        assert data.crop(**{word: (100, 110)}).shape == (5, 6, 6)
    with pytest.raises(ValueError, match="no axes are called 'energy'"):
        map_of("wavelength", "nm").crop(energy=(100, 110))
    image = fu.Dataset("image", CUBE[..., 0], axes=["y", "x"], signal=0)
    with pytest.raises(ValueError, match="It is an image, without such an axis"):
        image.crop(energy=(1, 2))
