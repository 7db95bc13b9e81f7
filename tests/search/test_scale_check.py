"""Penalties that a rescaling would take to nothing are refused, and no others."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.losses import (
    ARD,
    L1,
    Frobenius,
    Norm,
    Smoothness,
    SoftOrthogonality,
    SquaredNorm,
    TotalVariation,
)

DATA = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 20)))


class Product(fu.Model):
    def __init__(self, *spectra, data=DATA):
        super().__init__()
        self.C = fu.Factor((data.pixels, 2))
        self.S = fu.Factor((data.channels, 2), *spectra)

    def forward(self):
        return {"a": fu.cp(self.C, self.S)}


class Deviating(fu.Model):
    """Eq. (14) of one detector: the scale of N is that of C."""

    def __init__(self):
        super().__init__()
        self.C = fu.Factor((DATA.pixels, 2), NonNegative(), UnitColumns())
        self.N = fu.Factor((DATA.pixels, 2), Free())
        self.S = fu.Factor((DATA.channels, 2))

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}


PENALTIES = [L1("C"), SquaredNorm("C"), Norm("C"), TotalVariation("C"), Smoothness("C"), ARD("C")]


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_it_is_refused_where_the_partner_is_free_in_scale(penalty):
    with pytest.raises(ValueError, match=r"'S' can be made larger.*UnitColumns"):
        fu.fit(Product(), Frobenius(DATA) + penalty, starts=1, progress=False)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_it_is_taken_where_the_scale_is_fixed(penalty):
    model = Product(NonNegative(), UnitColumns())
    fu.fit(model, Frobenius(DATA) + penalty, starts=1, max_steps=2, progress=False)


@pytest.mark.parametrize(
    ("model", "penalty"),
    [
        (Product(), L1("C") + SquaredNorm("S")),
        (Product(), 1.0 * SoftOrthogonality("C")),
        (Deviating(), 1.0 * SquaredNorm("N", 0.1)),
        (Product(), 0.0 * L1("C")),
    ],
    ids=["both are penalised", "no scale in it", "beside unit columns", "no weight"],
)
def test_what_holds_the_scale_otherwise_is_taken(model, penalty):
    fu.fit(model, Frobenius(DATA) + penalty, starts=1, max_steps=2, progress=False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(4, 5, 6), (30, 20, 50), (60, 70, 80), (40, 50, 400)])
def test_it_is_told_in_any_precision(shape, dtype):
    data = fu.Dataset("a", np.random.default_rng(0).random(shape))
    loss, options = Frobenius(data) + 0.1 * L1("C"), {"dtype": dtype, "max_steps": 0}
    with pytest.raises(ValueError, match="'S' can be made larger"):
        fu.fit(Product(data=data), loss, progress=False, **options)
    fu.fit(Product(NonNegative(), UnitColumns(), data=data), loss, progress=False, **options)
