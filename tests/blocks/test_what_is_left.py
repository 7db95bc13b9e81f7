"""What a result by blocks tells of its data is what one in memory tells of the same factors."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.block_data import SCAN, K, by_blocks, counted, in_memory, lazy, noisy, planted

C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)
MASK = np.random.default_rng(7).random(SCAN) < 0.1
CASES = {
    "Frobenius": (Frobenius, CUBE, {"variance": 1.0}),
    "Gaussian": (Gaussian, CUBE, {}),
    "Poisson": (Poisson, COUNTS, {}),
    "a mask": (Frobenius, CUBE, {"variance": 1.0, "mask": MASK}),
}


@cache
def both(case: str) -> tuple[fu.Result, fu.Result]:
    """By blocks, and what is told in memory of the very same factors."""
    loss, array, options = CASES[case]
    data = fu.Dataset("eels", lazy(array, (7, 9)), **options)
    result = by_blocks(NMF(data, K), loss(data))
    whole = fu.Dataset("eels", array, **options)
    start = {name: np.nan_to_num(value) for name, value in result.factors.items()}
    return result, in_memory(NMF(whole, K), loss(whole), init=[start], starts=1, max_steps=0)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_terms_are_those_of_the_factors(case):
    result, whole = both(case)
    assert result.loss == pytest.approx(whole.loss, rel=1e-9)
    assert result.history["loss"][-1] == result.loss
    assert result.loss_history.shape == (1, len(result.history["loss"]))


@pytest.mark.parametrize("case", CASES)
def test_maps_and_spectra_of_what_is_left_are_those_in_memory(case):
    mine, other = (result.data["eels"] for result in both(case))
    scale = np.nanmax(np.abs(other.chi_map))
    for name in ("residual_map", "noise_map", "chi_map"):
        value = getattr(mine, name)
        np.testing.assert_allclose(value, getattr(other, name), rtol=1e-6, atol=1e-6 * scale)
    for name in ("residual_spectrum", "noise_spectrum", "residual_over_sigma"):
        value = getattr(other, name)
        largest = np.nanmax(np.abs(value))
        np.testing.assert_allclose(getattr(mine, name), value, rtol=1e-6, atol=1e-6 * largest)


@pytest.mark.parametrize("case", CASES)
def test_explained_variance_shares_and_chi2_are_those_in_memory(case):
    mine, other = (result.data["eels"] for result in both(case))
    assert mine.explained_variance == pytest.approx(other.explained_variance, rel=1e-9)
    np.testing.assert_allclose(mine.component_variance, other.component_variance, rtol=1e-7)
    assert (mine.chi2 is None) == (other.chi2 is None)
    if mine.chi2 is not None:
        assert mine.chi2 == pytest.approx(other.chi2, rel=1e-9)


def test_masked_pixels_of_the_answer_are_nan():
    result, _ = both("a mask")
    assert np.isnan(result["C"]).all(1).reshape(SCAN).tolist() == MASK.tolist()


def test_the_residual_map_is_literally_that_of_the_data():
    result, _ = both("Frobenius")
    left = CUBE.reshape(-1, len(S)) - result["C"] @ result["S"].T
    squares = (left**2).sum(1).reshape(SCAN)
    assert result.data["eels"].explained_variance == pytest.approx(
        1 - squares.sum() / (CUBE**2).sum(), rel=1e-9
    )
    rms = np.sqrt(squares / len(S))
    np.testing.assert_allclose(result.data["eels"].residual_map.reshape(SCAN), rms, rtol=1e-6)


def test_the_solver_tells_blocks_passes_rate_and_sample():
    result, _ = both("Poisson")
    assert result.solver.startswith("9 blocks, ")
    for word in (" passes over ", " GB", "on 1 thread", "on 200 pixels"):
        assert word in result.solver


def test_the_history_has_a_value_a_pass_for_every_term():
    eels = fu.Dataset("eels", lazy(CUBE, (7, 9)), variance=1.0)
    edxs = fu.Dataset("edxs", lazy(COUNTS, (20, 5)))
    loss = Frobenius(eels) + 0.5 * Poisson(edxs)
    result = by_blocks(SharedMaps(eels, edxs, K=K), loss, settings={"passes": 3})
    total = result.history["loss"]
    parts = [value for name, value in result.history.items() if name != "loss"]
    assert len(parts) == 2
    np.testing.assert_allclose(sum(parts), total, rtol=1e-12)


def test_answers_are_saved_drawn_and_gone_on_with(tmp_path):
    result, _ = both("Poisson")
    result.save(tmp_path / "answer.npz")
    again = fu.Result.load(tmp_path / "answer.npz")
    assert again.solver == result.solver
    data = fu.Dataset("eels", lazy(COUNTS, (5, 24)))
    more = by_blocks(NMF(data, K), Poisson(data), init=again, starts=1)
    assert more.loss <= result.loss + 1e-6 * abs(result.loss)


def test_a_callback_sees_the_steps_on_the_sample_and_may_end_them():
    data, steps = fu.Dataset("eels", lazy(CUBE, (7, 9))), []

    def third(step, losses):
        steps.append(step)
        return len(steps) == 3

    result = by_blocks(NMF(data, K), Frobenius(data), callback=third)
    assert len(steps) == 3
    assert np.isfinite(result.loss)
