"""Bad files of every format: a line with path and way on, nothing run, nothing left open."""

from __future__ import annotations

import bz2
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from fusion.files.promised_sizes import check_promised
from tests.helpers.h5oina_files import h5oina
from tests.helpers.microscope_files import CUBE, EV, axes_of, hspy, io, velox, write

LABELS = ("y", "x", "Energy loss")
MARK = "executed"
OF_ITS_OWN = ("npz", "npy", "msa", "tif")
"""Kinds that begin as no other."""


def written(folder: Path, kind: str) -> Path:
    """A whole file of one kind."""
    path = folder / f"whole.{kind}"
    if kind == "npz":
        np.savez(path, data=CUBE, energy=EV)
    elif kind == "npy":
        np.save(path, CUBE)
    elif kind == "h5":
        h5py = pytest.importorskip("h5py", reason="HDF5 needs h5py")
        with h5py.File(path, "w") as file:
            file["map"] = CUBE
    elif kind == "h5oina":
        h5oina(path)
    elif kind == "hspy":
        hspy(path, CUBE, *LABELS, kind="EELS")
    elif kind == "velox.emd":
        velox(path, CUBE, {"HAADF": CUBE[..., 0]}, scan=CUBE.shape[:2])
    elif kind == "msa":
        write(path, "msa", EV, axes_of(EV, "Energy loss"), "EELS")
    elif kind == "tif":
        write(path, "tiff", CUBE[..., 0], axes_of(CUBE[..., 0], "y", "x", signal=2))
    else:
        api = {"rpl": "ripple", "emd": "emd", "nxs": "nexus", "sur": "digitalsurf"}[kind]
        pytest.importorskip("h5py", reason=f"{kind} needs h5py")
        write(path, api, CUBE, axes_of(CUBE, *LABELS), "EELS")
    return path


KINDS = [
    "npz", "npy", "h5", "h5oina",
    *(pytest.param(kind, marks=io) for kind in
      ("hspy", "emd", "velox.emd", "nxs", "rpl", "sur", "msa", "tif")),
]  # fmt: skip


def read(path: Path, **options) -> None:
    """Load all that is in a file, and read what is lazy."""
    held = load(path, **options)
    for data in held.values() if isinstance(held, dict) else [held]:
        data.numpy()


def complaint(path: Path, **options) -> str:
    """What loading and reading says; a warning, of files that stay open among them, fails."""
    with pytest.raises((ValueError, OSError)) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()[0]) > len(str(path)) + 20
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0.0, 0.02, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_not_read(tmp_path, kind, left):
    path = written(tmp_path, kind)
    cut = path.with_suffix(".raw") if kind == "rpl" else path
    content = cut.read_bytes()
    before = sorted(tmp_path.iterdir())
    options = {"dataset": "/map"} if kind == "h5" and left else {}
    if kind == "msa" and left:  # in its numbers: of its head alone nothing is promised
        left = 0.6 + 0.2 * left
    cut.write_bytes(content[: int(left * len(content))])
    said = complaint(path, **options)
    assert ("empty (0 bytes)" in said) == (left == 0 and kind != "rpl")
    assert sorted(tmp_path.iterdir()) == before


@io
@pytest.mark.parametrize("kind", [*OF_ITS_OWN, "h5", "h5oina", "hspy", "emd", "nxs"])
def test_a_wrong_suffix_is_told_with_the_true_one_or_the_lines_that_open_it(tmp_path, kind):
    path = written(tmp_path, kind)
    wrong = tmp_path / "a.dm3"
    path.rename(wrong)
    said = complaint(wrong) if kind not in ("rpl", "sur") else ""
    expected = {"npz": "a.npz", "npy": "a.npy", "msa": "a.msa", "tif": "a.tif"}
    meant = expected.get(kind)
    assert (
        f"rename it to {meant}" in said if meant else "fu.load(" in said or kind in ("rpl", "sur")
    )


class Harmless:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_what_is_pickled_is_never_run(tmp_path):
    mark = tmp_path / MARK
    objects = np.array([[Harmless(mark)]], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=objects)
    np.savez(tmp_path / "b.npz", data=CUBE, energy_units=np.array(Harmless(mark), dtype=object))
    for name in ("c.npy", "c.npz", "c.hspy", "c.prz", "c.dm3"):
        (tmp_path / name).write_bytes(pickle.dumps(Harmless(mark)))
    for name in ("a.npy", "a.npz", "c.npy", "c.npz", "c.hspy", "c.prz", "c.dm3"):
        complaint(tmp_path / name)
    with pytest.warns(fu.FileWarning, match=r"energy_units \(\) object, which only pickle"):
        load(tmp_path / "b.npz")
    assert not mark.exists()


@pytest.mark.parametrize("where", [".zarray", "map/.zarray"])
@pytest.mark.parametrize("suffix", ["zarr", "zspy"])
def test_a_zarr_folder_that_would_be_unpickled_is_refused(tmp_path, suffix, where):
    folder = tmp_path / f"a.{suffix}"
    (folder / "map").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    told = {"zarr_format": 2, "filters": [{"id": "pickle"}], "dtype": "|O", "shape": [1]}
    (folder / where).write_text(json.dumps(told))
    for options in ({}, {"dataset": "map"}):
        assert "is pickled, which could run any program" in complaint(folder, **options)
    (folder / where).write_text("{")
    assert "cut off or damaged" in complaint(folder)


@pytest.mark.parametrize("shape", [(10**6, 10**6, 10**6), (400, 500, 2000)])
def test_a_head_that_promises_more_than_is_there_is_found_out_before_memory_is_taken(
    tmp_path, shape
):
    import tracemalloc

    head = np.lib.format.header_data_from_array_1_0(np.zeros(1)) | {"shape": shape}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_2_0(file, head)
        file.write(bytes(800))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(tmp_path / "a.npy", "data.npy")
    for name in ("a.npy", "a.npz"):
        tracemalloc.start()
        said = complaint(tmp_path / name)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "bytes, 800 there" in said
        assert most < 20e6


@io
def test_a_head_of_a_raw_file_that_promises_more_than_is_there_is_refused(tmp_path):
    path = written(tmp_path, "rpl")
    text = path.read_text()
    path.write_text(text.replace("\t6\n", "\t6000\n").replace("\t5\n", "\t5000\n"))
    assert path.read_text() != text
    assert "mmap length is greater than file size" in complaint(path)


def test_what_may_not_be_read_and_what_is_no_file_is_said(tmp_path, monkeypatch):
    path = written(tmp_path, "npz")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="may not be read: ask its owner, or `chmod u") as no:
        load(path)
    assert str(path) in str(no.value)
    monkeypatch.undo()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npz")
        assert "is no file, but a pipe or device" in complaint(tmp_path / "pipe.npz")
    (tmp_path / "a.h5").mkdir()
    assert "is a folder: give a file" in complaint(tmp_path / "a.h5")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_is_refused_by_every_reader(tmp_path):
    for kind in ("npz", "npy", "h5"):
        path = written(tmp_path, kind)
        path.chmod(0)
        assert "may not be read" in complaint(path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    from fusion import files

    path = written(tmp_path, "npz")

    def slow(where, **options):
        found = files.arrays.in_npz(where, **options)
        np.savez(where, data=CUBE, more=CUBE)
        return found

    monkeypatch.setitem(files.READERS, ".npz", slow)
    assert "it changed while it was read" in complaint(path)


def test_two_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "x.npz", data=CUBE)
    held = load([tmp_path / "a" / "x.npz", tmp_path / "b" / "x.npz"])
    assert {name: data.name for name, data in held.items()} == {"x": "x", "x_2": "x_2"}


@io
def test_a_spectrum_without_its_last_channels_is_cut_off_and_one_without_a_promise_is_read(
    tmp_path,
):
    path = written(tmp_path, "msa")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]))
    assert "cut off: it promises 12 channels, 10 are there" in complaint(path)
    path.write_text("".join(line for line in lines[:-3] if "NPOINTS" not in line))
    assert load(path).shape == (10,)


def test_a_packed_file_that_is_damaged_is_found_out_before_its_reader_begins(tmp_path):
    content = bytearray(bz2.compress(bytes(range(256)) * 9))
    path = tmp_path / "a.elid"
    path.write_bytes(content)
    check_promised(path)
    content[-6] ^= 255
    path.write_bytes(content)
    assert "cut off or damaged: copy or save it again" in complaint(path)


def test_a_bruker_file_of_fewer_bytes_than_its_head_promises_is_cut_off(tmp_path):
    path, head = tmp_path / "a.bcf", bytearray(400)
    head[:8], head[0x128:0x12C], head[0x148:0x14C] = b"AAMVHFSS", b"\0\1\0\0", b"\3\0\0\0"
    path.write_bytes(head)
    assert "cut off: it promises 1048 bytes, 400 are there" in complaint(path)
    path.write_bytes(head + bytes(648))
    check_promised(path)
