"""The review's algorithms beside Gauss–Newton, and the authors' numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles
from fusion.losses import Frobenius
from fusion.models import NMF

CLIPPED, SIGNED = np.array([1.30, 1.73, 1.75]), np.array([0.41, 0.76, 0.93])
"""Degrees of the authors' NMF-SO on `bgsub` clipped at 0; of a joint solver on `bgsub` as it is."""
AMONG = 0.02
"""Degrees that two solvers may differ by."""
APART = 0.1
"""Cosine between two maps below which a full weight brings them."""
NMF_ERROR, SO_ERROR = 0.2649, 0.2666
"""‖X − C Sᵀ‖ / ‖X‖ on Mn₃O₄: NMF, and NMF-SO with w = 0.05 after the authors' 11 updates."""
FEW = 20
"""I_init, where it is given."""
LIMIT = 200
"""Steps where none comes to its end."""


def solvers(data: Path) -> Iterator[Line]:
    """Soft orthogonality, the least loss, and the best start taken on."""
    fig3 = np.load(data / "figure_cases/fig3_sim.npz")
    bgsub, truth = fig3["bgsub"].astype(float), fig3["S"].T
    mn = np.load(data / "mn3o4_phantom/SI_data.npz")["X"]
    yield from _authors(bgsub, truth, mn)
    for name, X, K in (("mn3o4", mn, 2), ("fig3_sim, clipped", bgsub.clip(0), 3)):
        yield _parted(name, X, K)
    yield from _least(mn, 2)
    yield from _hard(fig3["counts"] - fig3["background"].astype(float))


def _fit(X: np.ndarray, K: int, solver: fu.Solver, **told) -> fu.Result:
    data = fu.Dataset("a", X)
    return fu.fit(NMF(data, K), Frobenius(data), solver=solver, progress=False, **told)


def _error(X: np.ndarray, result: fu.Result) -> float:
    return float(np.sqrt(2 * result.loss) / np.linalg.norm(X))


def _authors(bgsub: np.ndarray, truth: np.ndarray, mn: np.ndarray) -> Iterator[Line]:
    """NMF-SO, w = 0.05: spectra of fig 3, distances of the demonstration."""
    so = fu.HALS(orthogonality=0.05)
    for name, X, bar in (("clipped at 0", bgsub.clip(0), CLIPPED), ("as it is", bgsub, SIGNED)):
        found = angles(_fit(X, 3, so, starts=3)["S"], truth)
        shown = [" / ".join(f"{a:.2f}" for a in values) + "°" for values in (bar, found)]
        passed = bool((found <= bar + AMONG).all())
        case, said = f"fig3_sim, bgsub {name}: HALS, w = 0.05", f"≤ {shown[0]} + {AMONG}"
        yield Line(case, said, shown[1], passed)
    for name, solver, told, bar, within in (
        ("HALS", fu.HALS(), {"starts": 10}, NMF_ERROR, 5e-5),
        ("HALS, w = 0.05, 11 updates", replace(so, sweeps=1), _as_they_start(mn), SO_ERROR, 5e-4),
        ("HALS, w = 0.05, to the end", so, {"starts": 10}, None, 0),
    ):
        error = _error(mn, _fit(mn, 2, solver, **told))
        passed = None if bar is None else abs(error - bar) <= within
        said = "–" if bar is None else f"{bar} ± {within:g}"
        yield Line(f"mn3o4, relative error: {name}", said, f"{error:.5f}", passed)


def _as_they_start(X: np.ndarray) -> dict:
    """Flat maps, random pixels as spectra, three of them, 11 updates: the authors' own setting."""
    pixels, rng = X.reshape(-1, X.shape[-1]), np.random.default_rng(0)
    chosen = [pixels[rng.choice(len(pixels), 2, replace=False)].T for _ in range(3)]
    flat = np.full((len(pixels), 2), len(pixels) ** -0.5)
    norms = [np.linalg.norm(S, axis=0) for S in chosen]
    starts = [{"C": flat * n, "S": S / n} for S, n in zip(chosen, norms, strict=True)]
    return {"init": starts, "max_steps": 11}


def _parted(name: str, X: np.ndarray, K: int) -> Line:
    """The largest cosine between two maps at full weight."""
    C = _fit(X, K, fu.HALS(orthogonality=1.0), starts=3)["C"]
    U = C / np.linalg.norm(C, axis=0)
    cosine = float((U.T @ U - np.eye(K)).max())
    return Line(f"{name}: maps' cosine, w = 1", f"< {APART}", f"{cosine:.3f}", cosine < APART)


def _least(X: np.ndarray, K: int) -> Iterator[Line]:
    """The loss over that of Gauss–Newton, with all of ten starts to the end or the best alone."""
    least = _fit(X, K, fu.GaussNewton()).loss
    for solver in (fu.ALS(), fu.MALS(), fu.HALS()):
        for few in (None, FEW):
            loss = _fit(X, K, replace(solver, initial=few)).loss
            case = f"mn3o4, loss over Gauss–Newton's: {type(solver).__name__}"
            case += "" if few is None else f", best of ten after {few} steps"
            yield Line(case, "≤ 1.0001", f"{loss / least:.6f}", loss <= 1.0001 * least)


def _hard(X: np.ndarray) -> Iterator[Line]:
    """A flat valley: how far the methods come along it, four starts, so many steps."""
    least = _fit(X, 3, fu.GaussNewton(), starts=4).loss
    for solver in (fu.ALS(), fu.MALS(), fu.HALS()):
        loss = _fit(X, 3, solver, starts=4, max_steps=LIMIT).loss
        case = f"fig3_sim, counts − background, loss over Gauss–Newton's: {type(solver).__name__}"
        yield Line(f"{case}, {LIMIT} steps", "–", f"{loss / least:.6f}", None)
