"""`--threads`: all that a command does keeps within the number, and it is put back."""

import pytest
import torch

from fusion.algebra.threads import asked_threads
from fusion.cli import fitting
from tests.helpers.commands import fails, run


@pytest.fixture
def seen(monkeypatch):
    """Threads that were asked for around every fit."""
    seen, true_fit = [], fitting.fit

    def fit(*args, **options):
        seen.append(asked_threads())
        return true_fit(*args, **options)

    monkeypatch.setattr(fitting, "fit", fit)
    return seen


@pytest.mark.parametrize("command", ["unmix", "fuse"])
def test_fits_keep_within_the_number(file, tmp_path, seen, command):
    before = torch.get_num_threads()
    options = ["--signal", "data"] if command == "unmix" else []
    common = ["-k", 2, "--starts", 1, "--quiet", *options]
    assert run(command, file, *common, "--threads", 3, "-o", tmp_path / "a") == 0
    assert run(command, file, *common, "-o", tmp_path / "b") == 0
    assert seen == [3, None]
    assert (torch.get_num_threads(), asked_threads()) == (before, None)


def test_a_ranking_keeps_within_the_number(file, monkeypatch, capsys):
    seen, true_rank = [], __import__("fusion.ranking", fromlist=["rank"]).rank

    def rank(*args, **options):
        seen.append(asked_threads())
        return true_rank(*args, **options)

    monkeypatch.setattr("fusion.ranking.rank", rank)
    assert run("rank", file, "--signal", "data", "--quick", "--threads", 2) == 0
    assert seen == [2]


@pytest.mark.parametrize("command", ["info", "demo", "rank", "unmix", "fuse"])
def test_no_thread_at_all_is_refused(file, capsys, command):
    arguments = [] if command == "demo" else [file]
    assert "--threads" in fails(capsys, command, *arguments, "--threads", 0, status=2)
