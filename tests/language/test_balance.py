"""Data sets that add up in different units are told of; those that the loss forgets are refused."""

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Gaussian, Poisson

RANDOM = np.random.default_rng(0)
MAPS, SPECTRA = RANDOM.random((30, 2)), RANDOM.random((2, 40))
EELS = fu.Dataset("eels", 1000 * MAPS @ SPECTRA + RANDOM.normal(0, 5, (30, 40)))
EDS = fu.Dataset("eds", RANDOM.poisson(3 * MAPS @ SPECTRA))
MODEL = fu.models.SharedMaps(EELS, EDS, K=2)


def fit(loss):
    return fu.fit(MODEL, loss, starts=1, max_steps=20, progress=False)


def cautions(loss):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss.check(MODEL)
    return [str(w.message) for w in caught if issubclass(w.category, fu.NoiseWarning)]


def test_the_ratio_of_squares_is_said_with_the_line_that_mends_it():
    (text,) = cautions(Frobenius(EELS) + Frobenius(EDS))
    ratio = (EELS.numpy() ** 2).sum() / (EDS.numpy().astype(float) ** 2).sum()
    assert f"are {ratio:.3g} times" in text
    assert "estimate_variance()" in text


@pytest.mark.parametrize(
    "loss",
    [
        Frobenius(EELS.estimate_variance()) + Frobenius(EDS.estimate_variance()),
        Frobenius(EELS.estimate_variance()) + Poisson(EDS),
        Gaussian(EELS) + Poisson(EDS),
        Frobenius(EELS) + 1e4 * Frobenius(EDS),
    ],
    ids=str,
)
def test_known_noise_and_chosen_weights_pass_without_a_word(loss):
    assert not cautions(loss)


def test_one_variance_of_two_is_not_enough():
    assert "'eels' without variance" in cautions(Frobenius(EELS) + Poisson(EDS))[0]
    assert "'eds' without" in cautions(Frobenius(EELS.estimate_variance()) + Frobenius(EDS))[0]


def test_data_scaled_to_one_another_pass_without_a_word():
    eels, eds = (
        fu.Dataset(d.name, d.numpy() / np.linalg.norm(d.numpy().astype(float))) for d in (EELS, EDS)
    )
    assert not cautions(Frobenius(eels) + Frobenius(eds))


def test_what_the_loss_forgets_is_refused_unless_its_weight_is_0():
    with pytest.raises(ValueError, match="no term reads what the model predicts of 'eds'"):
        fit(Gaussian(EELS))
    assert np.isfinite(fit(Gaussian(EELS) + 0 * Poisson(EDS)).loss)


def test_data_that_count_twice_are_refused_and_a_weight_is_named():
    with pytest.raises(ValueError, match=r"stands there 2 times.*2 \* Poisson\(eds\)"):
        fit(Gaussian(EELS) + Poisson(EDS) + Poisson(EDS))
