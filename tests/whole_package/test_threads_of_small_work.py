"""What is done outside a fit takes one thread of torch and of BLAS for small data, too.

Beside a busy neighbour the bands of a small map took 40 times as long with two threads as with one,
its rank 20 times.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import fusion as fu
from fusion.algebra.threads import limited_threads
from fusion.data import suited_threads
from fusion.engine.objective import Objective
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.solvers import GaussNewton
from fusion.solvers.watch import Watch


@pytest.fixture(scope="module")
def result():
    random = np.random.default_rng(0)
    C, peaks = random.gamma(0.5, 1.0, (72, 2)), np.array([[12.0, 25.0]])
    S = np.exp(-(((np.arange(40.0)[:, None] - peaks) / 4) ** 2))
    mean = 50 * (0.2 + C @ S.T)
    axis = fu.Axis("energy loss", scale=1.0, units="eV", size=40)
    x = (mean + random.standard_normal(mean.shape)).reshape(8, 9, 40)
    data = fu.Dataset("data", x, axes=("y", "x", axis))
    return fu.fit(NMF(data, 2), Frobenius(data), starts=1, seed=0, progress=False)


@pytest.fixture
def four():
    """Libraries as on a machine of four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    with threadpool_limits(4, user_api="blas"):
        yield
    torch.set_num_threads(before)


def now():
    libraries = threadpool_info()
    return torch.get_num_threads(), {x["num_threads"] for x in libraries if x["user_api"] == "blas"}


def data(result):
    return result.minimised.datasets["data"]


def descent(result):
    objective = Objective(result.model, result.minimised)
    return GaussNewton().minimise(objective, objective.current(), Watch(), 2)


CALLS = {  # what a user calls, and what is done deep inside it
    "ambiguity": (
        lambda r: fu.ambiguity(r, progress=False),
        "uncertainty.ambiguity.entry_errors",
        "solvers.track.Track.record",
    ),
    "a solver alone": (descent, "solvers.track.Track.record"),
    "errors": (lambda r: r.errors(progress=False), "uncertainty.standard_errors.sandwich"),
    "rank": (
        lambda r: fu.rank(data(r), progress=False),
        "ranking.recommendation._by_cost",
        "solvers.track.Track.record",
    ),
    "noise": (lambda r: data(r).noise(), "prepare.noise._tell"),
    "denoise": (lambda r: data(r).denoise(2), "prepare.denoise.principal_components"),
    "align": (lambda r: data(r).align(), "prepare.energy_drift._moved"),
    "drifts": (lambda r: fu.prepare.drifts(data(r)), "prepare.energy_drift._drifts"),
    "transform": (lambda r: r.transform(data(r)), "references.known_spectra._add_in_closed_form"),
    "mlls": (lambda r: fu.mlls(data(r), {"a": r["S"][:, 0]}), "references.mlls._least_squares"),
}


def probed(monkeypatch, path, seen):
    """Whatever is at `path`, noting how many threads there are when it is called."""
    *room, name = path.split(".")
    place = import_module(f"fusion.{room[0]}.{room[1]}")
    for part in room[2:]:
        place = getattr(place, part)
    inner = getattr(place, name)

    def noted(*args, **options):
        seen.append(now())
        return inner(*args, **options)

    monkeypatch.setattr(place, name, noted)


@pytest.mark.parametrize("call", CALLS)
def test_it_has_one_thread_and_what_the_user_had_is_back_afterwards(
    result, four, monkeypatch, call
):
    asked, *places = CALLS[call]
    seen = {place: [] for place in places}
    for place in places:
        probed(monkeypatch, place, seen[place])
    asked(result)
    for place in places:
        assert set(map(str, seen[place])) == {"(1, {1})"}, place
    assert now() == (4, {4})


@pytest.mark.parametrize("best", [1, 4])
def test_for_large_data_a_product_says_whether_one_or_all(result, four, monkeypatch, best):
    monkeypatch.setattr("fusion.algebra.threads.cores", lambda: 4)
    monkeypatch.setattr(suited_threads, "SMALL", 1)
    asked = []

    def quicker(product, numbers):
        asked.append((product().shape, numbers))
        return best

    monkeypatch.setattr(suited_threads, "quicker", quicker)
    seen = []
    probed(monkeypatch, "prepare.noise._tell", seen)
    data(result).noise()
    assert seen == [(best, {best})]
    assert asked == [((suited_threads.TRIED[1],) * 2, (4, 1))]


def test_threads_that_were_asked_for_are_not_measured(result, four, monkeypatch):
    monkeypatch.setattr(suited_threads, "SMALL", 1)
    monkeypatch.setattr(suited_threads, "quicker", lambda *told: pytest.fail("measured"))
    seen = []
    probed(monkeypatch, "prepare.noise._tell", seen)
    with limited_threads(3):
        data(result).noise()
    assert seen == [(3, {3})]
