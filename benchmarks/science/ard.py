"""How many components ARD leaves of ten."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles
from fusion.losses import ARD, Exponential, Gaussian, HalfNormal, SoftOrthogonality
from fusion.losses.amount_prior import Amounts
from fusion.models import NMF

K = 10
SEEDS = 20
UNITS = (1e-6, 1e6)
RESCALED = 3
"""Seeds that are fitted in other units, too."""
ALIKE = 1e-4
"""Largest change of a spectrum in other units, as a share of its norm."""

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
"""Noise of the planted data, as a share of their root mean square."""
PLANTED = 4
"""Planted data sets at each of them, and of noise alone."""

PRIORS: tuple[Amounts, ...] = (Exponential(), HalfNormal())


def ard(data: Path) -> Iterator[Line]:
    """One set of defaults for all cases, one start a seed."""
    with np.load(data / "figure_cases/fig3_sim.npz") as file:
        net, S = file["counts"].astype(float) - file["background"], file["S"].T
    with np.load(data / "mn3o4_phantom/SI_data.npz") as file:
        noisy = file["X"]
    for name, X, planted in (("fig3_sim", net, 3), ("Mn3O4 phantom", noisy, 2)):
        for prior in PRIORS:
            case = f"{name}, {prior}"
            found = list(_told(case, X, prior))
            yield _counted(case, [result.n_components for result in found], planted)
            yield _rescaled(case, X, prior, found)
    yield from _apart(net, S)
    for prior in PRIORS:
        for level in LEVELS:
            left = [_fit(_planted(level, seed), prior, 0).n_components for seed in range(PLANTED)]
            yield _counted(f"3 planted, noise {level:g}, {prior}", left, 3)
        left = [_fit(_planted(None, seed), prior, 0).n_components for seed in range(PLANTED)]
        yield _counted(f"noise alone, {prior}", left, 1)


def _told(case: str, X: np.ndarray, prior: Amounts) -> Iterator[fu.Result]:
    """A fit of every seed, told of as soon as it is there."""
    for seed in range(SEEDS):
        result = _fit(X, prior, seed)
        told = f"{case}, seed {seed}: {result.n_components} left, {result.seconds:.1f} s"
        print(told, file=sys.stderr, flush=True)
        yield result


def _planted(level: float | None, seed: int) -> np.ndarray:
    """Three components with pure pixels and channels, and noise; None: noise alone."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((12, 10, 40))
    if level is None:
        return noise
    C, S = rng.random((120, 3)), rng.random((40, 3))
    C[:3], S[:3] = np.eye(3), np.eye(3)
    X = (C @ S.T).reshape(noise.shape)
    return X + level * np.sqrt(np.mean(X**2)) * noise


def _fit(X: np.ndarray, prior: Amounts, seed: int, weight: float = 0.0) -> fu.Result:
    """From K = 10, with what the maps avoid each other by."""
    data = fu.Dataset("x", X)
    loss = Gaussian(data) + ARD("C", prior=prior)
    if weight:
        loss = loss + weight * SoftOrthogonality("C")
    return fu.fit(NMF(data, K), loss, starts=1, seed=seed, progress=False)


def _counted(case: str, found: list[int | None], planted: int) -> Line:
    """Of how many seeds the number is right; which ones else."""
    right = sum(n == planted for n in found)
    others = Counter(n for n in found if n != planted)
    told = "".join(f"; {n} left in {times}" for n, times in sorted(others.items()))
    bar = f"{planted} of {K} in all {len(found)} seeds"
    return Line(case, bar, f"{right} of {len(found)}{told}", right == len(found))


def _rescaled(case: str, X: np.ndarray, prior: Amounts, found: list[fu.Result]) -> Line:
    """The same data in other units."""
    moved = 0.0
    for seed, first in enumerate(found[:RESCALED]):
        for unit in UNITS:
            again = _fit(unit * X, prior, seed)
            same = again.n_components == first.n_components
            moved = max(moved, np.abs(again["S"] - first["S"]).max() if same else np.inf)
    bar = f"the same to {ALIKE:g} of a spectrum's norm"
    name = f"{case}: × 1e-6 and × 1e6, {RESCALED} seeds"
    return Line(name, bar, f"{moved:.0e}", bool(moved < ALIKE))


def _apart(net: np.ndarray, S: np.ndarray) -> Iterator[Line]:
    """ARD finds the number, soft orthogonality which of the equally good spectra."""
    for weight in (0.0, 0.05):
        found = [_fit(net, Exponential(), seed, weight) for seed in range(RESCALED)]
        worst = [angles(r["S"], S).max() if r.n_components == 3 else np.inf for r in found]
        measured = " / ".join(f"{angle:.1f}" for angle in worst) + "°"
        name = f"fig3_sim, Exponential(), w = {weight:g}: worst spectrum of {RESCALED} seeds"
        passed = bool(max(worst) <= 1.5) if weight else None
        yield Line(name, "≤ 1.5°" if weight else "–", measured, passed)
