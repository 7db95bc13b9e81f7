"""Shipped models: shapes, equations against NumPy, fixed scale, complaints that name numbers."""

import copy
import pickle

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Exp, NonNegative, UnitColumns
from fusion.losses import ARD, Frobenius
from fusion.models import CPD, NMF, SharedMaps, SharedSpectra, SoftlyCoupled, Tucker, WithBackground
from tests.helpers.planted_factors import CASES

RNG = np.random.default_rng(0)
ENERGY = fu.Axis("energy loss", scale=1.0, offset=100.0, units="eV")


def dataset(name, *shape, **options):
    return fu.Dataset(name, RNG.random(shape), **options)


def predicted(model):
    """Predictions expanded, and factors, as NumPy arrays."""
    with torch.no_grad():
        made = {name: M.dense().numpy() for name, M in model.predict().items()}
        return made, {name: value.numpy() for name, value in model.factors.items()}


a, b, image = dataset("a", 4, 5, 12), dataset("b", 4, 5, 9), dataset("adf", 4, 5, signal=0)
raw, net = (dataset(name, 4, 5, 12, axes=("y", "x", ENERGY)) for name in ("raw", "net"))


# ---- equations -----------------------------------------------------------------------------------


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


# ---- scale, order, copies ------------------------------------------------------------------------

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


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_predictions_are_named_after_the_data_sets_and_fit_them(make):
    case = make(0.0)
    assert set(case.model.predict()) == set(case.loss.datasets)
    case.loss.check(case.model)


@pytest.mark.parametrize(
    "model", [NMF(a, 2), SharedMaps(a, b, K=2)], ids=lambda m: type(m).__name__
)
def test_ard_finds_the_amount_in_the_maps(model):
    (Frobenius(a) + ARD("C")).check(model)


def test_soft_coupling_with_pairs_keeps_the_order_of_the_user():
    assert SoftlyCoupled(a, b, 2, coupled=[(0, 1), (1, 0)]).interchangeable == ()
    assert set(SoftlyCoupled(a, b, 2).interchangeable) == {"C", "N", "S_a", "S_b"}


# ---- tensorly at the border ----------------------------------------------------------------------


def test_cpd_takes_a_tensorly_tensor_with_its_weights_as_a_guess():
    from tensorly.cp_tensor import CPTensor, cp_to_tensor

    cp = CPTensor((np.array([2.0, 0.5]), [RNG.random((n, 2)) for n in a.shape]))
    made, _ = predicted(CPD.from_tensorly(a, cp))
    np.testing.assert_allclose(made["a"], cp_to_tensor(cp), rtol=1e-12)


def test_cpd_takes_torch_factors_with_a_gradient():
    class Found:
        weights = None
        factors = [torch.rand(n, 2, requires_grad=True) for n in a.shape]  # noqa: RUF012

    made, _ = predicted(CPD.from_tensorly(a, Found()))
    f = [factor.detach().numpy() for factor in Found.factors]
    np.testing.assert_allclose(made["a"], np.einsum("ik,jk,lk->ijl", *f), rtol=1e-5)


def test_tucker_takes_a_tensorly_tensor_as_a_guess():
    from tensorly.tucker_tensor import TuckerTensor, tucker_to_tensor

    ranks = (2, 3, 2)
    factors = [RNG.random((n, r)) for n, r in zip(a.shape, ranks, strict=True)]
    tensor = TuckerTensor((RNG.random(ranks), factors))
    made, _ = predicted(Tucker.from_tensorly(a, tensor))
    np.testing.assert_allclose(made["a"], tucker_to_tensor(tensor), rtol=1e-12)


@pytest.mark.parametrize(
    "model", [CPD.from_svd(a, 3), Tucker.from_svd(a, (2, 2, 2))], ids=["cpd", "tucker"]
)
def test_svd_start_is_positive_and_nearer_to_the_data_than_nothing(model):
    _, factors = predicted(model)
    assert all((value >= 0).all() for value in factors.values())
    with torch.no_grad():
        assert float(Frobenius(a)(model)) < 0.25 * float((a.tensor**2).sum())
    assert all(module.assigned for module in model.factor_modules().values())


def test_svd_start_ignores_what_is_masked():
    values = RNG.random((4, 5, 12))
    values[1, 2] = np.nan
    masked = fu.Dataset("a", values, mask=~np.isfinite(values[..., 0]))
    _, factors = predicted(CPD.from_svd(masked, 2))
    assert all(np.isfinite(value).all() for value in factors.values())


def test_tensorly_keeps_its_backend():
    import tensorly as tl

    before = tl.get_backend()
    CPD.from_svd(a, 2)
    Tucker.from_svd(a, (2, 2, 2))
    assert tl.get_backend() == before


# ---- complaints ----------------------------------------------------------------------------------

short, wide, twin = dataset("b", 4, 6, 9), dataset("wide", 4, 5, 13), dataset("a", 4, 5, 9)
spectrum = dataset("s", 12)


class Wrong:
    """A CP tensor of the wrong shape."""

    weights = None
    factors = [np.ones((4, 2)), np.ones((5, 2)), np.ones((12, 2))]  # noqa: RUF012


COMPLAINTS = {
    "NMF: K above the channels": (lambda: NMF(a, 13), r"\(20, 12\).*1 to 12"),
    "NMF: K = 0": (lambda: NMF(a, 0), "1 to 12"),
    "CPD: one axis": (lambda: CPD(spectrum, 1), r"shape \(12,\).*two or more"),
    "CPD: K = 0": (lambda: CPD(a, 0), "1 to 20"),
    "CPD: K above what is ever needed": (lambda: CPD(a, 21), r"20 components.*\(4, 5, 12\)"),
    "CPD: a number that is not whole": (lambda: CPD(a, 2.5), "whole number from 1 to 20"),
    "CPD: names": (lambda: CPD(a, 2, names=("x", "y")), r"\('x', 'y'\) for 3 axes"),
    "CPD: a name in use": (lambda: CPD(a, 2, names=("x", "y", "forward")), "not 'forward'"),
    "Tucker: ranks": (lambda: Tucker(a, (2, 2)), r"2 ranks for data of shape \(4, 5, 12\)"),
    "Tucker: a rank above its axis": (lambda: Tucker(a, (5, 5, 5)), "rank 5 for axis 'y'.*1 to 4"),
    "Tucker: a rank above the others": (lambda: Tucker(a, (2, 2, 5)), "product of the others, 4"),
    "Tucker: core": (
        lambda: Tucker(a, (2, 2, 2), names=("core", "x", "y")),
        "'core' is the core's",
    ),
    "SharedMaps: none": (lambda: SharedMaps(K=2), "one or more"),
    "SharedMaps: pixels": (lambda: SharedMaps(a, short, K=2), r"pixels \(4, 5\), 'b' \(4, 6\)"),
    "SharedMaps: names": (lambda: SharedMaps(a, twin, K=2), "'a', 'a'.*of its own"),
    "SharedMaps: K": (lambda: SharedMaps(a, b, K=21), "20 pixels, 21 channels in all.*1 to 20"),
    "SharedMaps: no data set": (lambda: SharedMaps(a, 3, K=2), "int is no data set"),
    "SharedSpectra: channels": (lambda: SharedSpectra(a, wide, K=2), r"\(12,\), 'wide' \(13,\)"),
    "SharedSpectra: K": (lambda: SharedSpectra(a, K=13), "12 channels, 20 pixels in all.*1 to 12"),
    "SoftlyCoupled: pixels": (lambda: SoftlyCoupled(a, short, 2), r"\(4, 5\), 'b' \(4, 6\)"),
    "SoftlyCoupled: K": (lambda: SoftlyCoupled(a, b, (2, 10)), r"'b' is \(20, 9\).*1 to 9"),
    "SoftlyCoupled: pairs": (lambda: SoftlyCoupled(a, b, 2, coupled=[(0, 2)]), "second.*0 to 1"),
    "SoftlyCoupled: twice": (
        lambda: SoftlyCoupled(a, b, 2, coupled=[(0, 0), (0, 1)]),
        "at most once",
    ),
    "SoftlyCoupled: none": (lambda: SoftlyCoupled(a, b, 2, coupled=[]), "two `NMF`"),
    "WithBackground: channels": (lambda: WithBackground(raw, wide, 2), r"\(12,\), 'wide' \(13,\)"),
    "WithBackground: K": (lambda: WithBackground(raw, net, 13), "1 to 12"),
    "WithBackground: energies": (lambda: WithBackground(a, None, 2), "lowest 0.*> 0"),
    "from_tensorly: shapes": (lambda: CPD.from_tensorly(b, Wrong()), r"data \(4, 5, 9\)"),
}


@pytest.mark.parametrize(("call", "message"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_complaint_names_the_call_and_the_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_all_shipped_factors_are_non_negative_but_a_deviation():
    for make in CASES:
        for name, module in make(0.0).model.factor_modules().items():
            assert isinstance(module.chain[0], NonNegative) or name == "N", (make, name)
