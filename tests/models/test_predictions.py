"""Shipped models: shapes, and equations against NumPy."""

import numpy as np
import pytest

from fusion.constraints import Exp
from fusion.models import CPD, NMF, SharedMaps, SharedSpectra, SoftlyCoupled, Tucker, WithBackground
from tests.helpers.model_data import a, b, dataset, image, net, predicted, raw
from tests.helpers.planted_factors import CASES


def test_nmf_is_maps_times_spectra():
    made, f = predicted(NMF(a, 3))
    np.testing.assert_allclose(made["a"], f["C"] @ f["S"].T)


def test_cpd_is_the_sum_of_outer_products_over_all_axes():
    made, f = predicted(CPD(a, 6))
    expected = np.einsum("ik,jk,lk->ijl", f["A"], f["B"], f["C"])
    np.testing.assert_allclose(made["a"], expected, rtol=1e-12)


def test_cpd_of_four_axes_has_four_factors_with_the_names_given():
    names = ("sample", "time", "excitation", "emission")
    model = CPD(dataset("x", 3, 4, 5, 6), 2, names=names)
    assert {name: tuple(value.shape) for name, value in model.factors.items()} == {
        "sample": (3, 2),
        "time": (4, 2),
        "excitation": (5, 2),
        "emission": (6, 2),
    }
    assert model.structure == ("cp", names)
    made, f = predicted(model)
    expected = np.einsum("ik,jk,lk,mk->ijlm", *(f[name] for name in names))
    np.testing.assert_allclose(made["x"], expected, rtol=1e-12)


def test_tucker_is_a_core_times_a_factor_in_every_mode():
    model = Tucker(a, (2, 3, 4))
    made, f = predicted(model)
    expected = np.einsum("pqr,ip,jq,lr->ijl", f["core"], f["A"], f["B"], f["C"])
    np.testing.assert_allclose(made["a"], expected, rtol=1e-12)
    assert f["core"].shape == (2, 3, 4)
    assert model.structure == ("tucker", ("core", "A", "B", "C"))


def test_shared_maps_have_one_map_matrix_and_spectra_for_every_data_set():
    made, f = predicted(SharedMaps(a, b, image, K=2))
    assert set(f) == {"C", "S_a", "S_b", "S_adf"}
    for name in ("a", "b", "adf"):
        np.testing.assert_allclose(made[name], f["C"] @ f[f"S_{name}"].T, rtol=1e-12)
    assert f["S_adf"].shape == (1, 2)


def test_shared_spectra_have_one_spectra_matrix_and_maps_for_every_data_set():
    other = dataset("low loss", 3, 12)
    made, f = predicted(SharedSpectra(a, other, K=2))
    assert set(f) == {"S", "C_a", "C_low_loss"}
    np.testing.assert_allclose(made["a"], f["C_a"] @ f["S"].T, rtol=1e-12)
    np.testing.assert_allclose(made["low loss"], f["C_low_loss"] @ f["S"].T, rtol=1e-12)


def test_softly_coupled_is_equation_14():
    made, f = predicted(SoftlyCoupled(a, b, 3))
    np.testing.assert_allclose(made["a"], (f["C"] + f["N"]) @ f["S_a"].T, rtol=1e-12)
    np.testing.assert_allclose(made["b"], f["C"] @ f["S_b"].T, rtol=1e-12)


def test_softly_coupled_couples_the_pairs_named_and_no_others():
    model = SoftlyCoupled(a, b, (3, 2), coupled=[(2, 0), (0, 1)])
    made, f = predicted(model)
    maps = np.stack([f["C"][:, 1] + f["N"][:, 1], f["C_a"][:, 0], f["C"][:, 0] + f["N"][:, 0]], 1)
    np.testing.assert_allclose(made["a"], maps @ f["S_a"].T, rtol=1e-12)
    np.testing.assert_allclose(made["b"], f["C"] @ f["S_b"].T, rtol=1e-12)
    assert f["N"].shape == (20, 2)
    assert f["C_a"].shape == (20, 1)


def test_softly_coupled_of_two_and_three_components_couples_the_first_two():
    made, f = predicted(SoftlyCoupled(a, b, (2, 3)))  # review, fig. 8
    np.testing.assert_allclose(made["a"], (f["C"][:, :2] + f["N"]) @ f["S_a"].T, rtol=1e-12)
    assert f["S_b"].shape == (9, 3)


def test_with_background_is_equation_15():
    made, f = predicted(WithBackground(raw, net, 2))
    np.testing.assert_allclose(made["raw"], f["C"] @ (f["S"] + f["N"]).T, rtol=1e-12)
    np.testing.assert_allclose(made["net"], f["C"] @ f["S"].T, rtol=1e-12)
    log = np.log(f["N"])
    slopes = np.diff(log, axis=0) / np.diff(np.log(100 + np.arange(12)))[:, None]
    np.testing.assert_allclose(slopes, np.broadcast_to(slopes[0], slopes.shape), rtol=1e-9)


def test_with_background_takes_any_constraint_and_no_net():
    model = WithBackground(raw, None, 2, background=Exp())
    assert set(model.predict()) == {"raw"}
    assert type(model.factor("N").chain[0]) is Exp


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_predictions_are_named_after_the_data_sets_and_fit_them(make):
    case = make(0.0)
    assert set(case.model.predict()) == set(case.loss.datasets)
    case.loss.check(case.model)
