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
    assert int(result.ended.sum()) == 1  # the others were dropped, or left behind


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
    with pytest.warns(fu.NoiseWarning, match="meets data of"):
        fu.fit(fu.models.NMF(data, 3), loss, starts=1, progress=False)
    again = fu.fit(fu.models.NMF(data, 1), loss, starts=1, progress=False)
    fresh = fu.fit(fu.models.NMF(data, 1), Gaussian(data), starts=1, progress=False)
    assert again.loss == fresh.loss


def test_an_image_of_known_variance_is_mapped_as_well_as_with_known_spectra():
    """5 counts a channel at most: 9 and 14 % of noise, by least squares with the true spectra."""
    random = np.random.default_rng(0)
    f = 1 / (1 + np.exp(-(np.mgrid[:24, :32][1] - 16) / 4))
    C, E = np.stack([f, 1 - f], -1).reshape(-1, 2), 0.1 + 0.02 * np.arange(300)
    S = 5 * (np.exp(-0.5 * ((E - np.array([[3.4], [0.9]])) / 0.06) ** 2) + 0.02)
    brightness = np.array([[100.0, 40.0]])
    counts, image = random.poisson(C @ S), C @ brightness.T + random.normal(0, 5, (768, 1))
    eds = fu.Dataset("eds", counts.reshape(24, 32, 300))
    haadf = fu.Dataset("haadf", image.reshape(24, 32), signal=0, variance=25.0)
    loss = Poisson(eds) + fu.losses.Frobenius(haadf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fu.fit(fu.models.SharedMaps(eds, haadf, K=2), loss, starts=4, progress=False)
    X = np.concatenate([counts / np.sqrt(C @ S), image / 5], 1)
    known = [np.concatenate([S / np.sqrt(m), brightness.T / 5], 1) for m in C @ S]
    oracle = np.array([np.linalg.lstsq(A.T, x)[0] for A, x in zip(known, X, strict=True)])
    maps = result["C"][:, fu.match(C, result["C"])]

    def errors(maps):
        maps = maps * (maps * C).sum(0) / (maps**2).sum(0)
        return np.sqrt(((maps - C) ** 2).sum(0) / (C**2).sum(0))

    assert np.all(errors(np.asarray(maps)) < 1.1 * errors(oracle))


def test_the_noise_of_three_segments_comes_from_their_channels():
    random = np.random.default_rng(0)
    E = np.arange(200)
    spectra = 100 * np.exp(-0.5 * ((E - np.array([[50], [100], [150]])) / 12) ** 2)
    segments = fu.Dataset(
        "segments", random.random((3, 3)) @ spectra + random.normal(0, 2, (3, 200))
    )
    with pytest.warns(fu.NoiseWarning, match=r"neighbouring channels, variance [34]\."):
        fu.fit(fu.models.NMF(segments, 3), Gaussian(segments), starts=1, progress=False)
    one = fu.Dataset("one", segments.numpy()[:1])
    with pytest.warns(fu.NoiseWarning, match="neighbouring channels"):
        fu.fit(fu.models.NMF(one, 1), Gaussian(one), starts=1, progress=False)


def test_known_spectra_cannot_meet_one_spectrum_whose_noise_is_learned_then():
    random = np.random.default_rng(0)
    E = np.arange(200)
    spectra = 100 * np.exp(-0.5 * ((E - np.array([[50], [100], [150]])) / 12) ** 2)
    one = fu.Dataset("one", (spectra.sum(0) + random.normal(0, 2, 200))[None])

    class Known(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((one.pixels, 3))
            self.S = fu.Factor((one.channels, 3), fu.constraints.Fixed(spectra.T))

        def forward(self):
            return {"one": fu.cp(self.C, self.S)}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fu.fit(Known(), Gaussian(one), starts=1, progress=False)


def test_far_more_left_than_noise_is_told_of():
    random = np.random.default_rng(0)
    C, S = random.random((60, 3)), random.random((3, 40))
    data = fu.Dataset("a", C @ S + random.normal(0, 0.01, (60, 40)), variance=1e-4)
    with pytest.warns(fu.NoiseWarning, match="χ² per value of 'a' is [0-9]"):
        fu.fit(fu.models.NMF(data, 1), fu.losses.Frobenius(data), starts=1, progress=False)
    good = fu.fit(fu.models.NMF(data, 3), fu.losses.Frobenius(data), starts=3, progress=False)
    assert not any("χ² per value" in m for m in good.messages)


def test_a_penalty_that_outweighs_the_data_is_told_of():
    data = fu.Dataset("a", np.random.default_rng(0).random((30, 20)))
    loss = fu.losses.Frobenius(data) + 1e9 * fu.losses.SoftOrthogonality("C")
    with pytest.warns(fu.FusionWarning) as caught:
        result = fu.fit(fu.models.NMF(data, 3), loss, starts=1, progress=False)
    told = [str(w.message) for w in caught if "more is left than there was" in str(w.message)]
    assert bool(told) == (result.explained_variance["a"] < 0)


def test_starts_of_counts_agree_by_what_is_left_not_by_a_constant_of_the_loss():
    random = np.random.default_rng(0)
    counts = random.poisson(500 * random.random((80, 4)) @ random.random((4, 50)))
    data = fu.Dataset("a", counts)
    model, loss = fu.models.NMF(data, 4), Poisson(data)
    result = fu.fit(model, loss, solver=fu.GaussNewton(), starts=6, max_steps=6, progress=False)
    near = result.losses - result.loss <= 1e-4 * 0.5 * counts.size * result.data["a"].chi2
    assert result.agreeing() == near.sum() < 6
    assert (result.losses - result.loss < 1e-4 * abs(result.loss)).sum() > near.sum()


def test_ranks_raise_no_cautions_of_fits_that_users_did_not_ask_for():
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(0)
    smooth = gaussian_filter(random.poisson(50.0, (9, 10, 30)).astype(float), 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fu.rank(fu.Dataset("a", smooth), held_out=False, stability=False)
    assert not [w for w in caught if str(w.message).startswith("`fit`")]


def test_no_step_at_all_is_told_without_numbers_that_are_none():
    data = fu.Dataset("a", np.random.default_rng(0).random((6, 7, 30)))
    loss = fu.losses.Frobenius(data)
    with pytest.warns(fu.ClaimWarning, match=r"0 steps of the best start; 20 to 130"):
        fu.fit(fu.models.NMF(data, 3), loss, max_seconds=0.0, starts=1, progress=False)
