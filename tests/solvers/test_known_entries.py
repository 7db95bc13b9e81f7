"""Solvers by turns where entries are known: they end where all factors at once do."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.constraints import Fixed, NonNegative, UnitColumns
from fusion.likelihood import count_kernels
from fusion.losses import Frobenius, Poisson
from fusion.solvers import HALS, GaussNewton, RowNewton

RNG = np.random.default_rng(0)
MAPS, SPECTRA = RNG.gamma(0.7, 3, (48, 3)), RNG.gamma(0.5, 1, (40, 3))
SPECTRA[:20, 1], MAPS[:10, 0], MAPS[10:20, 1] = 0, 0, 2.0  # what is known below
MEAN = (MAPS @ SPECTRA.T).reshape(6, 8, 40)
DATA = fu.Dataset("d", RNG.poisson(MEAN).astype(float))
FEW = fu.Dataset("d", RNG.poisson(0.03 * MEAN).astype(float))  # mostly zeros
needs_numba = pytest.mark.skipif(not count_kernels.installed(), reason="numba is not installed")


def known(case):
    """(of the maps, of the spectra), NaN where they are free."""
    maps, spectra = np.full(MAPS.shape, np.nan), np.full(SPECTRA.shape, np.nan)
    if "reference" in case:
        spectra[:, 0] = 3 * SPECTRA[:, 0]  # of a norm of its own
    if "zeros" in case:
        spectra[:20, 1] = 0
    if "maps" in case:
        maps[:10, 0], maps[10:20, 1] = 0, 2.0
    if "part" in case:
        spectra[:10, 0] = SPECTRA[:10, 0]
    return maps, spectra


class Known(fu.Model):
    def __init__(self, case):
        super().__init__()
        maps, spectra = known(case)
        unit = [UnitColumns()] if "unit" in case else []
        fixed = [[] if np.isnan(x).all() else [Fixed(x)] for x in (maps, spectra)]
        self.C = fu.Factor((DATA.pixels, 3), NonNegative(), *fixed[0])
        self.S = fu.Factor((40, 3), NonNegative(), *unit, *fixed[1])
        self.C, self.S = MAPS + 0.1, SPECTRA + 0.1

    def forward(self):
        return {"d": fu.cp(self.C, self.S)}


def fitted(model, loss, solver):
    result = fu.fit(model, loss, init=fu.Current(), starts=1, solver=solver, progress=False)
    assert result.converged
    assert float(loss(result.model).detach()) == pytest.approx(result.loss, rel=1e-12)
    return result


@cache
def at_once(case, loss):
    """All factors at once: (result, its loss)."""
    result = fitted(Known(case), loss, GaussNewton())
    return result, result.loss


COUNTS, FEW_COUNTS, SQUARES = Poisson(DATA), Poisson(FEW), Frobenius(DATA)
CASES = ["reference", "zeros", "maps", "reference, unit", "zeros, unit"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "rows", [pytest.param(True, marks=needs_numba), False], ids=["compiled", "torch"]
)
def test_counts_by_rows_stay_where_all_factors_at_once_end(case, rows, monkeypatch):
    loss = COUNTS if rows else FEW_COUNTS
    whole, lowest = at_once(case, loss)
    if not rows:
        monkeypatch.setattr(count_kernels, "installed", lambda: False)
    assert fitted(whole.model, loss, RowNewton()).loss == pytest.approx(lowest, abs=2e-3)


@needs_numba
@pytest.mark.parametrize("case", CASES)
def test_counts_by_rows_come_to_where_all_factors_at_once_end(case):
    _, lowest = at_once(case, COUNTS)
    assert fitted(Known(case), COUNTS, RowNewton()).loss == pytest.approx(lowest, abs=2e-3)


@pytest.mark.parametrize("case", CASES)
def test_least_squares_by_turns_end_where_all_factors_at_once_do(case):
    _, lowest = at_once(case, SQUARES)
    assert fitted(Known(case), SQUARES, HALS()).loss == pytest.approx(lowest, rel=1e-5)


@pytest.mark.parametrize(("loss", "solver"), [(Poisson, RowNewton), (Frobenius, HALS)])
def test_unit_columns_known_in_part_are_no_case_for_turns(loss, solver):
    with pytest.raises(ValueError, match=r"'S' has unit columns that are known in part.*GaussNew"):
        fu.fit(Known("part, unit"), loss(DATA), solver=solver(), progress=False)
    default = fu.fit(Known("part, unit"), loss(DATA), starts=2, progress=False)
    assert default.solver.startswith("GaussNewton")
    assert float(loss(DATA)(default.model).detach()) == pytest.approx(default.loss, rel=1e-12)
