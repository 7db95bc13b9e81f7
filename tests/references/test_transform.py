"""`Result.transform`: new data under the spectra of a fit, by the same code as `mlls`."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import fusion as fu
from fusion.constraints import Free
from fusion.losses import BetaDivergence, Frobenius, Gaussian, Poisson
from tests.helpers.dual_eels_fit import few_steps

N, M, K = 12, 40, 3


def truth(seed=0):
    """(maps (y, x, K), spectra (channel, K) of unit columns, and of a second detector)."""
    rng = np.random.default_rng(seed)
    C = rng.random((N, N + 2, K)) * 30 + 3
    S, T = (rng.random((m, K)) ** 3 + 0.02 for m in (M, 25))
    return C, S / np.linalg.norm(S, axis=0), T / T.sum(0)


def energy(size=M, offset=100.0):
    return fu.Axis("energy loss", 2.0, offset, "eV", size=size)


def measured(seed=0, array=None, **options):
    """Spectra with noise of σ = 0.1."""
    C = truth(seed)[0]
    noise = 0.1 * np.random.default_rng(seed + 100).normal(size=(N, N + 2, M))
    array = C @ truth()[1].T + noise if array is None else array
    axes = [fu.Axis("y", 2.0, units="nm"), fu.Axis("x", 2.0, units="nm"), energy()]
    return fu.Dataset("eels", array, axes=axes, **options)


def counts(seed=0, name="edxs"):
    C = truth(seed)[0]
    x = np.random.default_rng(seed + 200).poisson(C @ truth()[2].T).astype(np.uint16)
    axes = [fu.Axis("y", 2.0, units="nm"), fu.Axis("x", 2.0, units="nm")]
    return fu.Dataset(name, x, axes=[*axes, fu.Axis("energy", 0.1, 0.2, "keV")])


def fitted(data, loss):
    return fu.fit(fu.models.NMF(data, K), loss(data), starts=2, progress=False)


@pytest.fixture(scope="module")
def squares():
    return fitted(measured(), Frobenius)


@pytest.fixture(scope="module")
def of_counts():
    return fitted(counts(), Poisson)


def joint(**options):
    eels, edxs = measured(**options), counts()
    model = fu.models.SharedMaps(eels, edxs, K=K)
    return fu.fit(model, Gaussian(eels) + 2 * Poisson(edxs), starts=2, progress=False)


@pytest.fixture(scope="module")
def shared():
    return joint()


def test_the_fitted_data_have_the_maps_of_the_fit(squares, of_counts, shared):
    for result, data, closeness in (
        (squares, measured(), 1e-4),
        (of_counts, counts(), 1e-4),
        (shared, fu.Scan(measured(), counts()), 1e-4),
    ):
        maps = result.transform(data)
        np.testing.assert_allclose(maps, result.maps, atol=closeness * np.nanmax(result.maps))
        assert maps.axes == result.maps.axes
        assert maps.components == result.maps.components


def test_masked_pixels_of_counts_have_no_errors(of_counts):
    mask = np.random.default_rng(5).random((N, N + 2)) < 0.2
    maps, errors = of_counts.transform(counts(seed=7).masked(mask), errors=True)
    np.testing.assert_array_equal(np.isnan(maps).all(-1), mask)
    np.testing.assert_array_equal(np.isnan(errors).all(-1), mask)
    np.testing.assert_array_equal(np.isnan(errors).any(-1), mask)


@pytest.mark.parametrize("kind", ["variance", "channel", "mask", "pixels"])
def test_new_pixels_have_the_amounts_and_the_errors_of_mlls(squares, kind):
    rng = np.random.default_rng(5)
    options = {
        "variance": {"variance": 0.5 + rng.random((N, N + 2, M))},
        "channel": {"variance": 0.5 + rng.random(M)},
        "mask": {"mask": rng.random((N, N + 2, M)) < 0.2, "variance": 0.01},
        "pixels": {"mask": rng.random((N, N + 2)) < 0.2, "variance": 0.01},
    }[kind]
    new = measured(seed=7, **options)
    maps, errors = squares.transform(new, errors=True)
    known = fu.mlls(new, {str(k): squares["S"][:, k].astype(float) for k in range(K)})
    np.testing.assert_allclose(maps.reshape(-1, K), known.maps, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(errors.reshape(-1, K), known.errors, rtol=1e-9)
    if kind == "pixels":
        np.testing.assert_array_equal(np.isnan(maps).any(-1), options["mask"])


def test_errors_without_a_variance_are_those_of_what_is_left_of_all_pixels(squares):
    maps, errors = squares.transform(measured(seed=7), errors=True)
    S = squares["S"].astype(float)
    scale = np.sqrt(np.diag(np.linalg.inv(S.T @ S)))
    inside = (maps.values > 0).all(-1)  # beside an amount at zero the others are surer
    np.testing.assert_allclose(errors[inside] / scale, 0.1, rtol=0.02)
    _, again = squares.transform(measured(), errors=True)
    held = squares.errors(held=["S"], progress=False)["C"].reshape(again.shape)
    free = np.isfinite(held)  # not at zero
    assert free.mean() > 0.99
    np.testing.assert_allclose(again[free], held[free], rtol=0.02)


def test_errors_are_the_scatter_of_repeated_measurements(shared):
    """The deviation of the maps of many noisy copies of one pixel, over the errors told."""
    C, S, T = (np.asarray(shared[name], dtype=float) for name in ("C", "S_eels", "S_edxs"))
    rng, c, n = np.random.default_rng(1), C[20], 4000
    x = c @ S.T + 0.1 * rng.normal(size=(n, M))
    y = rng.poisson(np.broadcast_to(c @ T.T, (n, len(T))))
    new = {"eels": fu.Dataset("eels", x, axes=["pixel", energy()])}
    new["edxs"] = fu.Dataset("edxs", y, axes=["pixel", fu.Axis("energy", 0.1, 0.2, "keV")])
    maps, errors = shared.transform(new, errors=True)
    inside = (maps.values > 0).all(1)
    assert inside.mean() > 0.99
    scatter = np.std(maps[inside], axis=0)
    np.testing.assert_allclose(np.sqrt(np.mean(errors[inside] ** 2, 0)), scatter, rtol=0.06)


def test_detectors_that_share_maps_are_taken_together_with_the_weights_of_the_fit(shared):
    new = fu.Scan(measured(seed=3), counts(seed=3))
    maps = shared.transform(new).reshape(-1, K)
    S, T = (shared[name].astype(float) for name in ("S_eels", "S_edxs"))
    variance = float(np.mean(shared.data["eels"].residual_map ** 2))

    def loss(c, x, y):
        m, n = S @ c, T @ c
        return 0.5 * ((x - m) ** 2).sum() / variance + 2 * (n - y * np.log(n)).sum()

    for i in (0, 17, 100):
        x, y = new["eels"].matrix[i].numpy(), new["edxs"].matrix[i].numpy().astype(float)
        best = minimize(loss, maps[i] + 1e-3, (x, y), bounds=[(1e-9, None)] * K, tol=1e-12)
        assert loss(maps[i].clip(1e-9), x, y) <= best.fun + 1e-6
    alone = shared.transform(measured(seed=3))
    assert not np.allclose(alone, maps.reshape(alone.shape))


@pytest.mark.parametrize("chunks", [(5, 4, M), (3, 16, 7), (N, N + 2, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_lazy_data_have_the_maps_of_those_in_memory_and_each_block_is_read_once(
    squares, chunks, masked, monkeypatch
):
    monkeypatch.setattr("fusion.prepare.scan_pieces.BLOCKS", 4 * 4 * M * 8)
    array, read = measured(seed=2).numpy(), []

    def block(part, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return part

    lazy = da.from_array(array, chunks).map_blocks(block, dtype=array.dtype, meta=array[:0])
    options = {"mask": np.random.default_rng(0).random((N, N + 2)) < 0.1} if masked else {}
    new = measured(array=lazy, **options)
    maps, errors = squares.transform(new, errors=True)
    known = squares.transform(measured(array=array, **options), errors=True)
    np.testing.assert_allclose(maps, known[0], rtol=1e-12)
    np.testing.assert_allclose(errors, known[1], rtol=1e-9)
    assert len(read) == len(set(read)) == lazy.npartitions
    assert new.lazy is not None


def test_lazy_detectors_with_other_chunks_are_taken_together(shared):
    new = {"eels": measured(seed=2), "edxs": counts(seed=2)}
    chunks = {"eels": (5, 4, M), "edxs": (3, 14, 11)}
    lazy = {
        name: fu.Dataset(name, da.from_array(data.numpy(), chunks[name]), axes=data.axes)
        for name, data in new.items()
    }
    for one in (lazy, {"eels": new["eels"], "edxs": lazy["edxs"]}):
        np.testing.assert_allclose(shared.transform(one), shared.transform(new), rtol=1e-6)


def test_a_block_of_zeros_holds_nothing_and_a_masked_block_is_nan(of_counts):
    x = counts().numpy().copy()
    x[:4, :4] = 0
    mask = np.zeros((N, N + 2), dtype=bool)
    mask[8:, 8:] = True
    new = fu.Dataset("edxs", da.from_array(x, (4, 4, 25)), axes=counts().axes, mask=mask)
    maps = of_counts.transform(new)
    assert (maps[:4, :4] == 0).all()
    np.testing.assert_array_equal(np.isnan(maps), np.broadcast_to(mask[..., None], maps.shape))


def test_sparse_counts_have_the_maps_of_dense_ones(of_counts):
    new = counts(seed=4)
    sparse = fu.Dataset("edxs", new.tensor.int().to_sparse(), axes=new.axes)
    maps = of_counts.transform(sparse, errors=True)
    np.testing.assert_allclose(maps, of_counts.transform(new, errors=True), rtol=1e-9)


def test_amounts_of_any_sign_stay_so():
    data = measured()
    model = fu.models.NMF(data, K)
    model.C = fu.Factor((data.pixels, K), Free())
    result = fu.fit(model, Frobenius(data), starts=1, progress=False)
    new = measured(array=measured().numpy() - 40)
    S = result["S"].astype(float)
    straight = np.linalg.lstsq(S, new.matrix.numpy().T, rcond=None)[0].T
    assert (straight < 0).any()
    np.testing.assert_allclose(result.transform(new).reshape(-1, K), straight, atol=1e-8)


def test_other_likelihoods_are_fitted_with_the_spectra_held():
    data = measured()
    result = fu.fit(fu.models.NMF(data, K), BetaDivergence(data, 0.5), starts=1, progress=False)
    maps = result.transform(data)
    np.testing.assert_allclose(maps, result.maps, atol=0.02 * np.nanmax(result.maps))
    with pytest.raises(ValueError, match=r"errors of maps are known under least squares and"):
        result.transform(data, errors=True)


def test_data_sets_with_maps_of_their_own_come_by_name():
    a, b = measured(), measured(seed=1).renamed("second")
    result = fu.fit(
        fu.models.SharedSpectra(a, b, K=K), Frobenius(a) + Frobenius(b), starts=1, progress=False
    )
    maps, errors = result.transform({"eels": a, "second": b}, errors=True)
    assert list(maps) == list(errors) == ["eels", "second"]
    for name, own in maps.items():
        np.testing.assert_allclose(own, result.maps[name], atol=1e-3 * np.max(own))
    third = measured(seed=2).renamed("third")  # of the same detector: the spectra are the same
    np.testing.assert_allclose(result.transform(third), result.transform(third.renamed("eels")))


def test_channels_that_were_masked_are_left_out_of_new_data_too():
    mask = np.zeros(M, dtype=bool)
    mask[5:9] = True
    result = fitted(measured(mask=mask), Frobenius)
    new = measured(seed=6)
    expected = result.transform(new.masked(mask))
    np.testing.assert_array_equal(result.transform(new), expected)


def test_loaded_results_know_their_likelihood_and_the_spectra(tmp_path, squares, of_counts):
    for result, new in ((squares, measured(seed=2)), (of_counts, counts(seed=2))):
        result.save(tmp_path / "answer.npz")
        loaded = fu.Result.load(tmp_path / "answer.npz")
        maps = loaded.transform(new, errors=True)
        np.testing.assert_array_equal(maps, result.transform(new, errors=True))


def test_a_loaded_result_of_several_detectors_needs_the_loss(tmp_path, shared):
    shared.save(tmp_path / "answer.npz")
    loaded = fu.Result.load(tmp_path / "answer.npz")
    eels, edxs = measured(seed=2), counts(seed=2)
    with pytest.raises(ValueError, match=r"does not tell the weights .* give the loss"):
        loaded.transform(fu.Scan(eels, edxs))
    maps = loaded.transform(Gaussian(eels) + 2 * Poisson(edxs))
    np.testing.assert_allclose(maps, shared.transform(fu.Scan(eels, edxs)), rtol=1e-12)
    np.testing.assert_allclose(loaded.transform(eels), shared.transform(eels), rtol=1e-12)


def test_a_loaded_result_of_another_likelihood_needs_the_fit(tmp_path):
    data = measured()
    fu.fit(fu.models.NMF(data, K), BetaDivergence(data, 0.5), starts=1, progress=False).save(
        tmp_path / "answer.npz"
    )
    loaded = fu.Result.load(tmp_path / "answer.npz")
    with pytest.raises(ValueError, match=r"does not hold its likelihood .* give the fit in place"):
        loaded.transform(data)
    maps = loaded.transform(BetaDivergence(data, 0.5))
    np.testing.assert_allclose(maps, loaded.maps, atol=0.02 * np.nanmax(loaded.maps))


def test_other_channels_are_refused_with_both_told(squares):
    other = fu.Dataset("new", measured().numpy(), axes=["y", "x", energy(offset=104.0)])
    with pytest.raises(ValueError, match=r"of 'new' are not those of 'eels'.* 100 and 104 eV"):
        squares.transform(other)
    with pytest.raises(ValueError, match=r"40 and 20 entries \(steps of 2 eV and 4 eV\)"):
        squares.transform(measured().bin(energy=2))
    with pytest.raises(ValueError, match="1 spectral axes were fitted, here are 0"):
        squares.transform(fu.Dataset("image", np.ones((N, N)), signal=0))


def test_what_is_no_data_or_of_no_known_detector_is_refused(squares, shared):
    with pytest.raises(ValueError, match=r"ndarray is no data set: .*makes one of an array"):
        squares.transform(measured().numpy())
    with pytest.raises(ValueError, match=r"spectra of 'eels', 'edxs', none of 'third'.*renamed"):
        shared.transform(measured().renamed("third"))
    smaller = counts().crop(y=slice(0, 4))
    with pytest.raises(ValueError, match="do not have the same pixels"):
        shared.transform({"eels": measured(), "edxs": smaller})


@pytest.mark.filterwarnings("ignore::fusion.CutWarning")  # of a dark pixel
def test_plural_scattering_stands_between_maps_and_spectra_so_that_new_pixels_are_refused():
    result = few_steps()
    core = next(iter(result.minimised.datasets.values()))
    with pytest.raises(ValueError, match=r"does not predict 'core' as maps times spectra"):
        result.transform(core, progress=False)


def test_models_without_maps_and_spectra_are_refused():
    data = measured()
    result = fu.fit(fu.models.CPD(data, K), Frobenius(data), starts=1, progress=False)
    with pytest.raises(ValueError, match=r"does not predict 'eels' as maps times spectra"):
        result.transform(data)


def test_negative_values_among_counts_and_nan_in_a_block_are_told(of_counts, squares):
    x = counts().numpy().astype(float)
    x[3, 5, 7] = -2
    with pytest.raises(ValueError, match=r"Poisson\(edxs\)`: 1 values are negative \(lowest -2\)"):
        of_counts.transform(fu.Dataset("edxs", x, axes=counts().axes))
    x = measured().numpy().copy()
    x[9, 5, 7] = np.nan
    with pytest.raises(ValueError, match=r"1 values are NaN or infinite, the first at \(9, 5, 7\)"):
        squares.transform(measured(array=da.from_array(x, (4, 4, M))))
    maps = squares.transform(measured(array=da.from_array(x, (4, 4, M)), mask=np.isnan(x)))
    assert np.isfinite(maps.values).all()


def test_a_variance_that_is_missing_is_told(tmp_path):
    result = fitted(measured(variance=0.01), Frobenius)
    with pytest.warns(fu.NoiseWarning, match="'eels' was fitted with a variance and 'eels' has no"):
        result.transform(measured(seed=1))
    both = joint(variance=0.01)
    with pytest.raises(ValueError, match="by which the detectors are weighed: give one"):
        both.transform(fu.Scan(measured(), counts()))


def test_spectra_that_are_alike_share_what_is_there_with_errors_unknown(squares):
    twice = squares["S"].copy()
    twice[:, 1] = twice[:, 0]
    result = fu.Result(**{**vars(squares), "factors": squares.factors | {"S": twice}})
    maps, errors = result.transform(measured(), errors=True)
    apart = fu.mlls(measured(), {"0": twice[:, 0], "2": twice[:, 2]})
    np.testing.assert_allclose(maps[..., 0] + maps[..., 1], apart["0"], rtol=1e-4)
    assert np.isnan(errors[..., :2]).all()
    assert np.isfinite(errors[..., 2]).all()


def test_an_image_beside_spectra_is_one_channel():
    eels = measured()
    total = truth()[0].sum(-1) + np.random.default_rng(0).normal(size=(N, N + 2))
    image = fu.Dataset("adf", total, axes=eels.axes[:2], signal=0)
    model = fu.models.SharedMaps(eels, image, K=K)
    result = fu.fit(model, Gaussian(eels) + Gaussian(image), starts=2, progress=False)
    maps = result.transform(fu.Scan(eels, image))
    np.testing.assert_allclose(maps, result.maps, atol=1e-3 * np.nanmax(result.maps))


def test_tensors_of_other_precision_are_taken(squares):
    single = measured(array=measured().tensor.to(torch.float32))
    maps = squares.transform(measured())
    np.testing.assert_allclose(squares.transform(single), maps, rtol=1e-5, atol=1e-5)
