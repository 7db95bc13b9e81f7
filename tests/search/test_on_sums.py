"""What all pixels have in common is found on sums of pixels, the maps at full resolution."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

import fusion as fu
from fusion.engine.objective import Objective
from fusion.losses import Frobenius, Poisson, Smoothness, Surrogate
from fusion.search.on_sums import edge_of_sums, summed_problem
from fusion.solvers import ArrowNewton, Watch

ENERGY = torch.linspace(0, 3, 30, dtype=torch.float64)
RATES = np.array([0.5, 2.0])


class Decays(fu.Model):
    """⟦C, exp(−r E)⟧ with both rates unknown: all that pixels have in common."""

    def __init__(self, data):
        super().__init__()
        self.name = data.name
        self.C, self.rates = fu.Factor((data.pixels, 2)), fu.Factor((2, 1))

    def forward(self):
        return {self.name: fu.cp(self.C, torch.exp(-ENERGY[:, None] * self.rates[:, 0]))}


def counts(shape=(7, 5), level=2.0, seed=0):
    rng = np.random.default_rng(seed)
    C = level * rng.gamma(1.0, 1.0, (*shape, 2))
    C[::2, :, 0] = C[:, ::3, 1] = 0
    return rng.poisson(C @ np.exp(-ENERGY.numpy()[:, None] * RATES).T).astype(float)


def domains(shape, level, seed=0):
    """Counts with a component missing in the left third, the other in the right third."""
    rng = np.random.default_rng(seed)
    C = level * rng.gamma(1.0, 1.0, (*shape, 2))
    third = shape[1] // 3
    C[:, :third, 0] = C[:, -third:, 1] = 0
    return rng.poisson(C @ np.exp(-ENERGY.numpy()[:, None] * RATES).T).astype(float)


def blocks(shape, edge):
    """Rows and columns of every sum, those at the ends smaller, in the order of the sums."""
    return [
        (slice(y, y + edge), slice(x, x + edge))
        for y in range(0, shape[0], edge)
        for x in range(0, shape[1], edge)
    ]


def read(small):
    """(values, weights) of what the only fit reads."""
    ((_, _, term),) = small.objective.loss.fits
    form = term.instead
    ((rows, x),) = form.blocks(torch.float64)
    weight = form.weights.chunk(rows, form.shape)
    return x.numpy(), weight.expand_as(x).numpy()


def problem(data, loss=Poisson):
    return Objective(Decays(data), 1.0 * loss(data))


# ---- sums --------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [1, 2, 3, 10])
def test_sums_are_means_weighed_by_their_pixels_with_smaller_ones_at_the_ends(edge):
    X = counts()
    values, weights = read(summed_problem(problem(fu.Dataset("x", X)), edge))
    parts = blocks((7, 5), edge)
    assert values.shape == (len(parts), 30)
    for value, weight, (y, x) in zip(values, weights, parts, strict=True):
        np.testing.assert_allclose(value, X[y, x].mean((0, 1)), rtol=1e-12)
        assert (weight == X[y, x, 0].size).all()


def test_sparse_counts_have_the_sums_of_the_same_counts_in_full():
    X = counts(level=0.1)
    axes = ["pixel", "energy"]
    full, few = (
        read(summed_problem(problem(fu.Dataset("x", made, axes=axes)), 3))
        for made in (X.reshape(35, 30), sparse.csr_array(X.reshape(35, 30)))
    )
    for one, other in zip(full, few, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("loss", [Poisson, Frobenius])
def test_what_is_masked_counts_neither_in_a_mean_nor_in_its_weight(loss):
    X, rng = counts(), np.random.default_rng(1)
    mask = rng.random(X.shape) < 0.2
    mask[:2, :2, 4] = True  # a whole sum has nothing there
    broken = np.where(mask, 1e3, X)
    values, weights = read(summed_problem(problem(fu.Dataset("x", broken, mask=mask), loss), 2))
    for value, weight, (y, x) in zip(values, weights, blocks((7, 5), 2), strict=True):
        seen = (~mask[y, x]).sum((0, 1))
        expected = (X * ~mask)[y, x].sum((0, 1)) / np.maximum(seen, 1)
        np.testing.assert_allclose(weight, seen)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert weights[0, 4] == values[0, 4] == 0


def test_weights_by_variance_weigh_the_means():
    X, rng = counts(), np.random.default_rng(1)
    variance = 0.5 + rng.random(X.shape)
    data = fu.Dataset("x", X, variance=variance)
    values, weights = read(summed_problem(problem(data, Frobenius), 2))
    for value, weight, (y, x) in zip(values, weights, blocks((7, 5), 2), strict=True):
        w = 1 / variance[y, x]
        ratio = weight / w.sum((0, 1))
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
        mean = (w * X[y, x]).sum((0, 1)) / w.sum((0, 1))
        np.testing.assert_allclose(value, mean, rtol=1e-12)


def test_the_loss_of_sums_differs_by_a_constant_from_that_of_pixels_that_are_alike_in_each():
    data = fu.Dataset("x", counts(level=5.0))
    whole = problem(data)
    small = summed_problem(whole, 2)
    assert small.names == {"C": data.pixels}
    rng, differences = torch.Generator().manual_seed(0), []
    for _ in range(3):
        C = 1 + torch.rand((1, 12, 2), generator=rng, dtype=torch.float64)
        rates = 0.5 + torch.rand((1, 2, 1), generator=rng, dtype=torch.float64)
        below = {"C": C, "rates": rates}
        assert torch.equal(
            small.down(small.up(below))["C"].round(decimals=12), C.round(decimals=12)
        )
        losses = [
            float(objective.fits(values, objective.no_states()).sum())
            for objective, values in ((whole, small.up(below)), (small.objective, below))
        ]
        differences.append(losses[0] - losses[1])
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9, atol=1e-8)


def test_maps_go_down_as_means_and_up_as_copies():
    data = fu.Dataset("x", counts())
    small = summed_problem(problem(data), 2)
    C = torch.from_numpy(np.random.default_rng(0).random((2, 7, 5, 2)))
    down = small.down({"C": C.reshape(2, 35, 2), "rates": torch.ones(2, 2, 1)})
    up = small.up(down)
    assert torch.equal(down["rates"], torch.ones(2, 2, 1))
    for s, (y, x) in enumerate(blocks((7, 5), 2)):
        mean = C[:, y, x].mean((1, 2))
        np.testing.assert_allclose(down["C"][:, s], mean, rtol=1e-12)
        copies = up["C"].reshape(2, 7, 5, 2)[:, y, x]
        np.testing.assert_allclose(copies, mean[:, None, None].expand_as(copies), rtol=1e-12)


def test_penalties_on_maps_are_left_out_of_sums_and_others_stay():
    data = fu.Dataset("x", counts())
    loss = Poisson(data) + 2.0 * Smoothness("C") + 3.0 * Smoothness("rates")
    small = summed_problem(Objective(Decays(data), loss), 2)
    kept = [(float(w), str(t)) for w, t in small.objective.loss.terms]
    assert [str(t) for _, t in kept[1:]] == [str(Smoothness("rates"))]
    assert kept[1][0] == 3.0


class MeanOfMaps(Surrogate):
    """½ (⟨C⟩ − 1)², over pixels or over sums of so many each."""

    def __init__(self, sizes=None):
        self.sizes = sizes

    def value(self, model, state):
        each = model.C.sum(1)
        weights = torch.ones_like(each) if self.sizes is None else self.sizes.to(each)
        return 0.5 * ((weights * each).sum() / weights.sum() - 1) ** 2

    def on_sums(self, labels):
        (label,) = labels.values()
        return MeanOfMaps(label.bincount())


def test_a_term_about_maps_that_says_what_it_is_of_sums_stays_with_its_value_and_weight():
    data = fu.Dataset("x", counts())
    small = summed_problem(Objective(Decays(data), Poisson(data) + 3.0 * MeanOfMaps()), 2)
    C = torch.rand((1, 35, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = small.down({"C": C, "rates": torch.ones((1, 2, 1), dtype=torch.float64)})
    found = small.objective.penalties(values, small.objective.no_states())
    assert found.item() == pytest.approx(1.5 * (C.sum(2).mean().item() - 1) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "each", "edge"),
    [((24, 24), 2000, 1), ((24, 24), 300, 2), ((24, 24), 120, 3), ((24, 24), 1, 6), ((3, 3), 1, 1)],
)
def test_sums_have_a_thousand_counts_where_sixteen_of_them_are_left(shape, each, edge):
    data = fu.Dataset("x", np.full((*shape, 30), each / 30))
    assert edge_of_sums(problem(data)) == edge


# ---- the search --------------------------------------------------------------------------------


def test_few_are_found_on_the_sums_and_maps_are_at_their_minimum_given_these():
    data = fu.Dataset("x", domains((24, 24), level=2.0))
    whole = problem(data)
    edge = edge_of_sums(whole)
    assert edge > 1
    result = fu.fit(Decays(data), Poisson(data), solver=fu.ArrowNewton(), starts=3, progress=False)
    assert result.solver.startswith("ArrowNewton")
    rates = np.sort(result["rates"].ravel())
    # as on the sums alone
    small = summed_problem(whole, edge)
    near = {"C": torch.from_numpy(result["C"].reshape(1, -1, 2)),
            "rates": torch.from_numpy(result["rates"])[None]}  # fmt: skip
    flat = small.objective.raws(small.down(near)).detach()
    exact = ArrowNewton(tolerance=1e-12).minimise(small.objective, flat, Watch(), 100)
    expected = small.objective.values(exact.flat)["rates"].detach().numpy().ravel()
    np.testing.assert_allclose(rates, np.sort(expected), rtol=1e-4)
    np.testing.assert_allclose(rates, RATES, rtol=0.05)
    # every pixel by itself: the gradient of m − x ln m vanishes, or pulls below zero
    S = np.exp(-ENERGY.numpy()[:, None] * result["rates"].ravel())
    C, X = result["C"].reshape(-1, 2), data.numpy().reshape(-1, 30)
    mean = np.maximum(C @ S.T, 1e-9)
    gradient = (1 - X / mean) @ S
    size = np.sqrt(np.einsum("pe,ek->pk", X / mean**2, S**2) + 1e-12)
    inside = C > 1e-9
    assert np.abs(gradient / size)[inside & (X.sum(1) > 0)[:, None]].max() < 0.02
    assert (gradient[~inside] > -1e-6).all()


def test_sums_tell_common_unknowns_without_the_bias_of_single_pixels():
    data = fu.Dataset("x", domains((48, 48), level=0.4))
    assert data.numpy().sum() / 48**2 < 6
    result = fu.fit(Decays(data), Poisson(data), solver=fu.ArrowNewton(), starts=1, progress=False)
    off = np.abs(np.sort(result["rates"].ravel()) / RATES - 1)
    whole = problem(data)
    found = {name: torch.from_numpy(result[name].reshape(1, -1, k)) for name, k in
             (("C", 2), ("rates", 1))}  # fmt: skip
    flat = whole.raws(found).detach()
    direct = ArrowNewton().minimise(whole, flat, Watch(), 100)
    rates = whole.values(direct.flat)["rates"].detach().numpy().ravel()
    biased = np.abs(np.sort(rates) / RATES - 1)
    assert off.max() < 0.1
    assert biased.max() > 2 * off.max()


def test_where_pixels_are_few_what_they_have_in_common_is_settled_further_than_the_tolerance():
    data = fu.Dataset("x", counts())
    assert edge_of_sums(problem(data)) == 1  # no sums: else these settle it
    told = {"starts": 1, "seed": 0, "progress": False}
    exact = fu.fit(Decays(data), Poisson(data), solver=ArrowNewton(tolerance=1e-14), **told).loss
    found = fu.fit(Decays(data), Poisson(data), solver=ArrowNewton(tolerance=1e-3), **told).loss
    assert found - exact < 1e-6 * abs(exact)  # 4e-5 by the tolerance alone
