"""Shipped models: a fixed scale, components in any order, copies."""

import copy
import pickle

import numpy as np
import pytest
import torch

from fusion.constraints import NonNegative, UnitColumns
from fusion.losses import ARD, Frobenius
from fusion.models import NMF, SharedMaps, SoftlyCoupled
from tests.helpers.model_data import a, b
from tests.helpers.planted_factors import CASES

UNIT = {
    "nmf": {"S"},
    "cpd": {"B", "C"},
    "tucker": {"A", "B", "C"},
    "shared_maps": {"S_a"},
    "shared_spectra": {"S"},
    "softly_coupled": {"C"},
    "with_background": {"C"},
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_scale_is_fixed_by_unit_columns_on_the_factors_stated(make):
    modules = make(0.0).model.factor_modules()
    fixed = {n for n, m in modules.items() if any(isinstance(c, UnitColumns) for c in m.chain)}
    assert fixed == UNIT[make.__name__]
    for name in fixed:
        np.testing.assert_allclose(torch.linalg.vector_norm(modules[name](), dim=0).detach(), 1.0)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_interchangeable_components_leave_the_loss_alone_in_another_order(make):
    case = make(0.02)
    with torch.no_grad():
        before = float(case.loss(case.model))
        names = case.model.interchangeable
        after = float(case.loss(case.model.select(names, [2, 0, 1] if names else [])))
    assert after == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_model_survives_copy_and_pickle(make):
    case = make(0.02)
    with torch.no_grad():
        loss = float(case.loss(case.model))
        assert float(case.loss(copy.deepcopy(case.model))) == loss
        assert float(case.loss(pickle.loads(pickle.dumps(case.model)))) == loss


@pytest.mark.parametrize(
    ("model", "fits"),
    [(NMF(a, 2), 1.0 * Frobenius(a)), (SharedMaps(a, b, K=2), Frobenius(a) + Frobenius(b))],
)
def test_ard_finds_the_amount_in_the_maps(model, fits):
    (fits + ARD("C")).check(model)


def test_soft_coupling_with_pairs_keeps_the_order_of_the_user():
    assert SoftlyCoupled(a, b, 2, coupled=[(0, 1), (1, 0)]).interchangeable == ()
    assert set(SoftlyCoupled(a, b, 2).interchangeable) == {"C", "N", "S_a", "S_b"}


def test_all_shipped_factors_are_non_negative_but_a_deviation():
    for make in CASES:
        for name, module in make(0.0).model.factor_modules().items():
            assert isinstance(module.chain[0], NonNegative) or name == "N", (make, name)
