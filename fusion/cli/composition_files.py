"""Files and words of compositions that a command found."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.cli.findings import Findings
from fusion.data.dataset import Dataset
from fusion.elements.composition_maps import CompositionMaps
from fusion.elements.found_told import Finding
from fusion.elements.modelled_composition import ModelledComposition
from fusion.elements.stoichiometry import FoundOxygen

TIF = "element_maps.tif"


def composition_report(found: ModelledComposition) -> dict[str, Any]:
    """The composition for machines, `--json`; what is not known is None."""
    kinds = [f"{what}{of}" for what in ("atomic", "weight") for of in ("", "_errors", "_intervals")]
    components = [
        {"name": name, "formula": found.formulas[i] or None}
        | {kind: _numbers(getattr(found, kind)[i]) for kind in kinds}
        for i, name in enumerate(found.names)
    ]
    return {
        "elements": list(found.elements),
        "components": components,
        "mass_thickness_g_per_cm2": found.mass_thickness_mean,
        "mass_thickness_interval": list(found.mass_thickness_interval),
        "computed_sensitivities": list(found.computed),
        "oxygen": _oxygen_report(found.oxygen),
        "missing": [_missing_report(one) for one in found.missing],
        "messages": [*found.messages, *found.maps.messages],
    }


def _oxygen_report(oxygen: FoundOxygen | None) -> dict[str, Any]:
    """How oxygen was counted, and what its line tells where charges counted it."""
    if oxygen is None:
        return {"by": "line"}
    kinds = ("by_line", "by_line_errors", "by_line_intervals", "apart", "apart_errors")
    valences = {element: list(pair) for element, pair in oxygen.valences.items()}
    told = {kind: _numbers(getattr(oxygen, kind)) for kind in kinds}
    return {"by": "stoichiometry", "valences": valences, **told}


def _missing_report(one: Finding) -> dict[str, Any]:
    """An element that was not in the list and that the counts show."""
    numbers = {"sigmas": one.sigmas, "counts": one.counts, "counts_error": one.error}
    return {"element": one.element, **numbers, "upon": list(one.upon), "or": one.rival}


def _numbers(values: Any) -> Any:
    numbers = np.array(values, dtype=object)
    numbers[~np.isfinite(np.asarray(values, dtype=float))] = None
    return numbers.tolist()


class CompositionFindings(Findings):
    """The tables of components and pixels; composition.csv, element_maps.npz and, perhaps, a tif.

    The last of images alone, where there is what writes it.
    """

    spectra = False  # of a hundred lines, which the composition says better

    def __init__(self, found: ModelledComposition) -> None:
        self.found = found

    def text(self) -> str:
        return f"{self.found}\n\n{self.found.maps}"

    def write(self, folder: Path) -> None:
        self.found.to_csv(folder / "composition.csv")
        maps = self.found.maps
        maps.to_npz(folder / "element_maps.npz")
        axes = maps.axes
        if len(axes) == 2 and all(a.uniform for a in axes) and find_spec("rsciio") is not None:
            _write_tif(maps, folder / TIF)

    def page(self) -> dict[str, Any]:
        return {"composition": self.found}

    def figure(self) -> Any:
        return self.found.plot()


def _write_tif(maps: CompositionMaps, path: Path) -> None:
    """A stack of images in at.%, one of every element, which ImageJ names above them."""
    from fusion.files.dataset_dictionaries import dictionary_of
    from fusion.files.factor_dictionaries import axis_entry
    from fusion.files.image_calibration import image_axes, rising
    from fusion.files.signal_files import imagej_labels, write_signal

    stack = np.stack([maps.map(element) for element in maps.elements]).astype(np.float32)
    images, turned = rising(stack, maps.axes)
    axes = (Axis("element", size=len(stack)), *image_axes(turned, TIF))
    entries = [axis_entry(axis, i, navigate=i == 0) for i, axis in enumerate(axes)]
    held = dictionary_of(Dataset("at.%", np.nan_to_num(images), axes=axes, signal=0))
    names = [f"{heading} (at.%)" for heading in maps.headings]
    write_signal(
        "tiff", path, held | {"data": images, "axes": entries}, extratags=imagej_labels(names)
    )
