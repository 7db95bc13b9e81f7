"""Tensor decompositions: fluorescence with known concentrations, and a tilted line of spectra."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles, within
from fusion.answers.matching import match
from fusion.losses import Frobenius
from fusion.models import CPD, NMF
from fusion.simulate import tilted_line

MOST = 5  # components
TRILINEAR = 90.0  # per cent, from which a core is called consistent: Bro & Kiers (2003)
EQUAL = 0.95  # from which components are called equal: Lorenzo-Seva & ten Berge (2006)
HIDDEN = 0.05  # share of the known entries that are hidden for a test
SAME = 0.1  # degrees
WIDTH = 10.0  # nm around emission = excitation that Rayleigh scattering may take


def tensors(data: Path) -> Iterator[Line]:
    """CPD on real and simulated data: what it finds, and whether its diagnostics say how many."""
    yield from _aminoacids(data / "multiway/aminoacids.npz")
    yield from _kinetic(data / "multiway/kinetic_f32.npz")
    yield from _tilted()


def aminoacids(path: Path, *, masked: bool = True) -> tuple[fu.Dataset, np.ndarray]:
    """(data, concentrations (sample, 3)); masked where emission is not above excitation."""
    file = np.load(path)
    emission, excitation = file["emission_nm"], file["excitation_nm"]
    axes = (
        fu.Axis("sample"),
        fu.Axis("emission", values=emission, units="nm"),
        fu.Axis("excitation", values=excitation, units="nm"),
    )
    mask = (emission[:, None] < excitation + WIDTH)[None] if masked else None
    return fu.Dataset("eem", file["X"], axes=axes, mask=mask), file["conc"]


def kinetic(path: Path) -> fu.Dataset:
    """Fluorescence (sample, excitation, emission, time), with missing entries masked."""
    file = np.load(path)
    axes = ("sample", "excitation", "emission", "time")
    return fu.Dataset("kinetic", file["X"], axes=axes, mask=file["missing"])


def cpd(K: int, starts: int = 4, steps: int = 60) -> Callable[[fu.Dataset], fu.Result]:
    """A fit of K components; too many of them creep on for ever, so they are stopped."""
    told = {"starts": starts, "max_steps": steps, "progress": False}
    return lambda data: fu.fit(CPD(data, K), Frobenius(data), **told)


def _aminoacids(path: Path) -> Iterator[Line]:
    for masked in (False, True):
        eem, known = aminoacids(path, masked=masked)
        A = cpd(3)(eem)["A"]
        A = A[:, match(known, A)]
        r = [float(np.corrcoef(A[:, k], known[:, k])[0, 1]) for k in range(3)]
        name = (
            f"aminoacids, {'scattering masked' if masked else 'all entries'}: r of concentrations"
        )
        told = " / ".join(f"{x:.4f}" for x in r)
        yield Line(name, "≥ 0.99 each", told, min(r) >= 0.99)
    yield from _diagnosed("aminoacids", eem.bin(emission=3), "emission", 3)
    sizes = cpd(4)(eem.bin(emission=3))["A"]
    weakest = sizes[:, sizes.sum(0).argmin()] / sizes.sum(1)
    told = " / ".join(f"{100 * x:.1f}" for x in weakest)
    yield Line(
        "aminoacids: a fourth component, % of every sample (two mixtures last)", "–", told, None
    )


def _kinetic(path: Path) -> Iterator[Line]:
    data = kinetic(path).bin(time=10)
    yield from _diagnosed("kinetic", data, "sample", None, starts=2, steps=40)
    hidden = np.random.default_rng(0).random(data.shape) < HIDDEN
    result = cpd(3, starts=2, steps=40)(data.masked(hidden))
    squares = (data.numpy() - result.to_tensorly().to_tensor()) ** 2
    known = ~np.broadcast_to(data.mask, data.shape)
    ratio = np.sqrt(squares[known & hidden].mean() / squares[known & ~hidden].mean())
    name = f"kinetic: rms of {100 * HIDDEN:g} % hidden entries over that of the rest, K = 3"
    yield Line(name, "≤ 1.1", f"{ratio:.3f}", bool(ratio <= 1.1))


def _diagnosed(
    name: str, data: fu.Dataset, axis: str, K: int | None, **told: int
) -> Iterator[Line]:
    """Explained variance, core consistency and split-half score of every K, held against K."""
    every = range(1, MOST + 1)
    fits = [cpd(k, **told)(data) for k in every]
    explained = [100 * fit.explained_variance[data.name] for fit in fits]
    yield _every(f"{name}: explained variance, %", explained, 2)
    core = [fu.core_consistency(fit, data) for fit in fits]
    halves = [float(fu.split_half(data, cpd(k, **told), axis).scores[0]) for k in every]
    if K is None:
        yield _every(f"{name}: core consistency, %", core, 1)
        yield _every(f"{name}: halves of {axis}, score", halves, 3)
        return
    bar, passed = f"≥ {TRILINEAR:g} at {K}", core[K - 1] >= TRILINEAR
    yield _every(f"{name}: core consistency, %", core, 1, bar, passed)
    bar, passed = f"≥ {EQUAL:g} at {K}", halves[K - 1] >= EQUAL
    yield _every(f"{name}: halves of {axis}, score", halves, 3, bar, passed)


def _every(
    case: str, values: list[float], digits: int, bar: str = "–", passed: bool | None = None
) -> Line:
    """One value for every K."""
    told = " / ".join(f"{x:.{digits}f}" for x in values)
    return Line(f"{case}, K = 1 … {MOST}", bar, told, passed)


def _tilted() -> Iterator[Line]:
    """No pure pixel: one answer of the tensor, many of the matrix; least squares as the limit."""
    case = tilted_line(seed=1)
    eels, S = case.datasets["eels"], case.truth["S"]
    for name, model, bar in (("CPD", CPD(eels, 3, names="TCS"), 5.0), ("NMF", NMF(eels, 3), None)):
        told = {"starts": 2, "progress": False}
        found = [fu.fit(model, Frobenius(eels), seed=s, **told)["S"] for s in range(4)]
        yield within(f"tilted line, no pure pixel: {name}, spectra", angles(found[0], S), bar)
        apart = max(angles(x, found[0]).max() for x in found[1:])
        same = None if bar is None else bool(apart <= SAME)
        case_ = f"tilted line: {name}, the same spectra from four seeds"
        yield Line(case_, "–" if bar is None else f"≤ {SAME:g}°", f"{apart:.2f}°", same)
    known = np.einsum("tk,pk->tpk", case.truth["T"], case.truth["C"]).reshape(-1, 3)
    best = np.linalg.lstsq(known, eels.matrix.double().numpy(), rcond=None)[0].T
    yield within("tilted line: least squares with the true T and C, spectra", angles(best, S), None)
