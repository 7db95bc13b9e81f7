"""Nasty data: a clear error or a finite answer, never silence."""

from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, Poisson
from tests.helpers.short_fits import LOSSES, SHAPE, complaint, counts, finite, fit, read_only


@cache
def plain(loss=Frobenius, max_steps=3):
    """The short fit of the counts as they are, which many are held against."""
    return fit(fu.Dataset("a", counts()), loss, max_steps=max_steps)


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
    assert finite(result)
    expected = plain(loss, 40).explained_variance["a"]
    assert result.explained_variance["a"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_tiny_and_huge_data_in_float32(scale):
    result = fit(fu.Dataset("a", scale * counts()), dtype=torch.float32)
    assert finite(result)
    assert result.explained_variance["a"] > 0.7


@pytest.mark.parametrize("loss", LOSSES)
def test_one_pixel(loss):
    result = fit(fu.Dataset("a", counts((1, 1, 8)), variance=1.0), loss, K=1)
    assert finite(result)
    assert result.explained_variance["a"] > 0.99


def test_one_pixel_of_few_channels_tells_no_noise():
    with pytest.raises(ValueError, match=complaint("6 channels", "variance=")):
        fit(fu.Dataset("a", counts((1, 1, 8))), fu.losses.Gaussian, K=1)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_single_spectrum(loss):
    data = fu.Dataset("a", counts((1, 8))[0], variance=1.0)
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
    result = fit(fu.Dataset("a", counts().astype(dtype)), loss, max_steps=3)
    assert result.factors["S"] == pytest.approx(plain(loss).factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.int32, torch.float16, torch.bfloat16, torch.float32]
)
def test_torch_tensors_of_any_real_type(dtype):
    X = torch.as_tensor(counts())
    result = fit(fu.Dataset("a", X.to(dtype)), max_steps=3)
    assert result.factors["S"] == pytest.approx(plain().factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_booleans_are_zeros_and_ones(loss):
    X = counts(mean=1.0) > 0
    expected = fit(fu.Dataset("a", X.astype(float)), loss, max_steps=3)
    result = fit(fu.Dataset("a", X), loss, max_steps=3)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


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
    result = fit(fu.Dataset("a", view(counts())), max_steps=3)
    assert result.factors["S"] == pytest.approx(plain().factors["S"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_data_mask_and_variance_are_never_changed_in_place(loss):
    X, mask, variance = counts(), np.zeros(SHAPE, bool), np.full(SHAPE, 2.0)
    X[0, 0, 0], mask[0, 0, 0] = np.nan, True
    given = [a.copy() for a in (X, mask, variance)]
    fit(fu.Dataset("a", X, mask=mask, variance=variance), loss, max_steps=3)
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


@cache
def of_two_masked(loss, value=None):
    """The short fit with two entries masked, and this value there."""
    X, mask = counts(), np.zeros(SHAPE, bool)
    mask[1, 2, 3] = mask[3, 0, 7] = True
    if value is not None:
        X[mask] = value
    return fit(fu.Dataset("a", X, mask=mask), loss, max_steps=5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_masked_nan_and_infinities_do_not_count(bad, loss):
    expected, result = of_two_masked(loss), of_two_masked(loss, bad)
    assert finite(result)
    assert result.loss == pytest.approx(expected.loss, rel=1e-9)
    assert result.factors["S"] == pytest.approx(expected.factors["S"], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_pixels_and_channels_are_nan_in_the_result_with_a_message(loss):
    X, mask = counts(), np.zeros(SHAPE, bool)
    mask[1, 2], mask[..., 3] = True, True
    X[mask] = np.nan
    result = fit(fu.Dataset("a", X, mask=mask), loss, max_steps=3)
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
    expected = fit(fu.Dataset("a", X, mask=full), max_steps=3)
    result = fit(fu.Dataset("a", X, mask=mask), max_steps=3)
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
