"""Draws of fits: every model with every solver that takes it, and what an answer must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch

import fusion as fu
from benchmarks.trust.arrays import Array, Rng
from benchmarks.trust.likelihoods import Literal, beta, frobenius, gaussian, penalty, poisson
from benchmarks.trust.outcome import Outcome, Steps, judged
from benchmarks.trust.pieces import MODELS, Piece

SOLVERS: dict[str, Callable[[], Any]] = {
    "auto": lambda: None,
    "GaussNewton": fu.GaussNewton,
    "RowNewton": fu.RowNewton,
    "HALS": fu.HALS,
    "ALS": fu.ALS,
    "MALS": fu.MALS,
    "LBFGS": fu.LBFGS,
    "Adam": fu.Adam,
    "torch.optim.Adamax": lambda: torch.optim.Adamax,
}
ALTERNATING = ("HALS", "ALS", "MALS")
OF_PRODUCTS = (
    "NMF",
    "CPD",
    "SharedMaps",
    "SharedSpectra",
    "WithReferences",
    "Detectors",
    "OwnModel",
)
"""Models whose predictions are products of factors as they are: what `RowNewton` is for."""
PAIRS = [(m, s) for s in SOLVERS for m in MODELS if s != "RowNewton" or m in OF_PRODUCTS]
APPROXIMATE = ("ALS", "MALS", "torch.optim.Adamax", "Adam")
"""Solvers that end near a minimum."""
NEAR = 0.02
"""Share by which another scale of the predictions may be better where one has converged."""


@dataclass
class Fit:
    """One draw: what is fitted, by what, from where."""

    piece: Piece
    terms: list[Literal]
    solver: str
    options: dict[str, Any]

    def __str__(self) -> str:
        loss = " + ".join(f"{t.weight:g}·{t.words}" for t in self.terms)
        data = "; ".join(f"{d.name}: {', '.join(d.words)}" for d in self.piece.data)
        options = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.piece.words}, {loss}, {self.solver} ({options}) on {data}"

    def run(self, steps: Steps) -> str:
        """Fit; what is wrong with the answer."""
        sets = [d.dataset() for d in self.piece.data]
        model, by_name = self.piece.build(sets), {d.name: d for d in sets}
        built = [t.build(by_name) for t in self.terms]
        parts = [t.weight * b for t, b in zip(self.terms, built, strict=True)]
        loss, solver = reduce(add, parts), SOLVERS[self.solver]()
        result = fu.fit(model, loss, solver=solver, progress=False, callback=steps, **self.options)
        return judge(self, result, built)


def draw_fit(number: int) -> Fit:
    """The draw of this number: the pairs by turns, all else at random."""
    rng = np.random.default_rng([1, number])
    model, solver = PAIRS[number % len(PAIRS)]
    counts = solver == "RowNewton" or rng.random() < 0.3
    plain = solver in (*ALTERNATING, "RowNewton")
    piece = MODELS[model](rng, counts, plain)
    terms = [_fit_term(rng, d, solver, counts) for d in piece.data]
    if len(terms) > 1 and rng.random() < 0.5:
        terms[1] = replace(terms[1], weight=float(rng.choice([0.1, 5.0])))
    if solver != "RowNewton" and (piece.deviation or rng.random() < 0.35):
        extra = penalty(rng, piece, solver in ALTERNATING)
        terms += [] if extra is None else [replace(extra, weight=float(rng.choice([0.01, 0.3, 1])))]
    return Fit(piece, terms, solver, _options(rng))


def _fit_term(rng: Rng, d: Any, solver: str, counts: bool) -> Literal:
    if solver == "RowNewton":
        return poisson(d)
    squares = [frobenius(d), frobenius(d), gaussian(d), beta(d, 2.0)]
    if solver in ALTERNATING:
        return squares[rng.integers(len(squares))]
    if counts:
        return poisson(d) if rng.random() < 0.7 else beta(d, float(rng.choice([0.5, 1.0, 1.5])))
    others = [poisson(d), *(beta(d, b) for b in (0.0, 0.5, 1.5, 3.0))]
    made = squares if rng.random() < 0.8 else others
    return made[rng.integers(len(made))]


def _options(rng: Rng) -> dict[str, Any]:
    inits = [fu.NNDSVD(), fu.SPA(), fu.VCA(), fu.NFINDR(), fu.Random(), fu.Current()]
    made: dict[str, Any] = {
        "starts": int(rng.integers(1, 4)),
        "seed": int(rng.integers(100)),
        "max_steps": int(rng.choice([0, 1, 20, 50], p=[0.03, 0.03, 0.24, 0.7])),
    }
    if rng.random() < 0.3:
        made["init"] = inits[rng.integers(len(inits))]
    if rng.random() < 0.15:
        made["dtype"] = torch.float32
    return made


# what an answer must hold


def judge(fit: Fit, result: fu.Result, built: list[Any]) -> str:
    """What is wrong with the answer; "" where nothing is."""
    assert result.model is not None
    whole = {n: v.detach().cpu().double().numpy() for n, v in result.model.factors.items()}
    shown = {n: np.where(np.isnan(v), whole[n], v) for n, v in result.factors.items()}
    seen = {
        f"{n}, seen": ~np.isnan(v.reshape(len(v), -1)).all(1) for n, v in result.factors.items()
    }
    single = fit.options.get("dtype") is torch.float32
    with np.errstate(all="ignore"):
        M = fit.piece.predict(whole)
        return (
            _not_shown(shown, whole)
            or _facts(fit.piece, whole, 1e-4 if single else 1e-9)
            or _loss(fit, result, built, whole | seen, M, 1e-4 if single else 1e-7)
            or _status(fit, result, M)
        )


def _not_shown(shown: Mapping[str, Array], whole: Mapping[str, Array]) -> str:
    for name, value in whole.items():
        if not np.isfinite(value).all():
            return f"{name} is not finite"
        if not np.array_equal(shown[name].astype(float), value):
            return f"{name} of the result is not that of its model"
    return ""


def _facts(piece: Piece, factors: Mapping[str, Array], tolerance: float) -> str:
    for name, value in factors.items():
        if name not in piece.signed and (value < 0).any():
            return f"{name} has negatives, lowest {value.min():.3g}"
    for name in piece.unit:
        norms = np.linalg.norm(factors[name], axis=0)
        if (np.abs(norms - 1)[norms > 0] > tolerance).any():
            return f"columns of {name} have norms {norms}"
    return piece.check(factors)


def _loss(
    fit: Fit,
    result: fu.Result,
    built: list[Any],
    factors: Mapping[str, Array],
    M: Mapping[str, Array],
    tolerance: float,
) -> str:
    """Every term whose value can be written out, and their sum."""
    if not np.isfinite(result.loss):
        return f"loss {result.loss}"
    total, size, left = 0.0, 0.0, result.loss
    for literal, term in zip(fit.terms, built, strict=True):
        own = result.history[str(term)][-1]
        if literal.value is None or any("support no component" in m for m in result.messages):
            left -= own
            continue
        total += literal.weight * literal.value(term, factors, M)
        size += literal.weight * literal.size(term, M)
    allowed = tolerance * abs(total) + 1e-2 * tolerance * size
    if not abs(left - total) <= allowed:
        return f"loss {left!r}, by NumPy {total!r} (allowed {allowed:.2g})"
    return ""


def _status(fit: Fit, result: fu.Result, M: Mapping[str, Array]) -> str:
    """What converged is no worse than its own predictions times a number, and not nothing."""
    if not result.converged or len(fit.terms) > len(fit.piece.data):
        return ""
    nothing = all(not M[d.name].any() for d in fit.piece.data)
    if nothing and any(d.values.sum() > 0 for d in fit.piece.data) and not result.messages:
        return f"{result.status!r} at a prediction of nothing"
    if fit.solver in APPROXIMATE or any(t.slope is None for t in fit.terms):
        return ""
    parts = [(t.weight * np.array(t.slope(M))) for t in fit.terms if t.slope]
    slope, size = np.sum(parts, 0)
    if abs(slope) > NEAR * size:
        return f"{result.status!r}, but predictions × {1 - slope / size:.3g} are better"
    return ""


def outcome(number: int) -> Outcome:
    """The draw of this number, made and judged."""
    fit, steps = draw_fit(number), Steps()
    model, solver = PAIRS[number % len(PAIRS)]
    return judged(number, str(fit), lambda: fit.run(steps), steps, f"{model}, {solver}")
