"""`DualEELS`: plural scattering inside the model, its start, and data that do not fit."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, LearnedSmoothness, Overlap, dual_eels_loss
from fusion.models.dual_eels_start import inverse_kernels
from fusion.models.plural import moved_kernels, on_core_channels
from fusion.prepare.zero_loss import LowLoss
from fusion.simulate import dual_eels
from tests.helpers.planted_factors import nearest_angles


def with_variance(core: fu.Dataset) -> fu.Dataset:
    return core.with_variance(core.numpy().reshape(core.matrix_shape).mean(0))


@pytest.fixture(scope="module")
def scene():
    return dual_eels(shape=(10, 14), channels=120, seed=1)


@pytest.fixture(scope="module")
def pair(scene):
    return with_variance(scene.datasets["core"]), scene.datasets["low"]


@pytest.fixture(scope="module")
def fitted(pair):
    loss = Frobenius(pair[0]) + 20 * Overlap("C") + LearnedSmoothness("S")
    return fu.fit(fu.models.DualEELS(*pair, 3), loss, starts=1, progress=False)


def test_single_scattering_comes_back_where_plain_nmf_is_far_off(scene, pair, fitted):
    net = pair[0].subtract_background((480, 520)).renamed("net")
    plain = fu.fit(fu.models.NMF(net, 3), Frobenius(net), starts=1, progress=False)
    assert fitted.converged
    assert nearest_angles(fitted["S"], scene.truth["S"]).max() < 4
    assert nearest_angles(plain["S"], scene.truth["S"]).max() > 6
    assert not fitted["S"][: int((fitted.model.onset - 480) / pair[0].axes[-1].scale)].any()


def test_amounts_are_those_of_the_same_exposure_without_plural_scattering(scene, fitted):
    total = fitted["C"] @ fitted["S"].sum(0)
    truth = scene.truth["C"] @ scene.truth["S"].sum(0)
    assert abs(np.median(total / truth) - 1) < 0.05


def test_errors_of_spectra_say_how_far_they_are_off(scene, fitted):
    """Unit columns that are zero before an edge: their scale is no direction of the errors."""
    order, truth = fu.match(scene.truth["S"], fitted["S"]), scene.truth["S"]
    S, errors = fitted["S"][:, order], fitted.errors(progress=False)["S"][:, order]
    off = np.abs(S - truth / np.linalg.norm(truth, axis=0))[errors > 0] / errors[errors > 0]
    assert 0.3 < np.median(off) < 1.5


def test_the_prediction_is_every_pixel_convolved_by_hand(pair):
    model = fu.models.DualEELS(*pair, 2)
    model.C, model.N = np.random.default_rng(0).random((2, 140, 2))
    h = (model.B @ model.D.T).numpy()
    C, S, X = model.C.detach().numpy(), model.S.detach().numpy(), pair[0].matrix_shape[1]
    plural = np.array([np.convolve(h[p], S @ C[p])[:X] for p in range(len(C))])
    made = model.predict()["core"].dense() - model.background()
    np.testing.assert_allclose(made.detach().numpy(), plural, atol=1e-10)
    background = model.background().detach().numpy()
    laws = pair[0].axes[-1].values[:, None] ** -np.array([2.6, 3.4])
    assert bool((model.laws[:, 0] > 0).all())  # amounts of background are positive
    rest = background - (laws @ np.linalg.lstsq(laws, background.T)[0]).T
    assert abs(rest).max() < 1e-8 * abs(background).max()


def test_the_shape_of_the_zero_loss_may_be_a_part_of_the_kernels(scene, pair):
    core, low = pair
    model = fu.models.DualEELS(core, low, 2, deconvolve=True)
    model.C, model.N = np.random.default_rng(0).random((2, 140, 2))
    plain = fu.models.DualEELS(core, low, 2)
    spectra = LowLoss("test", low)
    part = slice(spectra.zero.first, spectra.zero.stop)
    shape, centre = spectra.mean[part] / spectra.mean[part].sum(), spectra.zero.centre
    places = (spectra.energies[part] - centre) / core.axes[-1].scale
    found = model.peak.numpy()
    zero = len(found) // 2
    assert found @ np.arange(-zero, zero + 1) == pytest.approx(shape @ places, abs=0.05)
    assert found.sum() == pytest.approx(1)
    whole = np.zeros((140, len(model.D) + zero))
    whole[:, zero:] = (plain.B @ plain.D.T).numpy()
    elastic = whole[:, zero].copy()
    whole[:, zero] = 0
    whole[:, : len(found)] += elastic[:, None] * found
    C, S = model.C.detach().numpy(), model.S.detach().numpy()
    literal = [np.convolve(h, S @ c)[zero:][:120] for h, c in zip(whole, C, strict=True)]
    made = model.predict()["core"].dense() - model.background()
    np.testing.assert_allclose(made.detach().numpy(), literal, atol=1e-10)


def test_a_background_may_be_scattered_as_the_mean_of_all_pixels(pair):
    energies = pair[0].axes[-1].values
    off = {}
    for scattered in (False, True):
        model = fu.models.DualEELS(*pair, 2, scattered_background=scattered)
        h = (model.B @ model.D.T).mean(0).numpy()
        step = energies[1] - energies[0]
        law = (energies[0] + step * np.arange(1 - len(h), len(energies))).clip(100) ** -3.4
        scattered_by_hand = [h @ law[i : i + len(h)][::-1] for i in range(len(energies))]
        laws = model.laws.numpy()
        fit = laws @ np.linalg.lstsq(laws, scattered_by_hand)[0]
        off[scattered] = abs(fit / scattered_by_hand - 1).max()
    assert off[True] < 2e-4
    assert off[False] > 1e-3


def test_the_background_is_at_its_best_for_any_spectra_at_once(pair):
    model = fu.models.DualEELS(*pair, 2)
    loss = 1.0 * Frobenius(pair[0])
    loss(model).backward()
    pulled = model.factor("N").raw.grad
    assert pulled is not None
    data = pair[0].matrix.double()
    assert float(pulled.abs().max()) < 1e-9 * float((data / pair[0].variance.reshape(-1)).sum())


def test_pages_show_components_after_the_mean_scattering_and_the_background(fitted):
    model = fitted.model
    with torch.no_grad():
        maps, spectra, more = model.component_parts("core")
        background, B = model.background().numpy(), model.amounts()[torch.from_numpy(model.used)]
        D = model.kernels()
    assert more == ("background 1", "background 2")
    kernel = (D @ B.mean(0)).numpy()
    literal = [np.convolve(kernel, s)[:120] for s in fitted["S"].T]
    np.testing.assert_allclose(spectra[:, :3].T.numpy(), literal, atol=1e-10)
    np.testing.assert_allclose(maps[:, :3].numpy(), fitted["C"], rtol=1e-12)
    np.testing.assert_allclose((maps[:, 3:] @ spectra[:, 3:].T).numpy(), background, rtol=1e-9)


def test_kernels_move_as_their_energies_do_and_the_zero_loss_stays():
    lags = torch.arange(80.0, dtype=torch.float64)
    bump = torch.exp(-0.5 * ((lags - 30) / 4) ** 2)[:, None]
    bump[0] = 2.0
    made = moved_kernels(bump, torch.tensor(0.7), torch.tensor(1.05))
    literal = torch.exp(-0.5 * (((lags - 0.7) / 1.05 - 30) / 4) ** 2)[1:, None] / 1.05
    torch.testing.assert_close(made[1:], literal, atol=2e-3, rtol=0)
    assert float(made[0, 0]) == 2
    at = torch.tensor([0.7, 1.05], dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(lambda x: moved_kernels(bump, x[0], x[1]).sum(1), at)
    for i, step in enumerate(torch.eye(2, dtype=torch.float64) * 1e-5):
        up, down = (moved_kernels(bump, *(at + s)).sum(1) for s in (step, -step))
        torch.testing.assert_close(slope[:, i], (up - down) / 2e-5, atol=1e-4, rtol=0)


def test_energies_that_are_off_are_found_and_spectra_do_not_suffer(scene, pair, fitted):
    core, low = pair
    axis = low.axes[-1]
    wrong = fu.Axis("energy loss", axis.scale * 1.03, axis.offset * 1.03, "eV")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fu.CutWarning)
        model = fu.models.DualEELS(core, low.with_axes(energy_loss=wrong), 3, fit_energies=True)
    loss = Frobenius(core) + 20 * Overlap("C") + LearnedSmoothness("S")
    found = fu.fit(model, loss, starts=1, progress=False)
    assert found.model.dispersion_ratio == pytest.approx(1 / 1.03, abs=0.02)
    assert abs(found.model.offset) < 1
    assert (fitted.model.offset, fitted.model.dispersion_ratio) == (0, 1)
    ours, theirs = (nearest_angles(r["S"], scene.truth["S"]).max() for r in (found, fitted))
    assert ours < theirs + 0.5


def few_electrons(low: fu.Dataset, electrons: float) -> fu.Dataset:
    counts = low.numpy().astype(int)
    rng = np.random.default_rng(0)
    return low.derive(rng.binomial(counts, electrons / counts.sum(-1).mean()), "few")


def test_amounts_of_few_electrons_are_fitted_within_their_noise(scene, pair):
    """A core loss of many counts, made with amounts that differ from the measured ones by noise."""
    core, low = pair[0], few_electrons(pair[1], 300)
    with pytest.warns(fu.ClaimWarning, match="about .* electrons a pixel: fitted within its noise"):
        model = fu.models.DualEELS(core, low, 3, onset=520)
    sizes = np.linalg.norm(scene.truth["S"], axis=0)
    true = {"S": scene.truth["S"] / sizes, "C": scene.truth["C"] * sizes}
    model.S, model.C = true["S"], true["C"]
    model.low_noise = np.random.default_rng(1).standard_normal(model.B.shape)
    with torch.no_grad():
        made, B = model.predict()["core"].dense().numpy().reshape(core.shape), model.amounts()
    exact = core.derive(made, "made").with_variance(1e-3 * made.mean((0, 1)))
    with pytest.warns(fu.ClaimWarning):
        model = fu.models.DualEELS(exact, low, 3, onset=520)
    result = fu.fit(model, 1.0 * Frobenius(exact), init=[true], starts=1, progress=False)
    found = result.model.amounts().detach()
    np.testing.assert_allclose((found @ model.D.sum(0)).numpy(), 1, atol=1e-12)
    off, before = (float((x - B).square().mean().sqrt()) for x in (found, model.B))
    assert off < 0.2 * before
    assert not np.array_equal(
        result.model.relative_thickness().values, model.relative_thickness().values
    )


def test_amounts_may_be_held_whatever_their_noise(pair):
    with pytest.warns(fu.ClaimWarning, match="taken as if it had no noise: bin pixels"):
        model = fu.models.DualEELS(pair[0], few_electrons(pair[1], 300), 3, fit_amounts=False)
    assert [str(term) for term in model.all_beliefs()] == []
    assert model.amounts() is model.B


def test_kernels_are_the_low_loss_of_every_pixel_with_the_peak_in_one_channel(scene, pair):
    low = LowLoss("test", pair[1])
    H = on_core_channels(low, pair[0].axes[-1].scale, 120)
    np.testing.assert_allclose(H[:, 0], low.elastic)
    np.testing.assert_allclose(H.sum(1), low.total, rtol=1e-4)
    model = fu.models.DualEELS(*pair, 3)
    np.testing.assert_allclose((model.B @ model.D.sum(0)).numpy(), 1, atol=1e-12)
    truth = scene.truth["t/λ"].reshape(10, 14)
    found = model.relative_thickness()
    assert np.sqrt(np.mean((found.values / truth - 1) ** 2)) < 0.005
    assert 0.7 < ((found.values - truth) / found.errors).std() < 1.3


def test_inverse_kernels_undo_their_convolution():
    h = torch.from_numpy(np.random.default_rng(0).random((3, 37)))
    g = inverse_kernels(h)
    made = [np.convolve(a, b)[:37] for a, b in zip(h.numpy(), g.numpy(), strict=True)]
    np.testing.assert_allclose(made, np.eye(37)[[0, 0, 0]], atol=1e-6)


def test_wider_steps_of_the_low_loss_are_resampled_and_told(pair):
    core, low = pair
    coarse = low.bin(energy_loss=2)
    with pytest.warns(fu.CutWarning, match="steps of 4.03361 eV, .* of 2.01681 eV: resampled"):
        model = fu.models.DualEELS(core, coarse, 3)
    t = (
        model.relative_thickness().values
        / fu.models.DualEELS(core, low, 3).relative_thickness().values
    )
    assert abs(t - 1).max() < 0.02


def changed(data: fu.Dataset, change) -> fu.Dataset:
    array = data.numpy().astype(float)
    change(array)
    return data.derive(array, "changed")


def test_dark_thick_and_clipped_pixels_are_left_out_with_a_word(pair):
    core, low = pair
    top = np.quantile(low.numpy().max(-1), 0.8)

    def dark(x):
        x[0, 0] = 0

    def thick(x):
        x[0, 1, :15] *= 1e-3

    def clip(x):
        np.minimum(x, top, out=x)

    for change, said, some in (
        (dark, "1 pixels of 'low' are masked or dark", 1),
        (thick, r"1 pixels are thicker than 3 λ \(t/λ up to", 1),
        (clip, "the zero loss of 28 pixels of 'low' is cut off", 28),
    ):
        with pytest.warns(fu.CutWarning, match=said):
            model = fu.models.DualEELS(core, changed(low, change), 3)
        assert (~model.used).sum() == some
        assert not model.C[torch.from_numpy(~model.used)].any()


def test_a_short_low_loss_is_told_with_what_is_missing(pair):
    core, low = pair
    with pytest.warns(
        fu.CutWarning, match="ends .* eV behind the zero loss, .* % of the electrons"
    ):
        fu.models.DualEELS(core, low.crop(energy_loss=(-20, 60)), 3)


def test_few_electrons_are_told(pair):
    core, low = pair
    few = low.derive(np.random.default_rng(0).poisson(low.numpy() * 1e-3), "fewer")
    with pytest.warns(fu.ClaimWarning, match=r"has about 4\d\d electrons a pixel"):
        fu.models.DualEELS(core, few, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda core, low: (core, low.crop(y=slice(0, 5))), "rows|pixels"),
        (lambda core, low: (core, low.crop(energy_loss=(40, 200))), "no peak within 10 eV of 0"),
        (lambda core, low: (low.renamed("core"), low), "all above 0 eV"),
        (lambda core, low: (core.crop(energy_loss=(480, 515)), low), "no edge rises above"),
        (lambda core, low: (core, changed(low, lambda x: x.fill(0.5))), "no peak within 10 eV"),
    ],
)
def test_what_cannot_be_is_refused(pair, change, said):
    core, low = change(*pair)
    with pytest.raises(ValueError, match=said):
        fu.models.DualEELS(core, low, 2)


def test_an_onset_beside_the_axis_is_refused(pair):
    with pytest.raises(ValueError, match=r"onset=800 eV: the core loss runs from 480 to 720 eV"):
        fu.models.DualEELS(*pair, 2, onset=800.0)


def test_channels_that_are_masked_above_the_onset_change_little(scene, pair):
    masked = np.zeros(120, bool)
    masked[68:71] = True
    counts = scene.datasets["core"].numpy().astype(float)
    counts[..., masked] = 1e6
    core = scene.datasets["core"].derive(counts, "hot").masked(masked).estimate_variance()
    model = fu.models.DualEELS(core, pair[1], 3)
    result = fu.fit(model, dual_eels_loss(core), starts=1, progress=False)
    assert result.data["core"].chi2 < 1.1
    assert nearest_angles(result["S"][~masked], scene.truth["S"][~masked]).max() < 5


def test_a_loaded_result_refuses_new_data_as_the_fit_does(pair, fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    for result in (fitted, fu.Result.load(tmp_path / "a.npz")):
        with pytest.raises(ValueError, match="does not predict 'core' as maps times spectra"):
            result.transform(pair[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"exponents": (3, 3)}, "nearer than 0.05"),
        ({"exponents": ()}, "give one to 4 numbers"),
        ({"exponents": (-1.0, 2.0)}, "give one to 4 numbers"),
        ({"exponents": ("a", "b")}, "give one to 4 numbers"),
        ({"rank": 0}, "rank=0: give a number of kernels"),
        ({"rank": 2.5}, "rank=2.5: give a number of kernels"),
        ({"onset": "525"}, "onset='525': give it in eV"),
        ({"zero_loss": (10, 20)}, "the peak of 'low' is at"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_are_refused(pair, options, said):
    with pytest.raises((ValueError, TypeError), match=re.escape(said)):
        fu.models.DualEELS(*pair, 3, **options)
