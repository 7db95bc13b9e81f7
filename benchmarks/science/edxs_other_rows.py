"""Rows on simulated maps, on a measured spectrum, and beside espm."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.science import edxs_product as product
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.edxs_rows import Measured
from benchmarks.science.edxs_scenes import (
    CANDIDATES,
    CHANNELS,
    OXIDES,
    Scene,
    candidate_maps,
    oxides,
)
from benchmarks.science.edxs_scores import Found, against
from benchmarks.science.edxs_simulator import Specimen
from benchmarks.science.rows import Row

ESPM = Path(__file__).with_name("espm_beside.py")
ESPM_PYTHON = "ESPM_PYTHON"
HOW = (
    "python -m venv ESPM && ESPM/bin/pip install espm==1.1.3, then "
    f"{ESPM_PYTHON}=ESPM/bin/python in the environment"
)
STRONTIUM_TITANATE = {"Sr": 1, "Ti": 1, "O": 3}
DOPANT = "Nb"
OTHERS = ("C", "Cu")
"""Dirt and grid, which send X-rays as well."""
ELEVATION = 18.0
"""Degrees: 0.31416 rad, as the four detectors of the file say."""
RANGE = (0.2, 20.0)
"""keV: below is the peak of the electronics at 0."""


def continuum(leaving: Callable[..., Any]) -> Callable[[Runs], Measured]:
    """What measures at.% of a simulation whose continuum leaves so."""

    def measure(runs: Runs) -> Measured:
        scene = oxides(leaving)
        found = product.compositions(
            _dataset(scene), scene.elements, len(OXIDES), product.k_factors(scene.k_factors)
        )
        one = against(found, scene.elements, scene.atomic)
        return f"{one.worst:.2f} at.%", one.worst <= 1.0

    return measure


def present(runs: Runs) -> Measured:
    """Elements that are named though absent, and those that are there and are not."""
    named, absent, others, missed = 0, 0, 0, []
    for number, scene in enumerate(candidate_maps()):
        found = set(product.present(_dataset(scene)))
        away = set(CANDIDATES) - set(scene.elements)
        named, absent = named + len(found & away), absent + len(away)
        others += len(found - set(CANDIDATES))
        missed += [f"{e} {at:.1f} (map {number})" for e, at in scene.overall.items()
                   if at >= 1 and e not in found]  # fmt: skip
    said = f"{named} of {absent} absent named, {others} that are no candidates"
    passed = not missed and 20 * (named + others) <= absent
    return f"{said}; missed: {', '.join(missed) or 'none'}", passed


def strontium_titanate(runs: Runs) -> Measured:
    """Sr, Ti and O of a measured spectrum, by computed k factors."""
    found = _measured(runs)
    atomic, _, intervals = (values[0] for values in found.of(list(STRONTIUM_TITANATE), [0]))
    formula = np.array(list(STRONTIUM_TITANATE.values()))
    truth = formula / formula.sum() * atomic.sum()
    low, high = intervals.T
    inside, half = (low <= truth) & (truth <= high), (high - low) / 2
    each = zip(STRONTIUM_TITANATE, atomic, half, truth, strict=True)
    said = ", ".join(f"{e} {a:.1f} ± {h:.1f} ({t:.1f})" for e, a, h, t in each)
    return f"{said} at.%", bool(inside.all() and (half <= 10).all())


def niobium(runs: Runs) -> Measured:
    """The dopant: an interval above 0, or an upper limit."""
    atomic, _, intervals = _measured(runs).of([DOPANT], [0])
    low, high = intervals[0, 0]
    said = f"{atomic[0, 0]:.2f} ({low:.2f} to {high:.2f})" if low > 0 else f"≤ {high:.2f}"
    return f"{said} at.%", bool(np.isfinite(high) and high > 0)


def beside_espm(runs: Runs) -> Measured:
    """espm's error, of the best of its settings, over ours."""
    python = os.environ.get(ESPM_PYTHON)
    if python is None:
        return f"not run: {HOW}", None
    ours = runs.beside(runs.default).worst
    tried = by_espm(python, runs.data / "physics_cases/edxs_phases.npz")
    worst = [runs.beside(found).worst for found in tried]
    said = f"{ours:.2f}, espm {min(worst):.2f} (as a rule {worst[0]:.0f}) at.%"
    return said, ours <= min(worst) / 5


def by_espm(python: str, path: Path) -> list[Found]:
    """What espm finds on a map, with each of its settings.

    Args:
        python: of an environment that has espm.
        path: of the map.

    Raises:
        RuntimeError: with the last line of what it wrote, if there is no answer.
    """
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "espm.json"
        command = [python, str(ESPM), str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, env=apart)
        if done.returncode or not out.exists():
            raise RuntimeError((done.stderr.strip() or "no answer").splitlines()[-1])
        told = json.loads(out.read_text(encoding="utf-8"))
    return [_without_errors(told["elements"], run["atomic"]) for run in told["runs"]]


def _without_errors(elements: list[str], atomic: Any) -> Found:
    empty = np.full(np.shape(atomic), np.nan)
    return Found(tuple(elements), np.array(atomic), empty, np.stack([empty, empty], -1))


def _measured(runs: Runs) -> Found:
    path = runs.data / "vendor/EDS-STO.emd"
    data = product.measured(path, "eds", elevation=ELEVATION, range_kev=RANGE)
    return product.compositions(data, [*STRONTIUM_TITANATE, DOPANT], 1, others=OTHERS)


def _dataset(scene: Scene) -> Any:
    seen_by = scene.instrument
    return product.dataset(scene.counts, CHANNELS, beam=seen_by.beam, elevation=seen_by.elevation)


ROWS = (
    Row("absorbed", "simulated, continuum absorbed: worst at.%", "≤ 1.0 off",
        continuum(Specimen.escaping)),
    Row("unabsorbed", "simulated, continuum not absorbed: worst at.%", "≤ 1.0 off",
        continuum(Specimen.all)),
    Row("espm", "`edxs_phases`: worst at.% beside espm 1.1.3", "≤ 1/5 of espm's", beside_espm),
    Row("sto", "`EDS-STO.emd`: Sr : Ti : O = 1 : 1 : 3", "inside, each ≤ ± 10",
        strontium_titanate),
    Row("niobium", "`EDS-STO.emd`: Nb", "found, or its limit", niobium),
    Row("present", "20 maps: elements found", "≤ 1 in 20 absent ones; all of ≥ 1 at.%", present),
)  # fmt: skip
