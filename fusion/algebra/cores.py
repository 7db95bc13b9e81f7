"""Cores that this process may use, and whether others of its kind work beside it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """Cores that this process may use: its affinity, its group's share, what SLURM granted."""
    told = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()]
    told += [_quota(), _granted()]
    return max(1, min(n for n in told if n))


def is_worker() -> bool:
    """Whether this is one of the workers of a pool, each of which has a core: dask's, joblib's."""
    if multiprocessing.parent_process() is not None:  # so, too, concurrent.futures and loky
        return True
    return _of_distributed() or _of_dask_threads() or _of_joblib()


def _granted() -> int | None:
    text = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdigit() else None


@cache
def _quota() -> int | None:
    """Cores of the control group and of those around it, rounded up; None without a limit."""
    limits = [limit for folder in _group_folders() if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _group_folders() -> Iterator[Path]:
    """The folders of this process's groups, inmost first, version 2 and 1 of control groups.

    In a container its own group is the root of what it sees; without one it lies below.
    """
    paths = {"": "/", "cpu": "/"}
    try:
        for line in OWN_GROUP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            paths |= {name: path for name in controllers.split(",") if name in paths}
    except (OSError, ValueError):
        pass  # not Linux: the roots are not there either
    for controller, path in paths.items():
        for place in (PurePosixPath(path), *PurePosixPath(path).parents):
            yield CGROUPS / controller / str(place).lstrip("/")


def _limit(folder: Path) -> int | None:
    """Cores of one group, rounded up."""
    try:
        if (folder / "cpu.max").exists():
            limit, period = (folder / "cpu.max").read_text().split()[:2]
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return max(1, -(-int(limit) // int(period))) if int(limit) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # "max": no limit
        return None


def _of_distributed() -> bool:
    module = sys.modules.get("distributed.worker")
    try:
        return module is not None and module.get_worker() is not None
    except (ValueError, AttributeError):  # no worker; or it is being imported
        return False


def _of_dask_threads() -> bool:
    module = sys.modules.get("dask.threaded")
    if module is None:
        return False
    pools = [pool for own in list(module.pools.values()) for pool in list(own.values())]
    name = threading.current_thread().name
    # a pool lists its thread only after that has begun; the name is there before
    names = (getattr(pool, "_thread_name_prefix", "") for pool in [module.default_pool, *pools])
    return any(prefix and name.startswith(f"{prefix}_") for prefix in names)


def _of_joblib() -> bool:
    """Whether a task of `joblib.Parallel` runs here, in a thread or process of several."""
    module = sys.modules.get("joblib.parallel")
    try:
        return module is not None and bool(module.get_active_backend()[0].nesting_level)
    except AttributeError:
        return False
