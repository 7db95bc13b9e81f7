"""Counts of groups of pixels stand for all data: slope, curvature, and the answer of few counts."""

from __future__ import annotations

from functools import cache

import dask.array as da
import numpy as np
import pytest
import torch
from scipy import sparse

import fusion as fu
from benchmarks.blocks import spectra
from fusion.blocks import way
from fusion.blocks.first_look import first_problem
from fusion.blocks.group_step import GroupStep
from fusion.blocks.on_rows import scans_of
from fusion.blocks.pixel_groups import PixelGroups, SummedCounts
from fusion.blocks.work import settle
from fusion.constraints import NonNegative
from fusion.losses import L1, BetaDivergence, Gaussian, Poisson, Smoothness
from fusion.models import NMF
from fusion.solvers import GaussNewton, Watch
from tests.helpers.block_data import K, by_blocks, counted, in_memory, lazy, planted, same_answer

FEW_SCAN, FEW_CHANNELS = (64, 64), 128
FEW, LINES = planted(FEW_SCAN, FEW_CHANNELS, seed=4)
AMOUNTS = np.random.default_rng(0).gamma(0.5, 2.0, (64 * 64, K)) * 64 / K
COUNTS = counted(AMOUNTS, spectra(FEW_CHANNELS)[:, :K], scan=FEW_SCAN, level=1)
"""Half a count a channel, of amounts that differ much from pixel to pixel."""
PIXELS = counted(FEW, LINES + 0.02, scan=FEW_SCAN, level=60).reshape(-1, FEW_CHANNELS)[:800]


class Plain(fu.Model):
    """Spectra of any norm, so that one entry can be moved alone."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative())
        self.S = fu.Factor((data.channels, K), NonNegative())

    def forward(self):
        return {"a": fu.cp(self.C, self.S)}


def posed(array, **options):
    data = fu.Dataset("a", array, axes=["pixel", "channel"], **options)
    model, loss = Plain(data), 1.0 * Poisson(data)
    return data, first_problem(model, loss, scans_of(model, loss)), model


def groups_of(problem, data, spectra, centres):
    """(what the pixels at their minimum add up to, the counts of groups around these rows)."""
    groups = PixelGroups.of("C", torch.from_numpy(centres), {"a": torch.from_numpy(spectra)})
    made = settle(problem, {"S": torch.from_numpy(spectra)}, {"a": data}, {}, groups=groups)
    summed = SummedCounts(groups, {"a": "S"}, {"a": data})
    summed.add(made.grouped)
    return made, summed


def test_pixels_of_one_composition_have_slope_and_curvature_of_their_sum():
    rng = np.random.default_rng(0)
    S = LINES[::4] + 0.1
    kinds = rng.dirichlet(np.ones(K), 5)
    amounts = rng.integers(1, 6, 40)
    x = amounts[:, None] * rng.poisson(8 * kinds @ S.T)[np.arange(40) % 5]  # multiples, exactly
    data, problem, _ = posed(x)
    own = settle(problem, {"S": torch.from_numpy(S)}, {"a": data}, {})
    centres = own.rows["C"][:5]
    made, summed = groups_of(problem, data, S, centres)
    datasets, rows = summed.taken()
    np.testing.assert_array_equal(datasets["a"].tensor.numpy().sum(0), x.sum(0))
    assert len(rows) == 5
    few = settle(problem, {"S": torch.from_numpy(S)}, datasets, {"C": rows})
    for kind in ("gradient", "counts", "bends"):
        mine, theirs = getattr(few.sums, kind)["S"], getattr(made.sums, kind)["S"]
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * abs(theirs).max())


@pytest.mark.parametrize("level", [2, 400], ids=["listed", "dense"])
def test_counts_of_groups_are_those_of_their_pixels_whatever_the_blocks(level):
    x = counted(FEW, LINES + 0.02, scan=FEW_SCAN, level=level).reshape(-1, FEW_CHANNELS)[:600]
    mask = np.zeros(600, bool)
    mask[5:9] = True
    data, problem, _ = posed(x, mask=mask)
    S = torch.from_numpy(LINES + 0.05)
    groups = PixelGroups.of("C", torch.from_numpy(FEW[:50] + 1e-3), {"a": S})
    totals = []
    for parts in ([slice(0, 600)], [slice(400, 600), slice(0, 150), slice(150, 400)]):
        summed = SummedCounts(groups, {"a": "S"}, {"a": data})
        rows = torch.zeros(600, K, dtype=torch.float64)
        for part in parts:
            piece = fu.Dataset("a", x[part], axes=["pixel", "channel"], mask=mask[part])
            made = settle(problem, {"S": S}, {"a": piece}, {}, groups=groups)
            rows[part] = torch.as_tensor(made.rows["C"])
            summed.add(made.grouped)
        totals.append(summed.counts["a"].copy())
        group = groups.nearest(rows)
        member = sparse.coo_array((~mask * 1.0, (group, np.arange(600))), shape=(50, 600))
        np.testing.assert_allclose(totals[-1], member.tocsr() @ x, rtol=1e-12)
    assert totals[0].sum() == x[~mask].sum()


@cache
def at_the_least():
    """Spectra at which the loss of these pixels is least."""
    data, _, model = posed(PIXELS)
    return in_memory(model, 1.0 * Poisson(data), solver=GaussNewton(tolerance=1e-12))["S"]


def test_calibrated_counts_have_the_slope_that_is_asked_for():
    S = at_the_least() * np.random.default_rng(0).uniform(0.9, 1.1, (FEW_CHANNELS, K))
    data, problem, model = posed(PIXELS)
    made, summed = groups_of(problem, data, S, FEW[:12] + 1e-3)  # so few that slopes are off
    step = GroupStep(model, problem, [], {"S": torch.from_numpy(S)}, summed)
    wanted = made.sums.gradient["S"]
    before = np.abs(step.sums.gradient["S"] - wanted).max()
    step.step(made.sums, Watch())
    after = np.abs(step.sums.gradient["S"] - wanted).max()
    assert before > 1e-2 * np.abs(wanted).max()
    assert after < 0.05 * before


def test_a_step_from_the_least_of_all_data_stays_there():
    S = at_the_least()
    data, problem, model = posed(PIXELS)
    made, summed = groups_of(problem, data, S, FEW[:40] + 1e-3)
    step = GroupStep(model, problem, [], {"S": torch.from_numpy(S)}, summed)
    new, promised = step.step(made.sums, Watch())
    assert 0 <= promised < 1e-6 * PIXELS.sum()
    assert fu.spectral_angle(new["S"].numpy(), S).max() < 0.05


@cache
def few_counts() -> tuple[fu.Result, list[float]]:
    """The answer in seven passes, and by how much each step promised to lower the loss."""
    data, promised, plain = fu.Dataset("edxs", lazy(COUNTS, (16, 32))), [], way.Way.next

    def next(self, descent, begun):
        plain(self, descent, begun)
        promised.append(self.promised)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(way.Way, "next", next)
        result = by_blocks(NMF(data, K), Poisson(data), sample=512, settings={"passes": 7})
    return result, promised


def test_few_counts_reach_the_answer_in_memory_in_seven_passes():
    data = fu.Dataset("edxs", COUNTS)
    whole = in_memory(NMF(data, K), Poisson(data))
    result, _ = few_counts()
    assert int(result.solver.split(" passes")[0].split()[-1]) <= 7
    same_answer(result, whole, loss=1e-6, degrees=0.05)


def test_a_step_on_few_counts_brings_what_it_promises():
    result, promised = few_counts()
    fell = -np.diff(result.history["loss"])
    assert (fell[:3] > 0).all()
    np.testing.assert_allclose(fell[:2], promised[:2], rtol=0.3)


@pytest.mark.parametrize(
    "loss",
    [
        lambda data: Poisson(data) + 5.0 * Smoothness("S"),
        lambda data: Poisson(data) + 1e-3 * L1("C"),
        lambda data: BetaDivergence(data, beta=0.5),
    ],
    ids=["smooth spectra", "sparse maps", "beta divergence"],
)
def test_beside_other_terms_counts_reach_the_answer_too(loss):
    small = counted(FEW[:480], LINES[::4] + 0.05, scan=(20, 24), level=100) + 1
    whole, parts = (fu.Dataset("edxs", x) for x in (small, lazy(small, (5, 24))))
    one = by_blocks(NMF(parts, K), loss(parts), sample=200, settings={"passes": 9})
    other = in_memory(NMF(whole, K), loss(whole))
    assert one.loss == pytest.approx(other.loss, rel=1e-5)


def test_masked_pixels_and_channels_of_few_counts_do_not_count():
    mask = np.zeros(COUNTS.shape, bool)
    mask[:3, :20] = True
    mask[..., 30:34] = True
    spoilt = COUNTS.copy()
    spoilt[mask] = 5000
    whole = fu.Dataset("edxs", COUNTS, mask=mask)
    parts = fu.Dataset("edxs", da.from_array(spoilt, chunks=(16, 32, -1)), mask=mask)
    result = by_blocks(NMF(parts, K), Poisson(parts), sample=512)
    same_answer(result, in_memory(NMF(whole, K), Poisson(whole)), degrees=0.1)


@pytest.mark.parametrize("kind", ["one entry in fifty masked", "beta divergence"])
def test_rows_that_are_neither_squares_nor_plain_counts_are_at_their_least(kind):
    """With next to no damping they stood still where they began, and the fit called it the end."""
    x = COUNTS.reshape(-1, FEW_CHANNELS)[:1000].astype(float)
    mask = np.random.default_rng(0).random(x.shape) < 0.02 if "masked" in kind else None
    loss = Poisson if "masked" in kind else lambda d: BetaDivergence(d, beta=0.5)
    x = x if "masked" in kind else x + 1
    data = fu.Dataset("a", x, axes=["pixel", "channel"], mask=mask)
    model, terms = Plain(data), 1.0 * loss(data)
    S = spectra(FEW_CHANNELS)[:, :K].copy()
    S[1e-3 * S.max() > S] = 1e-6
    S, rows = torch.from_numpy(S), torch.from_numpy(AMOUNTS.mean(0)).expand(1000, K)
    problem = first_problem(model, terms, scans_of(model, terms))
    made = settle(problem, {"S": S}, {"a": data}, {"C": rows})
    C = torch.from_numpy(made.rows["C"]).requires_grad_()
    m = C @ S.T
    if "masked" in kind:
        kept = torch.from_numpy(~mask)
        (m - torch.from_numpy(x) * (m + 1e-30).log())[kept].sum().backward()
    else:
        b, y = 0.5, torch.from_numpy(x)
        (m**b / b - y * m ** (b - 1) / (b - 1)).sum().backward()
    size = S.sum(0)
    assert (C.grad / size).min() > -1e-2
    assert (C.grad / size)[C.detach() > 1e-6].abs().max() < 1e-2


def test_gaussian_steps_are_made_on_the_sample():
    data = fu.Dataset("edxs", lazy(COUNTS[:20, :24], (10, 12)))
    seen = []
    original = GroupStep.__init__

    class Noted(GroupStep):
        def __init__(self, *args):
            seen.append(1)
            original(self, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fusion.blocks.descent.GroupStep", Noted)
        by_blocks(NMF(data, K), Gaussian(data), settings={"passes": 3})
        assert not seen
        by_blocks(NMF(data, K), Poisson(data), settings={"passes": 3})
        assert seen
