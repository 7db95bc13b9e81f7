"""At.% of phases by espm 1.1.3, through its documented calls; run by a Python that has it.

python espm_beside.py MAP.npz OUT.json     MAP.npz: as edxs_phases.npz of the shared data

espm is GPL-3.0-or-later and stays in an environment of its own. It is given what would be hard to
find out: the true calibration, the width of lines, the mean mass thickness, and X-ray tables scaled
to the k factors. OUT.json has the at.% of every setting, so that the best can be taken.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SHELLS = "KLM"
MAIN_CURVE = "SDD_efficiency.txt"
TABLES = "200keV_xrays.json"
CUT = 3.0
"""keV between a K shell and an L shell of one element that are fitted apart."""
WIDTH = (0.01, 0.065)
"""Slope and intercept in keV of the full width: its default, nearer than a chord of the truth."""
LOWEST = 0.15
"""keV: its efficiency curve begins at 0.1."""
ITERATIONS = 2000


class Setting(NamedTuple):
    """One way to call it: tables scaled or as they are, g/cm², shells apart or not."""

    scaled: bool
    mass_thickness: float
    apart: bool


class Map(NamedTuple):
    """Counts (y, x, channel), their calibration, elements and k factors."""

    counts: np.ndarray
    scale: float
    start: float
    elements: list[str]
    k: Mapping[str, float]
    elevation: float
    components: int
    mass_thickness: float


def read(path: str) -> Map:
    """The map with the energies that its lines really have."""
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    gain, offset = float(held["gain"]), float(held["offset_kev"])
    kept = held["energy"] >= LOWEST
    energy = (held["energy"][kept] - offset) / gain
    size = len(energy)
    thickness = 1e-7 * held["thickness_nm"].mean() * held["density"].mean()
    return Map(
        held["data"][..., kept].astype(float),
        (energy[1] - energy[0]) * (size - 1) / size,  # its axis is longer by size/(size − 1)
        float(energy[0]),
        [str(element) for element in held["elements"]],
        dict(zip(map(str, held["k_names"]), held["k_atomic_vs_SiKa"].tolist(), strict=True)),
        float(held["elevation_deg"]),
        len(held["phases"]),
        float(thickness),
    )


def scaled_tables(k: Mapping[str, float], folder: Path) -> str:
    """espm's X-ray tables, every shell scaled to its k factor; the path of the file."""
    from espm.conf import DB_PATH
    from espm.models.absorption_edxs import det_efficiency_from_curve
    from exspy.material import elements as periodic

    tables = json.loads((DB_PATH / TABLES).read_text(encoding="utf-8"))
    for name, factor in k.items():
        element, shell = name.split()
        if shell not in SHELLS:
            continue
        number = str(periodic[element]["General_properties"]["Z"])
        lines = [row for line, row in tables["table"][number].items() if line[0] == shell]
        at = np.array([row["energy"] for row in lines])
        inside = (at > 0.1) & (at < 15.0)
        seen = np.zeros(len(at))
        seen[inside] = det_efficiency_from_curve(at[inside], MAIN_CURVE)
        total = seen @ [row["cs"] for row in lines]
        for row in lines:
            row["cs"] *= 1e-21 / factor / total
    path = folder / "scaled_xrays.json"
    path.write_text(json.dumps(tables), encoding="utf-8")
    return str(path)


def signal(given: Map, setting: Setting, tables: str) -> Any:
    """The map as espm's signal, its matrix of lines and continuum built."""
    import hyperspy.api as hs

    made = hs.signals.Signal1D(given.counts)
    made.set_signal_type("EDS_espm")
    axis = made.axes_manager[-1]
    axis.name, axis.units, axis.scale, axis.offset = "Energy", "keV", given.scale, given.start
    made.set_microscope_parameters(
        beam_energy=200.0, azimuth_angle=0.0, elevation_angle=given.elevation, tilt_stage=0.0
    )
    made.add_elements(given.elements)
    slope, intercept = WIDTH
    made.set_analysis_parameters(
        thickness=setting.mass_thickness,  # in cm, of a density of 1
        density=1.0,
        detector_type=MAIN_CURVE,
        width_slope=slope,
        width_intercept=intercept,
        xray_db=tables,
    )
    split = dict.fromkeys(("Fe", "Ti"), CUT) if setting.apart else {}
    made.build_G("bremsstrahlung", ignored_elements=[], elements_dict=split)
    return made


def atomic(given: Map, setting: Setting, tables: str) -> np.ndarray:
    """At.% (component, element) by one setting."""
    from espm.estimators import SmoothNMF
    from exspy.material import elements as periodic

    made = signal(given, setting, tables)
    estimator = SmoothNMF(
        n_components=given.components,
        G=made.model,
        shape_2d=made.shape_2d,
        hspy_comp=True,
        simplex_H=True,
        simplex_W=False,
        tol=1e-7,
        max_iter=ITERATIONS,
        random_state=0,
        verbose=0,
    )
    made.decomposition(algorithm=estimator, print_info=False)
    names, rows = made.model.model_elts, []  # "26", or "26_lo" and "26_hi": K is the second
    for element in given.elements:
        number = str(periodic[element]["General_properties"]["Z"])
        mine = [i for i, name in enumerate(names) if name.split("_")[0] == number]
        rows.append(estimator.W_[mine[-1]])
    W = np.array(rows).T
    return 100 * W / W.sum(1, keepdims=True)


def settings(given: Map) -> Iterator[Setting]:
    """All that are tried."""
    yield Setting(scaled=False, mass_thickness=given.mass_thickness, apart=False)
    for times in (0.0, 1.0, 1.5, 2.0):
        for apart in (False, True):
            yield Setting(True, times * given.mass_thickness, apart)


def main(path: str, out: str) -> None:
    """Fit with every setting, and write what was found after each."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    given, found = read(path), []
    with tempfile.TemporaryDirectory() as folder:
        own = scaled_tables(given.k, Path(folder))
        for setting in settings(given):
            made = atomic(given, setting, own if setting.scaled else TABLES)
            found.append({"setting": setting._asdict(), "atomic": made.tolist()})
            told = {"elements": given.elements, "runs": found}
            Path(out).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
