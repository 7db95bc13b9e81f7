"""Rows at their least squares while their data are read, against the rows and sums one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine import compiled_rows
from fusion.engine.bounded_least_squares import least
from fusion.engine.linear_rows import LinearRows
from fusion.engine.objective import Objective
from fusion.forms import compiled_reading
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.losses import L1, Frobenius

pytest.importorskip("numba")
RNG = np.random.default_rng(4)
N, P, K = 203, 45, 3
S = RNG.uniform(0, 1, (P, K))
S[:, 2] = S[:, 0] + 0.1 * S[:, 2]  # alike, so that some rows lack one
X = RNG.poisson(RNG.gamma(0.4, 8, (N, K)) @ S.T).astype("u2")
COLUMNS = RNG.uniform(0.5, 2, P)


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """So few values, in parts and tiles, are read as very many are."""
    monkeypatch.setattr(compiled_reading, "MANY", 1)
    monkeypatch.setattr(compiled_reading, "ROWS", 50)
    monkeypatch.setattr(compiled_rows, "BYTES", 12 * P * 2)


def rows_of(kind, A, E, more, array=X):
    """What is found at once, and what one after the other."""
    H = torch.from_numpy(A @ S.T @ S @ A.T)
    equation = compiled_rows.LeastRows(
        torch.from_numpy(S).to(kind), H, torch.from_numpy(A), torch.from_numpy(E)
    )
    likely = torch.from_numpy(RNG.random((len(array), len(A))) > 0.3)
    made = equation.of(
        torch.from_numpy(array), likely, None if more is None else torch.from_numpy(more)
    )
    b = array.astype(float) @ S @ E + (0 if more is None else more)
    bounded = torch.ones(len(A), dtype=torch.bool)
    return made, least(H, torch.from_numpy(b), bounded).numpy()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("penalty", ["none", "one for all", "one a row"])
def test_rows_and_sums_are_those_of_one_after_the_other(kind, penalty):
    A = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 1], [0.5, 0, 1]])[:3]
    more = {"none": None, "one for all": -RNG.random(3), "one a row": -RNG.random((N, 3))}[penalty]
    made, z = rows_of(kind, A, A.T, more)
    tight = 2e-4 if kind == torch.float32 else 1e-9  # two spectra are alike
    np.testing.assert_allclose(made.z, z, atol=tight * z.max())
    assert (z == 0).any()
    L = z @ A
    assert made.overlap == pytest.approx(((X.astype(float) @ S) * L).sum(), rel=tight)
    back = X.T.astype(float) @ L
    np.testing.assert_allclose(made.back, back, atol=tight * back.max())


@pytest.mark.parametrize("array", ["u1", "i2", "f8"])
def test_rows_of_other_types_and_of_several_factors_side_by_side(array):
    x = np.minimum(X, 200).astype(array)
    A = np.vstack([np.eye(K), [[0.0, 1.0, 0.0]]])  # C + N: more unknowns than columns
    H = torch.from_numpy(A @ S.T @ S @ A.T + 0.1 * np.eye(4))
    A, R = torch.from_numpy(A), torch.from_numpy(S)
    made = compiled_rows.LeastRows(R, H, A, A.T).of(
        torch.from_numpy(x), torch.ones(N, 4, dtype=torch.bool)
    )
    b = torch.from_numpy(x.astype(float)) @ R @ A.T
    z = least(H, b, torch.ones(4, dtype=torch.bool))
    np.testing.assert_allclose(made.z, z, atol=1e-9 * float(z.max()))


def test_what_is_found_does_not_depend_on_the_number_of_threads():
    made, before = [], torch.get_num_threads()
    equation = compiled_rows.LeastRows(
        torch.from_numpy(S).float(), torch.from_numpy(S.T @ S), *[torch.eye(K).double()] * 2
    )
    likely = torch.ones(N, K, dtype=torch.bool)
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            made.append(equation.of(torch.from_numpy(X), likely))
    finally:
        torch.set_num_threads(before)
    for other in made[1:]:
        assert torch.equal(made[0].z, other.z)
        assert torch.equal(made[0].back, other.back)
        assert made[0].overlap == other.overlap


def posed(array, *, weighted=False, penalised=False):
    """An objective of counts in two bytes, one start."""
    variance = 1 / COLUMNS[None] if weighted else None
    data = fu.Dataset("a", array, axes=["pixel", "channel"], variance=variance)
    data._passing = True  # read as it was stored
    loss = 2.0 * Frobenius(data) + 0.3 * L1("C") if penalised else 2.0 * Frobenius(data)
    return Objective(fu.models.NMF(data, K), loss), data


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalised", [False, True])
def test_rows_and_slopes_are_the_same_whether_data_are_read_once(weighted, penalised, monkeypatch):
    objective, _ = posed(X, weighted=weighted, penalised=penalised)
    values = {"C": torch.rand(1, N, K).double(), "S": torch.from_numpy(S)[None]}
    read, real = [], compiled_rows.LeastRows.of
    monkeypatch.setattr(compiled_rows.LeastRows, "of", lambda *a: read.append(a) or real(*a))
    once = LinearRows(objective, ["C"]).at(values)
    assert len(read) == 1
    monkeypatch.setattr(compiled_rows, "serves", lambda *_: False)
    twice = LinearRows(objective, ["C"]).at(values)
    assert len(read) == 1
    np.testing.assert_allclose(once[0]["C"], twice[0]["C"], atol=1e-5 * float(twice[0]["C"].max()))
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-6)
    slope = twice[2]["S"]
    scale = float((2 * torch.from_numpy(X.T.astype(float)) @ twice[0]["C"][0]).max())
    np.testing.assert_allclose(once[2]["S"], slope, atol=1e-6 * scale)


def test_rows_of_other_data_are_found_from_what_is_known_of_the_factors():
    objective, _ = posed(X)
    rows, shared = LinearRows(objective, ["C"]), torch.from_numpy(S)[None]
    closed, real = [], objective.closed
    objective.closed = lambda values: closed.append(1) or real(values)
    for array in (X, X[::-1].copy(), X[:100], X[:100] + 1):
        objective.loss = posed(array)[0].loss
        own = torch.rand(1, len(array), K).double()
        made = rows.at({"C": own, "S": shared})
        alone = LinearRows(posed(array)[0], ["C"]).at({"C": own, "S": shared})
        np.testing.assert_allclose(made[0]["C"], alone[0]["C"], rtol=1e-9)
        np.testing.assert_allclose(made[2]["S"], alone[2]["S"], rtol=1e-9)
    assert len(closed) == 2  # of each number of rows
    other = torch.from_numpy(S + 0.1)[None]
    made = rows.at({"C": own, "S": other})
    alone = LinearRows(posed(array)[0], ["C"]).at({"C": own, "S": other})
    np.testing.assert_allclose(made[0]["C"], alone[0]["C"], rtol=1e-9)


def test_data_elsewhere_and_rows_of_their_own_weights_are_left_to_torch():
    def form(device, weights=None):
        array = torch.zeros(N, P, dtype=torch.uint16, device=device)
        return Dense(array, weights or Weights(), torch.float64, resident=0)

    R = torch.from_numpy(S)
    assert compiled_rows.serves(form("cpu"), R, K)
    assert not compiled_rows.serves(form("meta"), R.to("meta"), K)
    assert not compiled_rows.serves(form("cpu", Weights(rows=torch.ones(N))), R, K)
    assert not compiled_rows.serves(form("cpu"), R.float(), K)


def test_what_is_kept_on_disk_is_found_by_every_process_and_knows_its_parts(monkeypatch):
    own = compiled_rows._kernel().py_func
    assert all(isinstance(cell.cell_contents, int) for cell in own.__closure__)
    monkeypatch.setattr(compiled_rows, "hand_over", lambda room, total: None)
    compiled_rows._kernel.cache_clear()
    try:
        other = compiled_rows._kernel().py_func
    finally:
        compiled_rows._kernel.cache_clear()
    assert own.__closure__[0].cell_contents != other.__closure__[0].cell_contents
