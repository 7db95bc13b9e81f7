"""How often intervals of areas, ratios and shifts hold the truth, over draws of the noise."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.edges import scene
from tests.helpers.planted_factors import unit

DRAWS = 12
LINES = {"L3": (634.0, 647.0), "L2": (647.5, 660.0)}


@pytest.fixture(scope="module")
def deviations():
    """{what: (answer − truth) / standard error, (draw, …)}; no shift between 1 and 3 of `alike`."""
    S, made = scene.spectra(), {}
    for seed in range(DRAWS):
        result = scene.result_of(S, noise=0.03, seed=seed)
        result.model.single_scattering = ("S",)
        told = read(result), read(scene.without_noise(result, unit(S)))
        for name, (value, error) in told[0].items():
            made.setdefault(name, []).append((value - told[1][name][0]) / error)
        shift, error = told[0]["shift"]
        made.setdefault("planted shift", []).append(
            (shift - scene.STEP * np.array(scene.SHIFTS[1:])) / error
        )
    return {name: np.array(each) for name, each in made.items()}


def read(result: fu.Result) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    areas = fu.edges.areas(result, {"a": (638, 645), "b": (660, 680)}, progress=False)
    lines = fu.edges.white_lines(
        result, behind=(672, 684), width=scene.WIDTH, progress=False, **LINES
    )
    onsets = fu.edges.onset_shifts(result, (628, 646), progress=False)
    return {
        "area": (areas.values, areas.errors),
        "line": (lines.areas, lines.area_errors),
        "ratio": (lines.ratio, lines.ratio_errors),
        "branching": (lines.branching, lines.branching_errors),
        "step": (lines.step, lines.step_errors),
        "onset": (onsets.onsets, onsets.onset_errors),
        "shift": (onsets.shifts[1:], onsets.shift_errors[1:]),
    }


@pytest.mark.parametrize(
    "what", ["area", "line", "ratio", "branching", "step", "onset", "shift", "planted shift"]
)
def test_intervals_hold_the_truth_as_often_as_they_say(deviations, what):
    z = deviations[what]
    assert 0.85 <= np.mean(np.abs(z) < 1.96) <= 1.0
    assert 0.65 < np.sqrt(np.mean(z**2)) < 1.3
