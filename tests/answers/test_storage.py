"""Results in files: saved, loaded, copied, and refused."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import fusion as fu
from tests.helpers.small_results import RESULTS, coupled, nmf, spectrum_image


@pytest.fixture(scope="module", params=RESULTS, ids=lambda make: make.__name__)
def result(request) -> fu.Result:
    return request.param()


def assert_same(a, b) -> None:
    """Equal all through, NaN equal to NaN."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif hasattr(a, "__dataclass_fields__"):
        for f in fields(a):
            if f.name == "minimised":  # a loss has no equality: its formula stands for it
                assert str(a.minimised) == str(b.minimised)
            elif f.name != "model":
                assert_same(getattr(a, f.name), getattr(b, f.name))
    else:
        assert a == b


def test_a_saved_result_loads_equal(result, tmp_path):
    result.save(tmp_path / "fit.npz")
    loaded = fu.Result.load(tmp_path / "fit.npz")
    assert loaded.model is None
    assert_same(loaded, replace(result, model=None, minimised=None))
    assert loaded.summary() == result.summary()


def test_a_result_survives_pickle_and_deepcopy(result):
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert_same(other, result)
        for name, value in result.model.factors.items():
            assert torch.equal(other.model.factors[name], value)


def test_the_file_holds_no_pickle_and_opens_without_the_models_class(tmp_path):
    coupled().save(tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file.files)
    code = "import fusion as fu, sys; print(fu.Result.load(sys.argv[1])['gain'].shape)"
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "fit.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "(3,)"


@pytest.mark.parametrize("name", ["fit", "fit.v2", "fit.npz"])
def test_a_name_without_the_ending_gets_it_when_saved_and_when_loaded(name, tmp_path):
    nmf(max_steps=1).save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name.removesuffix(".npz") + ".npz"]
    assert fu.Result.load(str(tmp_path / name)).factors.keys() == {"C", "S"}


def test_names_with_slashes_spaces_and_dots_survive(tmp_path):
    data = spectrum_image("EELS low/loss 1.5")
    outcome = nmf(data, max_steps=2)
    outcome.save(tmp_path / "fit")
    assert_same(fu.Result.load(tmp_path / "fit"), replace(outcome, model=None, minimised=None))


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    outcome = nmf(max_steps=1)
    outcome.save(tmp_path / "fit.npz")
    before = (tmp_path / "fit.npz").read_bytes()

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        outcome.save(tmp_path / "fit.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]
    assert (tmp_path / "fit.npz").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_saved_file_has_the_mode_of_any_new_file(tmp_path):
    nmf(max_steps=1).save(tmp_path / "fit.npz")
    (tmp_path / "other").touch()
    assert (tmp_path / "fit.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_files_that_hold_no_result_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "data.npz", data=np.ones(3))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"no result in this file \(it holds data\)"):
        fu.Result.load(tmp_path / "data.npz")
    with pytest.raises(ValueError, match="not an npz file"):
        fu.Result.load(tmp_path / "text.npz")
    with pytest.raises(FileNotFoundError):
        fu.Result.load(tmp_path / "none.npz")


def test_a_damaged_result_says_so(tmp_path):
    data = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 12)))
    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), starts=1, progress=False)
    (path,) = result.save(tmp_path / "r.npz")
    whole, random = path.read_bytes(), np.random.default_rng(3)
    refused = []
    for _ in range(120):
        damaged = bytearray(whole)
        damaged[int(random.integers(len(damaged)))] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(damaged))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fu.Result.load(path)
            except ValueError as error:
                refused.append(str(error))
    assert len(refused) > 60
    assert [text for text in refused if "cannot be read" not in text and "format" not in text] == []
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"not an npz|cannot be read"):
        fu.Result.load(path)


def test_a_folder_that_is_not_there_is_named_with_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.answer\.npz.*cannot be written"):
        nmf(spectrum_image()).save(tmp_path / "absent" / "answer.npz")
