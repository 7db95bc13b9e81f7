"""Nasty input: a clear error or a finite answer, never silence."""

import re

import numpy as np
import pytest
import torch

import fusion as fu
from fusion import models
from fusion.constraints import Exp, Fixed, Free, NonNegative, PowerLaw, Softplus, UnitColumns
from fusion.engine.status import Status
from fusion.losses import (
    ARD,
    Frobenius,
    Gaussian,
    Norm,
    Poisson,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
)

SHAPE = (4, 5, 8)
LOSSES = [Frobenius, Gaussian, Poisson]


def counts(shape=SHAPE, seed=0, mean=6.0):
    """Counts of two overlapping components on a scan."""
    rng = np.random.default_rng(seed)
    C, S = rng.random((int(np.prod(shape[:-1])), 2)), rng.random((shape[-1], 2))
    return rng.poisson(mean * C @ S.T).reshape(shape).astype(float)


def fit(data, loss=Frobenius, K=2, **options):
    """A short fit by NMF."""
    loss = loss(data) if isinstance(loss, type) else loss
    options = {"starts": 2, "max_steps": 40, "progress": False} | options
    return fu.fit(models.NMF(data, K), loss, **options)


def finite(result):
    """Whether an answer is one: finite factors and loss, nothing negative, no empty spectrum."""
    C, S = result.factors["C"], result.factors["S"]
    return (
        np.isfinite(result.loss)
        and np.isfinite(C).all()
        and np.isfinite(S).all()
        and C.min() >= 0
        and S.min() >= 0
        and C.max() > 0
    )


def complaint(*words):
    """A pattern that wants all these words, in order."""
    return ".*".join(re.escape(word) for word in words)


# ---- values that are odd, but data ---------------------------------------------------------------


def zero_pixel(X):
    X[1, 2] = 0


def zero_channel(X):
    X[..., 3] = 0


def constant_channel(X):
    X[..., 3] = 5


def hot_spike(X):
    X[2, 2, 2] = 1e6


def one_value(X):
    X[:] = 0
    X[1, 1, 1] = 3


def all_alike(X):
    X[:] = 2


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "spoil", [zero_pixel, zero_channel, constant_channel, hot_spike, one_value, all_alike]
)
def test_odd_values_give_a_finite_answer(spoil, loss):
    X = counts()
    spoil(X)
    result = fit(fu.Dataset("a", X), loss, max_steps=300)  # a spike under Poisson takes about 100
    assert finite(result)
    assert result.explained_variance["a"] > 0.3


def test_zero_pixel_and_channel_get_zeros():
    X = counts()
    zero_pixel(X)
    zero_channel(X)
    result = fit(fu.Dataset("a", X), max_steps=None)
    assert result.factors["C"].reshape(4, 5, 2)[1, 2] == pytest.approx(0, abs=1e-9)
    assert result.factors["S"][3] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_tiny_and_huge_data_are_met_as_well_as_any(scale, loss):
    X = counts()
    result = fit(fu.Dataset("a", scale * X), loss, max_steps=40)
    plain = fit(fu.Dataset("a", X), loss, max_steps=40)
    assert finite(result)
    expected = plain.explained_variance["a"]
    assert result.explained_variance["a"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_tiny_and_huge_data_in_float32(scale):
    result = fit(fu.Dataset("a", scale * counts()), dtype=torch.float32)
    assert finite(result)
    assert result.explained_variance["a"] > 0.7


@pytest.mark.parametrize("loss", LOSSES)
def test_one_pixel(loss):
    result = fit(fu.Dataset("a", counts((1, 1, 8))), loss, K=1)
    assert finite(result)
    assert result.explained_variance["a"] > 0.99


@pytest.mark.parametrize("loss", LOSSES)
def test_a_single_spectrum(loss):
    data = fu.Dataset("a", counts((1, 8))[0])
    assert data.matrix_shape == (1, 8)
    result = fit(data, loss, K=1)
    assert finite(result)
    assert result.factors["C"].shape == (1, 1)
    spectrum = result.factors["C"][0, 0] * result.factors["S"][:, 0]
    assert spectrum == pytest.approx(counts((1, 8))[0], rel=1e-4, abs=1e-4)


def test_one_channel():
    assert finite(fit(fu.Dataset("a", counts((4, 5, 1))), K=1))


@pytest.mark.parametrize("shape", [(7, 8), (4, 5, 8), (2, 3, 4, 8)])
def test_line_scan_map_and_series(shape):
    result = fit(fu.Dataset("a", counts(shape)))
    assert finite(result)
    assert result.data["a"].residual_map.shape == shape[:-1]


# ---- arrays of every kind ------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "dtype",
    [
        "u1",
        "u2",
        "u4",
        "i1",
        "i2",
        "i4",
        "i8",
        "f2",
        "f4",
        ">f8",
        ">u2",
        ">i4",
        "<f4",
        "longdouble",
    ],
)
def test_any_real_type_gives_the_answer_of_float64(dtype, loss):
    X = counts()
    expected = fit(fu.Dataset("a", X), loss, max_steps=10)
    result = fit(fu.Dataset("a", X.astype(dtype)), loss, max_steps=10)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.int32, torch.float16, torch.bfloat16, torch.float32]
)
def test_torch_tensors_of_any_real_type(dtype):
    X = torch.as_tensor(counts())
    expected = fit(fu.Dataset("a", X), max_steps=10)
    result = fit(fu.Dataset("a", X.to(dtype)), max_steps=10)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_booleans_are_zeros_and_ones(loss):
    X = counts(mean=1.0) > 0
    expected = fit(fu.Dataset("a", X.astype(float)), loss, max_steps=10)
    result = fit(fu.Dataset("a", X), loss, max_steps=10)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


def read_only(X):
    X.flags.writeable = False
    return X


@pytest.mark.parametrize(
    "view",
    [
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=2)[..., ::2],
        lambda X: X[::-1, :, ::-1].copy()[::-1, :, ::-1],
        lambda X: X.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        read_only,
        lambda X: X.tolist(),
        lambda X: torch.as_tensor(X).requires_grad_(),
    ],
    ids=["fortran", "strided", "negative", "transposed", "read-only", "list", "with gradient"],
)
def test_any_layout_gives_the_same_answer(view):
    expected = fit(fu.Dataset("a", counts()), max_steps=10)
    result = fit(fu.Dataset("a", view(counts())), max_steps=10)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_data_mask_and_variance_are_never_changed_in_place(loss):
    X, mask, variance = counts(), np.zeros(SHAPE, bool), np.full(SHAPE, 2.0)
    X[0, 0, 0], mask[0, 0, 0] = np.nan, True
    given = [a.copy() for a in (X, mask, variance)]
    fit(fu.Dataset("a", X, mask=mask, variance=variance), loss, max_steps=10)
    for before, after in zip(given, (X, mask, variance), strict=True):
        assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f")


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 4, 8)), np.zeros((4, 0)), [], 3.0],
    ids=["no pixels", "no channels", "empty list", "number"],
)
def test_empty_data_are_refused(array):
    with pytest.raises(ValueError, match=complaint("Dataset('a')", "empty", "at least one")):
        fu.Dataset("a", array)


@pytest.mark.parametrize(
    "array",
    [np.ones((2, 3), complex), np.array([["x", "y"]]), np.array([[None, 1]], object)],
    ids=["complex", "text", "objects"],
)
def test_data_that_are_no_real_numbers_are_refused(array):
    with pytest.raises(ValueError, match=complaint("Dataset('a')", str(array.dtype), "real")):
        fu.Dataset("a", array)


# ---- what is no number, masks, noise -------------------------------------------------------------


def test_a_transposed_mask_of_a_square_map_is_told_where_the_data_tell():
    X = np.random.default_rng(0).random((4, 4, 6))
    X[1, 3] = np.nan
    dead = np.isnan(X).any(-1)
    fu.Dataset("a", X, mask=dead).check()
    with pytest.raises(ValueError, match=complaint("if it is transposed", "(y, x)")):
        fu.Dataset("a", X).masked(dead.T).check()
    with pytest.raises(ValueError, match=r"isfinite\(array\)\)\.$"):
        fu.Dataset("a", X).masked(np.zeros((4, 4), bool)).check()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_outside_the_mask_are_counted_and_placed(bad, loss):
    X = counts()
    X[1, 2, 3] = X[3, 0, 7] = bad
    words = "2 of 160 values", "NaN or infinite", "(1, 2, 3)", "y, x, channel", "mask"
    with pytest.raises(ValueError, match=complaint("Dataset('a')", *words)):
        fit(fu.Dataset("a", X), loss)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_masked_nan_and_infinities_do_not_count(bad, loss):
    X, mask = counts(), np.zeros(SHAPE, bool)
    mask[1, 2, 3] = mask[3, 0, 7] = True
    expected = fit(fu.Dataset("a", X, mask=mask), loss, max_steps=15)
    X[mask] = bad
    result = fit(fu.Dataset("a", X, mask=mask), loss, max_steps=15)
    assert finite(result)
    assert result.loss == pytest.approx(expected.loss, rel=1e-9)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_pixels_and_channels_are_nan_in_the_result_with_a_message(loss):
    X, mask = counts(), np.zeros(SHAPE, bool)
    mask[1, 2], mask[..., 3] = True, True
    X[mask] = np.nan
    result = fit(fu.Dataset("a", X, mask=mask), loss, max_steps=10)
    C, S = result.factors["C"].reshape(4, 5, 2), result.factors["S"]
    assert np.isnan(C[1, 2]).all()
    assert np.isnan(C).sum() == 2
    assert np.isnan(S[3]).all()
    assert np.isnan(S).sum() == 2
    assert np.isnan(result.data["a"].residual_map[1, 2])
    assert np.isnan(result.data["a"].residual_spectrum[3])
    told = " ".join(result.messages)
    assert "1 of 20 rows of C" in told
    assert "1 of 8 rows of S" in told


@pytest.mark.parametrize("form", ["navigation", "signal", "entries", "kept axes"])
def test_masks_of_pixels_channels_and_entries_mean_what_they_say(form):
    X = counts()
    full = np.zeros(SHAPE, bool)
    full[1, 2] = form in ("navigation", "entries")
    full[..., 3] |= form in ("signal", "kept axes")
    mask = {
        "navigation": full[..., 0],
        "signal": full[0, 0],
        "entries": full,
        "kept axes": full[:1, :1],
    }[form]
    expected = fit(fu.Dataset("a", X, mask=full), max_steps=10)
    result = fit(fu.Dataset("a", X, mask=mask), max_steps=10)
    assert result.loss == pytest.approx(expected.loss, rel=1e-9)


def test_fully_masked_data_are_refused():
    with pytest.raises(ValueError, match=complaint("Dataset('a')", "excludes all 160", "True")):
        fit(fu.Dataset("a", counts(), mask=np.ones(SHAPE, bool)))


@pytest.mark.parametrize("loss", LOSSES)
def test_data_of_zeros_are_refused(loss):
    with pytest.raises(ValueError, match=complaint("Dataset('a')", "all values are zero")):
        fit(fu.Dataset("a", np.zeros(SHAPE)), loss)


def test_data_that_are_zero_outside_the_mask_are_refused():
    X = np.zeros(SHAPE)
    X[0, 0] = 1
    mask = np.zeros(SHAPE[:2], bool)
    mask[0, 0] = True
    with pytest.raises(ValueError, match="all values are zero"):
        fit(fu.Dataset("a", X, mask=mask))


@pytest.mark.parametrize("shape", [(5, 4), (8, 1), (4, 5, 7), (20, 8), ()])
def test_a_mask_of_the_wrong_shape_is_refused(shape):
    words = "Dataset('a')", f"mask of shape {shape}", "(4, 5, 8)", "(4, 5) (pixels)", "(8,)"
    with pytest.raises(ValueError, match=complaint(*words)):
        fu.Dataset("a", counts(), mask=np.zeros(shape, bool))


def test_a_square_mask_that_could_mean_two_things_is_refused():
    X = np.ones((6, 6))
    words = "(6,)", "pixels or channels", "(6, 1) for pixels", "(1, 6) for channels"
    with pytest.raises(ValueError, match=complaint("Dataset('a')", *words)):
        fu.Dataset("a", X, mask=np.zeros(6, bool))


def test_a_mask_of_numbers_is_refused():
    with pytest.raises(ValueError, match=complaint("Dataset('a')", "float64", "booleans")):
        fu.Dataset("a", counts(), mask=np.zeros(SHAPE))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 5, 8), (2, 4, 5, 8)])
def test_a_variance_of_the_wrong_shape_is_refused(shape):
    words = "Dataset('a')", f"variance of shape {shape}", "(4, 5, 8)", "broadcasts"
    with pytest.raises(ValueError, match=complaint(*words)):
        fu.Dataset("a", counts(), variance=np.ones(shape))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_variance_that_is_not_positive_is_refused(bad):
    variance = np.ones(8)
    variance[2] = bad
    with pytest.raises(ValueError, match=complaint("Dataset('a')", "variances", "not positive")):
        fu.Dataset("a", counts(), variance=variance)


def test_a_bad_variance_does_not_count_where_masked():
    variance, mask = np.ones(8), np.arange(8) == 2
    variance[2] = 0
    result = fit(fu.Dataset("a", counts(), variance=variance, mask=mask))
    assert np.isfinite(result.loss)


@pytest.mark.parametrize("masked", [False, True])
def test_negatives_under_poisson_are_counted(masked):
    X, mask = counts(), np.zeros(SHAPE, bool)
    X[0, 0, 0], X[1, 1, 1], X[2, 2, 2] = -4.1, -1.0, -99.0
    mask[2, 2, 2] = True
    data = fu.Dataset("a", X, mask=mask if masked else None)
    found = "2 of 160 values are negative (lowest -4.1)" if masked else "3 of 160 values"
    with pytest.raises(ValueError, match=complaint("Poisson(a)", found, "counts", "Frobenius")):
        fit(data, Poisson)
    mask[X < 0] = True
    assert finite(fit(fu.Dataset("a", X, mask=mask), Poisson))


# ---- models and losses that do not fit -----------------------------------------------------------


@pytest.mark.parametrize("K", [0, -1, 9])
def test_a_rank_below_one_or_above_the_smaller_dimension_is_refused(K):
    with pytest.raises(ValueError, match=complaint("NMF(", f"K={K}", "(20, 8)", "1 to 8")):
        fit(fu.Dataset("a", counts()), K=K)


def test_the_largest_rank_works():
    result = fit(fu.Dataset("a", counts()), K=8)
    assert finite(result)


class Bilinear(fu.Model):
    def __init__(self, pixels, channels, K, C=(), S=(), name="a"):
        super().__init__()
        self.name = name
        self.C, self.S = fu.Factor((pixels, K), *C), fu.Factor((channels, K), *S)

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}


def test_a_rank_above_both_dimensions_of_a_model_of_ones_own_gives_a_finite_answer():
    data = fu.Dataset("a", counts((2, 3)))
    options = {"starts": 1, "max_steps": 60, "progress": False}
    result = fu.fit(Bilinear(2, 3, 7), Frobenius(data), **options)
    assert np.isfinite(result.loss)
    assert result.explained_variance["a"] > 0.999


@pytest.mark.parametrize(("pixels", "channels"), [(19, 8), (20, 9), (8, 20)])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_prediction_of_another_shape_is_refused_with_both_shapes(pixels, channels, loss):
    data = fu.Dataset("a", counts())
    words = f"{loss.__name__}(a)", f"({pixels}, {channels})", "(4, 5, 8)", "(20, 8)"
    with pytest.raises(ValueError, match=complaint(*words)):
        fu.fit(Bilinear(pixels, channels, 2), loss(data), progress=False)


def test_a_prediction_under_another_name_is_refused():
    data = fu.Dataset("a", counts())
    with pytest.raises(ValueError, match=complaint("Frobenius(a)", "'b'", "not 'a'")):
        fu.fit(Bilinear(20, 8, 2, name="b"), Frobenius(data), progress=False)


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
    by_number = Bilinear(20, 8, 2)
    signed = Bilinear(data.pixels, data.channels, 2, C=[Free()])
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


# ---- options and interruptions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"starts": 0}, complaint("fit(starts=0)", "1 or more")),
        ({"starts": -3}, complaint("fit(starts=-3)", "1 or more")),
        ({"device": "cuda:77"}, complaint("fit(device='cuda:77')", "this machine has cpu")),
        ({"device": "teapot"}, complaint("fit(device='teapot')", "this machine has cpu")),
        ({"solver": "hals"}, complaint("solver='hals'", "GaussNewton()")),
        ({"solver": fu.GaussNewton}, complaint("solver", "GaussNewton()")),
    ],
)
def test_options_without_meaning_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        fit(fu.Dataset("a", counts()), **options)


def test_a_model_that_is_none_and_one_without_factors_are_refused():
    data = fu.Dataset("a", counts())

    class Empty(fu.Model):
        def forward(self):
            return {"a": torch.ones(20, 8, dtype=torch.float64)}

    with pytest.raises(ValueError, match=complaint("fit(Linear", "fusion.Model")):
        fu.fit(torch.nn.Linear(2, 2), Frobenius(data), progress=False)
    with pytest.raises(ValueError, match="no factors"):
        fu.fit(Empty(), Frobenius(data), progress=False)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_ctrl_c_returns_the_best_so_far(solver):
    seen = []

    def callback(step, loss):
        seen.append(float(loss.min()))
        if step == 4:
            raise KeyboardInterrupt

    result = fit(fu.Dataset("a", counts()), solver=solver, callback=callback)
    assert result.status == Status.INTERRUPTED.value
    assert not result.converged
    assert result.loss == pytest.approx(min(seen), rel=1e-6)
    assert finite(result)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_a_true_answer_of_the_callback_stops_the_fit(solver):
    steps = []

    def callback(step, loss):
        steps.append(step)
        return step >= 3

    result = fit(fu.Dataset("a", counts()), solver=solver, callback=callback)
    assert steps == [0, 1, 2, 3]
    assert result.status == Status.INTERRUPTED.value
    assert finite(result)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_no_time_left_gives_the_best_so_far(solver):
    result = fit(fu.Dataset("a", counts()), solver=solver, max_seconds=0.0)
    assert result.status == Status.MAX_SECONDS.value
    assert len(result.history["loss"]) <= 2
    assert finite(result)


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps_give_the_best_so_far(steps):
    result = fit(fu.Dataset("a", counts()), max_steps=steps)
    assert result.status == Status.MAX_STEPS.value
    assert len(result.history["loss"]) == steps + 1
    assert finite(result)


def test_the_model_is_left_untouched():
    data = fu.Dataset("a", counts())
    model = models.NMF(data, 2)
    model.S = np.random.default_rng(0).random((8, 2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    result = fu.fit(model, Frobenius(data), starts=2, progress=False)
    assert result.model is not model
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_same_seed_same_answer(solver):
    data = fu.Dataset("a", counts())
    first, second = (fit(data, solver=solver, seed=3) for _ in range(2))
    assert np.array_equal(first.factors["C"], second.factors["C"])
    assert np.array_equal(first.losses, second.losses)
    other = fit(data, solver=solver, seed=4)
    assert not np.array_equal(first.losses, other.losses)


def test_random_numbers_of_the_user_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(fu.Dataset("a", counts()))
    assert torch.equal(torch.rand(3), expected)


def test_no_start_is_lost_where_both_factors_may_have_any_sign():
    data = fu.Dataset("a", counts())
    model = Bilinear(20, 8, 2, C=[Free()], S=[Free()])
    result = fu.fit(model, Frobenius(data), starts=6, progress=False)
    assert result.losses == pytest.approx(np.full(6, result.loss), rel=1e-4)


def test_a_known_factor_is_not_rescaled():
    data = fu.Dataset("a", counts())
    S = 100 * np.random.default_rng(0).random((8, 2))
    model = Bilinear(data.pixels, data.channels, 2, S=[Fixed(S)])
    result = fu.fit(model, Frobenius(data), starts=2, progress=False)
    assert np.array_equal(result.factors["S"], S)
    assert np.isfinite(result.loss)
