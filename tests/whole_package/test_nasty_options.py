"""Options without meaning, and fits that are stopped."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion import models
from fusion.constraints import Fixed, Free
from fusion.engine.status import Status
from fusion.losses import Frobenius
from tests.helpers.short_fits import BilinearOfSizes, complaint, counts, finite, fit


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"starts": 0}, complaint("fit(starts=0)", "1 or more")),
        ({"starts": -3}, complaint("fit(starts=-3)", "1 or more")),
        ({"device": "cuda:77"}, complaint("fit(device='cuda:77')", "this machine has cpu")),
        ({"device": "teapot"}, complaint("fit(device='teapot')", "this machine has cpu")),
        ({"solver": "hals"}, complaint("solver='hals'", "GaussNewton()")),
        ({"solver": fu.GaussNewton}, complaint("solver", "GaussNewton()")),
    ],
)
def test_options_without_meaning_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        fit(fu.Dataset("a", counts()), **options)


def test_a_model_that_is_none_and_one_without_factors_are_refused():
    data = fu.Dataset("a", counts())

    class Empty(fu.Model):
        def forward(self):
            return {"a": torch.ones(20, 8, dtype=torch.float64)}

    with pytest.raises(ValueError, match=complaint("fit(Linear", "fusion.Model")):
        fu.fit(torch.nn.Linear(2, 2), Frobenius(data), progress=False)
    with pytest.raises(ValueError, match="no factors"):
        fu.fit(Empty(), Frobenius(data), progress=False)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_ctrl_c_returns_the_best_so_far(solver):
    seen = []

    def callback(step, loss):
        seen.append(float(loss.min()))
        if step == 4:
            raise KeyboardInterrupt

    result = fit(fu.Dataset("a", counts()), solver=solver, callback=callback)
    assert result.status == Status.INTERRUPTED.value
    assert not result.converged
    assert result.loss == pytest.approx(min(seen), rel=1e-6)
    assert finite(result)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_a_true_answer_of_the_callback_stops_the_fit(solver):
    steps = []

    def callback(step, loss):
        steps.append(step)
        return step >= 3

    result = fit(fu.Dataset("a", counts()), solver=solver, callback=callback)
    assert steps == [0, 1, 2, 3]
    assert result.status == Status.INTERRUPTED.value
    assert finite(result)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_no_time_left_gives_the_best_so_far(solver):
    result = fit(fu.Dataset("a", counts()), solver=solver, max_seconds=0.0)
    assert result.status == Status.MAX_SECONDS.value
    assert len(result.history["loss"]) <= 2
    assert finite(result)


@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps_give_the_best_so_far(steps):
    result = fit(fu.Dataset("a", counts()), max_steps=steps)
    assert result.status == Status.MAX_STEPS.value
    assert len(result.history["loss"]) == steps + 1
    assert finite(result)


def test_the_model_is_left_untouched():
    data = fu.Dataset("a", counts())
    model = models.NMF(data, 2)
    model.S = np.random.default_rng(0).random((8, 2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    result = fu.fit(model, Frobenius(data), starts=2, progress=False)
    assert result.model is not model
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam()])
def test_same_seed_same_answer(solver):
    data = fu.Dataset("a", counts())
    told = {"solver": solver, "max_steps": 5}
    first, second = (fit(data, seed=3, **told) for _ in range(2))
    assert np.array_equal(first.factors["C"], second.factors["C"])
    assert np.array_equal(first.losses, second.losses)
    other = fit(data, seed=4, **told)
    assert not np.array_equal(first.losses, other.losses)


def test_random_numbers_of_the_user_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(fu.Dataset("a", counts()))
    assert torch.equal(torch.rand(3), expected)


def test_no_start_is_lost_where_both_factors_may_have_any_sign():
    data = fu.Dataset("a", counts())
    model = BilinearOfSizes(20, 8, 2, C=[Free()], S=[Free()])
    result = fu.fit(model, Frobenius(data), starts=6, race=False, progress=False)
    assert result.losses == pytest.approx(np.full(6, result.loss), rel=1e-4)


def test_a_known_factor_is_not_rescaled():
    data = fu.Dataset("a", counts())
    S = 100 * np.random.default_rng(0).random((8, 2))
    model = BilinearOfSizes(data.pixels, data.channels, 2, S=[Fixed(S)])
    result = fu.fit(model, Frobenius(data), starts=2, progress=False)
    assert np.array_equal(result.factors["S"], S)
    assert np.isfinite(result.loss)
