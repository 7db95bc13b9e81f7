"""`subtract_background`: against the literal likelihood, at few counts, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.optimize import minimize

import fusion as fu
from fusion.prepare.background import log_linear
from fusion.simulate import power_law
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import axes, data, poisson_counts

ENERGY = np.arange(60) * 2.0 + 400  # window 400 to 460, beyond it up to 518


def spectra(array, **options) -> fu.Dataset:
    return fu.Dataset(
        "raw", array, axes=["x", fu.Axis("energy", 2.0, 400.0, units="eV")], **options
    )


def literal(y, x):
    """Minimum of Σ (m − y ln m), m = exp(a + b x), spectrum by spectrum; the powers in all of x."""
    backgrounds = []
    scaled = (x - x[:31].mean()) / 0.07 if x[-1] < 10 else (x - x[:31].mean()) / 30
    for row in np.asarray(y, dtype=float)[:, :31]:
        t = scaled[:31]

        def cost(p, row=row, t=t):
            return np.sum(np.exp(p[0] + p[1] * t) - row * (p[0] + p[1] * t))

        def slope(p, row=row, t=t):
            left = np.exp(p[0] + p[1] * t) - row
            return np.array([left.sum(), left @ t])

        start = [np.log(row.mean()), 0.0]
        p = minimize(cost, start, jac=slope, bounds=[(None, None), (None, 0)], method="L-BFGS-B")
        best = minimize(cost, p.x, jac=slope, method="BFGS", options={"gtol": 1e-9})
        p = best.x if best.x[1] < 0 else p.x
        backgrounds.append(np.exp(p[0] + p[1] * scaled))
    return np.array(backgrounds)


@pytest.mark.parametrize(
    ("model", "x"), [("power law", np.log(ENERGY)), ("exponential", ENERGY)], ids=["power", "exp"]
)
@pytest.mark.parametrize("counts", [5.0, 100.0, 10_000.0])
def test_the_background_is_that_of_greatest_poisson_likelihood(model, x, counts):
    y = poisson_counts(np.tile(power_law(ENERGY, 3.0, amplitude=counts), (12, 1)))
    new = spectra(y).subtract_background((400, 460), model)
    assert np.allclose(y - new.numpy(), literal(y, x), rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 2.0, 5.0])
def test_a_power_law_without_noise_is_found_exactly(exponent):
    y = 37.5 * power_law(ENERGY, exponent)[None] * np.array([[1e-6], [1.0], [1e9]])
    net = spectra(y).subtract_background((410, 440)).numpy()
    assert (np.abs(net) < 1e-9 * y).all()


@pytest.mark.parametrize("axis", [fu.Axis("energy", 1.0, -10.0), fu.Axis("energy", -1.0, 60.0)])
def test_an_exponential_without_noise_is_found_exactly_on_any_axis(axis):
    y = 1e4 * np.exp(-axis.sized(60).values / 15)[None]
    net = fu.Dataset("raw", y, axes=["x", axis]).subtract_background((5, 30), "exponential")
    assert (np.abs(net.numpy()) < 1e-9 * y).all()


def test_low_counts_with_zeros_bias_the_extrapolation_by_a_percent_logarithms_by_a_third():
    axis = fu.Axis("energy", 0.25, 400.0)
    energy = axis.sized(800).values
    mean = power_law(energy, 3.0, amplitude=2.0)
    y = poisson_counts(np.tile(mean, (1500, 1)))
    net = fu.Dataset("raw", y, axes=["x", axis]).subtract_background((400, 520)).numpy()
    beyond, inside = energy > 520, energy <= 520
    assert (y == 0).mean() > 0.1
    ours = (y - net)[:, beyond].sum(1).mean() / mean[beyond].sum() - 1
    within = (y - net)[:, inside].sum() / (len(y) * mean[inside].sum()) - 1
    assert abs(within) < 3 / np.sqrt(len(y) * mean[inside].sum())
    assert abs(ours) < 0.015  # e to a noisy slope is convex: 0.7 % here
    logs = np.polyfit(np.log(energy[inside]), np.log(np.maximum(y[:, inside], 1)).T, 1)
    theirs = np.exp(np.log(energy)[:, None] * logs[0] + logs[1])[beyond].sum(0)
    assert theirs.mean() / mean[beyond].sum() - 1 > 0.3


def test_the_background_of_a_few_counts_is_finite_and_never_rises():
    y = np.zeros((4, 60))
    y[0, 30] = 1  # the last channel of the window
    y[1, 0] = 1  # the first
    y[2, [29, 30]] = 1
    y[3] = np.arange(60)
    background = log_linear(np.log(ENERGY), y, ENERGY <= 460, np.ones_like(y, dtype=bool))
    assert (np.diff(background, axis=1) <= 1e-12).all()
    assert np.allclose(background[:, :31].sum(1), y[:, :31].sum(1))
    assert np.allclose(background[[0, 2, 3]], y[[0, 2, 3], :31].mean(1)[:, None])
    fails_in_one_line(lambda: spectra(y).subtract_background((400, 460)), "above", "% (1σ)")


def uncertainty(data: fu.Dataset) -> tuple[str, float]:
    """Side and per cent that the last step of a history tells."""
    pattern = r"(above|below) the window is uncertain by ([\d.e+-]+) %"
    side, share = re.search(pattern, data.history[-1]).groups()
    return side, float(share) / 100


@pytest.mark.parametrize("scale", [1.0, 1e-6, 40.0])
@pytest.mark.parametrize("window", [(400, 460), (400, 430), (440, 518)])
def test_the_error_bar_of_a_background_is_its_scatter(window, scale):
    mean = power_law(ENERGY, 3.0, amplitude=300.0)
    y = scale * poisson_counts(np.tile(mean, (800, 1)))
    side, share = uncertainty(new := spectra(y).subtract_background(window))
    outside = window[1] < ENERGY if side == "above" else window[0] > ENERGY
    background = (y - new.numpy())[:, outside].sum(1)
    assert share == pytest.approx(background.std() / background.mean(), rel=0.15)


def test_a_window_of_few_channels_is_told_of_and_refused_where_it_tells_nothing():
    y = poisson_counts(np.tile(power_law(ENERGY, 3.0, amplitude=60.0), (100, 1)))
    with pytest.warns(fu.CutWarning, match=r"above the window is uncertain by 5\d.*8 channels"):
        spectra(y).subtract_background((400, 414))
    fails_in_one_line(lambda: spectra(y).subtract_background((400, 404)), "3 channels", "wider")
    low = np.arange(20, 320) * 2.0
    y = poisson_counts(np.tile(power_law(low, 3.0, amplitude=1e5), (50, 1)))
    raw = fu.Dataset("raw", y, axes=["x", fu.Axis("energy", 2.0, 40.0, units="eV")])
    fails_in_one_line(lambda: raw.subtract_background((600, 608)), "below", "crop")


def test_an_empty_pixel_has_no_background():
    y = poisson_counts(np.full((3, 60), 5.0))
    y[1, :31] = 0
    net = spectra(y).subtract_background((400, 460)).numpy()
    assert np.array_equal(net[1], y[1])


def test_masked_and_non_finite_entries_of_the_window_do_not_count():
    y = np.tile(power_law(ENERGY, 3.0, amplitude=50.0), (3, 1))
    mask = np.zeros(y.shape, dtype=bool)
    y[0, 4], mask[0, 4] = 1e6, True
    y[1, 7], mask[1, 7] = np.nan, True
    mask[2] = True
    new = spectra(y, mask=mask).subtract_background((400, 460))
    clean = ~mask
    assert (np.abs(new.numpy()[clean]) < 1e-6).all()
    assert f"of {clean.sum()} values negative" in new.history[-1]


def test_history_counts_the_negatives():
    y = poisson_counts(np.tile(power_law(ENERGY, 3.0, amplitude=50.0), (9, 1)))
    new = spectra(y).subtract_background((400, 460))
    said = new.history[-1]
    assert said.startswith("subtract_background((400, 460), 'power law'): ")
    assert f"{(new.numpy() < 0).sum()} of {y.size} values negative" in said
    assert f"lowest {new.numpy().min():.4g}" in said


@pytest.mark.parametrize("model", ["power law", "exponential"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_data_of_another_scale_have_the_same_net_in_that_scale(model, scale):
    y = poisson_counts(np.tile(power_law(ENERGY, 3.0, amplitude=8.0), (40, 1))).astype(float)
    net, scaled = (spectra(s * y).subtract_background((400, 460), model) for s in (1, scale))
    assert np.allclose(scaled.numpy(), scale * net.numpy(), rtol=1e-7, atol=1e-7 * scale)


def test_a_baseline_of_pybaselines_reads_the_window_and_leaves_the_rest():
    pytest.importorskip("pybaselines")
    rng = np.random.default_rng(0)
    peak = 200 * np.exp(-(((ENERGY - 440) / 4) ** 2))
    y = 100 + peak + rng.normal(0, 1, (3, 60))
    mask = np.zeros(y.shape, dtype=bool)
    y[1, 5], mask[1, 5] = np.nan, True
    new = spectra(y, mask=mask).subtract_background((400, 490), "snip")
    background = (y - new.numpy())[:, :46]
    assert np.abs(background[~mask[:, :46]] - 100).max() < 8
    assert np.array_equal(new.numpy()[:, 46:], y[:, 46:])


def test_backgrounds_that_cannot_be_fitted_are_refused():
    given = data()
    fails_in_one_line(lambda: given.subtract_background((100, 104), "cubic"), "'cubic'", "'snip'")
    fails_in_one_line(lambda: given.subtract_background((100, 104), "_private"), "'_private'")
    fails_in_one_line(lambda: given.subtract_background((100, 100.5)), "2 of 12", "three")
    fails_in_one_line(lambda: given.subtract_background((300, 400)), "300", "105.5")
    fails_in_one_line(lambda: given.subtract_background(5), "=5", "12")
    below = data(axes=axes(offset=-1.0))
    fails_in_one_line(lambda: below.subtract_background((1, 4)), "-1", "'exponential'")
    image = fu.Dataset("adf", np.ones((4, 6)), signal=0)
    fails_in_one_line(lambda: image.subtract_background((0, 1)), "0 signal axes")


def falling(counts: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, fu.Dataset]:
    energy = np.linspace(80, 140, 121)
    background = counts * (energy / 80) ** -3.0
    values = np.random.default_rng(seed).poisson(background, (n, energy.size))
    axis = fu.Axis("energy loss", 0.5, 80.0, "eV")
    return energy, background, fu.Dataset("a", values, axes=["x", axis])


def test_power_law_has_no_bias_at_few_counts():
    _, background, data = falling(1.0, 4000)
    fitted = data.numpy() - data.subtract_background((80, 98)).numpy()
    inside = slice(0, 37)
    error = fitted[:, inside].mean() / background[inside].mean() - 1
    assert abs(error) < 4 / np.sqrt(4000 * background[inside].sum())


def layered(counts, seed=0):
    """Two phases with an edge at 460 on power laws of their own, and the backgrounds."""
    rng = np.random.default_rng(seed)
    C = rng.dirichlet([0.5, 0.5], 200)
    laws = np.stack([power_law(ENERGY, r, amplitude=counts) for r in (2.0, 4.0)])
    edges = counts * (ENERGY > 460) * np.stack([np.exp(-(ENERGY - 460) / t) for t in (10, 60)])
    return C @ (laws + edges), C @ laws


def test_compressed_backgrounds_vary_less_than_those_of_single_pixels():
    mean, true = layered(50.0)
    raw, beyond = spectra(poisson_counts(mean)), ENERGY > 460
    plain, compressed = (
        np.linalg.norm((raw.numpy() - net - true)[:, beyond])
        for net in (raw.subtract_background((400, 460), components=K).numpy() for K in (None, 3))
    )
    assert compressed < 0.5 * plain, (compressed, plain)


def test_compression_changes_nothing_where_the_data_have_no_noise():
    mean, _ = layered(50.0)
    nets = [spectra(mean).subtract_background((400, 460), components=K).numpy() for K in (None, 4)]
    assert np.allclose(*nets, rtol=1e-6, atol=1e-6)


def test_all_components_are_the_data():
    y = poisson_counts(layered(50.0)[0])
    nets = [spectra(y).subtract_background((400, 460), components=K).numpy() for K in (None, 60)]
    assert np.allclose(*nets, rtol=1e-6, atol=1e-6)


def test_what_is_masked_does_not_enter_the_compressed_data():
    y, mask = poisson_counts(layered(50.0)[0]).astype(float), np.zeros((200, 60), dtype=bool)
    mask[::7, 5], mask[3], mask[:, 20] = True, True, True
    wild = np.where(mask, np.nan, y)
    nets = [
        spectra(values, mask=mask).subtract_background((400, 460), components=3).numpy()
        for values in (y, np.where(mask, 1e9, y), wild)
    ]
    for net in nets[1:]:
        assert np.allclose(nets[0][~mask], net[~mask])
    plain = spectra(y).subtract_background((400, 460), components=3).numpy()
    kept = ~mask.any(1)
    spread = np.linalg.norm(y - plain)
    assert np.linalg.norm((nets[0] - plain)[kept][:, 21:]) < 0.2 * spread


def test_components_that_cannot_be_are_refused_and_the_history_names_them():
    given = spectra(poisson_counts(layered(50.0)[0]))
    assert "components=3" in given.subtract_background((400, 460), components=3).history[-1]
    for K in (0, 61):
        fails_in_one_line(
            lambda K=K: given.subtract_background((400, 460), components=K), "(200, 60)"
        )


def test_an_edge_within_the_window_is_told_of():
    mean = power_law(ENERGY, 3.0, amplitude=300.0)
    y = poisson_counts(np.tile(mean * (1 + 0.8 * (ENERGY > 440)), (400, 1)))
    with pytest.warns(fu.CutWarning, match="departs from the background by [0-9]+ %"):
        spectra(y).subtract_background((400, 470))
    spectra(y).subtract_background((400, 436))
