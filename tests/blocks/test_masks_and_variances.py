"""What is left out, and the noise of every value, are taken apart with the pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, Detectors
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
RNG = np.random.default_rng(7)
PIXELS = RNG.random(SCAN) < 0.1
CHANNELS = np.zeros(len(S), bool)
CHANNELS[25:29] = True
ENTRIES = RNG.random((*SCAN, len(S))) < 0.05
LINE = np.zeros((SCAN[0], 1, 1), bool)
LINE[4] = True
BY_PIXEL = RNG.uniform(0.5, 2, (*SCAN, 1))
BY_CHANNEL = RNG.uniform(0.5, 2, len(S))
SPOILT = noisy(C, S)
SPOILT[ENTRIES] = 1e4

OPTIONS = {
    "mask of pixels": {"mask": PIXELS},
    "mask of channels": {"mask": CHANNELS},
    "mask of entries": {"mask": ENTRIES},
    "mask of a line": {"mask": LINE},
    "variance, one": {"variance": 4.0},
    "variance of pixels": {"variance": BY_PIXEL},
    "variance of channels": {"variance": BY_CHANNEL},
    "variance of both": {"variance": BY_PIXEL * BY_CHANNEL},
    "variance of entries": {"variance": RNG.uniform(0.5, 2, ENTRIES.shape)},
    "variance and mask": {"variance": BY_PIXEL, "mask": PIXELS},
}


def posed(options, *, array=None, chunks=None, loss=Frobenius):
    array = noisy(C, S) if array is None else array
    data = fu.Dataset("eels", array if chunks is None else lazy(array, chunks), **options)
    return NMF(data, K), loss(data)


@cache
def answer(what: str) -> fu.Result:
    return by_blocks(*posed(OPTIONS[what], chunks=(10, 12)))


@cache
def whole(what: str) -> fu.Result:
    return in_memory(*posed(OPTIONS[what]))


@pytest.mark.parametrize("what", OPTIONS)
def test_the_answer_is_that_in_memory(what):
    same_answer(answer(what), whole(what))


def test_masked_entries_are_not_looked_at():
    spoilt = by_blocks(*posed({"mask": ENTRIES}, array=SPOILT, chunks=(10, 12)))
    clean = answer("mask of entries")
    assert spoilt.loss == pytest.approx(clean.loss, rel=1e-9)
    np.testing.assert_allclose(spoilt["C"], clean["C"], rtol=0, atol=1e-5 * clean["C"].max())


@pytest.mark.parametrize("array", [np.where(PIXELS[..., None], np.nan, noisy(C, S))])
def test_nan_under_the_mask_is_left_out(array):
    result = by_blocks(*posed({"mask": PIXELS}, array=array, chunks=(10, 12)))
    same_answer(result, whole("mask of pixels"))
    assert np.isnan(result["C"].reshape(*SCAN, K)[PIXELS]).all()
    assert np.isfinite(result["C"].reshape(*SCAN, K)[~PIXELS]).all()


def test_counts_under_a_mask():
    array, options = counted(C, S + 0.02, level=50), {"mask": PIXELS}
    result = by_blocks(*posed(options, array=array, chunks=(10, 12), loss=Poisson))
    same_answer(result, in_memory(*posed(options, array=array, loss=Poisson)), degrees=0.3)


def test_blocks_that_are_wholly_masked_are_passed_by():
    mask = np.zeros(SCAN, bool)
    mask[:6] = True
    result = by_blocks(*posed({"mask": mask}, chunks=(3, 24)))
    same_answer(result, in_memory(*posed({"mask": mask})))
    assert np.isnan(result["C"][: 6 * SCAN[1]]).all()


def test_masks_of_one_segment():
    scan = (8, 24)
    some = C[: 8 * 24]
    array = np.stack([counted(some, S + 0.02, scan=scan, level=60, seed=i) for i in range(2)])
    mask = np.zeros((2, *scan), bool)
    mask[1, 3:5] = True

    def posed(chunks):
        values, map = array, noisy(some, S, scan=scan)
        if chunks is not None:  # of both: lines of data in memory would be a block each
            values, map = lazy(array, chunks), lazy(map, chunks[1:])
        axes = ["segment", "y", "x", "energy"]
        edxs = fu.Dataset("edxs", values, axes=axes, mask=mask)
        eels = fu.Dataset("eels", map)
        return Detectors(eels, edxs, K=K), Frobenius(eels) + Frobenius(edxs)

    same_answer(by_blocks(*posed((1, 4, 24)), sample=90), in_memory(*posed(None)))
