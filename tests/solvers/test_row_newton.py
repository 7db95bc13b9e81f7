"""`RowNewton`: counts, row by row, as well as by Gauss–Newton."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.engine.objective import Objective
from fusion.likelihood import count_kernels
from fusion.losses import L1, Frobenius, Poisson, SoftOrthogonality, SquaredNorm
from fusion.models import NMF, SharedMaps, WithBackground
from fusion.solvers import evaluate
from tests.helpers.planted_factors import counts, few_counts

RNG = np.random.default_rng(0)
needs_numba = pytest.mark.skipif(not count_kernels.installed(), reason="numba is not installed")


def count_models():
    """Near the ten counts for every unknown from which on it is the method of choice."""
    a, b = fu.Dataset("a", few_counts(14, 15, 400)), fu.Dataset("b", few_counts(14, 15, 360))
    pixels = RNG.random((14, 15)) < 0.2
    holes = fu.Dataset("a", few_counts(14, 15, 400), mask=pixels)
    yield "nmf", NMF(a, 3), Poisson(a)
    yield "mask", NMF(holes, 3), Poisson(holes)
    yield "shared maps", SharedMaps(a, b, K=3), Poisson(a) + 2 * Poisson(b)


COUNT_MODELS = {name: (model, loss) for name, model, loss in count_models()}


@pytest.mark.parametrize("case", COUNT_MODELS)
def test_row_newton_goes_down_and_ends_no_higher_than_gauss_newton(case):
    model, loss = COUNT_MODELS[case]
    told = {"starts": 2, "seed": 0, "progress": False}
    plain = fu.fit(model, loss, solver=fu.RowNewton(extrapolation=0.0, max_steps=60), **told)
    assert (np.diff(plain.history["Poisson(a)"]) <= 1e-9).all() or len(plain.data) > 1
    full = fu.fit(model, loss, solver=fu.GaussNewton(), **told)
    enough = full.loss + 1e-4 * abs(full.loss)
    told |= {"callback": lambda step, losses: float(losses.min()) <= enough}  # no step more
    rows = fu.fit(model, loss, solver=fu.RowNewton(), **told)
    assert rows.loss <= enough
    assert np.isfinite(rows.losses).all()


def test_row_newton_is_what_counts_are_fitted_with():
    few = fu.Dataset("a", few_counts(14, 15, 200))
    many, thin = (fu.Dataset("a", counts(14, 15, 40, level=x)) for x in (50, 0.1))
    told = {"starts": 1, "max_steps": 2, "progress": False}
    rows = Poisson(few) + 0.1 * SquaredNorm("C")  # a penalty that adds up over the rows
    compiled = [(NMF(few, 2), rows), (NMF(many, 2), Poisson(many)), (NMF(thin, 2), Poisson(thin))]
    assert fu.fit(NMF(few, 2), Poisson(few), **told).solver.startswith("RowNewton")
    for model, loss in compiled:
        name = "RowNewton" if count_kernels.installed() else "GaussNewton"
        assert fu.fit(model, loss, **told).solver.startswith(name)
    for model, loss in (
        (NMF(few, 2), Frobenius(few)),
        (NMF(few, 2), Poisson(few) + 0.1 * SoftOrthogonality("C")),
    ):
        assert fu.fit(model, loss, **told).solver.startswith("GaussNewton")


@pytest.mark.parametrize("make", ["penalty", "sum"])
def test_row_newton_says_what_it_cannot_do(make):
    few = fu.Dataset("a", few_counts(6, 7, 20))
    E = fu.Axis("energy", 1.0, 100.0, units="eV")
    raw, net = (fu.Dataset(n, few_counts(6, 7, 20), axes=["y", "x", E]) for n in ("raw", "net"))
    model, loss = {
        "penalty": (NMF(few, 2), Poisson(few) + 0.1 * SoftOrthogonality("C")),
        "sum": (WithBackground(raw, net, 2), Poisson(raw) + Poisson(net)),
    }[make]
    with pytest.raises(ValueError, match=r"RowNewton.*use `GaussNewton\(\)`"):
        fu.fit(model, loss, solver=fu.RowNewton(), progress=False)


@needs_numba
@pytest.mark.parametrize("penalty", [0.5 * L1("C"), 0.05 * SquaredNorm("C"), 2.0 * L1("S")])
@pytest.mark.parametrize("model", [NMF, SharedMaps])
def test_with_penalties_that_add_up_over_rows_it_ends_at_a_minimum(penalty, model):
    a, b = fu.Dataset("a", few_counts(8, 9, 150)), fu.Dataset("b", few_counts(8, 9, 120))
    if penalty.terms[0][1].factor == "S":
        # on unit columns a sum depends on the norm that was chosen, and is refused
        with pytest.raises(ValueError, match="scale of 'S' is fixed"):
            fu.fit(NMF(a, 2), Poisson(a) + penalty, starts=1, progress=False)
        return
    posed = (
        (NMF(a, 2), Poisson(a) + penalty)
        if model is NMF
        else (SharedMaps(a, b, K=2), Poisson(a) + 2 * Poisson(b) + penalty)
    )
    rows = fu.fit(*posed, solver=fu.RowNewton(), starts=1, seed=1, progress=False)
    assert rows.converged
    assert rows.loss == pytest.approx(float(posed[1](rows.model).detach()), rel=1e-12)
    assert (np.diff(rows.history["loss"]) <= 1e-9 * abs(rows.loss)).all()
    objective = Objective(rows.model, posed[1])
    x = objective.current()
    _, gradient, _ = evaluate(objective, x, objective.no_states())
    size = float((gradient * x).abs().sum())
    assert size <= 1e-4 * abs(rows.loss)  # what is free is at rest
    assert float(gradient[x == 0].min()) >= -1e-3  # and nothing at its bound wants off it


def test_without_numba_torch_reads_the_counts_and_the_result_says_so_once(monkeypatch):
    data = fu.Dataset("a", few_counts(8, 9, 150))
    told = {"starts": 1, "seed": 0, "progress": False}
    compiled = fu.fit(NMF(data, 3), Poisson(data), **told)
    monkeypatch.setattr(count_kernels, "installed", lambda: False)
    monkeypatch.setattr("fusion.search.problem._TOLD", [])
    plain, again = (fu.fit(NMF(data, 3), Poisson(data), **told) for _ in range(2))
    assert plain.loss == pytest.approx(compiled.loss, rel=1e-5)
    assert [sum("numba" in line for line in r.messages) for r in (plain, again)] == [1, 0]
