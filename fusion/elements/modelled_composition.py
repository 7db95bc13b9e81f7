"""Compositions of components that a line model found, with all that is not known in the errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jacrev

from fusion.algebra.axis import length
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Facts, Notes, Part, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.answers.components import in_words, names_of
from fusion.data.dataset import Dataset
from fusion.elements.common_errors import CommonErrors, common_errors
from fusion.elements.formula_unit import formula_unit, in_small_letters
from fusion.xrays.line_model import GAIN, OFFSET, WIDTH, LineModel

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]

SIDES = 1.96
"""Standard deviations to each side of a 95 % interval."""
FAR = 3.0
"""Standard deviations of what was expected, from which an unknown is told to be far off."""


@dataclass(frozen=True)
class FoundDetector:
    """What the spectra say of a detector, each with a standard error.

    Attributes:
        offset: keV, where an energy of 0 is found on the axis; gain: a line of energy E is found at
            offset + gain · E.
        noise: full width at 0 keV, keV; fano: Fano factor.
    """

    offset: float
    offset_error: float
    gain: float
    gain_error: float
    noise: float
    fano: float

    def __str__(self) -> str:
        return (
            f"offset {1e3 * self.offset:+.2f} ± {1e3 * self.offset_error:.2f} eV, gain "
            f"{self.gain:.5f} ± {self.gain_error:.5f}, noise {1e3 * self.noise:.0f} eV, "
            f"Fano factor {self.fano:.3f}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ModelledComposition(Shown):
    """What components consist of, as a line model found it.

    Errors and intervals hold the noise of the counts, the mixing of components, calibration and
    width of the detector, its window, the scale of mass thickness, continuum, shares of subshells,
    and k factors as far as they are uncertain.

    Attributes:
        names: of the components, one a row; elements: one a column.
        atomic: (K, element) at.%; `atomic_errors` standard errors, 0 where an element is at zero;
            `atomic_intervals` (K, element, 2) of 95 %, from zero to a limit where it is.
        weight: weight %, with the same.
        detector: calibration and width; `mass_thickness`: (pixel axes) in g/cm².
        mass_thickness_mean: over the map; `mass_thickness_interval` of 95 % around it.
        computed: shells whose sensitivities come from tables.
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    atomic: Array
    atomic_errors: Array
    atomic_intervals: Array
    weight: Array
    weight_errors: Array
    weight_intervals: Array
    detector: FoundDetector
    mass_thickness: Array
    mass_thickness_mean: float
    mass_thickness_interval: tuple[float, float]
    computed: tuple[str, ...]
    messages: tuple[str, ...] = ()

    @property
    def formulas(self) -> tuple[str, ...]:
        """Of every component the smallest formula within all intervals; "" where there is none."""
        return tuple(made[0] if made is not None else "" for made in self._units())

    def _units(self) -> list[tuple[str, float] | None]:
        rows = zip(self.atomic, self.atomic_intervals, strict=True)
        return [formula_unit(self.elements, *row) for row in rows]

    def _display(self) -> Display:
        heads = ["at.%", *self.elements, "formula"]
        units = self._units()
        rows = []
        for i, name in enumerate(self.names):
            cells = [self._cell(i, j) for j in range(len(self.elements))]
            unit = units[i]
            told = "–" if unit is None else f"{in_small_letters(unit[0])} to {unit[1]:.1f}"
            rows.append([name, *cells, told])
        low, high = (1e6 * end for end in self.mass_thickness_interval)
        told_thickness = f"{1e6 * self.mass_thickness_mean:.3g} µg/cm² ({low:.3g} to {high:.3g})"
        facts = [("mass thickness", told_thickness), ("detector", str(self.detector))]
        if self.computed:
            facts.append(("from tables", f"sensitivities of {', '.join(self.computed)}"))
        parts: list[Part] = [Table(heads, rows), Facts(facts)]
        if self.messages:
            parts.append(Notes(self.messages))
        return Display(f"composition of {', '.join(self.names)}", parts)

    def _cell(self, i: int, j: int) -> str:
        """ "20.0 ± 0.2", "< 0.4"."""
        value, error = self.atomic[i, j], self.atomic_errors[i, j]
        if not np.isfinite(value):
            return "–"
        if error == 0:
            return f"< {self.atomic_intervals[i, j, 1]:.2g}"
        places = 1 if error >= 0.095 else 2
        return f"{value:.{places}f} ± {error:.{places}f}"

    def to_csv(self, path: Any) -> None:
        """Write a row for every component and element: both per cents, errors and intervals.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        heads = [f"{what} {kind}" for kind in ("%", "±", "from", "to") for what in ("atomic",)]
        heads += [f"weight {kind}" for kind in ("%", "±", "from", "to")]
        writer.writerow(["component", "element", *heads])
        for i, name in enumerate(self.names):
            for j, element in enumerate(self.elements):
                numbers = [
                    number
                    for kind in ("atomic", "weight")
                    for number in (
                        getattr(self, kind)[i, j],
                        getattr(self, f"{kind}_errors")[i, j],
                        *getattr(self, f"{kind}_intervals")[i, j],
                    )
                ]
                writer.writerow([name, element, *(f"{number:.6g}" for number in numbers)])
        with atomic_write(Path(path)) as file:
            file.write(text.getvalue().encode())


def line_model_of(model: Any) -> tuple[str, LineModel] | None:
    """(its path, the line model) of a model that has one."""
    for path, part in [] if model is None else model.named_modules():
        if isinstance(part, LineModel):
            return path, part
    return None


@checked_call
@waited_for
def modelled_composition(result: Result | Dataset, *, progress: bool = True) -> ModelledComposition:
    """Atomic and weight per cent of the components of a model that has a `LineModel` in it.

    Args:
        result: of `models.Compositions`, or of a model of one's own with its names: `A` (element,
            component), `C` (pixel, component) and `atoms()`.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if the result was loaded, or has no compositions.
    """
    model, loss = getattr(result, "model", None), getattr(result, "minimised", None)
    found = line_model_of(model)
    if model is None or found is None or loss is None or "A" not in model.factors:
        raise ValueError(
            "`composition()`: without k factors compositions come from a fit of "
            "`fusion.models.Compositions` (or of a model of one's own with a `LineModel`, and "
            "compositions A (element, component)), as long as it was not saved and loaded; of any "
            "other give them: `composition({'Si Ka': 1.0, …})`."
        )
    path, lines = found
    common = common_errors(model, loss)
    elements = lines.elements[: model.factors["A"].shape[0]]
    masses = lines.masses[: len(elements)]
    atomic = _shares(common, torch.ones_like(masses))
    weight = _shares(common, masses)
    with torch.no_grad():
        thickness = lines.mass_thickness(model.atoms())
    mean, interval = _mean_thickness(common, path, float(thickness.mean()))
    names = tuple(map(in_words, names_of(cast(Any, result), atomic[0].shape[0])))
    scan = model.factor("C").axes[0] or ()
    shape = tuple(length(axis) for axis in scan)
    return ModelledComposition(
        names,
        tuple(elements),
        *atomic,
        *weight,
        _detector(common, path, lines),
        thickness.numpy().reshape(shape),
        mean,
        interval,
        tuple(s for s in lines.shells if not lines.measured[s]),
        tuple(_messages(common, path, lines)),
    )


def _shares(common: CommonErrors, unit: Tensor) -> tuple[Array, Array, Array]:
    """(per cent (K, element), standard errors, 95 % intervals (K, element, 2))."""
    place = common.place("A")
    slot = next(slot for slot in common.parts.few_slots if slot.name == "A")
    assert slot.module is not None
    module = slot.module

    def shares(raw: Tensor) -> Tensor:
        amounts = module.constrain(raw.reshape(slot.shape)) * unit[:, None]
        return (100 * amounts / amounts.sum(0)).T

    raw = common.few[place]
    value = shares(raw)
    slope = jacrev(shares)(raw).flatten(0, 1)
    covariance = common.covariance[place, place]
    errors = (slope @ covariance * slope).sum(1).clamp_min(0).sqrt().reshape(value.shape)
    own = slope.reshape(*value.shape, *slot.shape)
    limits = torch.einsum("keek->ke", own) * common.limit[place].reshape(slot.shape).T
    zero = common.at_bound[place].reshape(slot.shape).T
    errors = torch.where(zero, 0, errors)
    low = (value - SIDES * errors).clamp_min(0)
    high = torch.where(zero, limits, value + SIDES * errors).clamp_max(100)
    intervals = torch.stack([low, high], -1)
    made = (value, errors, intervals)
    return tuple(each.detach().cpu().double().numpy() for each in made)  # type: ignore[return-value]


def _spread(common: CommonErrors, function: Callable[[dict[str, Tensor]], Tensor]) -> float:
    """Standard error of a function of the values on the sums, common and own variables varying."""
    few, places = common.few, common.parts.places
    flat = common.flat.clone()

    def of(x: Tensor, rows: Tensor) -> Tensor:
        at = flat.index_put((common.parts.few,), x).index_put((places,), rows)
        values = common.parts.objective.values(at[None])
        return function({name: v[0] for name, v in values.items()})

    by_few, by_rows = jacrev(of, argnums=(0, 1))(few, flat[places])
    along = by_few + torch.einsum("pr,prg->g", by_rows, common.follow)
    own = torch.einsum("pr,prs,ps->", by_rows, common.rows, by_rows)
    return float((along @ common.covariance @ along + own).clamp_min(0).sqrt())


def _mean_thickness(
    common: CommonErrors, path: str, mean: float
) -> tuple[float, tuple[float, float]]:
    """Mean mass thickness, and its 95 % interval, in its logarithm."""
    model = common.parts.objective.model
    lines: Any = model.get_submodule(path)

    def log_mean(values: dict[str, Tensor]) -> Tensor:
        with model.once(values):
            return lines.mass_thickness(model.atoms()).mean().log()  # type: ignore[operator]

    spread = SIDES * _spread(common, log_mean)
    return mean, (mean * float(np.exp(-spread)), mean * float(np.exp(spread)))


def _detector(common: CommonErrors, path: str, lines: LineModel) -> FoundDetector:
    place = common.place(f"{path}.calibration" if path else "calibration")
    t = common.few[place].tolist()
    errors = common.covariance[place, place].diagonal().clamp_min(0).sqrt().tolist()
    return FoundDetector(
        OFFSET * t[0],
        OFFSET * errors[0],
        1 + GAIN * t[1],
        GAIN * errors[1],
        lines.response.noise * float(np.exp(WIDTH * t[2])),
        lines.response.fano * float(np.exp(WIDTH * t[3])),
    )


def _messages(common: CommonErrors, path: str, lines: LineModel) -> Iterator[str]:
    """Unknowns that ended far from what was expected of them."""
    prefix = f"{path}." if path else ""
    far: list[str] = []
    for name in lines.factor_modules():
        values = common.few[common.place(prefix + name)]
        names: Sequence[str] = _names_of(name, lines)
        far += [
            f"{n} {float(v):+.1f} σ" for n, v in zip(names, values, strict=True) if abs(v) > FAR
        ]
    if far:
        yield (
            f"far from what was expected: {', '.join(far)}: an element may be missing, the "
            "background be of another kind, or the axis or the k factors be wrong"
        )


def _names_of(name: str, lines: LineModel) -> Sequence[str]:
    return {
        "calibration": ("offset", "gain", "noise", "Fano factor"),
        "absorption": ("mass thickness",),
        "subshells": [f"share {i + 1} of L lines" for i in range(len(lines.of_L))],
        "continuum": ("height of the continuum", "slope of the continuum"),
        "heaviness": ("continuum by atomic number",),
        "absorbers": ("window", "dead layer"),
        "origin": ("share of the continuum that is absorbed",),
        "ends": ("continuum below the axis", "continuum above the axis"),
        "sensitivity": tuple(f"k of {shell}" for shell in lines.unsure_shells),
    }[name]
