"""Files that cannot be read: one line for everything that is wrong."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from tests.helpers.microscope_files import CUBE, EV, axes_of, eels, hspy, io, write, wrong


def test_what_is_no_file_is_said(tmp_path):
    assert "no such file" in wrong(tmp_path / "none.hspy")
    assert "is a folder: give a file" in wrong(tmp_path)
    for suffix in ("npz", "npy", "hspy"):
        (tmp_path / f"a.{suffix}").touch()
        assert "empty (0 bytes)" in wrong(tmp_path / f"a.{suffix}")


def test_what_is_no_numpy_file_is_said(tmp_path):
    for suffix in ("npz", "npy"):
        (tmp_path / f"a.{suffix}").write_text("energy counts\n1 2\n")
        assert f"not an {suffix} file: write one with" in wrong(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("left", [40, 600, 2000])
def test_what_is_left_of_a_truncated_file_is_not_read(tmp_path, left):
    np.savez(tmp_path / "a.npz", data=CUBE, energy=EV)
    np.save(tmp_path / "b.npy", np.ones((40, 40)))
    for path in (tmp_path / "a.npz", tmp_path / "b.npy"):
        path.write_bytes(path.read_bytes()[: min(left, path.stat().st_size - 100)])
        assert "cut off or damaged? Copy or save it again" in wrong(path)


def test_a_damaged_array_is_said(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.random.default_rng(0).random((9, 9, 9)))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    assert "cut off or damaged" in wrong(path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[{}, {}]], dtype=object), "object, which only pickle could read"),
        (np.ones((3, 4), complex), "complex128, not real"),
        (np.array(3.0), "() float64"),
        (np.ones((0, 4)), "(0, 4) float64"),
        (np.array([["a", "b"]]), "<U1"),
        (np.ones((3, 4), dtype=[("r", "u1"), ("g", "u1")]), "('r', 'u1')"),
        (np.ones((3, 4), dtype=bool), "bool"),
    ],
    ids=["object", "complex", "scalar", "empty", "text", "colour", "mask"],
)
def test_arrays_that_hold_no_real_numbers_are_listed(tmp_path, array, said):
    np.savez(tmp_path / "a.npz", thing=array)
    np.save(tmp_path / "thing.npy", array)
    for path in (tmp_path / "a.npz", tmp_path / "thing.npy"):
        message = wrong(path)
        assert "no numeric array" in message
        assert f"thing {array.shape}" in message
        assert said in message


def test_energies_of_another_length_are_said(tmp_path):
    np.savez(tmp_path / "a.npz", data=CUBE, energy=np.arange(7.0))
    assert "energy is of shape (7,), data has 12 channels" in wrong(tmp_path / "a.npz")


def test_a_saved_result_is_not_data(tmp_path):
    data = fu.Dataset("eels", CUBE)
    model = fu.models.NMF(data, 1)
    fu.fit(model, fu.losses.Frobenius(data), max_steps=3, progress=False).save(tmp_path / "r.npz")
    assert "`fu.Result.load`" in wrong(tmp_path / "r.npz")
    assert "`sdfusion plot`" in wrong(tmp_path / "r.npz")


@io
def test_a_suffix_that_no_reader_knows_is_said_with_those_that_are_known(tmp_path):
    for name in ("a.docx", "a", "a.raw"):
        (tmp_path / name).write_text("text")
        assert "known are .npz, .npy, .hspy" in wrong(tmp_path / name)


@io
@pytest.mark.parametrize("suffix", ["dm4", "hspy", "emd", "rpl", "msa", "bcf", "ser", "tif", "h5"])
def test_a_picture_with_another_suffix_is_not_read(tmp_path, capsys, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    before = logging.getLogger("rsciio").level
    said = wrong(path)
    assert "it begins as a PNG picture does: rename it to a.png." in said
    assert "cannot read it" in said or "finds no array of real numbers" in said
    assert logging.getLogger("rsciio").level == before
    assert capsys.readouterr().out == ""


@io
def test_a_truncated_microscope_file_is_found_out_when_it_is_loaded(tmp_path):
    path = eels(tmp_path / "a.hspy")
    path.write_bytes(path.read_bytes()[:-3000])
    assert "HSPY cannot read it" in wrong(path)
    rpl = write(tmp_path / "b.rpl", "ripple", CUBE, axes_of(CUBE, "y", "x", "Energy loss"))
    (tmp_path / "b.raw").write_bytes((tmp_path / "b.raw").read_bytes()[:300])
    assert "Ripple cannot read it" in wrong(rpl)


@io
def test_complex_data_are_said(tmp_path):
    path = hspy(tmp_path / "a.hspy", CUBE * 1j, "y", "x", "Energy loss", kind="EELS")
    assert "no array of real numbers, but eels (5, 6, 12) complex128" in wrong(path)


@io
def test_axes_that_only_pickle_could_tell_are_not_guessed(tmp_path):
    path = tmp_path / "a.prz"
    write(path, "pantarhei", CUBE, axes_of(CUBE, "y", "x", "Energy loss"), "EELS")
    assert "save it as .hspy there" in wrong(path)


def test_without_rosettasciio_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "a.dm4").write_text("x")
    assert 'pip install "sdfusion[io]"' in wrong(tmp_path / "a.dm4")
    np.savez(tmp_path / "a.npz", data=CUBE)
    assert load(tmp_path / "a.npz").shape == CUBE.shape


@io
def test_a_package_that_the_reader_needs_is_named(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("rsciio.blockfile")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "skimage", None)
    (tmp_path / "a.blo").write_text("x")
    assert "Blockfile needs scikit-image (pip install scikit-image)" in wrong(tmp_path / "a.blo")


def complaint(path) -> str:
    """What reading a file complains of; nothing where it can be read."""
    try:
        load(path).numpy()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_whatever_is_damaged_in_a_file_is_told_in_one_line_with_its_path(tmp_path, kind):
    array = np.random.default_rng(0).poisson(5.0, (4, 5, 30))
    whole, damaged = tmp_path / f"whole.{kind}", tmp_path / f"damaged.{kind}"
    np.save(whole, array) if kind == "npy" else np.savez(whole, data=array)
    content, random = whole.read_bytes(), np.random.default_rng(1)
    told = []
    for i in range(150):
        left = int(random.integers(len(content))) if i % 3 == 0 else len(content)
        changed = bytearray(content[:left])
        for place in random.integers(max(1, min(left, 160)), size=i % 5 if left else 0):
            changed[int(place)] ^= 1 << int(random.integers(8))
        damaged.write_bytes(bytes(changed))
        told.append(complaint(damaged))
    assert sum(map(bool, told)) > 50
    assert all("\n" not in text and (not text or "damaged" in text) for text in told)
