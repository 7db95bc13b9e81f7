"""Cautions: raised once, at the line of the user, kept with the answer, silenced by class."""

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Gaussian, Poisson

MEANS = np.random.default_rng(0).poisson(2.0, (6, 7, 30, 4)).mean(-1)


def fit_means():
    data = fu.Dataset("mean", MEANS)
    return fu.fit(fu.models.NMF(data, 2), Poisson(data), starts=2, progress=False)


def test_a_caution_is_raised_once_at_the_users_line_and_kept():
    with pytest.warns(fu.NoiseWarning, match=r"multiples of 0\.25") as caught:
        result = fit_means()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [m for m in result.messages if "multiples of 0.25" in m] == [str(caught[0].message)]
    assert "multiples of 0.25" in str(result)


def test_what_is_silenced_is_kept_all_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", fu.NoiseWarning)
        assert any("0.25" in message for message in fit_means().messages)


def test_all_cautions_have_one_parent():
    for kind in (fu.NoiseWarning, fu.ScaleWarning, fu.CutWarning, fu.ClaimWarning):
        assert issubclass(kind, fu.FusionWarning)
    assert issubclass(fu.FusionWarning, UserWarning)


def test_counts_give_none():
    data = fu.Dataset("counts", np.random.default_rng(0).poisson(2.0, (6, 7, 30)).astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fu.fit(fu.models.NMF(data, 2), Poisson(data), starts=2, progress=False)


def test_a_fit_that_was_stopped_says_how_far_it_came():
    data = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 30)))
    with pytest.warns(fu.ClaimWarning, match="2 steps.*not an answer"):
        fu.fit(fu.models.NMF(data, 3), fu.losses.Frobenius(data), max_steps=2, progress=False)


def test_limited_time_goes_to_the_best_start():
    data = fu.Dataset("a", np.random.default_rng(0).random((40, 50, 60)))
    loss = fu.losses.Frobenius(data)
    clock = []

    def slow(step, losses):
        clock.append(len(losses))

    with pytest.warns(fu.ClaimWarning):
        result = fu.fit(
            fu.models.NMF(data, 6),
            loss,
            solver=fu.HALS(tolerance=0.0),
            starts=10,
            max_seconds=1.0,
            callback=slow,
            progress=False,
        )
    assert clock[0] == 10
    assert clock[-1] == 1
    assert sum("left behind" in status for status in result.statuses) == 9


@pytest.mark.parametrize("option", [{"max_seconds": float("nan")}, {"max_steps": -1}])
def test_numbers_that_mean_nothing_are_refused(option):
    data = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 30)))
    with pytest.raises(ValueError, match=next(iter(option))):
        fu.fit(fu.models.NMF(data, 3), fu.losses.Frobenius(data), progress=False, **option)


def test_the_noise_of_an_image_comes_from_its_pixels():
    random = np.random.default_rng(0)
    f = 1 / (1 + np.exp(-(np.mgrid[:24, :32][1] - 16) / 4))
    C, E = np.stack([f, 1 - f], -1), np.arange(60)
    S = np.exp(-0.5 * ((E - np.array([[15], [40]])) / 4) ** 2) + 0.02
    eds = fu.Dataset("eds", random.poisson(5 * C @ S), axes=["y", "x", "channel"])
    image = 100 * f + 40 * (1 - f) + random.normal(0, 5, f.shape)
    haadf = fu.Dataset("haadf", image, axes=["y", "x"], signal=0)
    model = fu.models.SharedMaps(eds, haadf, K=2)
    with pytest.warns(fu.NoiseWarning, match="neighbouring pixels, variance 2[0-9]"):
        result = fu.fit(model, Poisson(eds) + Gaussian(haadf), starts=2, progress=False)
    left = np.sqrt(np.mean(result.data["haadf"].residual_map ** 2))
    assert left > 2
    known = haadf.with_variance(25.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fu.models.SharedMaps(eds, known, K=2)
        fu.fit(model, Poisson(eds) + Gaussian(known), starts=2, progress=False)
    line = fu.Dataset("haadf", image[0, :5], axes=["x"], signal=0)
    short = fu.Dataset("eds", random.poisson(5 * C[0, :5] @ S), axes=["x", "channel"])
    model = fu.models.SharedMaps(short, line, K=2)
    with pytest.raises(ValueError, match="variance="):
        fu.fit(model, Poisson(short) + Gaussian(line), starts=1, progress=False)


def test_a_loss_that_met_an_image_exactly_learns_the_noise_of_the_next_model():
    random = np.random.default_rng(1)
    data = fu.Dataset("rgb", 5 + random.random((8, 9, 1)) * [1, 2, 3] + random.random((8, 9, 3)))
    loss = fu.Loss([(1.0, Gaussian(data))])
    with pytest.warns(fu.NoiseWarning, match="3 components meet"):
        fu.fit(fu.models.NMF(data, 3), loss, starts=1, progress=False)
    again = fu.fit(fu.models.NMF(data, 1), loss, starts=1, progress=False)
    fresh = fu.fit(fu.models.NMF(data, 1), Gaussian(data), starts=1, progress=False)
    assert again.loss == fresh.loss
