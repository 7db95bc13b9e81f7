"""Partial sampling: patterns of pixels and entries, fits from them, maps filled between."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF
from tests.helpers.messages import fails_in_one_line
from tests.helpers.planted_factors import angles
from tests.helpers.prepared_data import data, smooth_scene

RNG = np.random.default_rng


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_share_of_the_pixels_is_kept_whole(share):
    part = data().sample_pixels(share, seed=3)
    assert tuple(part.mask.shape) == (4, 6, 1)
    kept = round(share * 24)
    assert int((~part.mask).sum()) == kept
    assert part.history[-1] == f"sample_pixels({share}, seed=3): {kept} of 24 pixels kept"
    seen = ~part.mask[..., 0].numpy()
    np.testing.assert_array_equal(part.numpy()[seen], data().numpy()[seen])
    assert not part.numpy()[~seen].any()


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_share_of_the_entries_is_kept(share):
    part = data().sample_entries(share)
    assert part.mask.shape == part.shape
    assert int((~part.mask).sum()) == round(share * 288)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i2", "f4"])
def test_counts_of_any_type_are_sampled_and_keep_it(kind):
    counts = RNG(0).poisson(9.0, (4, 5, 6)).astype(kind)
    given = fu.Dataset("eels", counts)
    for part in (given.sample_pixels(0.5), given.sample_entries(0.5)):
        assert part.numpy().dtype == counts.dtype
        hidden = part.mask.expand(part.shape).numpy()
        np.testing.assert_array_equal(part.numpy(), np.where(hidden, 0, counts))


def test_the_pattern_follows_the_seed():
    for draw in (fu.Dataset.sample_pixels, fu.Dataset.sample_entries):
        one, same, other = (draw(data(), 0.3, seed=seed).mask for seed in (0, 0, 1))
        assert bool((one == same).all())
        assert bool((one != other).any())


def test_what_is_masked_stays_masked_and_is_not_drawn():
    mask = np.zeros((4, 6), dtype=bool)
    mask[:2] = True
    channels = np.arange(12) == 5
    given = data(mask=mask).masked(channels)
    pixels, entries = given.sample_pixels(0.5), given.sample_entries(0.5)
    assert int((~pixels.mask).any(-1).sum()) == 6
    assert int((~entries.mask).sum()) == round(0.5 * 12 * 11)
    for part in (pixels, entries):
        assert bool(part.mask.expand(part.shape)[:2].all())
        assert bool(part.mask.expand(part.shape)[..., 5].all())


@pytest.mark.parametrize("share", [0.0, -0.2, 1.5, float("nan"), True, 1e-9])
def test_a_share_that_is_none_is_refused(share):
    for draw in (data().sample_pixels, data().sample_entries):
        fails_in_one_line(lambda draw=draw: draw(share), repr(share))


def test_an_image_and_a_line_scan_are_sampled_too():
    image = fu.Dataset("adf", RNG(0).random((8, 10)), signal=0).sample_pixels(0.25)
    assert int((~image.mask).sum()) == 20
    line = fu.Dataset("line", RNG(0).random((8, 10))).sample_pixels(0.25)
    assert int((~line.mask).sum()) == 2


@pytest.mark.parametrize("draw", [fu.Dataset.sample_pixels, fu.Dataset.sample_entries])
def test_a_fifth_of_the_data_gives_the_spectra(draw):
    given, _, S = smooth_scene()
    part = draw(given, 0.2)
    told = {"starts": 2, "max_steps": 60, "progress": False}
    result = fu.fit(NMF(part, 3), Frobenius(part), **told)
    whole = fu.fit(NMF(given, 3), Frobenius(given), **told)
    assert angles(result["S"], S).max() < angles(whole["S"], S).max() + 2.0


def test_maps_are_filled_between_the_pixels_that_were_measured():
    given, C, S = smooth_scene()
    part = given.sample_pixels(0.2)
    model = NMF(part, 3)
    model.S = S / np.linalg.norm(S, axis=0)
    result = fu.fit(model, Frobenius(part), starts=1, progress=False)
    hidden = part.mask[..., 0].numpy().ravel()
    assert np.isnan(result["C"][hidden]).all()
    filled = fu.fill_maps(result, "C")
    assert any("499 of 624 rows of C are masked" in m for m in result.messages)
    np.testing.assert_array_equal(filled["C"][~hidden], result["C"][~hidden])
    seen = result["C"][~hidden]
    assert (filled["C"] >= seen.min(0)).all()
    assert (filled["C"] <= seen.max(0)).all()
    truth = C.reshape(-1, 3) * np.linalg.norm(S, axis=0)
    order = fu.match(S, result["S"])
    off = np.linalg.norm(filled["C"][:, order] - truth) / np.linalg.norm(truth)
    assert off < 0.1
    assert not any("masked" in m for m in filled.messages)
    assert any("rows of C filled" in m for m in filled.messages)
    assert fu.fill_maps(filled, "C") is filled


def test_every_filled_value_is_the_mean_of_its_neighbours():
    part = fu.Dataset("a", RNG(0).random((6, 7, 5)) + 1).sample_pixels(0.3)
    result = fu.fit(NMF(part, 2), Frobenius(part), starts=1, progress=False)
    grid = fu.fill_maps(result, "C")["C"].reshape(6, 7, 2)
    padded = np.pad(grid, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    hidden = part.mask[..., 0].numpy()
    np.testing.assert_allclose(grid[hidden], np.nanmean(around, axis=0)[hidden], rtol=1e-9)


def test_maps_that_cannot_be_filled_are_refused():
    given = data()
    result = fu.fit(NMF(given, 2), Frobenius(given), starts=1, max_steps=2, progress=False)
    assert fu.fill_maps(result, "C") is result
    fails_in_one_line(lambda: fu.fill_maps(result, "D"), "'D'", "C, S")
    result.factors["C"][:] = np.nan
    fails_in_one_line(lambda: fu.fill_maps(result, "C"), "24 rows are NaN")


def test_sparse_counts_are_sampled_by_pixels():
    counts = csr_matrix(RNG(0).poisson(0.3, (40, 30)))
    part = fu.Dataset("edxs", counts).sample_pixels(0.2)
    assert part.entries is not None
    assert int((~part.mask).sum()) == 8
    result = fu.fit(NMF(part, 2), Poisson(part), starts=1, progress=False)
    assert np.isnan(result["C"]).any(1).sum() == 32
