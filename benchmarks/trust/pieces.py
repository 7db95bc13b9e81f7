"""Models with data that they are made for, and their predictions written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

import fusion as fu
from benchmarks.trust.arrays import SIZES, Array, Drawn, Rng, drawn
from fusion.constraints import Free, NonNegative, Simplex, Softplus

Factors = Mapping[str, Array]


@dataclass
class Piece:
    """A model, not yet built.

    Attributes:
        data: its data sets.
        build: makes the model of them.
        predict: {data set name: array of its shape}, of factors.
        amounts: a factor ≥ 0 that holds the amount, where its scale is fixed by the others.
        grid: a factor on the scan's axes.
        signed: factors of any sign.
        unit: factors with columns of norm 1.
        check: what else holds of factors: "" or what is wrong.
        words: what it is.
    """

    data: list[Drawn]
    build: Callable[[list[fu.Dataset]], fu.Model]
    predict: Callable[[Factors], dict[str, Array]]
    amounts: str | None
    grid: str | None
    words: str
    signed: Sequence[str] = ()
    unit: Sequence[str] = ()
    deviation: str | None = None
    check: Callable[[Factors], str] = field(default=lambda factors: "")


class OwnModel(fu.Model):
    """A user's: C Sᵀ + b 1ᵀ, with facts of the user's choice."""

    def __init__(self, data: fu.Dataset, K: int, maps: Any, spectra: Any, offset: bool) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, K), *maps)
        self.S = fu.Factor((data.channels, K), *spectra)
        if offset:
            self.b = fu.Factor((data.pixels, 1), Free())
        self.data_name, self.offset, self.channels = data.name, offset, data.matrix_shape[1]

    def forward(self) -> dict[str, fu.Prediction]:
        M = fu.cp(self.C, self.S)
        if self.offset:
            M = M + fu.cp(self.b, self.S.new_ones(self.channels, 1))
        return {self.data_name: M}


def _rank(rng: Rng, most: int) -> int:
    """K that fits, or, now and then, does not."""
    if rng.random() < 0.04:
        return int(rng.choice([0, most + 1]))
    return int(rng.integers(1, min(most, 3) + 1))


def _pixels(d: Drawn) -> int:
    return prod(d.x.shape[:-1])


def _maps(C: Array, S: Array, d: Drawn) -> Array:
    return (C @ S.T).reshape(d.x.shape)


def nmf(rng: Rng, counts: bool, plain: bool) -> Piece:
    d = drawn(rng, "a", counts=counts)
    K = _rank(rng, min(_pixels(d), d.x.shape[-1]))
    return Piece(
        [d],
        lambda sets: fu.models.NMF(sets[0], K),
        lambda f: {"a": _maps(f["C"], f["S"], d)},
        "C",
        "C",
        f"NMF(K={K})",
        unit=["S"],
    )


def own(rng: Rng, counts: bool, plain: bool) -> Piece:
    d = drawn(rng, "a", counts=counts)
    K = _rank(rng, min(_pixels(d), d.x.shape[-1]))
    maps = (
        [NonNegative()]
        if plain
        else [Softplus(), NonNegative(), Free(), Simplex()][rng.integers(4)]
    )
    maps = maps if isinstance(maps, list) else [maps]
    spectra = [NonNegative()] if counts or rng.random() < 0.5 else [Free()]
    offset = not counts and rng.random() < 0.3
    facts = isinstance(maps[0], Simplex)
    signed = [n for n, c in (("C", maps), ("S", spectra)) if isinstance(c[0], Free)]

    def predict(f: Factors) -> dict[str, Array]:
        M = f["C"] @ f["S"].T + (f["b"] if offset else 0)
        return {"a": M.reshape(d.x.shape)}

    def check(f: Factors) -> str:
        sums = f["C"].sum(1)
        return (
            "" if not facts or np.allclose(sums, 1, atol=1e-5) else "rows of C do not add up to 1"
        )

    return Piece(
        [d],
        lambda sets: OwnModel(sets[0], K, maps, spectra, offset),
        predict,
        None,
        "C",
        f"OwnModel(K={K}, C {maps[0]}, S {spectra[0]}{', b' * offset})",
        signed=[*signed, *(["b"] if offset else [])],
        deviation="b" if offset else None,
        check=check,
    )


def cpd(rng: Rng, counts: bool, plain: bool) -> Piece:
    two = plain and counts  # what RowNewton takes: a matrix
    d = drawn(rng, "a", counts=counts, shape=SIZES["line"] if two else None)
    names = ascii_uppercase[: d.x.ndim]
    K = _rank(rng, prod(d.x.shape) // max(d.x.shape))
    sum_ = ",".join(f"{c}z" for c in ascii_lowercase[: d.x.ndim])
    return Piece(
        [d],
        lambda sets: fu.models.CPD(sets[0], K),
        lambda f: {
            "a": np.einsum(f"{sum_}->{ascii_lowercase[: d.x.ndim]}", *(f[n] for n in names))
        },
        "A",
        "A",
        f"CPD(K={K})",
        unit=list(names[1:]),
    )


def tucker(rng: Rng, counts: bool, plain: bool) -> Piece:
    d = drawn(rng, "a", counts=counts)
    names = ascii_uppercase[: d.x.ndim]
    ranks = [int(rng.integers(1, min(n, 3) + 1)) for n in d.x.shape]
    if rng.random() < 0.9:  # such that none is above the product of the others
        for m in range(len(ranks)):
            ranks[m] = min(ranks[m], prod(ranks) // ranks[m])
    modes, core = ascii_lowercase[: d.x.ndim], ascii_uppercase[: d.x.ndim]
    text = ",".join([core, *(a + b for a, b in zip(modes, core, strict=True))])
    return Piece(
        [d],
        lambda sets: fu.models.Tucker(sets[0], ranks),
        lambda f: {"a": np.einsum(f"{text}->{modes}", f["core"], *(f[n] for n in names))},
        "core",
        None,
        f"Tucker(ranks={ranks})",
        unit=list(names),
    )


def _two(rng: Rng, counts: bool) -> list[Drawn]:
    """Two data sets of the same pixels."""
    first = drawn(rng, "a", counts=counts)
    shape = (*first.x.shape[:-1], int(rng.integers(1, 8)))
    return [first, drawn(rng, "b", counts=counts, shape=shape)]


def shared_maps(rng: Rng, counts: bool, plain: bool) -> Piece:
    data = _two(rng, counts)
    K = _rank(rng, min(_pixels(data[0]), sum(d.x.shape[-1] for d in data)))
    return Piece(
        data,
        lambda sets: fu.models.SharedMaps(*sets, K=K),
        lambda f: {d.name: _maps(f["C"], f[f"S_{d.name}"], d) for d in data},
        None,
        "C",
        f"SharedMaps(K={K})",
        unit=["S_a"],
    )


def shared_spectra(rng: Rng, counts: bool, plain: bool) -> Piece:
    first = drawn(rng, "a", counts=counts)
    shape = (*(int(rng.integers(1, 5)) for _ in range(2)), first.x.shape[-1])
    data = [first, drawn(rng, "b", counts=counts, shape=shape)]
    K = _rank(rng, min(sum(map(_pixels, data)), first.x.shape[-1]))
    return Piece(
        data,
        lambda sets: fu.models.SharedSpectra(*sets, K=K),
        lambda f: {d.name: _maps(f[f"C_{d.name}"], f["S"], d) for d in data},
        "C_a",
        "C_b",
        f"SharedSpectra(K={K})",
        unit=["S"],
    )


def softly_coupled(rng: Rng, counts: bool, plain: bool) -> Piece:
    data = _two(rng, counts)
    K = _rank(rng, min(min(_pixels(d), d.x.shape[-1]) for d in data))
    a, b = data
    return Piece(
        data,
        lambda sets: fu.models.SoftlyCoupled(*sets, K),
        lambda f: {
            "a": _maps(f["C"] + f["N"], f["S_a"], a),
            "b": _maps(f["C"], f["S_b"], b),
        },
        None,
        "C",
        f"SoftlyCoupled(K={K})",
        signed=["N"],
        unit=["C"],
        deviation="N",
    )


def with_background(rng: Rng, counts: bool, plain: bool) -> Piece:
    raw = drawn(rng, "raw", counts=counts)
    net = drawn(rng, "net", counts=counts, shape=raw.x.shape) if rng.random() < 0.6 else None
    K = _rank(rng, min(_pixels(raw), raw.x.shape[-1]))
    background = NonNegative() if plain else None

    def predict(f: Factors) -> dict[str, Array]:
        made = {"raw": _maps(f["C"], f["S"] + f["N"], raw)}
        return made | ({} if net is None else {"net": _maps(f["C"], f["S"], net)})

    return Piece(
        [raw] if net is None else [raw, net],
        lambda sets: fu.models.WithBackground(
            sets[0], sets[1] if net else None, K, background=background
        ),
        predict,
        "S",
        "C",
        f"WithBackground(K={K}, {background}{', net' if net else ''})",
        unit=["C"],
    )


def with_references(rng: Rng, counts: bool, plain: bool) -> Piece:
    d = drawn(rng, "a", counts=counts)
    R = 1 if rng.random() < 0.7 else 2
    K = _rank(rng, max(1, min(_pixels(d), d.x.shape[-1]) - R))
    known = rng.random((R, d.x.shape[-1])) + 0.1
    if rng.random() < 0.05:
        known[0] = 0
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-300)

    def check(f: Factors) -> str:
        same = np.allclose(f["S"][:, :R], unit.T, atol=1e-6)
        return "" if same else "known spectra have changed"

    return Piece(
        [d],
        lambda sets: fu.models.WithReferences(
            sets[0], {f"r{i}": k for i, k in enumerate(known)}, K
        ),
        lambda f: {"a": _maps(f["C"], f["S"], d)},
        "C",
        "C",
        f"WithReferences({R}, K={K})",
        unit=["S"],
        check=check,
    )


def detectors(rng: Rng, counts: bool, plain: bool) -> Piece:
    segments = not plain and rng.random() < 0.6
    scan = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    shape = (*scan, int(rng.integers(1, 8)))
    first = drawn(rng, "a", counts=counts, shape=(2, *shape) if segments else shape)
    second = drawn(rng, "b", counts=counts, shape=(*scan, int(rng.integers(1, 8))))
    K = _rank(rng, min(prod(scan), shape[-1] + second.x.shape[-1]))

    def predict(f: Factors) -> dict[str, Array]:
        M = f["C"] @ f["S_a"].T
        M = (
            M.reshape(shape)
            if not segments
            else f["g_a"][:, 0, None, None, None] * M.reshape(shape)
        )
        return {"a": M, "b": _maps(f["C"], f["S_b"], second)}

    return Piece(
        [first, second],
        lambda sets: fu.models.Detectors(*sets, K=K),
        predict,
        None,
        "C",
        f"Detectors(K={K}{', segments' * segments})",
        unit=["S_a"],
    )


MODELS: dict[str, Callable[[Rng, bool, bool], Piece]] = {
    "NMF": nmf,
    "CPD": cpd,
    "Tucker": tucker,
    "SharedMaps": shared_maps,
    "SharedSpectra": shared_spectra,
    "SoftlyCoupled": softly_coupled,
    "WithBackground": with_background,
    "WithReferences": with_references,
    "Detectors": detectors,
    "OwnModel": own,
}
"""(generator of random numbers, whether counts are wanted, whether the solver needs it plain)."""
