"""What does not fall apart into pixels is refused before the first pass, or read whole."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.constraints import Fixed, Free, Monotone, NonNegative, Simplex, UnitColumns, UnitNorm
from fusion.losses import (
    L1,
    Frobenius,
    Norm,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
    TotalVariation,
)
from fusion.models import CPD, NMF, SharedSpectra
from tests.helpers.block_data import (
    SCAN,
    K,
    by_blocks,
    in_memory,
    lazy,
    noisy,
    planted,
    same_answer,
)
from tests.helpers.messages import fails_in_one_line

C, S = planted()
CUBE = noisy(C, S)
KNOWN = np.full((len(C), K), np.nan)
KNOWN[3, 1] = 2.0


def never(block_info=None):
    raise AssertionError("read")


def unread(name: str = "eels", shape=CUBE.shape) -> fu.Dataset:
    """A data set of which no block may be computed."""
    array = lazy(np.zeros(shape), (5, 8))
    return fu.Dataset(name, array.map_blocks(lambda block: never(), dtype=float, meta=array._meta))


class Own(fu.Model):
    """Maps with the facts that are given."""

    def __init__(self, data, *facts, factor=None, maps=lambda C: C):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), *facts) if factor is None else factor
        self.S = fu.Factor((data.channels, K), NonNegative())
        self.maps = maps

    def forward(self):
        return {"eels": fu.cp(self.maps(self.C), self.S)}


@pytest.mark.parametrize(
    "term", [SpatialSmoothness("C"), TotalVariation("C"), SoftOrthogonality("C")], ids=str
)
def test_penalties_between_pixels_are_refused(term):
    data = unread()
    words = str(term), "makes pixels depend on each other", "SquaredNorm", "leave it out"
    fails_in_one_line(lambda: by_blocks(NMF(data, K), Frobenius(data) + term), *words)


def test_a_function_of_the_maps_is_refused():
    @fu.term
    def even(model):
        return model.C.mean(0).square().sum()

    data = unread()
    fails_in_one_line(lambda: by_blocks(NMF(data, K), Frobenius(data) + even), "even(model)")


def test_a_penalty_that_asks_how_fits_bend_is_refused():
    data = unread()
    loss = Frobenius(data) + 0.1 * SoftOrthogonality("S")
    fails_in_one_line(lambda: by_blocks(NMF(data, K), loss), "SoftOrthogonality('S')", "bend")


@pytest.mark.parametrize(
    "facts",
    [
        (Simplex(),),
        (Monotone(),),
        (NonNegative(), UnitNorm(1)),
        (NonNegative(), Fixed(KNOWN)),
        (NonNegative(), UnitColumns(), Fixed(KNOWN)),
    ],
    ids=str,
)
def test_rows_that_are_not_free_are_refused(facts):
    data = unread()
    words = "the rows of 'C'", "not free of each other", "NonNegative()"
    fails_in_one_line(lambda: by_blocks(Own(data, *facts), Frobenius(data)), *words)


def test_a_factor_of_a_number_of_pixels_is_refused():
    data = unread()
    model = Own(data, factor=fu.Factor((len(C), K), NonNegative()))
    words = "no factor of the model runs along the pixels", "fu.Factor((data.pixels, K))"
    fails_in_one_line(lambda: by_blocks(model, Frobenius(data)), *words)


class Beside(Own):
    def __init__(self, data):
        super().__init__(data, NonNegative())
        self.N = fu.Factor((len(C), K), Free())

    def forward(self):
        return {"eels": fu.cp(self.C + self.N, self.S)}


def test_a_factor_of_a_number_of_pixels_beside_others_is_refused():
    data = unread()
    loss = Frobenius(data) + SquaredNorm("N", 1.0)
    words = "`Beside.forward`", "'N' has as many rows as there are pixels", "data.pixels"
    fails_in_one_line(lambda: by_blocks(Beside(data), loss), *words)


@pytest.mark.parametrize(
    "maps", [lambda C: C + 0.1 * C.mean(0), lambda C: C.cumsum(0), lambda C: C.roll(1, 0)]
)
def test_equations_in_which_pixels_see_each_other_are_refused(maps):
    data = unread()
    words = "`Own.forward` is no equation of every pixel alone", "'eels' depends on others"
    fails_in_one_line(lambda: by_blocks(Own(data, maps=maps), Frobenius(data)), *words)


class TwoGrids(Own):
    def __init__(self, data, coarse):
        super().__init__(data, NonNegative())
        self.fine, self.coarse = data.pixels, coarse.pixels

    def forward(self):
        coarse = fu.resample(self.C, self.fine, self.coarse)
        return {"eels": fu.cp(self.C, self.S), "coarse": fu.cp(coarse, self.S)}


def test_maps_that_are_resampled_are_refused():
    data, coarse = unread(), unread("coarse", (10, 12, 60))
    axes = [fu.Axis("y", 2.0, 0.5), fu.Axis("x", 2.0, 0.5), *data.channels]
    coarse = fu.Dataset("coarse", coarse.lazy, axes=axes)
    call = lambda: by_blocks(TwoGrids(data, coarse), Frobenius(data) + Frobenius(coarse))  # noqa: E731
    fails_in_one_line(call, "Dataset('coarse')", "binned to one grid")


@pytest.mark.parametrize("chunks", [{"array": (20, 24, 60)}, {"array": (20, 24, 6)}], ids=str)
def test_chunks_larger_than_the_memory_allows_are_refused_with_the_line_that_mends_it(chunks):
    data = fu.Dataset("eels", lazy(CUBE, chunks["array"]))
    call = lambda: by_blocks(  # noqa: E731
        NMF(data, K), Frobenius(data), settings={"memory": "1 MiB"}
    )
    words = "is stored in chunks of", "may be read together", "array.rechunk({0: 11, 1: 11})"
    fails_in_one_line(call, *words)
    mended = fu.Dataset("eels", data.lazy.rechunk({0: 11, 1: 11, 2: -1}))
    by_blocks(NMF(mended, K), Frobenius(mended), settings={"memory": "1 MiB"})


@pytest.mark.parametrize("given", ["4 GB", 4, False, {"memory": 1}, fu.Blocks])
def test_blocks_of_something_else_are_refused(given):
    data = unread()
    call = lambda: fu.fit(NMF(data, K), Frobenius(data), blocks=given)  # noqa: E731
    fails_in_one_line(call, "fit(blocks=", "fusion.Blocks(memory='4 GB')")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"memory": "4 XB"}, "no size"),
        ({"memory": "4,5 GB"}, "no size"),
        ({"memory": -3}, "too few"),
        ({"memory": "1 kB"}, "1000 bytes are too few"),
        ({"memory": np.nan}, "no size"),
        ({"memory": True}, "no size"),
        ({"passes": 2}, "3 or more"),
        ({"passes": 2.5}, "whole number"),
        ({"sample": 0}, "2 or more"),
        ({"checkpoint": 3}, "give a path"),
        ({"out": "s3://bucket/answer.zarr"}, "mounted alone"),
        ({"checkpoint": "/nowhere/at/all/fit.ckpt"}, "there is no folder /nowhere/at/all"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(options, words):
    fails_in_one_line(lambda: fu.Blocks(**options), "`Blocks(", words)


@pytest.mark.parametrize(
    ("memory", "size"),
    [("4 GB", 4e9), ("512 MiB", 2**29), ("1.5g", 1.5e9), (3e9, 3e9), (2**21, 2**21)],
)
def test_memory_is_read_in_words_and_numbers(memory, size):
    assert fu.Blocks(memory=memory).bytes == size


def test_fewer_pixels_than_components_are_refused():
    data = unread()
    call = lambda: by_blocks(NMF(data, K), Frobenius(data), sample=2)  # noqa: E731
    fails_in_one_line(call, "Blocks(sample=2)", "3 components")


def test_too_many_components_are_refused():
    data = unread()
    fails_in_one_line(lambda: NMF(data, 61), "K must be a whole number from 1 to 60")


@pytest.mark.parametrize(
    "term", [2.0 * Norm("C"), SquaredNorm("C", 1.0), TotalVariation("S"), 2.0 * Norm("S")], ids=str
)
def test_penalties_of_single_pixels_and_of_spectra_are_taken(term):
    def posed(array):
        data = fu.Dataset("eels", array)
        return NMF(data, K), Frobenius(data) + term

    same_answer(by_blocks(*posed(lazy(CUBE, (10, 12)))), in_memory(*posed(CUBE)))


def test_a_function_of_the_spectra_is_taken():
    @fu.term
    def even(model):
        return 3 * (model.S[1:] - model.S[:-1]).square().sum()

    def posed(array):
        data = fu.Dataset("eels", array)
        return NMF(data, K), Frobenius(data) + even

    same_answer(by_blocks(*posed(lazy(CUBE, (10, 12)))), in_memory(*posed(CUBE)))


def test_an_answer_that_is_none_yet_is_said():
    data = fu.Dataset("eels", lazy(CUBE, (10, 12)))
    with pytest.warns(fu.ClaimWarning, match=r"not an answer yet.*Blocks\(passes=6\)"):
        result = by_blocks(
            NMF(data, K), Frobenius(data) + L1("C"), sample=4, settings={"passes": 3}
        )
    assert not result.converged
    assert any("not an answer yet" in text for text in result.messages)


def test_data_that_are_not_met_are_said():
    data = fu.Dataset("eels", lazy(CUBE, (10, 12)), variance=0.01)
    with pytest.warns(fu.NoiseWarning, match="χ² per value of 'eels' is 9"):
        by_blocks(NMF(data, K), Frobenius(data))


def test_counts_that_were_scaled_are_said():
    counts = np.random.default_rng(0).poisson(20 * C @ (S + 0.02).T).reshape(*SCAN, -1)
    data = fu.Dataset("edxs", lazy(counts * 0.37, (10, 12)))
    with pytest.warns(fu.NoiseWarning, match=r"multiples of 0\.37"):
        by_blocks(NMF(data, K), fu.losses.Poisson(data), settings={"passes": 3})


def test_two_scans_of_different_sizes_share_spectra():
    def posed(make):
        one, two = fu.Dataset("one", make(CUBE)), fu.Dataset("two", make(CUBE[:9]))
        return SharedSpectra(one, two, K=K), Frobenius(one) + Frobenius(two)

    same_answer(by_blocks(*posed(lambda x: lazy(x, (4, 8)))), in_memory(*posed(np.asarray)))


def test_a_tensor_decomposition_goes_as_a_matrix_does():
    def posed(array):
        data = fu.Dataset("eels", array)
        return CPD(data, K), Frobenius(data)

    result, whole = by_blocks(*posed(lazy(CUBE, (10, 12)))), in_memory(*posed(CUBE))
    assert result.loss == pytest.approx(whole.loss, rel=1e-5)
