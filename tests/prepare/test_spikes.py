"""`remove_spikes`: planted ones are found, and little else."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.simulate import concurrent, core_loss_edge, layers, power_law
from tests.helpers.messages import fails_in_one_line
from tests.helpers.paths import shared_file
from tests.helpers.prepared_data import data, poisson_counts


def eels_map(seed: int = 0):
    """Expected counts (30, 32, 300): two edges on a power law, a thickness step and a gradient."""
    energy = np.linspace(450, 600, 300)
    sharp = core_loss_edge(energy, 530, [(532, 5.0, 1.5), (540, 2.0, 5.0)], width=0.6)
    other = core_loss_edge(energy, 500, [(502, 8.0, 1.2)], width=0.5)
    background = power_law(energy, 3.0, amplitude=300)
    y, x = np.mgrid[:30, :32]
    thick = np.where(x < 15, 0.4, 1.0) * (1 + y / 60)
    return thick[..., None] * (
        background
        + 150 * np.where(y < 12, 1, 0)[..., None] * sharp
        + 60 * (x > 20)[..., None] * other
    )


def edxs_map():
    """Expected counts (30, 32, 400), 0.02 on average, lines up to 8."""
    energy = np.arange(400)
    lines = sum(np.exp(-(((energy - c) / 4) ** 2)) * h for c, h in ((60, 0.8), (150, 3), (300, 8)))
    x = np.mgrid[:30, :32][1]
    return (0.01 + np.where(x < 10, 1.0, 0.1)[..., None] * lines) * np.ones((30, 32, 1))


def particle_map():
    """Faint everywhere, but for particles of one and of 2 × 2 pixels with bright lines."""
    energy = np.arange(300)
    line = sum(np.exp(-(((energy - c) / 2.5) ** 2)) for c in (80, 200))
    mean = np.full((20, 20, 300), 2.0)
    mean[5, 5] += 2000 * line
    mean[12:14, 12:14] += 3000 * line
    return mean


def planted(mean, width: int, number: int = 40, seed: int = 1):
    """(counts with spikes, where): 15 to 100 standard deviations high."""
    rng = np.random.default_rng(seed)
    y, where = rng.poisson(mean), np.zeros(mean.shape, dtype=bool)
    for _ in range(number):
        i, j = (rng.integers(n) for n in mean.shape[:2])
        c = rng.integers(mean.shape[2] - width)
        part = np.s_[i, j, c : c + width]
        level = max(mean[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2, c : c + width].max(), 4.0)
        y[part] += int(rng.uniform(15, 100) * np.sqrt(level))
        where[part] = True
    return y, where


MAPS = {"eels": eels_map, "edxs": edxs_map, "particle": particle_map}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("scene", MAPS)
def test_planted_spikes_are_found_and_little_else(scene, width):
    mean = MAPS[scene]()
    y, where = planted(mean, width)
    new = fu.Dataset("d", y).remove_spikes()
    changed = new.numpy() != y
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size
    assert new.numpy().dtype == y.dtype
    pixels = changed.any(-1).sum()
    assert new.history[-1].endswith(f"{changed.sum()} values in {pixels} pixels replaced")
    off = new.numpy()[where] - mean[where]
    assert (np.abs(off) < 8 * np.sqrt(np.maximum(mean[where], 4)) + 0.5 * mean[where]).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("scene", MAPS)
def test_spikes_are_found_in_data_of_any_scale(scene, scale):
    y, where = planted(MAPS[scene](), 1)
    changed = fu.Dataset("d", scale * y).remove_spikes().numpy() != scale * y
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size


def test_spikes_stand_out_from_net_spectra_too():
    y = layers(seed=3).datasets["net"].numpy().copy()
    rng = np.random.default_rng(0)
    where = tuple(rng.integers(n, size=30) for n in y.shape)
    y[where] += 1500  # 30 to 60 standard deviations
    changed = fu.Dataset("net", y).remove_spikes().numpy() != y
    assert changed[where].all()
    assert changed.sum() <= 30 + 1e-5 * y.size


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64])
def test_integers_stay_integers(kind):
    y = poisson_counts(np.full((6, 6, 50), 20.0)).astype(kind)
    y[2, 3, 10] = 255
    new = fu.Dataset("d", y).remove_spikes().numpy()
    assert new.dtype == kind
    assert (new != y).sum() == 1
    assert new[2, 3, 10] < 40


@pytest.mark.parametrize("shape", [(80,), (1, 80), (2, 80), (9, 80), (1, 1, 80), (2, 3, 4, 80)])
def test_spectra_alone_line_scans_and_stacks_work(shape):
    y = poisson_counts(np.broadcast_to(100 * np.exp(-np.arange(80) / 40) + 5, shape))
    peak = 4000 * np.exp(-(((np.arange(80) - 20) / 2.5) ** 2))  # a peak of four channels
    y = y + peak.astype(int)
    clean = fu.Dataset("d", y.copy()).remove_spikes()
    assert np.array_equal(clean.numpy(), y)
    y[(0,) * (len(shape) - 1) + (50,)] += 500
    y[(0,) * (len(shape) - 1) + (0,)] += 900
    assert (fu.Dataset("d", y).remove_spikes().numpy() != y).sum() == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dose", [0.01, 1.0, 100.0])
def test_data_without_spikes_are_left_as_they_are(seed, dose):
    scenes = (layers(seed=seed, dose=dose), concurrent(seed=seed, dose=dose))
    for given in (d for scene in scenes for d in scene.datasets.values() if d.signal == 1):
        new = given.remove_spikes()
        assert np.array_equal(new.numpy(), given.numpy())
        assert ": 0 values in 0 pixels" in new.history[-1]


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e9])
def test_masked_and_broken_values_neither_hide_spikes_nor_are_touched(broken):
    y, where = planted(eels_map(), 1)
    y, rng = y.astype(float), np.random.default_rng(5)
    mask = (rng.random(y.shape) < 0.02) & ~where
    mask[3, 4], mask[where.nonzero()[0][0], :, 7] = True, True
    where &= ~mask
    y[mask] = broken
    new = fu.Dataset("d", y, mask=mask).remove_spikes().numpy()
    changed = ~((new == y) | (np.isnan(new) & np.isnan(y)))
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size


def test_spikes_with_a_wrong_threshold_or_without_spectra_are_refused():
    for wrong in (0, -1.0, float("nan")):
        fails_in_one_line(lambda wrong=wrong: data().remove_spikes(threshold=wrong), str(wrong))
    image = fu.Dataset("adf", np.ones((4, 6)), signal=0)
    fails_in_one_line(lambda: image.remove_spikes(), "0 signal axes")


def test_a_measured_edxs_map_has_no_spikes_but_those_that_are_planted():
    y = np.load(shared_file("espm_geology_edxs", "88GPa_80x80.npz"))["data"]
    assert np.array_equal(fu.Dataset("edxs", y).remove_spikes().numpy(), y)
    rng = np.random.default_rng(0)
    where = tuple(rng.integers(n, size=50) for n in y.shape)
    y[where] += 60
    assert ((fu.Dataset("edxs", y).remove_spikes().numpy() != y).nonzero()[0]).size == 50
