"""Adam and L-BFGS as a user of torch would write them: non-negative factors as squares."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.problems import Factors, Problem

Moment = tuple[float, Factors]
"""Seconds spent so far, and the factors reached."""

RATE = 0.03
"""Of Adam; the unknowns are of size 1."""
INNER = 10
"""Iterations of L-BFGS between two looks at the clock."""


class _Unknowns:
    """Leaves of size 1 behind the factors: a² · scale, or a · scale where any sign is allowed."""

    def __init__(self, problem: Problem, device: str = "cpu") -> None:
        self.free, self.scale, self.leaves = problem.free, {}, {}
        for name, value in problem.start.items():
            scale = self.free.get(name) or float(value.mean())
            a = value / scale if name in self.free else np.sqrt(value / scale)
            self.scale[name] = scale
            leaf = torch.from_numpy(a.astype(problem.dtype)).to(device)
            self.leaves[name] = leaf.requires_grad_()

    def factors(self) -> dict[str, Tensor]:
        """The factors, with their graph."""
        return {
            name: self.scale[name] * (a if name in self.free else a.square())
            for name, a in self.leaves.items()
        }

    def arrays(self) -> Factors:
        """The factors as arrays."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.factors().items()}


def adam(problem: Problem, limit: float, device: str = "cpu") -> Iterator[Moment]:
    """Adam on the whole loss."""
    begun = time.perf_counter()
    unknowns, loss = _Unknowns(problem, device), problem.written(device)
    optimiser = torch.optim.Adam(unknowns.leaves.values(), lr=RATE)

    def step() -> None:
        optimiser.zero_grad()
        loss(unknowns.factors()).backward()
        optimiser.step()

    yield from _along(step, unknowns.arrays, limit, time.perf_counter() - begun)


def lbfgs(problem: Problem, limit: float) -> Iterator[Moment]:
    """L-BFGS with a strong Wolfe line search."""
    begun = time.perf_counter()
    unknowns, loss = _Unknowns(problem), problem.written()
    optimiser = torch.optim.LBFGS(
        unknowns.leaves.values(),
        max_iter=INNER,
        history_size=20,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss(unknowns.factors())
        value.backward()
        return value

    yield from _along(
        lambda: optimiser.step(closure), unknowns.arrays, limit, time.perf_counter() - begun
    )


def _along(
    step: Callable[[], object], value: Callable[[], Factors], limit: float, spent: float
) -> Iterator[Moment]:
    """Moments of one run, each √2 times as many steps after the last; until the limit is over."""
    steps, look = 0, 1
    while True:
        begun = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent += time.perf_counter() - begun
        steps += 1
        if steps >= look or spent >= limit:
            yield spent, value()
            look = math.ceil(steps * math.sqrt(2))
        if spent >= limit:
            return
