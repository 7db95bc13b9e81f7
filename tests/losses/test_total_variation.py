"""`TotalVariation`: its literal sum, and the edges that it keeps."""

import numpy as np
import pytest

import fusion as fu
from fusion.constraints import Fixed
from fusion.losses import Frobenius, SpatialSmoothness, TotalVariation
from tests.helpers.planted_factors import Bilinear
from tests.helpers.structured_data import (
    SCAN,
    blocks,
    fitted,
    noisy,
    peaks,
    planted_mean,
    relative_error,
    value_of,
)


def test_total_variation_is_the_literal_sum_of_gradients():
    model = fu.models.NMF(noisy(planted_mean()[0], 0), 2)
    C = model.C.detach().numpy().reshape(6, 7, 2)
    total = 0.0
    for k in range(2):
        for i in range(6):
            for j in range(7):
                down = C[i + 1, j, k] - C[i, j, k] if i < 5 else 0
                right = C[i, j + 1, k] - C[i, j, k] if j < 6 else 0
                total += np.hypot(down, right)
    smallest = 1e-9
    assert value_of(TotalVariation("C", smallest=smallest), model) == pytest.approx(total)
    S = model.S.detach().numpy()
    along = np.abs(np.diff(S, axis=0)).sum()
    assert value_of(TotalVariation("S", smallest=smallest), model) == pytest.approx(along)


def test_total_variation_keeps_edges_that_smoothness_rounds():
    C, S = blocks(), peaks(width=8.0)
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.5)
    known = [Fixed(S)]

    def error(*penalties):
        model, loss = Bilinear(data, 3, [], known), sum(penalties, 1.0 * Frobenius(data))
        result = fitted(model, loss, starts=1)  # one minimum: spectra are known
        return relative_error(result.factors["C"], C)

    plain = error()
    smooth = min(error(w * SpatialSmoothness("C")) for w in (0.3, 1.0))
    sharp = min(error(w * TotalVariation("C")) for w in (0.5, 1.0))
    assert sharp < 0.7 * plain, (sharp, smooth, plain)
    assert sharp < 0.75 * smooth, (sharp, smooth, plain)
