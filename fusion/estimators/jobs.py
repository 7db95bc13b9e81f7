"""`n_jobs`, as scikit-learn counts."""

from __future__ import annotations

from fusion.algebra.calls import whole_number
from fusion.algebra.cores import cores


def threads_of(estimator: str, n_jobs: int | None) -> int | None:
    """Threads, at least one: −1 means all cores that there are to be had, −2 all but one.

    Raises:
        ValueError: if it is 0 or no whole number, which mean nothing.
    """
    if n_jobs is None:
        return None
    call = f"{estimator}(n_jobs={n_jobs!r})"
    number = whole_number(call, n_jobs, least=-float("inf"))
    if number == 0:
        raise ValueError(f"`{call}`: give a number of threads, -1 for all cores, or None.")
    return number if number > 0 else max(1, cores() + 1 + number)
