"""The bias of fits over draws, whose noise is taken off by what has no mean, on a small map."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science import edxs, edxs_bias, rows
from benchmarks.science.edxs_bias import Sums, bias_of_fit, noise_of_draws, summed
from benchmarks.science.edxs_cases import Phases, Runs
from benchmarks.science.edxs_scores import Against, Found
from tests.helpers.edxs_stand_in import INSTRUMENT, small_scene, write_cases

DRAWS = 300
EDGE = 2


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_cases(folder, small_scene())
    return folder


@pytest.fixture(scope="module")
def case(data):
    """The small map with two phases in every pixel."""
    found = Phases.of(data / "physics_cases/edxs_phases.npz")
    amounts = found.amounts.sum() / 60 * np.random.default_rng(0).uniform(0.2, 2, (2, 30))
    return replace(found, amounts=amounts)


@pytest.fixture(scope="module")
def expected(case):
    """(y, x, channel), 3000 counts a pixel."""
    flat = np.ones((*case.counts.shape[:2], len(case.channels)))
    pixels = Sums.of(INSTRUMENT, case, flat, 1)
    made = replace(pixels, heights=np.ones(2)).parts().sum(0).reshape(flat.shape)
    return made * 3000 / made.sum(-1).mean()


@pytest.fixture(scope="module")
def noise(case, expected):
    return noise_of_draws(INSTRUMENT, case, expected, EDGE)


@pytest.fixture(scope="module")
def drawn(expected):
    return np.random.default_rng(1).poisson(expected, (DRAWS, *expected.shape))


def beside(case, off, error):
    """A fit that is off by so much and claims such errors."""
    atomic = case.atomic + off
    return Against(case.atomic, atomic, error, np.stack([atomic, atomic], -1))


def test_squares_of_pixels_are_summed_and_those_at_the_far_sides_are_smaller():
    counts = np.arange(15, dtype=np.uint8).reshape(3, 5, 1) + np.uint8(200)
    found = summed(counts, 2)[:, 0].reshape(2, 3)
    assert found[0].tolist() == [0 + 1 + 5 + 6 + 800, 2 + 3 + 7 + 8 + 800, 4 + 9 + 400]
    assert found[1].tolist() == [10 + 11 + 400, 12 + 13 + 400, 14 + 200]


def test_noise_is_0_for_the_expected_counts_and_its_mean_over_draws_is_0(
    case, expected, noise, drawn
):
    there = case.atomic > 0
    off = np.array([noise.off(counts) for counts in drawn])
    assert np.abs(noise.off(expected)).max() < 1e-10
    assert off.std(0)[there] == pytest.approx(noise.errors[there], rel=0.15)
    assert (np.abs(off.mean(0)[there]) < 4 * noise.errors[there] / DRAWS**0.5).all()
    assert (off[:, ~there] == 0).all()


def test_noise_follows_compositions_and_nothing_else_that_a_fit_finds(case, expected, noise):
    true = Sums.of(INSTRUMENT, case, expected, EDGE)
    here = np.tensordot(true.heights, true.parts(), 1)

    def followed(**moved):
        other = replace(true, **{name: getattr(true, name) + by for name, by in moved.items()})
        beyond = np.tensordot(other.heights, other.parts(), 1) - here
        return np.tensordot(noise.weights, beyond, 2)

    richer = np.zeros_like(case.atomic)
    richer[0, [case.elements.index("O"), case.elements.index("Ti")]] = 0.1, -0.1
    assert followed(atomic=richer) == pytest.approx(richer, abs=2e-3)
    few = np.array([1e-3])
    thicker = 1e-3 * true.amounts * np.arange(len(true.amounts))[:, None] / len(true.amounts)
    for moved in ({"absorption": few}, {"tilt": few}, {"amounts": thicker}):
        assert np.abs(followed(**moved)).max() < 1e-3
    assert np.abs(followed(heights=1e-3 * true.heights * [0, 1])).max() < 1e-3


def test_a_bias_of_fits_shows_up_and_their_noise_does_not(case, noise, drawn):
    rng = np.random.default_rng(2)
    there = case.atomic > 0
    own = [noise.off(counts) for counts in drawn[:40]]
    added = 0.5 * noise.errors * rng.choice([-1, 1], case.atomic.shape)
    rest = 0.1 * noise.errors
    for bias in (0 * added, added):
        off = [bias + one + rest * rng.standard_normal(rest.shape) for one in own]
        found, error = bias_of_fit([beside(case, one, noise.errors) for one in off], own)
        assert error[there] == pytest.approx(0.1 / 40**0.5, rel=0.5)
        wanted = bias[there] / noise.errors[there]
        assert (np.abs(found[there] - wanted) < 4 * error[there]).all()
        assert np.isnan(found[~there]).all()


@pytest.mark.parametrize(("bias", "passed"), [(0.0, True), (0.6, False)])
def test_the_row_looks_through_noise_and_sees_a_bias(data, bias, passed):
    runs = Runs(data, 12)
    noise, case = edxs_bias.shared_noise(runs), runs.phases
    there = case.atomic > 0
    assert (noise.errors[there] > 1).all()
    fits = [case.atomic + noise.off(runs.counts(n)) + bias * there for n in range(runs.draws)]
    claimed = np.ones_like(case.atomic)
    vars(runs)["drawn"] = [
        Found(case.elements, one, claimed, np.stack([one, one], -1)) for one in fits
    ]
    line = rows.measured(edxs.ROWS["bias-of-fit"], runs)
    assert line.passed is passed
    assert line.measured.startswith(f"worst {bias:.2f} (")
    assert line.measured.endswith("each to ± 0.00 or better")
