"""Gauss–Newton ends at a minimum: L-BFGS-B on the raw variables gains nothing more."""

from copy import deepcopy
from math import inf

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import fusion as fu
from fusion.constraints import (
    Absent,
    Monotone,
    NonNegative,
    Simplex,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.engine.objective import Objective
from fusion.losses import L1, BetaDivergence, Frobenius, NearPowerLaw, Poisson, TotalVariation
from tests.helpers.planted_factors import Bilinear, pure
from tests.helpers.structured_data import fitted, planted_mean


def gained(result, loss):
    """Share of the loss that many steps of L-BFGS-B on the raw variables still take off."""
    model = deepcopy(result.model)
    lower, raws = Objective(model, loss).lower().tolist(), list(model.parameters())

    def value(x):
        vector_to_parameters(torch.from_numpy(x), raws)
        total = loss(model)
        made = torch.autograd.grad(total, raws, allow_unused=True)
        grads = [torch.zeros_like(r) if g is None else g for r, g in zip(raws, made, strict=True)]
        return float(total.detach()), parameters_to_vector(grads).numpy()

    start = parameters_to_vector(raws).detach().numpy()
    bounds = [(None if low == -inf else low, None) for low in lower]
    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-13, "gtol": 1e-10}
    found = minimize(value, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    before = value(start)[0]
    return (before - found.fun) / abs(before)


def structured():
    """Each piece on a small problem of noise: name → (model, loss)."""
    mean, rng = planted_mean()
    raw = fu.Dataset("x", rng.poisson(4 * mean).astype(float), axes=("y", "x", "E"))
    least = Frobenius(raw)
    positive = fu.Dataset("x", raw.numpy() + 0.5)
    for beta in (0, 0.5, 1, 1.5, 3):
        yield f"beta {beta}", fu.models.NMF(positive, 3), 1.0 * BetaDivergence(positive, beta)
    yield "l1", fu.models.NMF(raw, 3), least + 20.0 * L1("C")
    yield "tv", fu.models.NMF(raw, 3), least + 1.0 * TotalVariation("C")
    unit = [NonNegative(), UnitColumns()]
    yield "tv of spectra", Bilinear(raw, 3, unit), least + 1.0 * TotalVariation("S")
    energies = fu.Dataset("x", raw.numpy(), axes=("y", "x", fu.Axis("energy", 5.0, 100.0)))
    law = 3.0 * NearPowerLaw("S", 2.0)
    yield "power law", Bilinear(energies, 3, unit), Frobenius(energies) + law
    shares = rng.dirichlet([0.5] * 3, 42)
    few = fu.Dataset("x", rng.poisson(10 * shares @ pure(rng, 20).T).astype(float))
    yield "simplex", Bilinear(few, 3, [Simplex()]), 1.0 * Frobenius(few)
    yield "simplex, counts", Bilinear(few, 3, [Simplex()]), 1.0 * Poisson(few)
    for p in (1, 3):
        spectra = [NonNegative(), UnitNorm(p)]
        yield f"norm {p}", Bilinear(raw, 3, [], spectra), least + 10.0 * L1("C")
    yield "rising", Bilinear(raw, 3, [Monotone()], unit), 1.0 * least
    falling = [Monotone(decreasing=True), UnitColumns()]
    yield "falling, unit", Bilinear(raw, 3, [], falling), 1.0 * least
    peaks = [Unimodal([3, 10, 15])]
    yield "peaks", Bilinear(raw, 3, unit, peaks), 1.0 * least
    where = np.arange(42) < 10
    absent = [NonNegative(), UnitColumns(), Absent({0: where, 2: ~where})]
    yield "absent", Bilinear(raw, 3, absent), 1.0 * least


@pytest.mark.parametrize(
    ("model", "loss"), [pytest.param(m, t, id=name) for name, m, t in structured()]
)
def test_the_default_solver_ends_where_l_bfgs_b_gains_nothing(model, loss):
    result = fitted(model, loss, starts=1)
    assert result.solver.startswith("GaussNewton"), result.solver
    assert gained(result, loss) < 1e-4
