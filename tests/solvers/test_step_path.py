"""Steps that bend with the valley, and where a descent ends."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine.curvature import Curvature
from fusion.engine.linear_system import System
from fusion.engine.objective import Objective
from fusion.losses import Frobenius, SoftOrthogonality
from fusion.models import NMF
from fusion.simulate import with_background
from fusion.solvers.joint_descent import Descent
from fusion.solvers.step_path import StepPath
from tests.helpers.planted_factors import Bilinear, counts

DATA = fu.Dataset("a", counts(4, 3, 7))
X = DATA.numpy().reshape(12, 7).astype(float)
DAMPING, PROBED = 0.05, 0.1


def unpacked(flat):
    return flat[: 12 * 2].reshape(12, 2), flat[12 * 2 :].reshape(7, 2)


def gradient(flat):
    """Of ½ ‖X − C Sᵀ‖², literally."""
    C, S = unpacked(flat)
    R = C @ S.T - X
    return np.concatenate([(R @ S).ravel(), (R.T @ C).ravel()])


def curvature(flat):
    """JᵀJ with J = ∂(C Sᵀ), entry by entry."""
    columns = []
    for i in range(len(flat)):
        C, S = unpacked(flat)
        dC, dS = unpacked(np.eye(len(flat))[i])
        columns.append((dC @ S.T + C @ dS.T).ravel())
    J = np.stack(columns, 1)
    return J.T @ J


@pytest.fixture
def path():
    """Of three starts, all of whose variables may move."""
    objective = Objective(Bilinear(DATA, 2, [], []), 1.0 * Frobenius(DATA))
    generator = torch.Generator().manual_seed(1)
    flat = 0.2 + 3 * torch.rand((3, 38), generator=generator, dtype=torch.float64)
    states = objective.no_states()
    made = Curvature(objective, flat, states)
    made.add_penalties(states)
    slopes = torch.from_numpy(np.stack([gradient(x) for x in flat.numpy()]))
    system = System(made, slopes, torch.ones_like(flat), flat.new_full((3,), DAMPING))
    path = StepPath(objective, states, system, flat, objective.lower())
    path.solve(1e-10, 2000)
    path.direction = path.direction / 40  # so that nothing arrives at its bound
    path.curved = path.curved / 40
    return path


def test_a_bent_path_is_that_of_the_equation_in_its_docstring(path):
    path.bend(torch.tensor([0, 2]))
    for i in (0, 2):
        x, d = path.start[i].numpy(), path.direction[i].numpy()
        H = curvature(x)
        H = H + damping_of(H)
        np.testing.assert_allclose(H @ d, -gradient(x) / 40, rtol=1e-6, atol=1e-6)
        less = gradient(x + PROBED * d) - gradient(x) - PROBED * H @ d
        np.testing.assert_allclose(path.bent[i], -np.linalg.solve(H, less) / PROBED**2, rtol=1e-5)
    assert not path.bent[1].any()


def damping_of(H):
    """A share of every row's block, and of its largest diagonal, as the engine damps."""
    made = np.zeros_like(H)
    for part in (slice(0, 24), slice(24, 38)):
        own = H[part, part]
        floor = 1e-2 * DAMPING * own.diagonal().max()
        for row in range(part.start, part.stop, 2):
            rows = slice(row, row + 2)
            made[rows, rows] = DAMPING * (H[rows, rows] + floor * np.eye(2))
    return made


def test_what_lies_below_its_bound_is_held_there(path):
    path.direction[0, 5] = -50.0
    assert path.point(torch.ones(3, dtype=torch.float64))[0, 5] == 0


@pytest.fixture
def work(monkeypatch):
    made = Counter()
    for name in ("_step", "_evaluate"):
        whole = getattr(Descent, name)

        def counting(self, *args, name=name, whole=whole):
            made[name] += 1
            return whole(self, *args)

        monkeypatch.setattr(Descent, name, counting)
    return made


def test_a_map_with_negative_values_takes_few_steps(work):
    """Straight on, steps of a half to a thousandth: 144 for the first start, and 152."""
    scene = with_background(shape=(20, 24), channels=120, seed=0)
    raw = scene.datasets["raw"].estimate_variance()
    net = raw.subtract_background((500, 525))
    for seed, most in ((0, 88), (4, 80)):
        work.clear()
        found = fu.fit(NMF(net, 3), Frobenius(net), starts=1, seed=seed, progress=False)
        assert found.converged
        assert work["_step"] <= most


def orthogonal():
    rng = np.random.default_rng(3)
    maps, spectra = rng.random((80, 3)) ** 2, rng.random((3, 30)) ** 2
    data = fu.Dataset(
        "a", (maps @ spectra + 0.02 * rng.standard_normal((80, 30))).reshape(8, 10, 30)
    )
    return NMF(data, 3), Frobenius(data) + 0.05 * SoftOrthogonality("C")


def test_near_its_end_no_step_is_tried_twice_for_rounding(work):
    """The squares are a difference of numbers as large as the data: steps cannot be told apart."""
    model, loss = orthogonal()
    end = fu.fit(model, loss, starts=1, progress=False, solver=fu.GaussNewton(tolerance=1e-14))
    work.clear()
    begun = {name: end[name] for name in ("C", "S")}
    again = fu.fit(
        model, loss, init=[begun], starts=1, progress=False, solver=fu.GaussNewton(tolerance=1e-14)
    )
    assert again.converged
    assert work["_step"] >= 2
    assert work["_evaluate"] == work["_step"]


def test_under_a_rule_a_start_that_ends_after_two_trusted_steps_is_at_its_end():
    """How few steps it takes: `test_work_of_small_fits`."""
    model, loss = orthogonal()
    quick = fu.fit(model, loss, starts=1, progress=False, solver=fu.GaussNewton())
    far = fu.fit(model, loss, starts=1, progress=False, solver=fu.GaussNewton(tolerance=1e-13))
    assert quick.converged
    for name in ("C", "S"):
        np.testing.assert_allclose(quick[name], far[name], atol=1e-5 * np.abs(far[name]).max())
