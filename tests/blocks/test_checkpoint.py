"""A fit that was ended goes on from its last pass; what does not belong to it is refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.blocks import checkpoint as checkpoints
from fusion.blocks.way import Way
from fusion.losses import ARD, L1, Frobenius, Gaussian, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.block_data import K, by_blocks, counted, lazy, noisy, planted
from tests.helpers.paths import ROOT

C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)


class Stopped(Exception):
    """In the middle of a fit."""


def posed(loss=Poisson, array=COUNTS, chunks=(10, 12)):
    data = fu.Dataset("edxs", lazy(array, chunks))
    return NMF(data, K), loss(data)


def fitted(path, *, problem=posed, passes=7, **options):
    return by_blocks(*problem(), settings={"checkpoint": path, "passes": passes}, **options)


def stop_after(monkeypatch, passes: int, error: type[BaseException] = Stopped) -> None:
    """Ends the fit in the pass that follows so many."""
    begun, plain = [], Way.next

    def next(self, descent, known):
        begun.append(1)
        if len(begun) > passes:
            raise error
        plain(self, descent, known)

    monkeypatch.setattr(Way, "next", next)


def squares():
    return posed(Gaussian, CUBE)


def with_terms():
    data = fu.Dataset("edxs", lazy(CUBE, (10, 12)))
    return NMF(data, K), Gaussian(data) + ARD("C", b=1.0)


def two():
    eels, edxs = fu.Dataset("eels", lazy(CUBE, (10, 12))), fu.Dataset("edxs", lazy(COUNTS, (7, 24)))
    return SharedMaps(eels, edxs, K=K), Gaussian(eels) + Poisson(edxs)


def same(one: fu.Result, other: fu.Result, share: float = 1e-9) -> None:
    assert one.loss == pytest.approx(other.loss, rel=share)
    for name, value in one.factors.items():
        largest = np.abs(value).max()
        np.testing.assert_allclose(value, other[name], rtol=0, atol=1e-7 * largest)


@cache
def uninterrupted(problem, passes: int = 7) -> fu.Result:
    return by_blocks(*problem(), settings={"passes": passes})


@pytest.mark.parametrize(
    ("problem", "done"), [(posed, 1), (posed, 2), (squares, 2), (with_terms, 2), (two, 1)]
)
def test_an_interrupted_fit_goes_on_to_the_same_answer(problem, done, tmp_path, monkeypatch):
    passes = 4 if problem is two else 7
    path, whole = tmp_path / "fit.ckpt", uninterrupted(problem, passes)
    with monkeypatch.context() as patched:
        stop_after(patched, done)
        with pytest.raises(Stopped):
            fitted(path, problem=problem, passes=passes)
    read = read_passes(monkeypatch)
    result = fitted(path, problem=problem, passes=passes)
    same(result, whole)
    np.testing.assert_allclose(result.history["loss"], whole.history["loss"], rtol=1e-9)
    told = int(re.search(r"(\d+) passes", whole.solver)[1])
    assert f" {told} passes" in result.solver
    assert len(read) == told - 1 - done
    assert not path.exists()


def read_passes(monkeypatch) -> list[int]:
    """A line for every pass that is made from now on."""
    from fusion.blocks.passes import Passes

    made, plain = [], Passes.run

    def run(self, *args):
        made.append(1)
        return plain(self, *args)

    monkeypatch.setattr(Passes, "run", run)
    return made


@cache
def kept() -> bytes:
    """The file of `posed` after its first step."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        path = Path(folder) / "fit.ckpt"
        stop_after(patched, 1)
        with pytest.raises(Stopped):
            fitted(path)
        return path.read_bytes()


@pytest.mark.parametrize("done", [0, 1])
def test_ctrl_c_keeps_the_checkpoint_and_says_so(done, tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    with monkeypatch.context() as patched:
        stop_after(patched, done, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            fitted(path)
    (note,) = caught.value.__notes__
    assert path.exists() == bool(done)
    assert (f"the same call goes on from {str(path)!r}" in note) == bool(done)


def test_ctrl_c_without_a_checkpoint_names_it(monkeypatch):
    stop_after(monkeypatch, 1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        by_blocks(*posed())
    assert "fusion.Blocks(checkpoint=" in caught.value.__notes__[0]


def test_a_fit_that_ended_leaves_no_checkpoint(tmp_path):
    fitted(tmp_path / "fit.ckpt", problem=squares)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_on_the_way_through_the_sample_ends_the_fit(tmp_path):
    """The fit of the sample would keep what it has, and passes would follow."""

    def press(step, losses):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fitted(tmp_path / "fit.ckpt", callback=press)
    assert "before its first step" in caught.value.__notes__[0]


def wide():
    data = fu.Dataset("edxs", lazy(COUNTS, (10, 12)))
    return NMF(data, K + 1), Poisson(data)


def sparse_maps():
    data = fu.Dataset("edxs", lazy(COUNTS, (10, 12)))
    return NMF(data, K), Poisson(data) + L1("C")


def masked():
    mask = np.zeros(COUNTS.shape[:2], bool)
    mask[3, 4] = True
    data = fu.Dataset("edxs", lazy(COUNTS, (10, 12)), mask=mask)
    return NMF(data, K), Poisson(data)


def heavier():
    model, loss = posed()
    return model, 2.0 * loss


def others():
    return posed(array=counted(C, S + 0.02, seed=9))


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (wide, "its model was"),
        (sparse_maps, "its loss was"),
        (heavier, "its loss was"),
        (masked, "its data was"),
        (others, "of other data"),
        (lambda: posed(Frobenius), "its loss was"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(problem, what, tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"Blocks\(checkpoint=.*{what}.*remove the file"):
        fitted(path, problem=problem)
    assert path.read_bytes() == before


@pytest.mark.parametrize("options", [{"seed": 4}, {"starts": 3}, {"sample": 199}])
def test_other_options_are_refused(options, tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    with pytest.raises(ValueError, match="its options was"):
        fitted(path, **options)


def test_more_passes_and_more_memory_are_no_other_fit(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    result = by_blocks(*posed(), settings={"checkpoint": path, "passes": 9, "memory": "1 GB"})
    assert result.loss <= uninterrupted(posed).loss


def test_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    monkeypatch.setattr(checkpoints, "__version__", "99.0")
    with pytest.raises(ValueError, match=r"its version of sdfusion was .*, this fit's is 99\.0"):
        fitted(path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04" + bytes(200)])
def test_what_is_no_checkpoint_is_refused_and_kept(content, tmp_path):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no checkpoint of a fit by blocks.*remove the file"):
        fitted(path)
    assert path.read_bytes() == content


def test_a_checkpoint_that_was_cut_off_or_holds_something_else_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match="no checkpoint of a fit by blocks"):
        fitted(path)
    torch.save({"something": 1}, path)
    with pytest.raises(ValueError, match="no checkpoint of a fit by blocks"):
        fitted(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="no checkpoint of a fit by blocks"):
        fitted(path)


def test_the_file_is_whole_whenever_it_is_looked_at(tmp_path, monkeypatch):
    """A write that ends in its middle leaves the one before."""
    path, plain, seen = tmp_path / "fit.ckpt", torch.save, []

    def half(content, target):
        plain(content, target)
        if seen:  # from the second on: half of it, then the end
            target.write_bytes(target.read_bytes()[:300])
            raise Stopped
        seen.append(1)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.torch, "save", half)
        with pytest.raises(Stopped):
            fitted(path)
    same(fitted(path), uninterrupted(posed))


def test_a_full_disk_is_told_and_the_file_before_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "fit.ckpt"
    path.write_bytes(kept())
    before = path.read_bytes()

    def full(content, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.torch, "save", full)
        with pytest.raises(
            OSError, match=r"No space left.*the one of the pass before is as it was"
        ):
            fitted(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["fit.ckpt"]


SCRIPT = """
import sys, time
import fusion as fu
from fusion.blocks.way import Way
from fusion.blocks import partition
from tests.blocks.test_checkpoint import fitted

partition.LARGEST = 1
plain, begun = Way.next, []

def next(self, descent, known):
    begun.append(1)
    if len(begun) > 2:
        print("two passes", flush=True)
        time.sleep(60)
    plain(self, descent, known)

Way.next = next
fitted(sys.argv[1])
"""


def test_a_process_that_is_killed_goes_on_to_the_same_answer(tmp_path):
    path = tmp_path / "fit.ckpt"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"two passes\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.exists()
    same(fitted(path), uninterrupted(posed))
