"""Every loss written out in NumPy, float64, from its docstring: what a reported loss must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import fusion as fu
from benchmarks.trust.arrays import Array, Drawn, Rng
from benchmarks.trust.pieces import Piece
from fusion import losses

EXACT = float(np.finfo(np.float32).eps) ** 2
"""Least variance that `Gaussian` learns, a share of the mean square of the data."""
FLOOR = 1e-9
"""Least prediction that `BetaDivergence` tells from zero, a share of the data's mean."""


@dataclass(frozen=True)
class Literal:
    """A term and what it is in NumPy.

    Attributes:
        build: the term, of a data set by its name.
        value: of factors and predictions; None: its own value in the history is taken.
        size: of what is subtracted within it: the rounding of the sum.
        words: as a user would write it.
        slope: dℓ/dt at t = 1 of the predictions times t, and the size of its parts; None: unknown.
    """

    build: Callable[[Mapping[str, fu.Dataset]], losses.Term]
    value: Callable[[Any, Mapping[str, Array], Mapping[str, Array]], float] | None
    size: Callable[[Any, Mapping[str, Array]], float]
    words: str
    slope: Callable[[Mapping[str, Array]], tuple[float, float]] | None = None
    weight: float = 1.0


def frobenius(d: Drawn) -> Literal:
    w, x = d.weights(True), d.values
    return Literal(
        lambda sets: losses.Frobenius(sets[d.name]),
        lambda term, f, M: 0.5 * float(np.sum(w * (x - M[d.name]) ** 2)),
        lambda _, M: float(np.sum(w * (x**2 + M[d.name] ** 2))),
        f"Frobenius({d.name})",
        lambda M: _slope(w, M[d.name] ** 2, x * M[d.name]),
    )


def _slope(w: Array, up: Array, down: Array) -> tuple[float, float]:
    return float(np.sum(w * (up - down))), float(np.sum(w * (np.abs(up) + np.abs(down))))


def gaussian(d: Drawn) -> Literal:
    w, x = d.weights(True), d.values
    n = int(np.count_nonzero(w))

    def learned(M: Mapping[str, Array]) -> float:
        squares = np.sum(w * (x - M[d.name]) ** 2)
        return float(max(squares, EXACT * np.sum(w * x**2)) / max(n, 1))

    def value(term: Any, f: Mapping[str, Array], M: Mapping[str, Array]) -> float:
        squares = np.sum(w * (x - M[d.name]) ** 2)
        variance = learned(M) if term.known_variance is None else term.known_variance
        return float(0.5 * squares / variance + 0.5 * n * np.log(variance))

    def size(term: Any, M: Mapping[str, Array]) -> float:
        if term.known_variance is None:
            return _rounding(w, x, M[d.name])
        return float(np.sum(w * (x**2 + M[d.name] ** 2))) / term.known_variance

    return Literal(
        lambda sets: losses.Gaussian(sets[d.name]),
        value,
        size,
        f"Gaussian({d.name})",
        lambda M: _slope(w / learned(M), M[d.name] ** 2, x * M[d.name]),
    )


def _rounding(w: Array, x: Array, m: Array) -> float:
    """Of ln Σ (x − m)², where an exact fit leaves little more than the rounding of Σ x²."""
    n, size = np.count_nonzero(w), float(np.sum(w * (x**2 + m**2)))
    squares = max(float(np.sum(w * (x - m) ** 2)), EXACT * float(np.sum(w * x**2)), 1e-300)
    return float(n * (1 + abs(np.log(squares)) + 1e-6 * size / squares))


def poisson(d: Drawn) -> Literal:
    keep, x = d.keep, d.values

    def value(term: Any, f: Mapping[str, Array], M: Mapping[str, Array]) -> float:
        m, counted = M[d.name], keep & (x > 0)
        if (m[counted] <= 0).any():
            return np.inf
        return float(np.sum(m[keep]) - np.sum(x[counted] * np.log(m[counted])))

    def size(term: Any, M: Mapping[str, Array]) -> float:
        logs = np.abs(np.log(np.maximum(M[d.name], 1e-300)))
        return float(np.sum(keep * (M[d.name] + x * logs)))

    return Literal(
        lambda sets: losses.Poisson(sets[d.name]),
        value,
        size,
        f"Poisson({d.name})",
        lambda M: _slope(keep.astype(float), M[d.name], x),
    )


def beta(d: Drawn, b: float) -> Literal:
    if b == 2:
        plain = frobenius(d)
        build = lambda sets: losses.BetaDivergence(sets[d.name], 2.0)  # noqa: E731
        return Literal(build, plain.value, plain.size, f"BetaDivergence({d.name}, 2)", plain.slope)
    keep, x = d.keep & np.isfinite(d.x), d.values
    floor = FLOOR * max(float(x[keep].sum()) / max(int(keep.sum()), 1), 0.0)

    def parts(M: Mapping[str, Array]) -> tuple[Array, Array]:
        return x[keep], np.maximum(M[d.name], floor)[keep]

    def value(term: Any, f: Mapping[str, Array], M: Mapping[str, Array]) -> float:
        x_, m = parts(M)
        if b <= 1 and bool(((M[d.name][keep] <= 0) & (x_ > 0)).any()):
            return np.inf
        if b == 0:
            return float(np.sum(x_ / m - np.log(x_ / m) - 1))
        if b == 1:
            logs = np.log(np.where(x_ > 0, x_, 1) / m)
            return float(np.sum(x_ * logs - x_ + m))
        made = x_**b + (b - 1) * m**b - b * x_ * m ** (b - 1)
        return float(np.sum(made / (b * (b - 1))))

    def size(term: Any, M: Mapping[str, Array]) -> float:
        x_, m = parts(M)
        return float(np.sum(np.abs(x_) ** b + m**b + x_ * m ** (b - 1))) if b else float(len(x_))

    return Literal(
        lambda sets: losses.BetaDivergence(sets[d.name], b),
        value,
        size,
        f"BetaDivergence({d.name}, {b:g})",
    )


# penalties on one factor


def penalty(rng: Rng, piece: Piece, quadratic: bool) -> Literal | None:
    """One that this model can have, or none."""
    made = [*_of_amounts(rng, piece.amounts, quadratic)]
    if piece.deviation is not None:
        made += [_term(losses.SquaredNorm(piece.deviation, 0.5), lambda N: 0.5 * (N / 0.5) ** 2)]
    if piece.grid is not None and piece.grid not in piece.signed and not quadratic:
        name = piece.grid
        made += [
            Literal(
                lambda sets: losses.SoftOrthogonality(name),
                None,
                _none,
                f"SoftOrthogonality({name})",
            )
        ]
    return made[rng.integers(len(made))] if made else None


def _none(term: Any, M: Mapping[str, Array]) -> float:
    return 0.0


def _term(term: losses.FactorTerm, entries: Callable[[Array], Array]) -> Literal:
    name = term.factor or ""
    return Literal(
        lambda sets: term,
        lambda _, f, M: float(np.sum(entries(f[name]))),
        _none,
        str(term),
    )


def _ard(name: str, b: float = 1e-3) -> Literal:
    term = losses.ARD(name, b=b)

    def value(_: Any, f: Mapping[str, Array], M: Mapping[str, Array]) -> float:
        C = f[name][f[f"{name}, seen"]]  # what is masked has no amount
        return float(np.sum((len(C) + 2) * np.log1p(C.sum(0) / b)))

    return Literal(lambda sets: term, value, _none, str(term))


def _of_amounts(rng: Rng, name: str | None, quadratic: bool) -> list[Literal]:
    if name is None:
        return []
    made = [
        _term(losses.L1(name), lambda C: C),
        _term(losses.SquaredNorm(name, 2.0), lambda C: 0.5 * (C / 2.0) ** 2),
        _term(losses.Norm(name), lambda C: np.linalg.norm(C)),
    ]
    if quadratic or name == "core":
        return made[:2]
    return [
        *made,
        _ard(name),
        _term(losses.Smoothness(name), lambda C: 0.5 * np.diff(C, axis=0) ** 2),
    ]
