"""Starts where a likelihood is infinite."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Poisson
from fusion.models import NMF
from tests.helpers.planted_factors import few_counts


@pytest.mark.parametrize("solver", [fu.RowNewton(), fu.GaussNewton()], ids=["rows", "at once"])
def test_zeros_that_predict_no_counts_where_there_are_some_are_lifted(solver):
    rng = np.random.default_rng(0)
    data = fu.Dataset("a", few_counts(8, 9, 60))
    model, best = NMF(data, 3), fu.fit(NMF(data, 3), Poisson(data), seed=0, progress=False)
    spectra = rng.random((60, 3))
    spectra[:20] = 0
    model.C, model.S = rng.random((72, 3)), spectra
    told = {"init": fu.Current(), "starts": 1, "progress": False}
    result = fu.fit(model, Poisson(data), solver=solver, **told)
    assert result.converged
    assert result.loss == pytest.approx(best.loss, rel=1e-2)
