"""One thread a process: the problems are small, and with `-n 2` every core has its own process."""

import gc
import os
import sys

import pytest

for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # read when NumPy and torch are loaded, here and in children
# Threads of torch that have nothing to do sleep; else they take a core each from the other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

pytest.register_assert_rewrite("tests.helpers")  # so that a failed check in one shows its values


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-numba", action="store_true", help="as if numba were not installed")


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until thousands of tests are collected, of which nothing is to be freed
    if config.getoption("--no-numba"):
        sys.modules["numba"] = None  # type: ignore[assignment]  # as Python itself bars an import


def pytest_collection_finish(session: pytest.Session) -> None:
    """What stays to the end, modules and thousands of tests, is not gone through over and over.

    What tests leave behind is, a fifth as often as Python would.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 50)
