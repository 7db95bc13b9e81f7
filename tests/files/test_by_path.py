"""Arrays of HDF5 files and zarr folders by their path: axes, energies, links, what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fusion as fu
from fusion.files import load, one
from tests.helpers.microscope_files import CUBE, EV, io, same

h5py = pytest.importorskip("h5py", reason="HDF5 needs h5py")
PLAIN = (fu.Axis("y"), fu.Axis("x"))
ENERGY = fu.Axis("energy", 1.0, 90.0, "eV")


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
        if "a__e" in arrays:
            file["a/e"].attrs["units"] = "eV"
    return path


def opened(path, **options):
    with pytest.raises(ValueError, match=re.escape(str(path.name))) as caught:
        load(path, **options)
    return str(caught.value)


def test_an_array_is_read_lazily_with_energies_of_the_file_an_array_or_an_axis(tmp_path):
    path = hdf5(tmp_path / "a.h5", a__b=CUBE, a__e=EV)
    loss = fu.Axis("energy loss", 1.0, 90.0, "eV")
    for energy, axis in (
        ("/a/e", ENERGY),
        (EV, fu.Axis("energy", 1.0, 90.0)),
        (loss, loss),
    ):
        held = load(path, dataset="/a/b", energy=energy)
        assert held.name == "b"
        same(held, CUBE, *PLAIN, axis)
    assert load(path, dataset="a/b", signal="eels").name == "eels"
    assert one(path, dataset="a/b", lazy=False).lazy is None
    pytest.importorskip("dask", reason="reading lazily needs dask")
    assert load(path, dataset="a/b").lazy is not None
    same(load(path, dataset="a/b").crop(y=slice(1, 3)), CUBE[1:3], fu.Axis("y", 1, 1), PLAIN[1],
         fu.Axis("channel"))  # fmt: skip


def test_wavelengths_and_wavenumbers_are_told_as_energies_are(tmp_path):
    path = hdf5(tmp_path / "a.h5", map=CUBE, lambda_nm=EV)
    assert load(path, dataset="map", wavelength="lambda_nm").axes[-1].label == "wavelength (nm)"
    assert load(path, dataset="map", wavenumber=EV).axes[-1].name == "wavenumber"


def test_energies_along_another_axis_come_last(tmp_path):
    path = hdf5(tmp_path / "a.h5", first=np.moveaxis(CUBE, 2, 0), a__e=EV)
    same(load(path, dataset="first", energy="a/e"), CUBE, *PLAIN, ENERGY)
    held = load(path, dataset="first", axes=["energy", "row", "column"])
    same(held, CUBE, fu.Axis("row"), fu.Axis("column"), fu.Axis("energy"))


def test_axes_without_a_spectral_one_make_images_and_several_paths_several_data_sets(tmp_path):
    path = hdf5(tmp_path / "a.h5", HAADF=CUBE[..., 0], Co=CUBE[..., 1], g__Co=CUBE[..., 2])
    held = load(path, dataset=["/HAADF", "/Co"], axes=["y", fu.Axis("x", 0.5, units="nm")])
    assert {name: data.signal for name, data in held.items()} == {"haadf": 0, "co": 0}
    same(held["co"], CUBE[..., 1], fu.Axis("y"), fu.Axis("x", 0.5, units="nm"))
    assert list(load(path, dataset=["Co", "g/Co"])) == ["co", "g_co"]


def test_dimension_scales_and_attributes_of_nexus_tell_the_axes(tmp_path):
    path = hdf5(tmp_path / "a.h5", a__b=CUBE, a__e=EV, a__x=np.arange(6) * 0.5)
    with h5py.File(path, "a") as file:
        file["a/x"].attrs["units"] = "nm"
        file["a"].attrs["axes"] = [".", "x", "e"]
    axes = [fu.Axis("y"), fu.Axis("x", 0.5, units="nm"), fu.Axis("e", 1.0, 90.0, "eV")]
    same(load(path, dataset="a/b"), CUBE, *axes)
    with h5py.File(path, "a") as file:
        del file["a"].attrs["axes"]
        file["a/e"].make_scale("energy loss")
        file["a/b"].dims[2].attach_scale(file["a/e"])
        file["a/b"].dims[2].label = "energy loss"
    same(load(path, dataset="a/b"), CUBE, *PLAIN, fu.Axis("energy loss", 1.0, 90.0, "eV"))


@io
def test_a_file_that_nothing_reads_tells_a_line_for_every_array_that_opens_it(tmp_path):
    many = {f"g{i}__map": CUBE for i in range(15)}
    path = hdf5(tmp_path / "a b.h5", **many, g3__energy=EV, odd=CUBE * 1j, word=np.arange(3))
    rows = [line for line in opened(path).splitlines() if line.startswith("  fu.load(")]
    assert len(rows) == 15
    for row in rows:
        held = eval(row.partition("  5 × 6 × 12 uint16")[0], {"fu": fu})
        np.testing.assert_array_equal(held.numpy(), CUBE)
        assert held.axes[-1].name == ("energy" if "g3" in row else "channel")


def test_links_in_a_circle_end_and_links_to_other_files_are_not_followed(tmp_path):
    other = hdf5(tmp_path / "other.h5", secret=CUBE)
    path = hdf5(tmp_path / "a.h5", g__map=CUBE)
    with h5py.File(path, "a") as file:
        file["g/up"] = file["/"]
        file["loop"] = h5py.SoftLink("/loop")
        file["alias"] = h5py.SoftLink("/g/up/g/map")
        file["out"] = h5py.ExternalLink(other.name, "/secret")
        file["hidden"] = h5py.SoftLink("/out")
    said = opened(path)
    assert said.count("fu.load(") == 1
    assert "not followed: /out in other.h5" in said
    same(load(path, dataset="alias"), CUBE, *PLAIN, fu.Axis("channel"))
    assert "/loop links to itself" in opened(path, dataset="/loop")
    for where in ("/out", "/hidden"):
        assert (
            'another file, other.h5, which is not followed: load that, with dataset="/secret"'
            in (opened(path, dataset=where))
        )


def test_numbers_that_lie_in_other_files_are_refused_or_missed(tmp_path):
    path = hdf5(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        CUBE.tofile(tmp_path / "a.raw")
        raw = [(str(tmp_path / "a.raw"), 0, CUBE.nbytes)]
        file.create_dataset("raw", CUBE.shape, CUBE.dtype, external=raw)
        layout = h5py.VirtualLayout(CUBE.shape, CUBE.dtype)
        layout[:] = h5py.VirtualSource("gone.h5", "map", CUBE.shape)
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("empty", (10**6, 10**6), "f8")
    assert "empty (1000000, 1000000) was never written" in opened(path, dataset="empty")
    assert "the numbers of raw lie in" in opened(path, dataset="raw")
    assert "parts of other files, and gone.h5 is not beside it" in opened(path, dataset="virtual")
    hdf5(tmp_path / "gone.h5", map=CUBE)
    same(load(path, dataset="virtual"), CUBE, *PLAIN, fu.Axis("channel"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "/none"}, "/none is not there, or damaged: give another path; there are /a/b"),
        ({"dataset": "/a"}, "/a is a group (b, e): give the path of an array"),
        ({"dataset": "/odd"}, "/odd (5, 6, 12) complex128, not real: give the path of an array"),
        ({"dataset": "/a/b", "energy": EV[1:]}, "11 positions for an array of 5 × 6 × 12 uint16"),
        ({"dataset": "/a/b", "energy": "/a/b"}, "/a/b has shape (5, 6, 12): give one of one axis"),
        ({"dataset": "/a/b", "energy": "/no"}, "/no is not there"),
        ({"dataset": "/a/b", "energy": {}}, "energy: "),
        ({"dataset": "/a/b", "axes": ["y", "x"]}, "2 axes for an array of 3"),
        ({"dataset": "/a/b", "energy": EV, "wavelength": EV}, "one of energy, wavelength, waven"),
        ({"dataset": "/a/b", "index": 1}, "index: of an array by its path there are axes"),
    ],
)
def test_what_does_not_fit_is_told_with_what_there_is(tmp_path, options, said):
    path = hdf5(tmp_path / "a.h5", a__b=CUBE, a__e=EV, odd=CUBE * 1j)
    assert said in opened(path, **options)


def test_a_file_that_changes_before_it_is_read_is_not_mixed(tmp_path):
    pytest.importorskip("dask", reason="reading lazily needs dask")
    path = hdf5(tmp_path / "a.h5", map=CUBE)
    held = load(path, dataset="map")
    hdf5(path, map=np.zeros((50, 6, 12)))
    with pytest.raises(ValueError, match="it has changed since it was loaded: load it again"):
        held.numpy()


def test_what_is_no_hdf5_has_no_paths(tmp_path):
    np.savez(tmp_path / "a.npz", data=CUBE)
    assert "is not HDF5" in opened(tmp_path / "a.npz", dataset="/data")


def zarr_of(path):
    zarr = pytest.importorskip("zarr", reason="zarr folders need zarr")
    root = zarr.open(str(path), mode="w")
    root.create_group("a")
    for name, array in (("map", CUBE), ("e", EV)):
        zarr.save_array(str(path / "a" / name), array)
    return path


@io
def test_a_zarr_folder_opens_by_paths_and_tells_them(tmp_path):
    path = zarr_of(tmp_path / "a.zarr")
    same(load(path, dataset="a/map", energy=EV), CUBE, *PLAIN, fu.Axis("energy", 1.0, 90.0))
    assert f'  fu.load("{path}", dataset="/a/map")  5 × 6 × 12 uint16' in opened(path).splitlines()
    assert "/b is not there: give another path; there are /a/" in opened(path, dataset="/b")
    zarr_of(tmp_path / "b.zarr")
    (path / "loop").symlink_to(tmp_path / "b.zarr", target_is_directory=True)
    assert "loop in it is a link to another place" in opened(path, dataset="a/map")


def test_arrays_whose_names_are_cut_alike_are_numbered(tmp_path):
    h5py = pytest.importorskip("h5py")
    start = "/entry1/instrument/spectrometer_of_beamline"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, name in enumerate(("first", "second")):
            file[f"{start}/{name}/data"] = np.full((2, 3, 4), float(i))
    held = fu.load(tmp_path / "a.h5", dataset=[f"{start}/first/data", f"{start}/second/data"])
    assert [float(data.numpy().max()) for data in held.values()] == [0.0, 1.0]
