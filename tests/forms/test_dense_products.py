"""Products of arrays with factors of few and of many columns, against NumPy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion.forms.compressed import Compressed
from fusion.forms.dense import Dense
from fusion.forms.reading import CHUNK
from fusion.forms.weights import Weights

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("columns", [1, 3, 12, 16, 17, 30])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("rows", [90, CHUNK // 100 + 7], ids=["at once", "in parts"])
def test_a_product_is_that_of_the_values_however_many_columns(columns, kind, rows):
    x, B = RNG.poisson(4.0, (rows, 100)).astype(kind), RNG.normal(size=(100, columns))
    form = Dense(torch.from_numpy(x), Weights(), torch.float64, resident=0)
    B, G = B.astype(kind), RNG.normal(size=(rows, columns)).astype(kind)
    for made, exact in (
        (form.matmul(torch.from_numpy(B)), x.astype(float) @ B),
        (form.rmatmul(torch.from_numpy(G)), x.T.astype(float) @ G),
    ):
        off = np.abs(made.numpy() - exact).max() / np.abs(exact).max()
        assert off < (1e-5 if kind == "f4" else 1e-14)


@pytest.mark.parametrize("starts", [1, 3])
def test_products_of_compressed_data_are_those_of_what_they_stand_for(starts):
    U, core, V = RNG.normal(size=(70, 6)), RNG.normal(size=(6, 5)), RNG.normal(size=(40, 5))
    whole = Dense(torch.from_numpy(U @ core @ V.T), Weights(), torch.float64)
    form = Compressed(whole, torch.from_numpy(core), [torch.from_numpy(U), torch.from_numpy(V)])
    R, L = RNG.normal(size=(starts, 40, 4)), RNG.normal(size=(starts, 70, 4))
    np.testing.assert_allclose(form.met(torch.from_numpy(R)), U @ core @ V.T @ R, rtol=1e-10)
    back = form.met_back(torch.from_numpy(L))
    np.testing.assert_allclose(back, V @ core.T @ U.T @ L, rtol=1e-10)
