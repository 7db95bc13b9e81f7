"""Fixed patterns and moving spectra: against their equations, and against the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.prepare import drifts
from fusion.prepare.fixed_pattern import _keys_kernel, _principal_component_pursuit, _ShiftOperator
from fusion.simulate import wobbled
from tests.helpers.messages import fails_in_one_line

RNG = np.random.default_rng


def low_rank_and_sparse(seed: int = 0, n: int = 60, m: int = 50, rank: int = 3, share: float = 0.1):
    rng = RNG(seed)
    L = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, m))
    S = np.where(rng.random((n, m)) < share, rng.uniform(-10, 10, (n, m)), 0.0)
    return L, S


def literal(X, steps):
    """Lin, Chen & Ma (2010), algorithm 5, step by step."""
    lam = 1 / np.sqrt(max(X.shape))
    norm = np.linalg.norm(X, 2)
    Y = X / max(norm, np.abs(X).max() / lam)
    mu, S = 1.25 / norm, np.zeros(X.shape)
    for _ in range(steps):
        U, s, Vt = np.linalg.svd(X - S + Y / mu, full_matrices=False)
        L = U @ np.diag(np.maximum(s - 1 / mu, 0)) @ Vt
        G = X - L + Y / mu
        S = np.sign(G) * np.maximum(np.abs(G) - lam / mu, 0)
        Y = Y + mu * (X - L - S)
        mu = 1.5 * mu
    return L, S


def centred(found, truth, cut: int):
    """Root mean square of the difference, less its mean, away from the ends."""
    off = (found - truth)[..., cut:-cut]
    return float(np.sqrt(((off - off.mean()) ** 2).mean()))


def test_the_pursuit_ends_where_the_literal_one_does():
    X = sum(low_rank_and_sparse())
    want, _ = literal(X, 60)
    np.testing.assert_allclose(_principal_component_pursuit(torch.from_numpy(X)), want, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_pursuit_finds_the_low_rank_part_exactly(scale):
    L, S = low_rank_and_sparse()
    found = _principal_component_pursuit(scale * torch.from_numpy(L + S))
    np.testing.assert_allclose(found, scale * L, atol=1e-4 * scale)


def test_the_pursuit_of_nothing_is_nothing():
    assert not _principal_component_pursuit(torch.zeros(5, 6)).any()


def test_frames_are_moved_by_cubic_convolution():
    shifts, n = torch.tensor([0.0, 2.0, -1.3], dtype=torch.float64), 30
    moved = _ShiftOperator(shifts, n)
    x = torch.arange(moved.width, dtype=torch.float64) - moved.margin

    def curve(at):
        return 2 - 0.3 * at + 0.01 * at**2

    j = torch.arange(n, dtype=torch.float64)
    want = curve(j - shifts[:, None])  # cubic convolution is exact for parabolas
    torch.testing.assert_close(moved(curve(x)), want, atol=1e-10, rtol=0)
    assert float(_keys_kernel(torch.tensor([0.0, 1.0, 2.0])).sum()) == pytest.approx(1.0)


def test_least_squares_of_moved_frames_finds_the_spectrum():
    rng = RNG(0)
    moved = _ShiftOperator(torch.from_numpy(rng.uniform(-5, 5, 40)), 50)
    m = torch.from_numpy(rng.standard_normal(moved.width))
    gain = torch.from_numpy(1 + 0.1 * rng.standard_normal((40, 50)))
    found = moved.solve(gain * moved(m), gain)
    torch.testing.assert_close(found[10:-10], m[10:-10], atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def scene():
    return wobbled(frames=60, channels=240, reach=15.0, seed=3)


@pytest.fixture(scope="module")
def parted(scene):
    return fu.separate_moving_spectrum(scene.datasets["eels"], scene.truth["shifts"])


def aligned_mean(data, shifts, channels):
    moved = data.align(shifts=shifts)
    full = np.full(channels, np.nan)
    start = round((moved.channels[0].values[0] - data.channels[0].values[0]) / 0.5)
    full[start : start + moved.shape[-1]] = moved.numpy().mean(0)
    return full


def test_a_moving_spectrum_comes_out_nearer_than_by_the_mean_of_aligned_frames(scene, parted):
    data, truth = scene.datasets["eels"], scene.truth
    plain = centred(aligned_mean(data, truth["shifts"], 240), truth["S"][:, 0], 30)
    found = centred(parted.spectrum.numpy(), truth["S"][:, 0], 30)
    assert found < 0.5 * plain


def test_pattern_and_afterglow_come_out_nearer_than_by_the_mean_of_the_frames(scene, parted):
    data, truth = scene.datasets["eels"], scene.truth
    plain = centred(data.numpy().mean(0), truth["pattern"], 30)
    assert centred(parted.pattern.numpy(), truth["pattern"], 30) < 0.5 * plain


def test_a_gain_pattern_is_found_where_the_counts_show_it():
    scene = wobbled(frames=60, channels=240, reach=15.0, dose=30.0, seed=3)
    found = fu.separate_moving_spectrum(scene.datasets["eels"], scene.truth["shifts"])
    off = (found.gain.numpy() - scene.truth["gain"])[30:-30]
    assert off.std() < 0.3 * scene.truth["gain"].std()


def test_the_parts_of_a_moving_spectrum_add_up_and_keep_axes_and_history(scene, parted):
    data = scene.datasets["eels"]
    whole = parted.gain.numpy() * parted.signal.numpy() + parted.pattern.numpy()
    np.testing.assert_allclose(whole, data.numpy(), rtol=1e-10)
    assert parted.gain.numpy().mean() == pytest.approx(1.0)
    assert parted.spectrum.axes == data.channels
    assert parted.signal.axes == parted.pattern.axes == data.axes
    assert "2 patterns" in parted.signal.history[-1]


def test_a_variance_goes_with_the_signal(scene, parted):
    data = scene.datasets["eels"].with_variance(9.0)
    found = fu.separate_moving_spectrum(data, scene.truth["shifts"])
    want = 9.0 / parted.gain.numpy() ** 2
    np.testing.assert_allclose(found.signal.variance[0], want, rtol=1e-9)
    assert found.pattern.variance is None


def test_the_fixed_pattern_and_the_signal_add_up_and_the_shifts_are_in_the_signal():
    scene = wobbled(frames=60, channels=240, reach=15.0, background=0.0, seed=1)
    data = scene.datasets["eels"]
    pattern, signal = fu.separate_fixed_pattern(data)
    np.testing.assert_allclose(pattern.numpy() + signal.numpy(), data.numpy(), rtol=1e-12)
    mean = centred(data.numpy().mean(0), scene.truth["pattern"], 30)
    assert centred(pattern.numpy(), scene.truth["pattern"], 30) < mean
    found = drifts(signal)
    assert np.abs(found - np.median(found) - scene.truth["shifts"]).max() < 0.5
    assert "low rank + sparse" in signal.history[-1]


def test_one_spectrum_several_frames_a_pixel_is_a_stack_of_frames(scene):
    data, shifts = scene.datasets["eels"], scene.truth["shifts"]
    stack = fu.Dataset("eels", data.numpy().reshape(6, 10, 240))
    one = fu.separate_moving_spectrum(data, shifts)
    other = fu.separate_moving_spectrum(stack, shifts.reshape(6, 10))
    assert other.pattern.shape == (6, 10, 240)
    np.testing.assert_allclose(other.spectrum.numpy(), one.spectrum.numpy(), rtol=1e-8)


def test_frames_that_cannot_be_parted_are_refused(scene):
    data, shifts = scene.datasets["eels"], scene.truth["shifts"]
    for part in (fu.separate_fixed_pattern, lambda d: fu.separate_moving_spectrum(d, shifts)):
        hidden = data.masked(np.arange(240) == 7)
        fails_in_one_line(lambda part=part, hidden=hidden: part(hidden), "60 of 14400", "masked")
    few = fu.Dataset("few", np.ones((3, 50)))
    fails_in_one_line(lambda: fu.separate_fixed_pattern(few), "3 frames")
    for wrong in (shifts[:-1], np.zeros(60), np.full(60, np.nan), 300 * shifts):
        fails_in_one_line(lambda wrong=wrong: fu.separate_moving_spectrum(data, wrong), "shifts")
    for options in ({"fixed": -1}, {"fixed": 40}, {"gain_spread": 0.0}):
        fails_in_one_line(
            lambda options=options: fu.separate_moving_spectrum(data, shifts, **options)
        )
