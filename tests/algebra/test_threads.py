"""How many threads there are to be had, and that what was set is put back."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import dask
import joblib
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from fusion.algebra import cores as looked
from fusion.algebra.threads import (
    asked_threads,
    library_threads,
    limited_threads,
    quicker,
    shared_workers,
    threads,
)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Eight cores, no group, no SLURM, four threads of torch."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(looked, "CGROUPS", tmp_path)
    monkeypatch.setattr(looked, "OWN_GROUP", tmp_path / "own")
    looked._quota.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield tmp_path
    torch.set_num_threads(before)
    looked._quota.cache_clear()


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_fewest_of_torch_affinity_and_slurm_are_used(monkeypatch):
    assert (looked.cores(), threads()) == (8, 4)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert (looked.cores(), threads()) == (3, 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5}, raising=False)
    assert (looked.cores(), threads()) == (1, 1)


@pytest.mark.parametrize("text", ["", "many", "0"])
def test_what_slurm_says_oddly_limits_nothing(monkeypatch, text):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", text)
    assert looked.cores() == 8


@pytest.mark.parametrize(
    ("limit", "expected"), [("150000 100000", 2), ("20000 100000", 1), ("max 100000", 8), ("", 8)]
)
def test_the_quota_of_a_container_is_rounded_up(machine, limit, expected):
    write(machine, cpu__max=limit)
    assert looked.cores() == expected


def test_the_quota_of_a_group_around_ones_own_counts(machine):
    write(machine, own="0::/system/job/step\n")
    write(machine / "system/job/step", cpu__max="max 100000")
    write(machine / "system/job", cpu__max="300000 100000")
    write(machine / "system", cpu__max="500000 100000")
    assert looked.cores() == 3


@pytest.mark.parametrize(("quota", "expected"), [("200000", 2), ("-1", 8)])
def test_the_quota_of_the_first_version_of_groups_counts(machine, quota, expected):
    write(machine, own="5:cpu,cpuacct:/job\n4:memory:/other\n")
    write(machine / "cpu/job", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert looked.cores() == expected


def test_a_limit_is_that_of_torch_and_of_our_own_threads_and_is_put_back():
    with limited_threads(2):
        assert (threads(), torch.get_num_threads(), shared_workers().count) == (2, 2, 2)
        with limited_threads(1):
            assert (threads(), torch.get_num_threads()) == (1, 1)
        with limited_threads(None):  # what is around it goes on
            assert (threads(), torch.get_num_threads(), asked_threads()) == (2, 2, 2)
        assert (threads(), torch.get_num_threads()) == (2, 2)
    assert (threads(), torch.get_num_threads(), asked_threads()) == (4, 4, None)


def test_libraries_alone_can_be_limited():
    with library_threads(1):
        assert (threads(), torch.get_num_threads(), asked_threads()) == (4, 1, None)
        with limited_threads(2), library_threads(1):
            assert (threads(), torch.get_num_threads(), asked_threads()) == (2, 1, 2)
        assert (threads(), torch.get_num_threads()) == (4, 1)
    assert (threads(), torch.get_num_threads()) == (4, 4)


def test_blas_takes_no_more_threads_than_torch_nor_than_the_user_lets_it():
    def now():
        return {x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"}

    with threadpool_limits(3, user_api="blas"):
        assert now() == {3}  # NumPy brings one
        with library_threads(1):
            assert now() == {1}
            with library_threads(2):
                assert now() == {2}
            with library_threads(4):
                assert (now(), torch.get_num_threads()) == ({3}, 4)
            assert now() == {1}
        assert now() == {3}


def test_a_limit_is_put_back_after_an_error():
    with pytest.raises(KeyError), limited_threads(1):
        raise KeyError
    assert (threads(), torch.get_num_threads()) == (4, 4)


def test_without_a_number_torch_keeps_within_the_cores(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    with limited_threads(None):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 4


def test_what_two_at_a_time_set_is_not_kept_for_those_that_come_after():
    begun, go_on = threading.Event(), threading.Event()

    def first():
        with limited_threads(1):
            begun.set()
            go_on.wait(10)

    one = threading.Thread(target=first)
    one.start()
    begun.wait(10)
    seen = []

    def second():
        with limited_threads(2):
            go_on.set()
            one.join()
        seen.append(torch.get_num_threads())

    for task in (second, lambda: seen.append(torch.get_num_threads())):
        other = threading.Thread(target=task)
        other.start()
        other.join()
    assert seen == [4, 4]


# --- workers of pools ------------------------------------------------------------------------


def test_a_task_of_joblib_gets_one_thread():
    run = joblib.Parallel(n_jobs=2, backend="threading")
    assert run(joblib.delayed(threads)() for _ in range(3)) == [1, 1, 1]
    assert joblib.Parallel(n_jobs=1)([joblib.delayed(threads)()]) == [4]
    assert threads() == 4


@pytest.mark.parametrize("options", [{}, {"num_workers": 2}])
def test_a_task_of_dask_gets_one_thread(options):
    tasks = [dask.delayed(threads)() for _ in range(3)]
    assert dask.compute(*tasks, scheduler="threads", **options) == (1, 1, 1)
    assert dask.compute(*tasks, scheduler="synchronous") == (4, 4, 4)
    assert threads() == 4


def test_a_worker_of_distributed_gets_one_thread(monkeypatch):
    def none():
        raise ValueError("No worker found")

    module = SimpleNamespace(get_worker=none)
    monkeypatch.setitem(sys.modules, "distributed.worker", module)
    assert threads() == 4
    module.get_worker = object
    assert threads() == 1
    with limited_threads(3):  # who asks gets
        assert threads() == 3


def test_a_process_of_a_pool_gets_one_thread():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(threads).result() == 1
        assert pool.submit(looked.is_worker).result()


# --- one or all ------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [1, 3])
def test_the_number_with_which_the_task_ends_sooner_is_taken(monkeypatch, slow):
    clock = [0.0]

    def task():
        clock[0] += 2.0 if torch.get_num_threads() == slow else 1.0

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert quicker(task, (3, 1)) == 4 - slow
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("best", [1, 3])
def test_what_takes_threads_of_our_own_is_run_with_each_number_of_them(monkeypatch, best):
    clock = [0.0]

    def task():
        clock[0] += 1.0 if shared_workers().count == best else 2.0

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert quicker(task, (3, 1)) == best
    assert threads() == 4


def test_where_every_run_says_the_same_two_of_each_are_enough(monkeypatch):
    clock, runs = [0.0], []

    def task():
        runs.append(threads())
        clock[0] += 1.0 / threads()

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert quicker(task, (3, 1)) == 3
    assert runs == 4 * [3, 1]  # the first two of each wake threads


def test_one_run_that_was_held_up_decides_nothing(monkeypatch):
    clock, runs = [0.0], []

    def task():
        runs.append(torch.get_num_threads())
        held_up = len(runs) in (1, 5)
        clock[0] += 50.0 if held_up else 1.0 / torch.get_num_threads()

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert quicker(task, (3, 1)) == 3
    assert runs[:4] == [3, 1, 3, 1]  # in turn
