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


def test_the_row_is_for_comparison_and_no_bar(runs):
    line = rows.measured(edxs.ROWS["limit"], runs)
    assert line.passed is None
    assert "of 2 draws ≤ 1.5" in line.measured
