"""Every fast path against the plain one: closed forms, compressed data, sparse counts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.func import vmap

import fusion as fu
from fusion import compression, metric, sampling
from fusion.bending import FitCurvature
from fusion.blocks import Block
from fusion.compression import compressed
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.curvature import Curvature
from fusion.dense import Dense
from fusion.elementwise import SQUARE
from fusion.forms import Weights
from fusion.hessian import Hessian, row_blocks
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality, SquaredNorm
from fusion.models import CPD, NMF, SharedMaps, SoftlyCoupled, Tucker, WithBackground
from fusion.objective import Objective
from fusion.prediction import CP, cp, tucker
from fusion.solvers.system import System, _inverse

RNG = np.random.default_rng(0)


def counts(*shape: int, rank: int = 3, level: float = 5.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factors = [rng.gamma(0.5, 1, (n, rank)) for n in shape]
    letters = "abcd"[: len(shape)]
    mean = np.einsum(",".join(f"{x}k" for x in letters) + "->" + letters, *factors)
    return rng.poisson(level * mean / mean.mean()).astype(float)


def mixed(eels, edxs):
    """C + N and C, so that one tensor of a prediction is no factor."""

    class Mixed(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((eels.pixels, 2), NonNegative(), UnitColumns())
            self.N = fu.Factor((eels.pixels, 2), Free())
            self.S1, self.S2 = fu.Factor((eels.channels, 2)), fu.Factor((edxs.channels, 2))

        def forward(self):
            return {
                eels.name: cp(self.C + self.N, self.S1),
                edxs.name: cp(self.C, self.S2) + cp(self.C, 2 * self.S2),
            }

    return Mixed()


def cases():
    X, Y, T = counts(6, 5, 8), counts(6, 5, 7, seed=1), counts(5, 6, 7, seed=2)
    a, b = fu.Dataset("a", X), fu.Dataset("b", Y)
    t, mask = fu.Dataset("t", T), RNG.random(X.shape) < 0.2
    weighed = fu.Dataset("a", X, variance=(1 + X.mean(2, keepdims=True)) * (1 + X.mean((0, 1))))
    holes = fu.Dataset("a", X, mask=mask)
    yield "nmf", NMF(a, 3), Frobenius(a)
    yield "rank-one weights", NMF(weighed, 3), Frobenius(weighed)
    yield "mask", NMF(holes, 3), Frobenius(holes)
    yield "gaussian", NMF(a, 3), Gaussian(a)
    yield "poisson", NMF(a, 3), Poisson(a)
    yield "poisson, mask", NMF(holes, 3), Poisson(holes)
    yield "cpd", CPD(t, 3), Frobenius(t)
    yield "cpd, poisson", CPD(t, 3), Poisson(t)
    yield "tucker", Tucker(t, (2, 3, 2)), Frobenius(t)
    yield "shared", SharedMaps(a, b, K=2), Frobenius(a) + 2 * Poisson(b)
    yield "coupled", SoftlyCoupled(a, b, 2), Frobenius(a) + Gaussian(b)
    other = fu.Dataset("b", Y, variance=1 + Y.mean((0, 1)))
    two = Frobenius(weighed) + Frobenius(other)
    yield "shared, weights", SharedMaps(weighed, other, K=2), two
    yield (
        "coupled, weights",
        SoftlyCoupled(other, weighed, 2),
        Frobenius(other) + Frobenius(weighed),
    )
    yield "mixed", mixed(a, b), Frobenius(a) + 3 * Frobenius(b)
    E = fu.Axis("energy", 1.0, 100.0, units="eV")
    raw, net = (fu.Dataset(n, X, axes=["y", "x", E]) for n in ("raw", "net"))
    yield "background", WithBackground(raw, net, 2), Frobenius(raw) + Frobenius(net)


CASES = {name: (model, loss) for name, model, loss in cases()}


@pytest.fixture(params=CASES)
def point(request):
    """An objective, three points, and its states there."""
    model, loss = CASES[request.param]
    loss = loss if isinstance(loss, fu.Loss) else fu.Loss([(1.0, loss)])
    objective = Objective(model, loss)
    flat = fu.Random().starts(objective, 3, 0)
    values = {k: v.detach() for k, v in objective.values(flat).items()}
    return objective, values, objective.refresh_fits(values, objective.no_states())


def both(objective, values, states):
    """The fast curvature, and the plain one by double backward."""
    fast = FitCurvature(objective, values, states)
    leaves = {k: v.clone().requires_grad_() for k, v in values.items()}
    with torch.enable_grad():
        plain = Hessian(objective.fit_curvature(leaves, states), leaves)
    return fast, plain, leaves


def test_products_in_closed_form_are_those_of_double_backward(point):
    objective, values, states = point
    fast, plain, _ = both(objective, values, states)
    assert not fast.rest, "no fit here lacks a closed form"
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        v = {k: torch.randn(x.shape, generator=generator, dtype=x.dtype) for k, x in values.items()}
        made, wanted = fast(v), plain(v)
        for name in values:
            scale = wanted[name].abs().max() + 1e-300
            assert torch.allclose(made[name] / scale, wanted[name] / scale, rtol=0, atol=1e-10)


def test_row_blocks_in_closed_form_are_the_probed_ones(point):
    objective, values, states = point
    fast, plain, leaves = both(objective, values, states)
    for name, value in values.items():
        if value.ndim != 3 or not objective.model.factor(name).local:
            continue
        matrix, weight = fast.blocks(name)
        made = matrix.expand(-1, value.shape[1], -1, -1)
        made = made if weight is None else made * weight[:, None, None]
        wanted = row_blocks(plain, name, leaves[name]).detach()
        assert torch.allclose(made, wanted, rtol=1e-9, atol=1e-10 * float(wanted.abs().max()))


def system_at(objective, values, states):
    """The linear system of a step at three points, a fifth of the variables held at their bound."""
    flat = objective.raws(values).detach()
    generator = torch.Generator().manual_seed(0)
    free = (torch.rand(flat.shape, generator=generator) < 0.8).to(flat.dtype)
    flat = objective.retract(torch.where(free > 0, flat, objective.lower().clamp_min(0)))
    curvature = Curvature(objective, flat, states)
    curvature.add_penalties(states)
    g = {k: torch.randn(v.shape, generator=generator, dtype=v.dtype) for k, v in values.items()}
    damping = torch.full((len(flat),), 0.1, dtype=flat.dtype)
    return System(curvature, curvature.pull(g), free, damping)


def test_a_step_is_the_same_whether_or_not_factors_are_known_to_meet(point, monkeypatch):
    d, Hd, _ = system_at(*point).solve(1e-12, 2000)
    monkeypatch.setattr("fusion.solvers.system.coupled", lambda *_: None)
    plain = system_at(*point)
    wanted, Hwanted, _ = plain.solve(1e-12, 2000)
    assert plain.coupled is None
    assert torch.allclose(d, wanted, rtol=1e-5, atol=1e-7 * float(wanted.abs().max()))
    assert torch.allclose(Hd, Hwanted, rtol=1e-5, atol=1e-7 * float(Hwanted.abs().max()))


def test_a_step_takes_a_product_or_two_where_factors_meet_in_least_squares_alone(point):
    objective, *_ = point
    fits = [term for _, term in objective.loss.terms]
    plain = all(t.entrywise is SQUARE and t.dataset.mask is None for t in fits)
    told = objective.closed(point[1])[1]
    if not plain or any(None in names for *_, names in told):
        pytest.skip("something else couples rows")
    _, _, products = system_at(*point).solve(1e-3, 2000)
    assert products <= 2, "ten to twenty with the row blocks alone"


def test_a_fit_without_closed_form_is_differentiated():
    data = fu.Dataset("a", counts(4, 5, 6))

    class Own(Frobenius):
        entrywise = None

    own, known = (Objective(NMF(data, 2), fu.Loss([(1.0, f(data))])) for f in (Own, Frobenius))
    values = own.values(fu.Random().starts(own, 2, 0))
    made, wanted = (FitCurvature(o, values, o.no_states()) for o in (own, known))
    assert made.rest
    v = {k: torch.ones_like(x) for k, x in values.items()}
    for name in v:
        assert torch.allclose(made(v)[name], wanted(v)[name], rtol=1e-10)
        blocks, _ = made.blocks(name)
        assert torch.allclose(blocks[:, :1], wanted.blocks(name)[0][:, :1], rtol=1e-10)


# ---- compressed data -----------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Compression of small data, too."""
    monkeypatch.setattr(compression, "WORTH", 1)


def form(*shape: int, weights: Weights | None = None, rank: int = 3):
    X = torch.from_numpy(counts(*shape, rank=rank))
    return Dense(X.reshape(-1, shape[-1]), weights or Weights(), torch.float64)


TUCKER = (2, 3, 2), (20, 2), (30, 3), (40, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (cp(*(torch.rand(n, 2).double() for n in (40, 50))), None),
        lambda: (cp(*(torch.rand(n, 2).double() for n in (20, 30, 40))), None),
        lambda: (tucker(*(torch.rand(n).double() for n in TUCKER)), None),
        lambda: (
            cp(*(torch.rand(n, 2).double() for n in (40, 50))),
            Weights(torch.rand(40).double(), torch.rand(50).double()),
        ),
        lambda: (
            cp(*(torch.rand(n, 1).double() for n in (40, 50)))
            + cp(*(torch.rand(n, 1).double() for n in (40, 50))),
            None,
        ),
    ],
    ids=["cp2", "cp3", "tucker", "weights", "sum"],
)  # fmt: skip
def test_low_rank_data_lose_nothing_when_compressed(make, small):
    torch.manual_seed(0)
    M, weights = make()
    shape = M.shape
    factors = [torch.rand(n, 2).double() for n in shape]
    whole = Dense(cp(*factors).dense().reshape(-1, shape[-1]), weights or Weights(), torch.float64)
    quick = compressed(whole, M)
    assert quick is not None
    assert all(b.shape[1] < n for b, n in zip(quick.bases, quick.shape, strict=False))
    assert torch.allclose(quick.overlap(M), whole.overlap(M), rtol=1e-10)
    assert quick.norm2() == whole.norm2()
    assert quick.count() == whole.count()


def test_compression_keeps_what_stands_out_of_the_noise(small):
    rng = np.random.default_rng(0)
    X = torch.from_numpy(
        rng.random((300, 3)) @ rng.random((3, 200)) + 0.1 * rng.normal(size=(300, 200))
    )
    M = cp(torch.rand(300, 3).double(), torch.rand(200, 3).double())
    quick = compressed(Dense(X, Weights(), torch.float64), M)
    made = quick.bases[0] @ quick.core @ quick.bases[1].T
    U, s, V = torch.linalg.svd(X, full_matrices=False)
    best = (U[:, :3] * s[:3]) @ V[:3]
    assert float((made - X).norm()) < 1.01 * float((best - X).norm())


@pytest.mark.parametrize("rank", [3, 1])
def test_it_does_not_pay_for_small_or_masked_or_narrow_data(rank):
    assert compressed(form(20, 30), cp(torch.rand(20, 3), torch.rand(30, 3))) is None
    big = form(1100, 1000)
    narrow = cp(torch.rand(1100, 200), torch.rand(1000, 200))
    assert compressed(big, narrow) is None
    masked = form(1100, 1000, weights=Weights(full=torch.rand(1100, 1000)))
    assert compressed(masked, cp(torch.rand(1100, 3), torch.rand(1000, 3))) is None
    assert compressed(big, cp(torch.rand(1100, 3), torch.rand(1000, 3))) is not None


def fits():
    a, b = fu.Dataset("a", counts(14, 15, 40)), fu.Dataset("b", counts(14, 15, 30, seed=0))
    t = fu.Dataset("t", counts(24, 26, 28, seed=2))
    weighed = fu.Dataset("a", counts(14, 15, 40), variance=1 + counts(14, 15, 40).mean((0, 1)))
    yield "nmf", NMF(a, 3), Frobenius(a)
    yield "gaussian", NMF(a, 3), Gaussian(a)
    yield "weights", NMF(weighed, 3), Frobenius(weighed)
    yield "cpd", CPD(t, 3), Frobenius(t)
    yield "tucker", Tucker(t, (3, 3, 3)), Frobenius(t)
    yield "coupled", SoftlyCoupled(a, b, 3), Frobenius(a) + Gaussian(b) + SquaredNorm("N", 0.01)
    yield "one of two", SharedMaps(a, b, K=3), Frobenius(a) + Poisson(b)
    yield "orthogonal", NMF(a, 3), Frobenius(a) + 0.01 * SoftOrthogonality("C")
    yield "ard", NMF(a, 3), Frobenius(a) + ARD("C")


FITS = {name: (model, loss) for name, model, loss in fits()}


@pytest.mark.parametrize("case", FITS)
def test_a_compressed_fit_is_as_good_as_a_full_one(case, small):
    model, loss = FITS[case]
    told = {"starts": 3, "seed": 1, "progress": False}
    full, quick = (fu.fit(model, loss, compress=c, **told) for c in (False, True))
    assert quick.loss <= full.loss + 1e-5 * abs(full.loss)
    for name, data in quick.data.items():
        assert data.explained_variance == pytest.approx(
            full.data[name].explained_variance, rel=1e-3
        )
    assert len(quick.losses) == 3
    if case not in ("ard", "orthogonal"):  # whose pieces are those of the step before
        with torch.no_grad():
            assert quick.loss == pytest.approx(float(loss(quick.model)), rel=1e-9)


def test_compressed_ard_ends_among_the_minima_that_full_fits_find(small):
    """With a component too many it has many, within a per cent: the last digit chooses."""
    a = fu.Dataset("a", counts(14, 15, 40))
    losses = {
        c: [
            fu.fit(
                NMF(a, 4), Frobenius(a) + ARD("C"), compress=c, starts=3, seed=s, progress=False
            ).loss
            for s in range(6)
        ]
        for c in (False, True)
    }
    assert np.median(losses[True]) <= np.median(losses[False]) * 1.003
    assert min(losses[True]) <= min(losses[False]) * 1.003
    assert max(losses[True]) <= max(losses[False]) * 1.005


def test_the_losses_of_all_starts_are_those_on_all_of_the_data(small):
    a = fu.Dataset("a", counts(14, 15, 40))
    result = fu.fit(NMF(a, 3), Frobenius(a), starts=4, progress=False)
    assert result.losses.min() == result.loss
    assert (result.losses < result.loss * 1.05).all()


# ---- sparse counts -------------------------------------------------------------------------------


def few(shape=(6, 7, 30), level=0.2, seed=0):
    return counts(*shape, level=level, seed=seed).astype(np.int64)


def axes(X):
    return [fu.Axis(n, size=s) for n, s in zip(("y", "x", "energy"), X.shape, strict=True)]


SPARSE = {
    "torch coo": lambda X: torch.from_numpy(X).to_sparse(),
    "torch csr": lambda X: torch.from_numpy(X.reshape(-1, X.shape[-1])).to_sparse_csr(),
    "scipy csr": lambda X: scipy.sparse.csr_matrix(X.reshape(-1, X.shape[-1])),
    "scipy coo": lambda X: scipy.sparse.coo_array(X.reshape(-1, X.shape[-1])),
    "sparse": lambda X: pytest.importorskip("sparse").COO.from_numpy(X),
}


@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.parametrize("fit", [Poisson, Frobenius, Gaussian])
def test_sparse_data_give_the_fit_of_dense_ones(kind, fit):
    X = few()
    dense = fu.Dataset("a", X, axes=axes(X))
    data = fu.Dataset("a", SPARSE[kind](X), axes=axes(X))
    assert data.shape == X.shape
    assert "sparse" in repr(data)
    told = {"starts": 2, "seed": 0, "progress": False, "max_steps": 20}
    made, wanted = (fu.fit(NMF(d, 3), fit(d), **told) for d in (data, dense))
    assert made.loss == pytest.approx(wanted.loss, rel=1e-8)
    for key in ("residual_map", "residual_spectrum", "mean_spectrum"):
        a, b = (getattr(r.data["a"], key) for r in (made, wanted))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["pixels", "channels"])
def test_masks_of_pixels_or_channels_hold_for_sparse_data(which):
    X = few()
    mask = np.random.default_rng(0).random(X.shape[:2] if which == "pixels" else X.shape[2:]) < 0.3
    dense = fu.Dataset("a", X, mask=mask)
    data = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=mask)
    told = {"starts": 1, "seed": 0, "progress": False, "max_steps": 20}
    made, wanted = (fu.fit(NMF(d, 3), Poisson(d), **told) for d in (data, dense))
    assert made.loss == pytest.approx(wanted.loss, rel=1e-8)


def test_sums_of_sparse_data_are_those_of_dense_ones():
    from fusion.tally import tally

    X = few()
    pixels, channels = np.random.default_rng(0).random((6, 7)) < 0.3, np.arange(30) < 4
    for mask in (None, channels, pixels, pixels[..., None] | channels):
        a = tally(fu.Dataset("a", X, mask=mask))
        b = tally(fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=mask))
        for key, value in vars(a).items():
            np.testing.assert_array_equal(value, getattr(b, key), err_msg=key)


def test_counts_of_one_place_add_up_and_zeros_are_dropped():
    i, j, x = np.array([0, 0, 1, 1]), np.array([2, 2, 0, 1]), np.array([1, 2, 0, 4])
    data = fu.Dataset("a", scipy.sparse.coo_matrix((x, (i, j)), (2, 3)))
    assert data.entries.x.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fu.Dataset("a", torch.zeros(3, 4).to_sparse()), "all values are zero"),
        (lambda: fu.Dataset("a", scipy.sparse.csr_matrix([[np.nan, 1.0]])), "NaN"),
        (lambda: fu.Dataset("a", scipy.sparse.csr_matrix([[1j, 1.0]])), "real"),
        (lambda: fu.Dataset("a", torch.eye(3).to_sparse()).numpy(), "todense"),
        (lambda: fu.Dataset("a", torch.eye(3).to_sparse()).remove_spikes(), "todense"),
    ],
)
def test_what_sparse_data_cannot_do_is_said(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_entries_may_not_be_masked_one_by_one():
    X = few()
    data = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=RNG.random(X.shape) < 0.1)
    with pytest.raises(ValueError, match="sparse"):
        fu.fit(NMF(data, 2), Poisson(data), progress=False)


def test_negative_entries_are_no_counts():
    data = fu.Dataset("a", scipy.sparse.csr_matrix([[1.0, -1.0], [2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"1 of 4 values are negative \(lowest -1\)"):
        fu.fit(NMF(data, 1), Poisson(data), progress=False)


def test_starts_of_a_batch_are_bent_one_by_one():
    """The metric over starts equals the metric of each."""
    whole = form(9, 8)
    L, R = torch.rand(2, 9, 3).double(), torch.rand(2, 8, 3).double()
    kind, _ = metric.closed(whole, CP(L[0], R[0]), SQUARE)
    scale = torch.tensor([1.0, 2.0]).double()
    together = kind(whole, SQUARE, (L, R), scale).product((L, R))
    for s in range(2):
        one = kind(whole, SQUARE, (L[s : s + 1], R[s : s + 1]), scale[s : s + 1])
        for a, b in zip(one.product((L[s : s + 1], R[s : s + 1])), together, strict=True):
            assert torch.allclose(a[0], b[s])


# ---- derivatives of constraints ------------------------------------------------------------------


@pytest.mark.parametrize("constraint", [NonNegative(), UnitColumns()])
def test_derivatives_in_closed_form_are_those_of_autograd(constraint):
    raw = torch.rand(2, 7, 3, dtype=torch.float64)
    raw[0, :, 1] = 0  # a column that is switched off
    v = torch.randn(2, 7, 3, dtype=torch.float64)
    made = constraint.derivative(raw)(v)
    _, wanted = torch.autograd.functional.jvp(lambda r: vmap(constraint)(r), raw, v)
    kept = [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]
    for s, k in kept:
        assert torch.allclose(made[s, :, k], wanted[s, :, k], rtol=1e-12, atol=1e-12)
    assert torch.isfinite(made).all()


def test_a_subclass_that_says_more_is_not_bypassed():
    """A helper stands for the method beside which it was written, not for one below it."""

    class Twice(Frobenius):
        def curvature(self, model, state):
            return 2 * super().curvature(model, state)

    class Half(NonNegative):
        def forward(self, raw):
            return 0.5 * raw.clamp_min(0)

    data = fu.Dataset("a", counts(4, 5, 6))
    model = NMF(data, 2)
    once, twice = (Objective(model, fu.Loss([(1.0, f(data))])) for f in (Frobenius, Twice))
    values = once.values(fu.Random().starts(once, 1, 0))
    v = {k: torch.ones_like(x) for k, x in values.items()}
    a, b = (FitCurvature(o, values, o.no_states())(v) for o in (once, twice))
    assert torch.allclose(2 * a["C"], b["C"], rtol=1e-10)

    class Own(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((data.pixels, 2), Half()), fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": cp(self.C, self.S)}

    told = {"starts": 2, "seed": 0, "progress": False}
    made, wanted = (fu.fit(m, Frobenius(data), **told) for m in (Own(), model))
    assert made.loss == pytest.approx(wanted.loss, rel=1e-4)


# ---- row by row ----------------------------------------------------------------------------------


def few_counts(*shape):
    """Most are zero, and yet there are some for every unknown."""
    rng = np.random.default_rng(3)
    C, S = rng.gamma(0.5, 1, (int(np.prod(shape[:-1])), 3)), rng.gamma(0.05, 1, (shape[-1], 3))
    mean = C @ S.T
    return rng.poisson(mean / mean.mean()).reshape(shape).astype(float)


def count_models():
    a, b = fu.Dataset("a", few_counts(14, 15, 200)), fu.Dataset("b", few_counts(14, 15, 180))
    pixels = RNG.random((14, 15)) < 0.2
    holes = fu.Dataset("a", few_counts(14, 15, 200), mask=pixels)
    yield "nmf", NMF(a, 3), Poisson(a)
    yield "mask", NMF(holes, 3), Poisson(holes)
    yield "shared maps", SharedMaps(a, b, K=3), Poisson(a) + 2 * Poisson(b)


COUNT_MODELS = {name: (model, loss) for name, model, loss in count_models()}


@pytest.mark.parametrize("case", COUNT_MODELS)
def test_row_newton_goes_down_and_ends_no_higher_than_gauss_newton(case):
    model, loss = COUNT_MODELS[case]
    told = {"starts": 4, "seed": 0, "progress": False}
    plain = fu.fit(model, loss, solver=fu.RowNewton(extrapolation=0.0, max_steps=60), **told)
    assert (np.diff(plain.history["Poisson(a)"]) <= 1e-9).all() or len(plain.data) > 1
    rows, full = (fu.fit(model, loss, solver=s, **told) for s in (fu.RowNewton(), fu.GaussNewton()))
    assert rows.loss <= full.loss + 1e-4 * abs(full.loss)
    assert np.isfinite(rows.losses).all()


def test_row_newton_is_what_counts_are_fitted_with():
    few = fu.Dataset("a", few_counts(14, 15, 200))
    many, thin = (fu.Dataset("a", counts(14, 15, 40, level=x)) for x in (50, 0.1))
    told = {"starts": 1, "max_steps": 2, "progress": False}
    assert fu.fit(NMF(few, 2), Poisson(few), **told).solver.startswith("RowNewton")
    for model, loss in (
        (NMF(many, 2), Poisson(many)),
        (NMF(thin, 2), Poisson(thin)),
        (NMF(few, 2), Frobenius(few)),
        (NMF(few, 2), Poisson(few) + 0.1 * SquaredNorm("C")),
    ):
        assert fu.fit(model, loss, **told).solver.startswith("GaussNewton")


@pytest.mark.parametrize("make", ["penalty", "sum", "many"])
def test_row_newton_says_what_it_cannot_do(make):
    few, many = fu.Dataset("a", few_counts(6, 7, 20)), fu.Dataset("a", counts(6, 7, 20, level=50))
    E = fu.Axis("energy", 1.0, 100.0, units="eV")
    raw, net = (fu.Dataset(n, few_counts(6, 7, 20), axes=["y", "x", E]) for n in ("raw", "net"))
    model, loss = {
        "penalty": (NMF(few, 2), Poisson(few) + 0.1 * SquaredNorm("C")),
        "sum": (WithBackground(raw, net, 2), Poisson(raw) + Poisson(net)),
        "many": (NMF(many, 2), Poisson(many)),
    }[make]
    with pytest.raises(ValueError, match=r"RowNewton.*use `GaussNewton\(\)`"):
        fu.fit(model, loss, solver=fu.RowNewton(), progress=False)


# ---- a first look at some of the pixels ----------------------------------------------------------


@pytest.fixture
def short(monkeypatch, small):
    """A sample of few pixels."""
    monkeypatch.setattr(sampling, "ROWS", 60)
    monkeypatch.setattr(sampling, "WORTH", 2)


@pytest.mark.parametrize("case", ["nmf", "gaussian", "weights", "shared", "poisson", "sparse"])
def test_what_a_sample_led_to_is_as_good_as_a_full_fit(case, short):
    X = counts(14, 15, 40)
    a, b = fu.Dataset("a", X), fu.Dataset("b", counts(14, 15, 30, seed=0))
    weighed = fu.Dataset("a", X, variance=(1 + X.mean(2, keepdims=True)) * (1 + X.mean((0, 1))))
    few = fu.Dataset("a", few_counts(14, 15, 40))
    thin = fu.Dataset("a", torch.from_numpy(few_counts(14, 15, 40)).to_sparse())
    model, loss = {
        "nmf": (NMF(a, 3), Frobenius(a)),
        "gaussian": (NMF(a, 3), Gaussian(a)),
        "weights": (NMF(weighed, 3), Frobenius(weighed)),
        "shared": (SharedMaps(a, b, K=3), Frobenius(a) + Frobenius(b)),
        "poisson": (NMF(few, 3), Poisson(few)),
        "sparse": (NMF(thin, 3), Poisson(thin)),
    }[case]
    assert sampling.sampled(Objective(model, loss if isinstance(loss, fu.Loss) else 1.0 * loss))
    told = {"starts": 4, "seed": 2, "progress": False}
    quick = fu.fit(model, loss, **told)
    sampling.ROWS = 10**9
    full = fu.fit(model, loss, compress=False, **told)
    assert quick.loss <= full.loss + 1e-4 * abs(full.loss)
    assert len(quick.losses) == 4
    assert quick["C"].shape == full["C"].shape


def test_a_sample_is_not_taken_where_it_would_be_another_problem(short):
    data = fu.Dataset("a", counts(14, 15, 40))

    class Counting(fu.Model):
        """Knows how many pixels there are."""

        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": cp(self.C.reshape(14, 15, 2).flip(0).reshape(210, 2), self.S)}

    for model, loss in (
        (NMF(data, 2), Frobenius(data) + 0.1 * SquaredNorm("C")),
        (Counting(), 1.0 * Frobenius(data)),
        (CPD(data, 2), 1.0 * Frobenius(data)),
    ):
        assert sampling.sampled(Objective(model, loss)) is None


def test_the_whole_block_of_a_core_is_the_probed_one():
    T = fu.Dataset("t", counts(5, 6, 7, seed=2))
    objective = Objective(Tucker(T, (2, 3, 2)), fu.Loss([(2.0, Frobenius(T))]))
    values = objective.values(fu.Random().starts(objective, 2, 0))
    fits = FitCurvature(objective, values, objective.no_states())
    made = fits.block_of_core("core")
    for i in range(12):
        probe = torch.zeros(2, 12, dtype=torch.float64)
        probe[:, i] = 1
        column = fits.own("core", probe.reshape(2, 2, 3, 2)).reshape(2, 12)
        assert torch.allclose(made[:, :, i], column, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1e-3, 20.0]).double()])
def test_the_inverse_of_a_block_undoes_it_on_the_free_variables(weight):
    """Also where the rows have weights: they must not be counted twice."""
    A = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    block = Block(slice(0, 12), 3, A @ A.mT + torch.eye(4).double(), weight)
    free = (torch.rand(2, 12) < 0.7).double()
    damped = 0.1 * block.matrix
    v = torch.randn(2, 12, dtype=torch.float64) * free
    there = (block.times(v, block.matrix + damped)) * free
    back = torch.full_like(v, torch.nan)
    block.solve(back, there, _inverse(block, damped, free))
    assert torch.allclose(back, v, atol=1e-9)


def test_a_penalised_core_of_some_size_is_fitted():
    T = fu.Dataset("t", counts(10, 11, 12, seed=2))
    model = Tucker(T, (4, 5, 4))
    loss = Frobenius(T) + 0.1 * SquaredNorm("core")
    result = fu.fit(model, loss, starts=1, seed=0, progress=False, max_steps=20)
    assert result.loss < float(loss(model).detach())


def test_what_was_stopped_in_a_sample_does_not_go_on(short):
    data, steps = fu.Dataset("a", counts(14, 15, 40)), []

    def stop(step, losses):
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return False

    result = fu.fit(NMF(data, 3), Frobenius(data), progress=False, callback=stop)
    assert "interrupted" in result.status
    assert len(steps) < 10
    assert np.isfinite(result.loss)


def test_pixels_and_channels_may_both_be_masked_in_sparse_data():
    X = few()
    pixels, channels = np.random.default_rng(0).random((6, 7)) < 0.3, np.arange(30) < 4
    thin = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=pixels).masked(channels)
    dense = fu.Dataset("a", X, mask=pixels).masked(channels)
    told = {"starts": 1, "seed": 0, "progress": False, "max_steps": 20}
    for fit in (Frobenius, Poisson):
        made, wanted = (fu.fit(NMF(d, 3), fit(d), **told) for d in (thin, dense))
        assert made.loss == pytest.approx(wanted.loss, rel=1e-8)
    form = thin.form(thin.matrix_shape, torch.device("cpu"), torch.float64)
    assert not set(form.held.j.tolist()) & set(range(4))
