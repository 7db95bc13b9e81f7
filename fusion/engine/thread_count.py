"""How many threads a problem takes: one if small, else all or one, whichever is quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from fusion.algebra.threads import (
    asked_threads,
    limited_threads,
    quicker,
    shared_workers,
    threads,
)
from fusion.data.suited_threads import SMALL, values_read
from fusion.engine.objective import Objective
from fusion.language.fit_term import Fit
from fusion.likelihood.compiled_passes import compiles
from fusion.likelihood.count_kernels import padded
from fusion.likelihood.count_rows import count_rows

FEW = 50_000
"""Counts below which one thread reads them as soon."""
COLUMNS = 8
"""Of the product that is timed."""


def suitable_threads(
    objective: Objective, starts: int, *, by_ranges: bool = False
) -> tuple[int, int]:
    """As many as suit these data, of our own and of torch.

    One for small problems: a barrier costs more than it brings on a busy machine; compiled passes
    have none, so that fewer counts are enough. For others what was asked for; else all or one,
    whichever is quicker now.

    Args:
        objective, starts: what is to be done.
        by_ranges: whether steps go through ranges of pixels on threads of our own: then torch has
            one in each, and a busy neighbour holds up no more than the range it has begun.
    """
    fits = [term for _, _, term in objective.loss.fits]
    largest = max(fits, key=lambda term: values_read(term.dataset), default=None)
    data = 0 if largest is None else values_read(largest.dataset)
    most, unknowns = threads(), starts * objective.size
    apart = largest is not None and not by_ranges and _compiled(largest, objective)
    if most == 1 or max(data, unknowns) < (FEW if apart else SMALL) or largest is None:
        return 1, 1
    if by_ranges:
        return most, 1
    if asked_threads() is None and objective.like.device.type == "cpu":
        task = _compiled_pass if apart else _product
        most = quicker(task(largest, objective), (most, 1))
    return most, 1 if apart and unknowns < SMALL else most


@contextmanager
def suitably_threaded(
    objective: Objective, starts: int = 1, *, by_ranges: bool = False
) -> Iterator[None]:
    """Within, as many as suit these data; see `suitable_threads`."""
    with limited_threads(*suitable_threads(objective, starts, by_ranges=by_ranges)):
        yield


def _compiled(term: Fit, objective: Objective) -> bool:
    """Whether its passes take blocks in turn, without a barrier."""
    form, _ = term.pair(objective.model)
    return term.entrywise is not None and compiles(form, term.entrywise, objective.like)


def _product(term: Fit, objective: Objective) -> Callable[[], object]:
    """A part of the data times a narrow matrix, and back: what steps consist of."""
    form, _ = term.pair(objective.model)
    _, x = next(iter(form.blocks(objective.like.dtype)))
    right = torch.ones(x.shape[1], COLUMNS, dtype=x.dtype)
    return lambda: x.T @ (x @ right)


def _compiled_pass(term: Fit, objective: Objective) -> Callable[[], object]:
    """All counts once, by the rows of the first factor."""
    with torch.no_grad():
        form, M = term.pair(objective.model)
        K = padded(M.two_way()[1].shape[1])  # whose passes are needed anyway
    L, R = (np.ones((n, K)) for n in form.shape)
    into = np.empty_like(L), np.empty((len(L), K * (K + 1) // 2))
    return lambda: count_rows(form).bend(0, L, R, shared_workers(), into)
