"""Ten fits whose losses a change of structure must leave alone, bit for bit.

    python -m benchmarks.bit_equal DATA > before.json      DATA: the folder of the shared data
    python -m benchmarks.bit_equal DATA --against before.json

One thread, seed 0. Written for each: the loss as a hexadecimal float, and a digest of all factors.
"""

from __future__ import annotations

import os

for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[pool] = "1"  # read when NumPy and torch are loaded

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import fusion as fu
from fusion.constraints import Free, NonNegative, PowerLaw, UnitColumns
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality, SquaredNorm
from fusion.models import CPD, NMF, Tucker
from fusion.simulate import tilted_line

CASES: dict[str, Callable[[Path], fu.Result]] = {}


def case(function: Callable[[Path], fu.Result]) -> Callable[[Path], fu.Result]:
    """Enter a case under its name."""
    CASES[function.__name__] = function
    return function


def fitted(model: fu.Model, loss: fu.Loss | fu.Term, starts: int = 3) -> fu.Result:
    """The fit of a case."""
    return fu.fit(model, loss, starts=starts, seed=0, progress=False)


def figure(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of a simulated figure."""
    return dict(np.load(folder / "figure_cases" / f"{name}.npz"))


@case
def soft_orthogonality(folder: Path) -> fu.Result:
    """Eq. (13)."""
    layers = fu.Dataset("si", figure(folder, "fig3_sim")["bgsub"].astype(float))
    return fitted(NMF(layers, 3), Frobenius(layers) + 0.05 * SoftOrthogonality("C"))


class Concurrent(fu.Model):
    """Eq. (14): EELS sees the maps C + N, EDXS sees C."""

    def __init__(self, eels: fu.Dataset, edxs: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((eels.pixels, K), NonNegative(), UnitColumns())
        self.N = fu.Factor((eels.pixels, K), Free())
        self.S1 = fu.Factor((eels.channels, K))
        self.S2 = fu.Factor((edxs.channels, K))

    def forward(self) -> dict[str, fu.Prediction]:
        return {"eels": fu.cp(self.C + self.N, self.S1), "edxs": fu.cp(self.C, self.S2)}


@case
def coupled(folder: Path) -> fu.Result:
    """Eq. (14)."""
    joint = figure(folder, "joint_sim")
    counts, lines = joint["eels"].astype(float), joint["edxs"].astype(float)
    net = counts - joint["eels_bg"]
    eels = fu.Dataset("eels", net, variance=counts.mean((0, 1)) + 0.5)
    edxs = fu.Dataset("edxs", lines, variance=lines.mean((0, 1)) + 0.02)
    loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.002)
    return fitted(Concurrent(eels, edxs, 3), loss)


class Raw(fu.Model):
    """Eq. (15): raw data from spectra S + N, subtracted data from S, one set of maps C."""

    def __init__(self, raw: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((raw.pixels, K), NonNegative(), UnitColumns())
        self.S = fu.Factor((raw.channels, K))
        self.N = fu.Factor((raw.channels, K), PowerLaw(raw.channels))

    def forward(self) -> dict[str, fu.Prediction]:
        return {"raw": fu.cp(self.C, self.S + self.N), "net": fu.cp(self.C, self.S)}


@case
def power_laws(folder: Path) -> fu.Result:
    """Eq. (15), the subtracted data by a power law that is fitted before the edge."""
    fig9 = figure(folder, "fig9_sim")
    E, counts = fig9["energy"], fig9["counts"].astype(float)
    before = E <= 518
    values = np.log(np.maximum(counts[..., before].reshape(-1, before.sum()), 1)).T
    slope, offset = np.polyfit(np.log(E[before]), values, 1)
    background = np.exp(offset[:, None] + slope[:, None] * np.log(E)).reshape(counts.shape)
    axes = ("y", "x", fu.Axis("energy", values=E, units="eV"))
    raw = fu.Dataset("raw", counts, axes=axes)
    net = fu.Dataset("net", counts - background, axes=axes)
    loss = Frobenius(raw) + Frobenius(net) + 0.002 * SoftOrthogonality("C")
    return fitted(Raw(raw, 3), loss)


@case
def relevance(folder: Path) -> fu.Result:
    """ARD from K = 10."""
    fig3 = figure(folder, "fig3_sim")
    edges = fu.Dataset("edges", fig3["counts"].astype(float) - fig3["background"])
    loss = Gaussian(edges) + ARD("C") + 0.05 * SoftOrthogonality("C")
    return fitted(NMF(edges, 10), loss)


@case
def gpa88(folder: Path) -> fu.Result:
    """Real EDXS counts, Poisson."""
    rocks = fu.load(folder / "espm_geology_edxs" / "88GPa_80x80.npz")
    return fitted(NMF(rocks, 3), Poisson(rocks), starts=2)


def low_rank(shape: tuple[int, ...], K: int) -> np.ndarray:
    """A random non-negative tensor of a rank."""
    random = np.random.default_rng(0)
    letters = "abcd"[: len(shape)]
    factors = [random.random((n, K)) * (random.random((n, K)) < 0.7) for n in shape]
    return np.einsum(",".join(f"{x}k" for x in letters) + "->" + letters, *factors)


@case
def sparse_counts(folder: Path) -> fu.Result:
    """Poisson on counts nine tenths of which are zero."""
    mean = low_rank((1200, 300), 4) * 0.1
    counts = fu.Dataset("eds", np.random.default_rng(1).poisson(mean).astype(np.uint8))
    return fitted(NMF(counts, 4), Poisson(counts), starts=2)


@case
def polyadic(folder: Path) -> fu.Result:
    """CPD of a scene of three axes."""
    tilted = tilted_line(seed=0).datasets
    name = next(iter(tilted))
    return fitted(CPD(tilted[name], 3), Frobenius(tilted[name]))


@case
def tucker(folder: Path) -> fu.Result:
    """Tucker of the same."""
    tilted = tilted_line(seed=0).datasets
    name = next(iter(tilted))
    return fitted(Tucker(tilted[name], (3, 3, 3)), Frobenius(tilted[name]))


@case
def masked(folder: Path) -> fu.Result:
    """Least squares where a fifth of the entries is known."""
    X = low_rank((20, 25, 80), 3) + 0.01 * np.random.default_rng(2).standard_normal((20, 25, 80))
    unknown = np.random.default_rng(3).random(X.shape) < 0.8
    data = fu.Dataset("holes", X, mask=unknown)
    return fitted(NMF(data, 3), Frobenius(data))


class Signed(fu.Model):
    """Maps and spectra of any sign."""

    def __init__(self, data: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, K), Free())
        self.S = fu.Factor((data.channels, K), Free())

    def forward(self) -> dict[str, fu.Prediction]:
        return {"a": fu.cp(self.C, self.S)}


@case
def free_factors(folder: Path) -> fu.Result:
    """Factors without a sign."""
    X = np.random.default_rng(4).standard_normal((15, 20, 60)) + low_rank((15, 20, 60), 3)
    data = fu.Dataset("a", X)
    return fitted(Signed(data, 3), Frobenius(data))


def said(result: fu.Result) -> dict[str, str]:
    """Loss, bit for bit, and a digest of the factors."""
    digest = hashlib.sha256()
    for name, factor in sorted(result.factors.items()):
        digest.update(name.encode() + np.ascontiguousarray(factor).tobytes())
    return {"loss": float(result.loss).hex(), "factors": digest.hexdigest()[:16]}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--against", type=Path, help="what an earlier run printed")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    answers = {}
    for name in given.only:
        answers[name] = said(CASES[name](given.data))
        print(f"{name}: {float.fromhex(answers[name]['loss']):.10g}", file=sys.stderr, flush=True)
    if given.against is None:
        print(json.dumps(answers, indent=1))
        return 0
    before = json.loads(given.against.read_text())
    for name, answer in answers.items():
        same = answer["loss"] == before[name]["loss"]
        factors = (
            "factors too" if answer["factors"] == before[name]["factors"] else "factors differ"
        )
        print(f"{name:20} {'bit-equal, ' + factors if same else 'DIFFERS'}")
    return int(any(answers[name]["loss"] != before[name]["loss"] for name in answers))


if __name__ == "__main__":
    sys.exit(main())
