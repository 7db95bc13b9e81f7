"""The race of starts: what it costs in steps, who is dropped, and what is told of it."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius
from fusion.search.heats import Heats
from tests.helpers.planted_factors import CASES

PHASES = 3


def scene(pixels=400, rare=5):
    """Counts (pixel, channel) of three phases and one that few pixels show, and its spectra."""
    random, E = np.random.default_rng(1), np.arange(80)

    def peak(at, width):
        return np.exp(-0.5 * ((E - at) / width) ** 2)

    S = np.stack([peak(15, 6), peak(40, 7), peak(62, 6), peak(28, 2) + peak(52, 2)]) + 0.05
    C = np.concatenate([random.dirichlet([0.6] * PHASES, pixels), np.zeros((pixels, 1))], 1)
    where = random.choice(pixels, rare, replace=False)
    C[where] *= 0.3
    C[where, PHASES] = 0.7
    return random.poisson(200 * C @ S).reshape(20, -1, len(E)), S


def start_steps(result):
    """Steps of all starts together, as far as they are in the result's history."""
    return int(np.isfinite(result.loss_history).sum()) - len(result.losses)


@pytest.fixture(scope="module")
def data():
    return fu.Dataset("a", scene()[0])


def fitted(data, **options):
    return fu.fit(fu.models.NMF(data, 4), Frobenius(data), seed=0, progress=False, **options)


def test_a_race_of_ten_takes_less_than_half_of_the_steps_and_ends_where_all_do(data):
    raced, all_of_them = fitted(data), fitted(data, race=False)
    assert raced.loss <= all_of_them.loss * (1 + 1e-6)
    assert start_steps(raced) < start_steps(all_of_them) / 2
    assert start_steps(raced) <= 95


def test_every_dropped_start_says_when_and_at_which_loss(data):
    result = fitted(data)
    dropped = [i for i, status in enumerate(result.statuses) if status.startswith("dropped")]
    assert len(result.losses) == len(result.statuses) == 10
    assert len(dropped) >= 7
    for i in dropped:
        path = result.loss_history[i][np.isfinite(result.loss_history[i])]
        assert f"after {len(path) - 1} steps, at loss {result.losses[i]:.8g}" in result.statuses[i]
        assert result.losses[i] == path[-1]


def test_only_what_ended_counts_as_agreeing(data):
    result = fitted(data)
    result.losses[:] = result.loss  # wherever they were when they were dropped
    assert result.agreeing() == result.ended.sum() <= 3
    assert f"{10 - result.ended.sum()} dropped on the way" in result.summary()


def test_without_a_race_every_start_ends(data):
    result = fitted(data, race=False, starts=4)
    assert result.ended.all()
    assert "dropped" not in result.summary()


class Descent:
    """What a race reads of an outcome: losses that fall by the same share at every step."""

    def __init__(self, ends, pace):
        self.ends, self.pace, self.history = torch.tensor(ends), pace, []

    def step(self):
        falling = 1000 * self.pace ** len(self.history)
        self.history.append((self.ends + falling)[:, None].double())
        self.terms = self.history[-1]


def test_a_start_that_alone_has_a_phase_of_a_few_pixels_survives_the_heats():
    ends = [1000.0] * 10
    ends[6] = 999.9  # all that a few pixels of all add to the loss on all pixels
    race, made, left = Heats(10), Descent(ends, 0.5), set(range(10))
    race.fixed = [True]
    for _ in range(9):
        made.step()
        left -= set(race.dropped(made, sorted(left)))
    assert len(left) == 3
    assert 6 in left


def test_a_start_that_is_kept_runs_on_behind_all_others():
    race, made, left = Heats(10, kept=[4]), Descent([1e3 + i for i in range(10)], 0.5), {*range(10)}
    made.ends[4] = 1e6
    race.fixed = [True]
    for _ in range(9):
        made.step()
        left -= set(race.dropped(made, sorted(left)))
    assert left == {0, 1, 2, 4}


def test_components_of_far_too_many_are_merged_in_few_races():
    scene_of_three = fu.simulate.layers(shape=(10, 12), channels=60).datasets["net"]
    loss = fu.losses.Gaussian(scene_of_three) + fu.losses.ARD("C")
    model = fu.models.NMF(scene_of_three, 8)
    result = fu.fit(model, loss, starts=4, progress=False)
    assert result.n_components == 3
    assert any("merged into others" in text for text in result.messages)


@pytest.mark.parametrize(
    ("solver", "steps"),
    [
        (fu.LBFGS(), 5),
        (fu.LBFGS(), 40),
        *((fu.GaussNewton(tolerance=1e-6), n) for n in (5, 150)),
    ],
    ids=["LBFGS 5", "LBFGS 40", "GN 5", "GN 150"],
)
def test_no_dropped_start_stands_below_the_answer(solver, steps):
    for make in CASES:
        case = make(0.02)
        told = {"solver": solver, "starts": 4, "max_steps": steps, "progress": False}
        result = fu.fit(case.model, case.loss, **told)
        assert result.loss == result.losses.min()
