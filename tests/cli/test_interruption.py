"""Ctrl-C, SIGTERM, kills, full disks, two commands for one folder: nothing lost, nothing half."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from benchmarks.trust.kills import kills
from fusion.answers.whole_files import atomic_write, in_use
from fusion.cli import answer_folder, main, output
from fusion.solvers.track import Track

CALL = ["unmix", "map.npz", "-k", "2", "--starts", "2", "-o", "out", "--quiet"]


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("map.npz", data=np.random.default_rng(0).poisson(5.0, (5, 6, 12)))


def names(folder="out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def send_at(monkeypatch, step: int, number: int) -> None:
    """A signal comes at a step of a fit."""
    made, record = [0], Track.record

    def counted(self, *args, **kwargs):
        made[0] += 1
        if made[0] == step:
            os.kill(os.getpid(), number)
        return record(self, *args, **kwargs)

    monkeypatch.setattr(Track, "record", counted)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_a_fit_leaves_the_best_so_far_written(monkeypatch, number, status):
    before = signal.getsignal(number)
    send_at(monkeypatch, 4, number)
    assert main(CALL) == status
    assert names() == sorted(answer_folder.ANSWER)
    assert "interrupted" in fu.Result.load("out/result.npz").status
    assert "interrupted" in Path("out/summary.txt").read_text(encoding="utf-8")
    assert signal.getsignal(number) == before


def test_a_signal_while_files_are_written_waits_for_them(monkeypatch):
    told = output.summary_text

    def interrupted(*answer):
        os.kill(os.getpid(), signal.SIGTERM)
        return told(*answer)

    monkeypatch.setattr(output, "summary_text", interrupted)
    assert main(CALL) == 143
    assert names() == sorted(answer_folder.ANSWER)
    assert fu.Result.load("out/result.npz").converged


def test_a_signal_before_the_fit_writes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(
        "fusion.cli.fitting.prepared", lambda *a, **b: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert main(CALL) == 143
    assert "nothing is written" in capsys.readouterr().err
    assert not Path("out").exists()


def test_two_commands_for_one_folder_the_later_is_refused_and_told_by_whom():
    with answer_folder.answer_folder(Path("out")):
        run = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True)
    assert run.returncode == 1
    assert f"process {os.getpid()} is writing into it" in run.stderr
    assert names() == []


SECOND = """
from pathlib import Path
from fusion.cli.answer_folder import answer_folder
with answer_folder(Path("out")):
    pass
"""


def test_a_lock_of_a_process_that_is_no_more_does_not_bar():
    Path("out").mkdir()
    Path("out", answer_folder.LOCK).write_text("1\n")
    assert main(CALL) == 0
    assert names() == sorted(answer_folder.ANSWER)


def test_an_answer_that_was_ready_when_killed_is_put_in_place_whole():
    assert main(CALL) == 0
    ready = Path("out", answer_folder.READY)
    ready.mkdir()
    (ready / "summary.txt").write_text("new")
    (ready / "report.html").touch()  # none in the new answer
    Path("out", answer_folder.PART).mkdir()
    with answer_folder.answer_folder(Path("out")):
        pass
    assert names() == ["figure.png", "result.npz", "spectra.csv", "summary.txt"]
    assert Path("out/summary.txt").read_text() == "new"


def test_a_failure_leaves_the_former_answer_whole(monkeypatch, capsys):
    assert main(CALL) == 0
    before = {name: Path("out", name).read_bytes() for name in names()}

    def full(self, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fu.Result, "plot", full)
    assert main([*CALL, "-k", "3"]) == 1
    said = capsys.readouterr().err
    assert "-o out: cannot be written (No space left on device)" in said
    assert {name: Path("out", name).read_bytes() for name in names()} == before


def test_a_full_disk_is_told_with_the_path():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = pytest.raises(OSError, match=r"answer\.npz.*No space left")
    with told as caught, atomic_write(Path("answer.npz")):
        raise full
    assert caught.value.errno == errno.ENOSPC
    assert names(".") == ["map.npz"]


def test_what_a_killed_process_left_of_a_file_is_cleared_and_what_is_in_use_is_not():
    Path(".a.txt.left.part").touch()
    Path(".a.txt.used.part").touch()
    Path(".b.txt.left.part").touch()
    with in_use(Path(".a.txt.used.part")), atomic_write(Path("a.txt")) as file:
        file.write(b"x")
    assert names(".") == [".a.txt.used.part", ".b.txt.left.part", "a.txt", "map.npz"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills run in forked processes")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_any_moment_a_command_leaves_no_half_answer():
    failures, tried = kills(3)
    assert failures == []
    assert tried == 3


def test_help_tells_the_exit_statuses(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for status in ("130", "143", "\n  3 "):
        assert status in said
