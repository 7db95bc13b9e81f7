"""Models, losses, constraints and starts that do not fit are refused with names and numbers."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion import models
from fusion.constraints import (
    Absent,
    Exp,
    Fixed,
    Free,
    NonNegative,
    PowerLaw,
    Simplex,
    Softplus,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.losses import (
    ARD,
    L1,
    BetaDivergence,
    Frobenius,
    NearPowerLaw,
    Norm,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
    TotalVariation,
)
from tests.helpers.messages import fails_in_one_line
from tests.helpers.planted_factors import Bilinear
from tests.helpers.short_fits import (
    LOSSES,
    BilinearOfSizes,
    complaint,
    counts,
    finite,
    fit,
    read_only,
)


@pytest.mark.parametrize("K", [0, -1, 9])
def test_a_rank_below_one_or_above_the_smaller_dimension_is_refused(K):
    with pytest.raises(ValueError, match=complaint("NMF(", f"K={K}", "(20, 8)", "1 to 8")):
        fit(fu.Dataset("a", counts()), K=K)


def test_the_largest_rank_works():
    result = fit(fu.Dataset("a", counts()), K=8)
    assert finite(result)


def test_a_rank_above_both_dimensions_of_a_model_of_ones_own_gives_a_finite_answer():
    data = fu.Dataset("a", counts((2, 3)))
    options = {"starts": 1, "max_steps": 60, "progress": False}
    result = fu.fit(BilinearOfSizes(2, 3, 7), Frobenius(data), **options)
    assert np.isfinite(result.loss)
    assert result.explained_variance["a"] > 0.999


@pytest.mark.parametrize(("pixels", "channels"), [(19, 8), (20, 9), (8, 20)])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_prediction_of_another_shape_is_refused_with_both_shapes(pixels, channels, loss):
    data = fu.Dataset("a", counts())
    words = f"{loss.__name__}(a)", f"({pixels}, {channels})", "(4, 5, 8)", "(20, 8)"
    with pytest.raises(ValueError, match=complaint(*words)):
        fu.fit(BilinearOfSizes(pixels, channels, 2), loss(data), progress=False)


def test_a_prediction_under_another_name_is_refused():
    data = fu.Dataset("a", counts())
    with pytest.raises(ValueError, match=complaint("Frobenius(a)", "'b'", "not 'a'")):
        fu.fit(BilinearOfSizes(20, 8, 2, name="b"), Frobenius(data), progress=False)


def test_two_data_sets_of_one_name_are_refused():
    data, other = fu.Dataset("a", counts()), fu.Dataset("a", counts(seed=1))
    with pytest.raises(ValueError, match=complaint("two data sets", "'a'")):
        fu.fit(models.NMF(data, 2), Frobenius(data) + Frobenius(other), progress=False)


@pytest.mark.parametrize(
    "term",
    [
        Norm("D"),
        SquaredNorm("D"),
        Smoothness("D"),
        SpatialSmoothness("D"),
        SoftOrthogonality("D"),
        ARD("D"),
        Norm(lambda m: m.D),
    ],
    ids=lambda t: type(t).__name__,
)
def test_an_unknown_factor_is_named_beside_those_that_exist(term):
    data = fu.Dataset("a", counts())
    with pytest.raises(ValueError, match=complaint(type(term).__name__, "D", "C, S")):
        fu.fit(models.NMF(data, 2), Frobenius(data) + term, progress=False)


def test_terms_refuse_factors_that_they_cannot_judge():
    data = fu.Dataset("a", counts())
    by_number = BilinearOfSizes(20, 8, 2)
    signed = BilinearOfSizes(data.pixels, data.channels, 2, C=[Free()])
    cases = [
        (models.NMF(data, 2), ARD("S"), complaint("ARD('S')", "unit norm")),
        (signed, ARD("C"), complaint("ARD('C')", "negative", "NonNegative")),
        (by_number, SpatialSmoothness("C"), complaint("SpatialSmoothness('C')", "axes")),
        (by_number, Smoothness("S", order=8), complaint("Smoothness('S')", "(8, 2)", "axis 0")),
        (by_number, Smoothness("S", axis=2), complaint("Smoothness('S')", "axis 2")),
        (by_number, Norm(lambda m: 3.0), complaint("Norm", "float", "tensor")),
        (by_number, fu.term(lambda m: m.C), complaint("(20, 2)", "one number")),
    ]
    for model, term, match in cases:
        with pytest.raises(ValueError, match=match):
            fu.fit(model, Frobenius(data) + term, progress=False)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: SquaredNorm("N", 0.0), complaint("SquaredNorm", "> 0")),
        (lambda: SquaredNorm("N", np.inf), complaint("SquaredNorm", "> 0")),
        (lambda: ARD("C", a=0.0), complaint("ARD('C'", "a=0.0", "> 0")),
        (lambda: ARD("C", b=-1.0), complaint("ARD('C'", "b=-1.0", "> 0")),
        (lambda: Smoothness("C", order=0), complaint("Smoothness", "order=0", "1 or more")),
        (lambda: -1.0 * Norm("N"), complaint("-1.0", "0 or more")),
        (lambda: np.nan * Norm("N"), complaint("nan", "0 or more")),
        (lambda: Frobenius(np.ones((3, 4))), complaint("Frobenius(ndarray)", "Dataset")),
    ],
)
def test_terms_refuse_arguments_without_meaning(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("constraints", "match"),
    [
        ([NonNegative(), Free()], complaint("NonNegative(), Free()", "both", "sign")),
        ([Softplus(), Exp()], complaint("Softplus(), Exp()", "both", "sign")),
        ([NonNegative(), PowerLaw(np.arange(1.0, 9))], complaint("PowerLaw", "both", "sign")),
        ([UnitColumns(), UnitColumns()], complaint("both", "scale")),
        ([UnitColumns(), NonNegative()], complaint("write NonNegative() before UnitColumns()")),
        ([Fixed(np.ones((8, 2))), UnitColumns()], complaint("write UnitColumns() before Fixed()")),
        ([Fixed(np.ones((8, 3)))], complaint("Fixed", "(8, 3)", "(8, 2)")),
        ([PowerLaw(np.arange(1.0, 8))], complaint("PowerLaw", "7 energies", "(8, 2)")),
    ],
)
def test_constraints_that_exclude_each_other_are_refused(constraints, match):
    with pytest.raises(ValueError, match=match):
        fu.Factor((8, 2), *constraints)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: PowerLaw([0.0, 1.0]), complaint("PowerLaw", "lowest 0", "> 0")),
        (lambda: Fixed(np.full((3, 2), np.nan)), complaint("Fixed", "nothing is known")),
        (lambda: Fixed(np.ones((3, 2)), components=[1]), complaint("Fixed", "(3, 2)", "[1]")),
        (lambda: Fixed(np.ones((3, 2)), where=[True]), complaint("Fixed", "(1,)", "(3, 2)")),
        (lambda: fu.Factor((0, 2)), complaint("(0, 2)", "1 or more")),
        (lambda: fu.cp(torch.ones(3, 2), torch.ones(4, 3)), complaint("cp", "(3, 2), (4, 3)")),
        (lambda: fu.tucker(torch.ones(2, 2), torch.ones(4, 2)), complaint("tucker", "(2, 2)")),
        (
            lambda: fu.Dataset("a", np.ones((2, 3)), axes=("y", "x", "energy")),
            complaint("3 axes", "array of 2"),
        ),
        (
            lambda: fu.Dataset("a", np.ones((2, 3)), axes=("y", fu.Axis("e", values=[1, 2]))),
            complaint("Axis('e'", "2 entries", "3"),
        ),
        (lambda: fu.Axis("e", scale=0.0), complaint("Axis('e')", "scale 0.0")),
        (lambda: fu.Axis("e", values=[1, np.nan]), complaint("Axis('e')", "finite")),
        (lambda: fu.Dataset("a", np.ones(3), signal=2), complaint("signal=2", "1 axes")),
    ],
)
def test_pieces_refuse_arguments_that_do_not_fit(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_guess_that_does_not_fit_is_refused_with_the_factors_name():
    model = models.NMF(fu.Dataset("a", counts()), 2)
    with pytest.raises(ValueError, match=complaint("model.S", "(7, 2)", "(8, 2)")):
        model.S = np.ones((7, 2))
    with pytest.raises(ValueError, match=complaint("model.S", "1 NaN or infinite")):
        model.S = np.where(np.arange(16).reshape(8, 2) == 3, np.nan, 1.0)


@pytest.mark.parametrize("view", [lambda S: S[::-1, ::-1], lambda S: S.astype(">f4"), read_only])
def test_a_guess_of_any_layout_is_taken(view):
    model = models.NMF(fu.Dataset("a", counts()), 2)
    guess = view(np.random.default_rng(0).random((8, 2)))
    model.S = guess
    expected = np.asarray(guess, float) / np.linalg.norm(np.asarray(guess, float), axis=0)
    assert model.S.detach().numpy() == pytest.approx(expected)


@pytest.mark.parametrize("view", [lambda S: S[::-1, ::-1], lambda S: S.astype(">f4"), read_only])
def test_a_start_of_any_layout_is_taken(view):
    data = fu.Dataset("a", counts())
    guess = view(np.random.default_rng(0).random((8, 2)))
    assert finite(fit(data, init=[{"S": guess}]))


@pytest.mark.parametrize(
    ("init", "match"),
    [
        ([{"D": np.ones((20, 2))}], complaint("init", "'D'", "C, S")),
        ([{"C": np.ones((19, 2))}], complaint("init", "'C'", "(19, 2)", "(20, 2)")),
        ([{"C": np.full((20, 2), np.nan)}], complaint("NaN")),
        ([], complaint("init")),
    ],
)
def test_a_start_that_does_not_fit_is_refused(init, match):
    with pytest.raises(ValueError, match=match):
        fit(fu.Dataset("a", counts()), init=init)


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
