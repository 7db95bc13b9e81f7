"""What is said to be known where counts alone limit compositions, on a small map."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science import edxs, rows
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.edxs_limit import KnownMaps
from benchmarks.science.edxs_simulator import Specimen, bremsstrahlung, characteristic
from tests.helpers.edxs_stand_in import INSTRUMENT, small_scene, write_cases


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_cases(folder, small_scene())
    return Runs(folder, 2)


@pytest.fixture
def case(runs):
    """The small map with two phases in every pixel."""
    amounts = runs.phases.amounts.sum() / 60 * np.random.default_rng(0).uniform(0.2, 2, (2, 30))
    return replace(runs.phases, amounts=amounts)


@pytest.mark.parametrize("heights", [(1.0, 1.0), (2.0, 3.0)])
def test_counts_without_noise_give_the_true_compositions(case, heights):
    specimen = Specimen(case.elements, case.amounts.T @ (case.atomic / 100))
    told = INSTRUMENT, specimen, case.channels
    counts = heights[0] * characteristic(*told) + heights[1] * bremsstrahlung(*told)
    counts *= 1000 / counts.sum(1).mean()
    known = KnownMaps.of(INSTRUMENT, case, None if heights == (1.0, 1.0) else counts)
    assert known.atomic(counts) == pytest.approx(case.atomic, abs=0.02)


def test_noise_moves_them_less_the_more_counts_there_are(case):
    rng = np.random.default_rng(0)
    known = KnownMaps.of(INSTRUMENT, case)
    expected = np.einsum("kp,ki,ipc->pc", case.amounts, case.atomic, known.photons)
    expected /= expected.sum(1).mean()
    few, many = (
        np.abs(known.atomic(rng.poisson(dose * expected)) - case.atomic).max()
        for dose in (30, 30_000)
    )
    assert 0 < 5 * many < few


def test_the_rows_are_for_comparison_and_no_bars(runs):
    line = rows.measured(edxs.ROWS["limit"], runs)
    assert line.passed is None
    assert "of 2 draws ≤ 1.5" in line.measured
    line = rows.measured(edxs.ROWS["no-bias"], runs)
    assert line.passed is None
    assert line.measured.startswith("worst ")


def test_the_estimate_without_bias_is_as_far_off_as_it_says_and_has_none(case):
    rng = np.random.default_rng(0)
    known = KnownMaps.of(INSTRUMENT, case)
    expected = np.einsum("kp,ki,ipc->pc", case.amounts, case.atomic, known.photons)
    expected *= 3000 / expected.sum(1).mean()
    linear = known.first_order(case.atomic, expected)
    drawn = rng.poisson(expected, (200, *expected.shape))
    off = np.array([linear.off(each) for each in drawn])
    there = case.atomic > 0
    assert off.std(0)[there] == pytest.approx(linear.errors[there], rel=0.2)
    assert (np.abs(off.mean(0)[there]) < 4 * linear.errors[there] / 200**0.5).all()
