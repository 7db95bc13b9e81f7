"""What a fit leaves of the data: numbers against NumPy's, and what the mask hides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import CPD, NMF
from tests.helpers.small_results import QUICK, array, masked, nmf, spectrum_image


def dense(result: fu.Result) -> np.ndarray:
    return np.asarray(result["C"] @ result["S"].T)


def test_explained_variance_and_residuals_equal_numpys():
    data = spectrum_image()
    outcome = nmf(data)
    x, r = data.matrix.numpy(), data.matrix.numpy() - dense(outcome)
    found = outcome.data["eels"]
    assert found.explained_variance == pytest.approx(1 - (r**2).sum() / (x**2).sum(), abs=1e-12)
    np.testing.assert_allclose(found.residual_map, np.sqrt((r**2).mean(1)).reshape(5, 6))
    np.testing.assert_allclose(found.residual_spectrum, r.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.mean_spectrum, x.mean(0))
    assert outcome.explained_variance == {"eels": found.explained_variance}


def test_component_variances_add_up_to_the_explained_variance_at_a_minimum():
    found = nmf(max_steps=200).data["eels"]
    assert found.component_variance is not None
    assert found.component_variance.sum() == pytest.approx(found.explained_variance, abs=1e-5)
    assert np.all(np.diff(found.component_variance) <= 0)


@pytest.mark.parametrize("general", [False, True], ids=["rank-one variance", "general variance"])
def test_explained_variance_is_weighted_and_leaves_out_what_is_masked(general):
    rng = np.random.default_rng(1)
    variance = rng.uniform(1, 3, (5, 6, 12) if general else 12)
    mask = np.zeros((5, 6, 12), dtype=bool)
    mask[0, 0, :] = mask[..., 3] = True
    mask[2, 2, 5] = True
    data = spectrum_image(mask=mask, variance=variance)
    outcome = nmf(data)
    w = (~mask / np.broadcast_to(variance, mask.shape)).reshape(30, 12)
    x = data.matrix.numpy()
    # masked rows of the factors are NaN, and do not count
    r = np.where(w > 0, x - np.nan_to_num(dense(outcome)), 0)
    found = outcome.data["eels"]
    explained = 1 - (w * r**2).sum() / (w * x**2).sum()
    assert found.explained_variance == pytest.approx(explained, abs=1e-10)
    seen = w > 0
    assert np.isnan(found.residual_map[0, 0])
    assert np.isnan(found.residual_spectrum[3])
    np.testing.assert_allclose(
        found.residual_spectrum[5], (r * seen)[:, 5].sum() / seen[:, 5].sum(), atol=1e-12
    )
    rms = np.sqrt((r[20] ** 2).sum() / seen[20].sum())
    assert found.residual_map[3, 2] == pytest.approx(rms)


def test_poisson_residuals_are_unweighted():
    counts = np.random.default_rng(0).poisson(5 * array(4, 5, 6))
    data = fu.Dataset("counts", counts, variance=np.full(6, 2.0))
    outcome = fu.fit(NMF(data, 2), Poisson(data), **QUICK)
    x = counts.reshape(20, 6)
    explained = 1 - ((x - dense(outcome)) ** 2).sum() / (x**2).sum()
    assert outcome.explained_variance["counts"] == pytest.approx(explained, abs=1e-10)


def test_rows_that_every_data_set_masks_are_nan_with_a_message():
    outcome = masked()
    hidden = np.isnan(outcome["C"]).all(1).reshape(5, 6)
    assert hidden.sum() == 2
    assert hidden[1, 2:4].all()
    assert any("2 of 30 rows of C" in message for message in outcome.messages)
    assert np.isfinite(outcome["S"]).all()


def test_a_row_masked_through_is_nan_in_a_cpd():
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[2] = True
    data = fu.Dataset("x", array(4, 5, 6), mask=mask)
    outcome = fu.fit(CPD(data, 2), Frobenius(data), **QUICK)
    first = outcome.to_tensorly().factors[0]
    np.testing.assert_array_equal(np.isnan(first).all(1), [False, False, True, False])


@pytest.mark.parametrize("init", [None, fu.NNDSVD()], ids=["random", "NNDSVD"])
def test_a_variance_that_the_fit_does_not_use_may_be_of_any_shape(init):
    random = np.random.default_rng(0)
    counts = csr_array(random.poisson(0.3, (20, 30)))
    plain = fu.Dataset("edxs", counts)
    varied = plain.with_variance(0.5 + random.random((20, 30)))
    found = [
        fu.fit(NMF(data, 2), Poisson(data), init=init, starts=1, seed=0, progress=False)
        for data in (plain, varied)
    ]
    assert found[1].loss == found[0].loss
    np.testing.assert_array_equal(
        found[1].data["edxs"].residual_map, found[0].data["edxs"].residual_map
    )


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("kind", ["poisson", "variance", "rank-one variance", "unknown"])
def test_the_noise_of_pixels_and_of_the_mean_residual_is_that_of_the_assumed_variance(kind, masked):
    rng = np.random.default_rng(2)
    truth = rng.random((5, 6, 2)) @ (20 * rng.random((2, 12)))
    mask = np.zeros(truth.shape, dtype=bool)
    mask[0, 0], mask[..., 3], mask[2, 2, 5] = masked, masked, masked
    variance = {"variance": 1 + rng.random(truth.shape), "rank-one variance": truth.mean((0, 1))}
    data = fu.Dataset(
        "edxs", rng.poisson(truth), mask=mask if masked else None, variance=variance.get(kind)
    )
    fit = fu.losses.Poisson(data) if kind == "poisson" else fu.losses.Frobenius(data)
    outcome = fu.fit(fu.models.NMF(data, K=2), fit, starts=2, progress=False)
    found, m = outcome.data["edxs"], np.nan_to_num(dense(outcome)).reshape(truth.shape)
    seen = ~mask
    if kind == "unknown":
        squares = np.where(seen, data.numpy() - m, 0) ** 2
        column = squares.sum((0, 1)) / np.maximum(seen.sum((0, 1)), 1)
        v = np.broadcast_to(column, truth.shape)
    else:
        v = m if kind == "poisson" else np.broadcast_to(variance[kind], truth.shape)
    where = seen & np.isfinite(v)
    with np.errstate(invalid="ignore"):
        pixels = np.sqrt((v * where).sum(2) / where.sum(2))
        channels = np.sqrt((v * where).sum((0, 1))) / where.sum((0, 1))
    pixels = np.where(where.any(2), pixels, np.nan)
    if kind == "unknown":  # one level for all pixels
        pixels = np.where(where.any(2), np.sqrt(column[seen.any((0, 1))].mean()), np.nan)
    np.testing.assert_allclose(found.noise_map, pixels, rtol=1e-6)
    np.testing.assert_allclose(found.noise_spectrum, channels, rtol=1e-6)
    np.testing.assert_allclose(found.chi_map, found.residual_map / pixels, rtol=1e-6)
    expected = found.residual_spectrum / channels
    np.testing.assert_allclose(found.residual_over_sigma, expected, rtol=1e-6)


def test_the_noise_is_saved_and_files_without_it_open(tmp_path):
    outcome = nmf()
    again = fu.Result.load(outcome.save(tmp_path / "fit.npz")[0])
    np.testing.assert_array_equal(again.data["eels"].chi_map, outcome.data["eels"].chi_map)
    old = fu.Result.load(Path(__file__).with_name("result_4fe05fb.npz"))
    assert all(d.chi_map is None and d.residual_over_sigma is None for d in old.data.values())
