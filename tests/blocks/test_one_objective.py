"""Blocks of one size differ in their data alone: one objective a thread, whose data change."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.blocks.first_look import first_problem
from fusion.blocks.on_rows import pixel_axis, scans_of
from fusion.blocks.work import settle
from fusion.losses import Frobenius, Poisson

RNG = np.random.default_rng(2)
WHOLE = fu.Dataset("a", RNG.poisson(4.0, (3, 4, 9)).astype(float))
SPECTRA = {"S": torch.from_numpy(RNG.random((9, 2)) + 0.1)}


def posed(loss):
    """The problem of `WHOLE` without its pixels."""
    model = fu.models.NMF(WHOLE, 2)
    loss = 1.0 * loss(WHOLE)
    return first_problem(model, loss, scans_of(model, loss))


def block(seed, pixels=6):
    """Some pixels with data of their own."""
    counts = np.random.default_rng(seed).poisson(5.0, (pixels, 9)).astype(float)
    return {"a": fu.Dataset("a", counts, axes=(*pixel_axis(pixels), WHOLE.axes[-1]))}


def test_a_thread_makes_one_for_all_blocks_of_a_size():
    problem = posed(Frobenius)
    first = problem.on(block(0))
    assert problem.on(block(1)) is first
    assert problem.on(block(2, pixels=5)) is not first
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(problem.on, block(2, pixels=5)).result() is not problem.on(
            block(3, pixels=5)
        )
    assert problem.alone_on(block(3)) is not problem.alone_on(block(3))


def test_a_problem_that_is_sent_takes_none_with_it():
    problem = posed(Frobenius)
    made = problem.on(block(0))
    sent = pickle.loads(pickle.dumps(problem))
    assert sent.on(block(0)) is not made


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_every_block_is_settled_as_if_it_were_the_only_one(loss):
    together = posed(loss)
    for seed, pixels in ((0, 6), (1, 6), (2, 5), (3, 5), (4, 6)):
        one = settle(together, SPECTRA, block(seed, pixels), {})
        alone = settle(posed(loss), SPECTRA, block(seed, pixels), {})
        assert one.sums.fits == pytest.approx(alone.sums.fits, rel=1e-12)
        np.testing.assert_allclose(one.rows["C"], alone.rows["C"], rtol=1e-12)
        np.testing.assert_allclose(one.sums.gradient["S"], alone.sums.gradient["S"], rtol=1e-12)
