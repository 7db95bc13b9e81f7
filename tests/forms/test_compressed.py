"""Data in a few directions a mode, against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.prediction import cp, tucker
from fusion.forms import compressed as compression
from fusion.forms.compressed import compressed
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality, SquaredNorm
from fusion.models import CPD, NMF, SharedMaps, SoftlyCoupled, Tucker
from tests.helpers.planted_factors import counts


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


def test_a_sample_of_the_rows_prepares_the_directions_of_all(monkeypatch):
    """Poisson counts of three components: what is left out is noise, as without the sample."""
    whole = form(400, 30, rank=3)
    X = whole.array
    best = float(torch.linalg.svdvals(X)[8:].square().sum())
    for rows in (20, 10_000):
        monkeypatch.setattr(compression, "ROWS", rows)
        left, right = compression._low_rank_pair(whole, 8)
        lost = float((X - left @ right.T).square().sum())
        assert best <= lost <= 1.1 * best
        assert torch.allclose(left, X @ right, atol=1e-4), "rows are kept as they are"


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
    full = torch.rand(1100, 1000).clamp_min(0.1)
    full[3, 7] = 0  # a masked entry must not be read, whatever its row and column have
    masked = form(1100, 1000, weights=Weights(full=full))
    assert compressed(masked, cp(torch.rand(1100, 3), torch.rand(1000, 3))) is None
    assert compressed(big, cp(torch.rand(1100, 3), torch.rand(1000, 3))) is not None


def test_weights_of_every_entry_are_taken_as_of_rows_times_columns_meanwhile(small):
    rows, columns = torch.rand(40, 1).double(), torch.rand(50).double()
    rows[5] = 0
    M = cp(torch.rand(40, 3).double(), torch.rand(50, 3).double())
    exact = compressed(form(40, 50, weights=Weights(rows=rows[:, 0], cols=columns)), M)
    near = compressed(form(40, 50, weights=Weights(full=rows * columns)), M)
    assert exact is not None
    assert near is not None
    assert torch.allclose(near.norm2(), exact.norm2())
    assert torch.allclose(near.overlap(M), exact.overlap(M))


def fits():
    a, b = fu.Dataset("a", counts(14, 15, 40)), fu.Dataset("b", counts(14, 15, 30, seed=0))
    t = fu.Dataset("t", counts(24, 26, 28, seed=2))
    weighed = fu.Dataset("a", counts(14, 15, 40), variance=1 + counts(14, 15, 40).mean((0, 1)))
    yield "nmf", NMF(a, 3), Frobenius(a)
    yield "gaussian", NMF(a, 3), Gaussian(a)
    yield "weights", NMF(weighed, 3), Frobenius(weighed)
    entries = fu.Dataset("a", counts(14, 15, 40), variance=1 + counts(14, 15, 40))
    yield "weights of entries", NMF(entries, 3), Frobenius(entries)
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
    told = {"solver": fu.GaussNewton(tolerance=1e-6), "starts": 3, "progress": False}
    losses = {
        c: [
            fu.fit(NMF(a, 4), Frobenius(a) + ARD("C"), compress=c, seed=s, **told).loss
            for s in range(2)
        ]
        for c in (False, True)
    }
    assert np.median(losses[True]) <= np.median(losses[False]) * 1.003
    assert min(losses[True]) <= min(losses[False]) * 1.003
    assert max(losses[True]) <= max(losses[False]) * 1.005


def test_the_losses_of_all_starts_are_those_on_all_of_the_data(small):
    a = fu.Dataset("a", counts(14, 15, 40))
    result = fu.fit(NMF(a, 3), Frobenius(a), starts=4, race=False, progress=False)
    assert result.losses.min() == result.loss
    assert (result.losses < result.loss * 1.05).all()
