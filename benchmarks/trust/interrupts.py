"""Ctrl-C at evaluations of small fits: the answer is the best so far, and says that it is one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch

import fusion as fu
from fusion.language.loss import Loss
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality
from fusion.models import NMF, SharedMaps

AGREES = 1e-7
"""Relative difference of a loss from the one that is computed anew."""
BEGUN = 4
"""Points noted by which the loss itself, not an easier one, has been stepped down."""
LOST = 1e-5
"""What an attempt that came to nothing may have gained, as a share of the loss."""


@dataclass(frozen=True)
class Case:
    """A small fit.

    Attributes:
        name: what it is known by.
        make: model and loss.
        options: of `fit`.
    """

    name: str
    make: Callable[[], tuple[fu.Model, Any]]
    options: dict[str, Any] = field(default_factory=dict)


class Countdown:
    """Raises KeyboardInterrupt at one evaluation of a model."""

    def __init__(self) -> None:
        self.made, self.at = 0, 0

    @contextmanager
    def over(self, model: fu.Model, at: int) -> Iterator[None]:
        """Evaluations of the model are counted, and the one of this number is interrupted."""
        kind, self.made, self.at = type(model), 0, at
        counted = type(kind.__name__, (kind,), {"forward": lambda own: self._forward(own, kind)})
        model.__class__ = counted
        try:
            yield
        finally:
            model.__class__ = kind

    def _forward(self, model: fu.Model, kind: type[fu.Model]) -> Any:
        self.made += 1
        if self.made == self.at:
            raise KeyboardInterrupt
        return kind.forward(model)


@cache
def _mixture(pixels: int, channels: int, mean: float, seed: int = 0) -> fu.Dataset:
    """Counts of two components."""
    random = np.random.default_rng(seed)
    C, S = random.dirichlet([0.5, 0.5], pixels), random.gamma(1.0, 1.0, (channels, 2))
    return fu.Dataset(f"d{channels}", random.poisson(mean * C @ S.T).astype(float))


def _nmf(loss: Callable[[fu.Dataset], Any], *sizes: Any, K: int = 2) -> Callable[[], Any]:
    def make() -> tuple[fu.Model, Any]:
        data = _mixture(*(sizes or (12, 9, 20.0)))
        return NMF(data, K), loss(data)

    return make


def _shared() -> tuple[fu.Model, Any]:
    a, b = _mixture(12, 9, 20.0), _mixture(12, 7, 20.0)
    return SharedMaps(a, b, K=2), Frobenius(a) + Frobenius(b)


def _solvers() -> list[Case]:
    squares = _nmf(Frobenius)
    every = [
        fu.GaussNewton(),
        fu.HALS(),
        fu.ALS(),
        fu.MALS(),
        fu.LBFGS(),
        fu.Adam(),
        torch.optim.SGD,
    ]
    short = {"starts": 2, "max_steps": 25}
    cases = [Case(_name(solver), squares, {"solver": solver, **short}) for solver in every]
    return [
        *cases,
        Case("RowNewton", _nmf(Poisson, 80, 40, 0.1), {"solver": fu.RowNewton(), "starts": 2}),
    ]


def _name(solver: Any) -> str:
    return solver.__name__ if isinstance(solver, type) else type(solver).__name__


CASES = (
    *_solvers(),
    Case("counts", _nmf(Poisson), {"starts": 3}),
    Case("noise learned", _nmf(Gaussian), {"starts": 2}),
    Case("two detectors", _shared, {"starts": 2}),
    Case("soft orthogonality", _nmf(lambda d: Frobenius(d) + 0.05 * SoftOrthogonality("C"))),
    Case("ARD", _nmf(lambda d: Gaussian(d) + ARD("C"), 40, 20, 50.0, K=4), {"starts": 2}),
    Case("ARD of counts", _nmf(lambda d: Poisson(d) + ARD("C"), 40, 20, 50.0, K=4), {"starts": 2}),
    Case("vertices", _nmf(Frobenius), {"init": fu.NFINDR()}),
    Case("compressed", _nmf(Frobenius, 1100, 1000, 20.0), {"starts": 2}),
    Case("sample of pixels", _nmf(Poisson, 16400, 8, 5.0), {"starts": 2, "max_steps": 20}),
)
"""Every family of solvers; moves, pruning, compressed data and a first look at some pixels."""


def interrupts(count: int = 200, cases: Sequence[Case] = CASES) -> tuple[list[str], int]:
    """Ctrl-C at so many evaluations, spread over the cases and over their fits.

    Returns:
        What went wrong, a line each, and how many were tried.
    """
    failures: list[str] = []
    tried = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, case in enumerate(cases):
            moments = count // len(cases) + (i < count % len(cases))
            found, made = _interrupt(case, moments)
            failures, tried = failures + found, tried + made
    return failures, tried


def _interrupt(case: Case, moments: int) -> tuple[list[str], int]:
    """One case, interrupted at evaluations spread from the second to the last."""
    model, loss = case.make()
    countdown, options = Countdown(), {"seed": 0, "progress": False, **case.options}
    with countdown.over(model, 0):
        fu.fit(model, loss, **options)
    places = np.unique(np.linspace(2, countdown.made, max(moments, 1)).astype(int))
    failures, before = [], np.inf
    for at in places:
        with countdown.over(model, int(at)):
            try:
                result = fu.fit(model, loss, **options)
            except BaseException as error:
                failures.append(f"{case.name}, evaluation {at}: {type(error).__name__}: {error}")
                continue
        wrong = _wrong(result, before)
        failures += [f"{case.name}, evaluation {at}: {text}" for text in wrong]
        if _counts_as_reached(result):
            before = min(before, result.loss)
    return failures, len(places)


def _wrong(result: fu.Result, before: float) -> list[str]:
    """What does not hold of an interrupted answer; `before`: loss of one interrupted earlier."""
    wrong = [
        f"{name} is said to be {told:.12g}, and is {anew:.12g}"
        for name, told, anew in _losses_anew(result)
        if not abs(told - anew) <= AGREES * abs(anew)
    ]
    if not result.loss <= before + LOST * abs(before):
        wrong.append(f"loss {result.loss:.12g}, after {before:.12g} had been reached")
    if not (result.converged or result.status.startswith(("interrupted", "stopped at"))):
        wrong.append(f"the status is {result.status!r}")
    if not all(np.isfinite(value).all() for value in result.factors.values()):
        wrong.append("a factor is not finite")
    return wrong


def _counts_as_reached(result: fu.Result) -> bool:
    """Whether steps were made with the loss itself, and it is one that only falls."""
    loss = result.minimised
    assert loss is not None
    return len(result.history["loss"]) > BEGUN and all(t.potential for _, t in loss.surrogates)


def _losses_anew(result: fu.Result) -> Iterator[tuple[str, float, float]]:
    """(name, as told, computed anew) of the fits; by NumPy where they are plain."""
    loss, model = result.minimised, result.model
    assert loss is not None
    assert model is not None
    for _, weight, term in loss.fits:
        several = len(loss.terms) > 1
        told = float(result.history[str(term)][-1]) if several else result.loss
        if type(term) is Frobenius and isinstance(model, NMF):
            residual = term.dataset.numpy() - result["C"] @ result["S"].T
            yield str(term), told, 0.5 * float((residual**2).sum())
        else:
            with torch.no_grad():
                yield str(term), told, float((weight * Loss([(1.0, term)]))(model))
