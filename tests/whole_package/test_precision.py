"""Factors in float32 lead to the answers of float64: what cancels is made in float64."""

from __future__ import annotations

import pytest
import torch

import fusion as fu
from benchmarks import generators
from tests.helpers.small_problems import (
    BENCHMARKED,
    LEARNING,
    OWN,
    fit_options,
    loss_in_float64,
    problem,
)


@pytest.mark.parametrize("name", [*BENCHMARKED, *OWN])
def test_the_loss_reached_in_float32_is_that_of_float64(name):
    model, loss = problem(name)
    fine = fu.fit(model, loss, progress=False, **fit_options(name))
    coarse = fu.fit(model, loss, dtype=torch.float32, progress=False, **fit_options(name))
    assert coarse.model.C.dtype == torch.float32
    if name in LEARNING:
        # rounding may lead to another order of merges, and to a lower end
        assert coarse.loss <= fine.loss + 1e-4 * abs(fine.loss)
        return
    assert loss_in_float64(coarse, loss) == pytest.approx(loss_in_float64(fine, loss), rel=1e-6)
    assert coarse.loss == pytest.approx(loss_in_float64(coarse, loss), rel=1e-6)


def test_so_it_does_where_the_data_are_compressed():
    given = generators.nmf(16384, 512, 4, 0)
    model, loss = given.ours()
    quick = {"init": [given.start], "starts": 1, "progress": False}
    fine, coarse = (fu.fit(model, loss, dtype=d, **quick) for d in (torch.float64, torch.float32))
    assert coarse.loss == pytest.approx(fine.loss, rel=1e-7)
    assert given.loss(coarse.factors) == pytest.approx(fine.loss, rel=1e-7)


def test_counts_row_by_row_are_solved_in_float32_too():
    given = generators.poisson(2048, 128, 3, 0, counts=0.2)
    model, loss = given.ours()
    rows = {
        "solver": fu.RowNewton(tolerance=1e-6),
        "init": [given.start],
        "starts": 1,
        "progress": False,
    }
    fine, coarse = (fu.fit(model, loss, dtype=d, **rows) for d in (torch.float64, torch.float32))
    assert coarse.loss == pytest.approx(fine.loss, rel=1e-4)
