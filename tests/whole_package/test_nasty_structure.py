"""Pieces of structure refuse what does not fit, in one line."""

import numpy as np

import fusion as fu
from fusion.constraints import (
    Absent,
    Fixed,
    Free,
    NonNegative,
    Simplex,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.losses import L1, BetaDivergence, NearPowerLaw, TotalVariation
from tests.helpers.messages import fails_in_one_line
from tests.helpers.planted_factors import Bilinear


def test_what_does_not_fit_is_said_in_one_line():
    data = fu.Dataset("x", np.random.default_rng(0).poisson(1.0, (4, 5, 6)).astype(float))
    model = fu.models.NMF(data, 2)
    bare, free = Bilinear(data, 2, [Free()]), Bilinear(data, 2, [NonNegative(), UnitColumns()])
    bare.factor("C").axes = (None, None)
    fails_in_one_line(lambda: BetaDivergence(data, 0).check(model), "0 or below", "of 120")
    fails_in_one_line(lambda: BetaDivergence(data, np.nan), "finite")
    fails_in_one_line(lambda: L1("C").check(bare), "'C'", "negative")
    fails_in_one_line(lambda: L1("C").check(free), "'C'", "fixed")
    fails_in_one_line(lambda: TotalVariation("C").check(bare), "'C'", "axes")
    fails_in_one_line(lambda: TotalVariation("C", smallest=0.0), "smallest=0")
    fails_in_one_line(lambda: NearPowerLaw("S").check(model), "> 0")
    fails_in_one_line(lambda: NearPowerLaw("C").check(model), "one energy axis")
    fails_in_one_line(lambda: UnitNorm(0.5), "0.5")
    fails_in_one_line(lambda: UnitNorm(np.inf), "inf", "finite")
    fails_in_one_line(lambda: fu.Factor((6, 2), Unimodal([1, 2, 3])), "[1, 2, 3]", "(6, 2)")
    fails_in_one_line(lambda: fu.Factor((6, 2), Simplex(), UnitColumns()), "scale")
    fails_in_one_line(
        lambda: fu.Factor((6, 2), Simplex(), Fixed(np.ones((6, 2)))), "Simplex", "Absent"
    )
    fails_in_one_line(lambda: Absent({0: np.arange(4)}), "booleans")
    fails_in_one_line(lambda: Absent({0: np.zeros(4, bool)}), "no row")
