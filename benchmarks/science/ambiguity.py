"""Error bars, and the range of equally good answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps

Array = np.ndarray[Any, Any]

SEEDS = 40
QUANTILE = 1.959964
K = 3


def ambiguity(data: Path) -> Iterator[Line]:
    """Coverage of 95 % intervals; bands against what is known of the answers."""
    yield from (_coverage(*case) for case in COVERED.items())
    yield _collapse()
    yield from _phantom(data)
    yield from _tilt_series(data)


def _pure(rng: np.random.Generator, n: int) -> Array:
    """Rows (n, K), half of them pure, the others mixed."""
    values, rows = 0.1 + rng.random((n, K)), np.arange(n // 2)
    values[rows] = (1 + rng.random((len(rows), 1))) * np.eye(K)[rows % K]
    return values


def _unit(S: Array) -> Array:
    return S / np.linalg.norm(S, axis=0)


def _noisy(rng: np.random.Generator, name: str, X: Array, share: float) -> fu.Dataset:
    size = share * np.sqrt(np.mean(X**2))
    return fu.Dataset(name, X + size * rng.standard_normal(X.shape))


def _planted(seed: int) -> tuple[Array, Array, Array]:
    """Maps with the amounts, two sets of spectra with unit columns."""
    rng = np.random.default_rng(seed)
    return _pure(rng, 40), _unit(_pure(rng, 30)), _unit(_pure(rng, 25))


def _nmf(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Array]]:
    C, S, _ = _planted(3)
    a = _noisy(rng, "a", C @ S.T, 0.02)
    return NMF(a, K), Frobenius(a), {"C": C, "S": S}


def _coupled(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Array]]:
    C, S1, S2 = _planted(4)
    a, b = _noisy(rng, "a", C @ S1.T, 0.01), _noisy(rng, "b", C @ S2.T, 0.03)
    truth = {"C": C, "S_a": S1, "S_b": S2}
    return SharedMaps(a, b, K=K), Frobenius(a) + 0.5 * Frobenius(b), truth


def _poisson(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Array]]:
    C, S, _ = _planted(5)
    C = C * 300 / (C @ S.T).mean()
    a = fu.Dataset("a", rng.poisson(C @ S.T).astype(float))
    return NMF(a, K), Poisson(a), {"C": C, "S": S}


COVERED: dict[str, Callable[[np.random.Generator], tuple[Any, Any, dict[str, Array]]]] = {
    "NMF, noise unknown": _nmf,
    "shared maps, two noise levels": _coupled,
    "NMF, counts": _poisson,
}


def _or_infinite(errors: Array) -> Array:
    return np.where(np.isnan(errors), np.inf, errors)


def _coverage(name: str, simulate: Callable) -> Line:
    """Share of entries four errors or more above zero whose interval holds the truth."""
    inside = []
    for seed in range(SEEDS):
        model, loss, truth = simulate(np.random.default_rng([11, seed]))
        result = fu.fit(model, loss, init=[truth], starts=1, progress=False)
        errors = result.errors()
        for factor, value in truth.items():
            away = value > 4 * _or_infinite(errors[factor])
            off = np.abs(result[factor] - value)[away]
            inside.append(off < QUANTILE * errors[factor][away])
    share = 100 * float(np.concatenate(inside).mean())
    measured = f"{share:.1f} % of {sum(map(len, inside))}"
    return Line(f"95 % intervals: {name}", "93 to 97 %", measured, 93 <= share <= 97)


def _collapse() -> Line:
    """Pure pixels and channels: the band over the error bars."""
    model, loss, truth = _poisson(np.random.default_rng(0))
    result = fu.fit(model, loss, progress=False)
    band, errors = fu.ambiguity(result), result.errors()
    ratios = []
    for name in truth:
        low, high = band.bands[name]
        away = result[name] > 4 * _or_infinite(errors[name])
        ratios.append((high - low)[away] / (2 * QUANTILE * errors[name][away]))
    ratio = float(np.concatenate(ratios).mean())
    said = f"{ratio:.2f}, “{band.unique.split(':')[0]}”"
    case = "pure pixels and channels: band / error bars"
    return Line(case, "0.9 to 1.2, unique", said, 0.9 < ratio < 1.2 and "not" not in band.unique)


def _phantom(data: Path) -> Iterator[Line]:
    """Mn3O4: the band against the known interval of exact answers, unit columns."""
    with np.load(data / "mn3o4_phantom/mn3o4_truth.npz") as file:
        known = {k: file[k] for k in file.files}
    share = np.linspace(0, 1, 101)[:, None, None]
    inner, outer = (
        np.stack([known[f"{end}_Mn2"], known[f"{end}_Mn3"]], 1) for end in ("inner", "outer")
    )
    exact = (1 - share) * inner + share * outer
    exact = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    size = 0.1 * 0.0418 * known["clean"].max()  # a tenth of the noise in "noisy", not cut off at 0
    noise = size * np.random.default_rng(0).standard_normal(known["clean"].shape)
    cases = {"clean": known["clean"], "noisy, clipped at 0": known["noisy"]}
    cases["noise of 0.4 %, unclipped"] = known["clean"] + noise
    for name, X in cases.items():
        mn = fu.Dataset("mn", X)
        band = fu.ambiguity(fu.fit(NMF(mn, 2), Frobenius(mn), progress=False))
        low, high = band.spectra["S"]
        order = np.argmax(band.factors["S"].T @ exact[50], 0)
        low, high = low[:, order], high[:, order]
        out = 100 * max((low - exact.min(0)).max(), (exact.max(0) - high).max()) / exact.max()
        wide = (high - low).sum(0) / np.ptp(exact, axis=0).sum(0)
        measured = f"stands out by {max(out, 0):.2f} % of the peak; {wide[0]:.2f} / {wide[1]:.2f}"
        bar = "≤ 0.1 %; ≤ 2 of its width" if name == "clean" else "–"
        passed = bool(out <= 0.1 and (wide <= 2).all()) if name == "clean" else None
        yield Line(f"Mn3O4 phantom, {name}: band and known interval", bar, measured, passed)


def _tilt_series(data: Path) -> Iterator[Line]:
    """fig8_sim, EELS alone: how far answers at one loss are from the truth."""
    with np.load(data / "figure_cases/fig8_sim.npz") as file:
        X, truth = file["eels"].astype(float), file["S_eels"].T
    eels = fu.Dataset("eels", X)
    band = fu.ambiguity(fu.fit(NMF(eels, 2), Frobenius(eels), progress=False))
    found = np.array([angles(answer["S"], truth) for answer in band.solutions])
    low, high = found.min(0), found.max(0)
    measured = f"{low[0]:.0f}–{high[0]:.0f}° / {low[1]:.0f}–{high[1]:.0f}°, “{band.unique[:10]}”"
    passed = bool(low[0] <= 20 and high[0] >= 28 and band.unique.startswith("not"))
    yield Line("fig8_sim, EELS alone: angles at one loss", "20/4 to 28/4°, told", measured, passed)
