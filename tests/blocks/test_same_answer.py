"""Block by block the answer is that in memory, whatever the blocks are."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import NonNegative, UnitColumns
from fusion.losses import ARD, L1, Frobenius, Gaussian, Poisson, Smoothness, SquaredNorm
from fusion.models import NMF, Detectors, SharedMaps, SoftlyCoupled, WithReferences
from tests.helpers.block_data import (
    SCAN,
    K,
    by_blocks,
    counted,
    in_memory,
    lazy,
    noisy,
    planted,
    same_answer,
)

C, S = planted()
C2, S2 = planted(channels=36, seed=5)
S2 = S2[:, [1, 2, 0]]
BACKGROUND = np.linspace(1.2, 0.4, S.shape[0])[:, None] ** 2
EELS, EDXS = noisy(C, S), counted(C, S2 + 0.02, level=50)
ABOVE = EELS + np.linspace(-20, 20, SCAN[0]).clip(0)[:, None, None] * BACKGROUND[:, 0]
GAINS = np.array([0.2, 0.5, 0.3])
SEGMENTS = np.stack([counted(C, g * S2, seed=i) for i, g in enumerate(GAINS, 1)])


class Own(fu.Model):
    """A user's own: maps with unit columns, beside a background of known shape."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative(), UnitColumns())
        self.S = fu.Factor((data.channels, K), NonNegative())
        self.level = fu.Factor((data.pixels, 1), NonNegative())
        self.register_buffer("shape", torch.from_numpy(BACKGROUND))

    def forward(self):
        return {"eels": fu.cp(self.C, self.S) + fu.cp(self.level, self.shape)}


def nmf(loss):
    return lambda data: (NMF(data, K), loss(data))


def references(data):
    return WithReferences(data, {"first": S[:, 0]}, K=2), Frobenius(data)


def sparse_maps(data):
    return NMF(data, K), Frobenius(data) + 2.0 * L1("C")


def automatic_rank(data):
    return NMF(data, K), Gaussian(data) + ARD("C", b=1.0)


def smooth_spectra(data):
    return NMF(data, K), Frobenius(data) + 5.0 * Smoothness("S")


def shared(eels, edxs):
    return SharedMaps(eels, edxs, K=K), Gaussian(eels) + Poisson(edxs)


def shared_squares(eels, edxs):
    return SharedMaps(eels, edxs, K=K), Gaussian(eels) + Gaussian(edxs)


def softly(eels, edxs):
    loss = Gaussian(eels) + Gaussian(edxs) + SquaredNorm("N", 0.02)
    return SoftlyCoupled(eels, edxs, K=K), loss


def detectors(eels, edxs):
    return Detectors(eels, edxs, K=K), Gaussian(eels) + Gaussian(edxs)


CASES = {
    "NMF, Frobenius": (nmf(Frobenius), (EELS,)),
    "NMF, Gaussian": (nmf(Gaussian), (EELS,)),
    "NMF, Poisson": (nmf(Poisson), (EDXS,)),
    "NMF, L1": (sparse_maps, (EELS,)),
    "NMF, ARD": (automatic_rank, (EELS,)),
    "NMF, smooth spectra": (smooth_spectra, (EELS,)),
    "known spectra": (references, (EELS,)),
    "shared maps, counts": (shared, (EELS, EDXS)),
    "shared maps, squares": (shared_squares, (EELS, EDXS)),
    "softly coupled": (softly, (EELS, EDXS)),
    "segments": (detectors, (EELS, SEGMENTS)),
    "a model of one's own": (lambda d: (Own(d), Gaussian(d)), (ABOVE,)),
}
NAMES = "eels", "edxs"


def posed(case: str, *chunks):
    make, arrays = CASES[case]
    lazies = [
        array if part is None else lazy(array, part)
        for array, part in zip(arrays, chunks or [None] * len(arrays), strict=False)
    ]
    return make(*(fu.Dataset(n, x) for n, x in zip(NAMES, lazies, strict=False)))


@cache
def whole(case: str) -> fu.Result:
    return in_memory(*posed(case))


CHUNKS = {
    "1 block": [(20, 24), (20, 24)],
    "7 blocks": [(3, 24), (20, 7)],
    "64 blocks": [(3, 3), (5, 6)],
    "ragged": [((1, 7, 2, 10), (5, 19)), ((11, 9), (1, 1, 22))],
    "parts of spectra": [(5, 12, 17), (4, 24, (1, 20, 15))],
}


@cache
def answer(case: str, chunks: str, **settings) -> fu.Result:
    parts = CHUNKS[chunks][: len(CASES[case][1])]
    if case == "segments":
        parts[1] = (1, *parts[1], S2.shape[0])
    return by_blocks(*posed(case, *parts), settings=settings)


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_that_in_memory(case):
    result = answer(case, "7 blocks")
    assert result.solver.startswith("7 blocks, ")
    same_answer(result, whole(case), degrees=0.05)


PAIRS = [("NMF, Gaussian", chunks) for chunks in CHUNKS if chunks != "7 blocks"]
PAIRS += [("NMF, Poisson", "parts of spectra"), ("softly coupled", "ragged")]


@pytest.mark.parametrize(("case", "chunks"), PAIRS)
def test_it_is_the_same_in_any_chunks(case, chunks):
    result, other = answer(case, chunks), answer(case, "7 blocks")
    assert result.loss == pytest.approx(other.loss, rel=1e-9)
    for name, value in result.factors.items():
        share = 5e-3 if name == "N" else 1e-3  # deviations of a few per cent are known less well
        np.testing.assert_allclose(value, other[name], rtol=0, atol=share * np.abs(value).max())


def test_with_more_passes_spectra_of_counts_are_those_in_memory_too():
    result = answer("NMF, Poisson", "7 blocks", passes=25)
    assert result.converged
    same_answer(result, whole("NMF, Poisson"), loss=1e-6, degrees=0.1)


def test_data_in_memory_go_by_blocks_where_that_is_asked_for():
    result = by_blocks(*posed("NMF, Gaussian"))
    assert result.solver.startswith("20 blocks, ")  # a line of the scan each
    same_answer(result, whole("NMF, Gaussian"))


@pytest.mark.parametrize("passes", [3, 4, 7])
def test_no_more_passes_are_made_than_are_allowed(passes):
    few = counted(C, S2, level=2)  # so few that steps often lead up
    data = fu.Dataset("edxs", lazy(few, (3, 24)))
    result = by_blocks(NMF(data, K), Poisson(data), sample=60, settings={"passes": passes})
    assert int(re.search(r"(\d+) passes", result.solver)[1]) <= passes
    assert result.loss <= result.history["loss"].min()
