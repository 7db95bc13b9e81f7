"""Five pixels of a phase that no sample has, and a store that answers are written to."""

import numpy as np
import pytest
import zarr

import fusion as fu
from benchmarks.blocks import rare, rare_found
from fusion.losses import Gaussian, Poisson
from fusion.models import NMF
from tests.helpers.block_data import by_blocks, lazy, noisy, planted

K = 3
CUBE = noisy(*planted())


@pytest.mark.parametrize("seed", [0])
def test_five_pixels_in_twenty_five_thousand_are_found(seed):
    angle, five = rare_found(rare(seed, size=160, channels=48), sample=2000)
    assert five
    assert angle < 10


def test_where_nothing_is_over_no_component_is_taken_away():
    scene = rare(0, size=60, channels=48)
    data = fu.Dataset("eels", lazy(scene.X, (20, 30)))
    whole = fu.Dataset("eels", scene.X)
    three = by_blocks(NMF(data, 3), Gaussian(data), settings={"sample": 900})
    inside = fu.fit(NMF(whole, 3), Gaussian(whole), progress=False)
    assert three.loss == pytest.approx(inside.loss, rel=1e-5)


def test_pixels_that_stand_out_of_few_counts_are_taken_in():
    rng = np.random.default_rng(0)
    spectra = rng.random((60, 3)) ** 8
    counts = rng.poisson(rng.gamma(1.0, 1.0, (1200, 3)) @ spectra.T * 0.3).astype("u2")
    counts[[100, 700], 20:25] = 9
    array = counts.reshape(30, 40, 60)
    data, whole = fu.Dataset("edxs", lazy(array, (10, 40))), fu.Dataset("edxs", array)
    result = by_blocks(NMF(data, 3), Poisson(data), settings={"sample": 400, "passes": 12})
    inside = fu.fit(NMF(whole, 3), Poisson(whole), progress=False)
    assert result.loss <= inside.loss + 1e-3 * abs(inside.loss)


def stored(path, components=K, **settings):
    energy = fu.Axis("energy", 0.5, 100, "eV")
    pixels = [fu.Axis(name, 2.0, units="nm") for name in ("y", "x")]
    data = fu.Dataset("eels", lazy(CUBE, (5, 8)), axes=[*pixels, energy])
    settings = {"out": path, "passes": 3} | settings
    return by_blocks(NMF(data, components), Gaussian(data), settings=settings)


def test_an_answer_is_written_with_its_axes_and_read_back(tmp_path):
    result = stored(tmp_path / "answer.zarr")
    group = zarr.open_group(str(tmp_path / "answer.zarr"), mode="r")
    np.testing.assert_array_equal(group["C"][:].reshape(-1, K), result["C"])
    np.testing.assert_array_equal(group["residual of eels"][:], result.data["eels"].residual_map)
    assert [a["units"] for a in group["C"].attrs["axes"]] == ["nm", "nm"]
    assert group["S"].attrs["axes"][0]["offset"] == 100
    assert group.attrs["sdfusion"]["loss"] == result.loss


def test_the_same_fit_writes_anew_and_another_one_is_refused(tmp_path):
    path = tmp_path / "answer.zarr"
    stored(path)
    stored(path)
    with pytest.raises(ValueError, match="answer of another fit: give another name"):
        stored(path, components=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(ValueError, match="no answer of a fit"):
        stored(tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"


def test_a_store_without_room_is_told_before_the_first_pass(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot be written there .*give another place"):
        stored(tmp_path / "file" / "answer.zarr")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("fusion.blocks.store.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"takes about .* GB, 1e-06 GB are free there: make room"):
        stored(tmp_path / "answer.zarr")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_answer_before_stays_where_a_new_one_cannot_be_written(error, tmp_path, monkeypatch):
    path, checkpoint = tmp_path / "answer.zarr", tmp_path / "fit.ckpt"
    before = stored(path)

    def fails(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("fusion.blocks.store._shape", fails)
        with pytest.raises(type(error)) as caught:
            stored(path, checkpoint=checkpoint)
    told = "".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert "goes on from" in told
    assert checkpoint.exists()
    assert {each.name for each in tmp_path.iterdir()} == {"answer.zarr", "fit.ckpt"}
    group = zarr.open_group(str(path), mode="r")
    assert group.attrs["sdfusion"]["loss"] == before.loss


def test_counts_of_a_block_that_is_wholly_masked_are_none():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1.0, 1.0, (600, 2)) @ rng.random((2, 40)) * 0.2).astype("u1")
    array, mask = counts.reshape(20, 30, 40), np.zeros((20, 30), dtype=bool)
    mask[:10] = True
    data = fu.Dataset("edxs", lazy(array, (10, 30)), mask=mask)
    result = by_blocks(NMF(data, 2), Poisson(data))
    assert np.isfinite(result.loss)
    assert np.isnan(result["C"]).all(1).reshape(20, 30).tolist() == mask.tolist()
