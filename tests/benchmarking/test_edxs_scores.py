"""What the benchmark of compositions computes from what was found and what is true."""

import numpy as np
import pytest

from benchmarks.science import edxs_scores as scores
from benchmarks.science.edxs_scores import Found

ELEMENTS = ("Ti", "O", "Mg")
TRUTH = np.array([[40.0, 60.0, 0.0], [0.0, 50.0, 50.0]])


def found(atomic, error=0.5, **more):
    """As a fit would have it, with one error for all."""
    atomic = np.asarray(atomic, dtype=float)
    half = scores.QUANTILE * np.full(atomic.shape, error)
    intervals = np.stack([atomic - half, atomic + half], -1)
    return Found(ELEMENTS, atomic, np.full(atomic.shape, error), intervals, **more)


def test_components_come_in_the_order_of_the_closest_phases():
    one = scores.against(found(TRUTH[::-1] + 0.3), ELEMENTS, TRUTH)
    np.testing.assert_allclose(one.off, 0.3)
    assert one.worst == pytest.approx(0.3)


def test_the_order_is_the_best_for_all_phases_together_and_not_the_nearest_for_each():
    truth = np.array([[100.0, 0.0, 0.0], [80.0, 20.0, 0.0]])
    one = scores.against(found([[84.0, 16.0, 0.0], [60.0, 40.0, 0.0]]), ELEMENTS, truth)
    np.testing.assert_allclose(one.atomic[:, 0], [84.0, 60.0])


def test_columns_come_in_the_order_of_the_truth_and_others_are_left_out():
    atomic = np.array([[1.0, 60.0, 39.0, 0.0], [2.0, 50.0, 0.0, 48.0]])
    told = Found(("C", "O", "Ti", "Mg"), atomic, atomic / 10, np.stack([atomic, atomic], -1))
    one = scores.against(told, ELEMENTS, TRUTH)
    np.testing.assert_allclose(one.off, [[-1, 0, 0], [0, 0, -2]], atol=1e-12)
    np.testing.assert_allclose(one.errors[0], [3.9, 6.0, 0.0])


def test_a_missing_element_or_component_is_told():
    with pytest.raises(ValueError, match=r"no at\.% of Sr: only of Ti, O, Mg"):
        scores.against(found(TRUTH), ("Ti", "O", "Sr"), TRUTH)
    with pytest.raises(ValueError, match="1 components, for 2 phases"):
        scores.against(found(TRUTH[:1]), ELEMENTS, TRUTH)


def test_what_is_not_a_number_is_infinitely_far_off():
    atomic = TRUTH.copy()
    atomic[0, 0] = np.nan
    assert scores.against(found(atomic), ELEMENTS, TRUTH).worst == np.inf


def test_coverage_counts_draws_entry_by_entry_where_something_is():
    draws = [
        scores.against(found(TRUTH + shift, error=1.0), ELEMENTS, TRUTH)
        for shift in (0.0, 1.9, 2.0, -1.9)
    ]
    each = scores.coverage(draws)
    np.testing.assert_allclose(each[TRUTH > 0], 0.75)
    assert np.isnan(each[TRUTH == 0]).all()


def test_bias_is_the_mean_error_in_units_of_the_claimed():
    draws = [
        scores.against(found(TRUTH + shift, error=0.5), ELEMENTS, TRUTH) for shift in (0.4, -0.1)
    ]
    each = scores.bias(draws)
    np.testing.assert_allclose(each[TRUTH > 0], 0.3)
    assert np.isnan(each[TRUTH == 0]).all()


def test_an_error_that_is_not_there_makes_no_bias():
    draws = [scores.against(found(TRUTH, error=np.nan), ELEMENTS, TRUTH)]
    assert np.isnan(scores.bias(draws)).all()


def test_one_scale_takes_away_what_is_common_to_all_pixels():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    noise = np.array([0.1, -0.1, 0.1, -0.1])
    plain, scaled, scale = scores.relative_rms(1.25 * truth * (1 + noise), truth)
    assert plain == pytest.approx(np.sqrt(np.mean((1.25 * (1 + noise) - 1) ** 2)))
    assert scale == pytest.approx(1 / (1.25 * 1.01))
    assert scaled == pytest.approx(np.sqrt(np.mean((scale * 1.25 * (1 + noise) - 1) ** 2)))
    assert scaled < 0.1 < plain


@pytest.mark.parametrize(
    ("factor", "inside"), [(0.95, True), (1.0, True), (1.05, True), (0.88, False), (1.12, False)]
)
def test_the_interval_of_a_scale_is_asked_for_the_one_that_makes_the_sum_right(factor, inside):
    truth = np.array([1.0, 2.0, 3.0])
    seen = np.array([True, True, False])
    told = found(
        TRUTH,
        mass_thickness=np.array([factor, 2 * factor, 99.0]),
        scale=7.0,
        scale_interval=(0.9 * 7.0, 1.1 * 7.0),
    )
    assert scores.scale_holds(told, truth, seen) is inside


def test_no_error_holds_nothing():
    assert scores.within_errors(0.19, 0.1)
    assert not scores.within_errors(0.20, 0.1)
    assert not scores.within_errors(0.0, np.nan)
