"""Compositions out of a fit of a line model, and how well everything in it is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import length
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.threads import library_threads
from fusion.algebra.waiting import waited_for
from fusion.answers.components import in_words, names_of
from fusion.data.dataset import Dataset
from fusion.elements.common_errors import CommonErrors, common_errors
from fusion.elements.component_shares import AtomsOfComponents, AtomsOfMap, Counting, apart
from fusion.elements.doubts import (
    charges_of_the_other_kind,
    missing_told,
    oxygen_apart,
    peaks_without_element,
)
from fusion.elements.found_missing import missing
from fusion.elements.found_told import Finding
from fusion.elements.modelled_composition import FoundDetector, ModelledComposition
from fusion.elements.pixel_composition import SIDES, PixelSource
from fusion.elements.stoichiometry import Charges, FoundOxygen, Stoichiometry
from fusion.elements.unknowns import unknowns_far_off
from fusion.xrays.known_thickness import KnownThickness
from fusion.xrays.line_model import GAIN, OFFSET, WIDTH, LineModel

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]

MISFIT = 1.2
"""Mean square of the residual over its noise, from which it is told."""
WHOLE = "whole map"
"""What is told of where there are no components."""


def line_model_of(model: Any) -> tuple[str, LineModel] | None:
    """(its path, the line model) of a model that has one."""
    for path, part in [] if model is None else model.named_modules():
        if isinstance(part, LineModel):
            return path, part
    return None


@checked_call
@waited_for
def modelled_composition(
    result: Result | Dataset,
    *,
    oxygen: Stoichiometry | None = None,
    progress: bool = True,
) -> ModelledComposition:
    """Atomic and weight per cent of what a model found that has a `LineModel` in it.

    Args:
        result: of `models.Compositions`, or of a model of one's own with its names: `A` (element,
            component), `C` (pixel, component) and `atoms()`, (pixel, element). Without `A`, as of
            `models.ElementMaps`, the composition is that of the whole map.
        oxygen: by stoichiometry; None: by its line.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if the result was loaded, or has no compositions, or valences are not known.
    """
    model, loss = getattr(result, "model", None), getattr(result, "minimised", None)
    found = line_model_of(model)
    if model is None or found is None or loss is None or not hasattr(model, "atoms"):
        raise ValueError(
            "`composition()`: without k factors compositions come from a fit of "
            "`fusion.models.Compositions` (or of a model of one's own with a `LineModel`, "
            "compositions A (element, component), and `atoms()`), as long as it was not saved and "
            "loaded; of any other give them: `composition({'Si Ka': 1.0, …})`."
        )
    with library_threads(1):  # ranges of pixels are on threads of our own
        return _composition(result, model, loss, found, oxygen, progress)


def _composition(
    result: Result | Dataset,
    model: Any,
    loss: Any,
    found: tuple[str, LineModel],
    oxygen: Stoichiometry | None,
    progress: bool,
) -> ModelledComposition:
    """The same of a model whose line model is found."""
    path, lines = found
    known = "A" in model.factors
    elements = lines.elements[: model.factors["A"].shape[0]] if known else lines.elements
    valences = None if oxygen is None else _stoichiometry(oxygen).of(elements)
    misfit = misfit_of(result)
    common = common_errors(model, loss, misfit)
    masses = lines.masses[: len(elements)]
    told = _thickness_told(common, path)
    with torch.no_grad():
        atoms = model.atoms()
        thickness = lines.mass_thickness(atoms)
    of = AtomsOfComponents(common) if known else AtomsOfMap(common, atoms, len(elements))
    charges = None if valences is None else Charges.of(elements, valences, masses)
    atomic, weight = (Counting(u, charges).of(of) for u in (torch.ones_like(masses), masses))
    by_line = atomic if charges is None else Counting(torch.ones_like(masses)).of(of)
    K = len(atomic[0])
    names = tuple(map(in_words, names_of(cast(Any, result), K))) if known else (WHOLE,)
    beside = tuple(_missing(result, loss, lines))
    counted = None
    if valences is not None and charges is not None:
        value, error, interval = (each[:, charges.place] for each in by_line)
        counted = FoundOxygen(valences, value, error, interval, *apart(of, charges))
    scan = loss.fits[0][2].dataset.pixels
    shape = tuple(length(axis) for axis in scan)
    return ModelledComposition(
        names,
        tuple(elements),
        *atomic,
        *weight,
        _detector(common, path, lines),
        thickness.numpy().reshape(shape),
        *_mean_thickness(common, path, float(lines.over_map(thickness)), told),
        tuple(s for s in lines.shells if not lines.measured[s]),
        (
            *missing_told(beside),
            *unknowns_far_off(common, path, lines, told, beside),
            *_misfit_told(misfit),
            *_doubts(result, lines, tuple(elements), *by_line[:2], beside),
            *_oxygen_doubts(names, counted),
        ),
        counted,
        beside,
        PixelSource(model, loss, common, tuple(elements), masses, scan, charges, progress),
    )


def _missing(result: Any, loss: Any, lines: LineModel) -> Iterator[Finding]:
    """Elements that the counts show and the line model was not given."""
    for name, data in loss.datasets.items():
        if name in result.data and result.model.component_parts(name) is not None:
            yield from missing(data, lines)


def _stoichiometry(given: Any) -> Stoichiometry:
    if not isinstance(given, Stoichiometry):
        raise ValueError(
            f"`composition(oxygen={given!r})`: give `fu.elements.Stoichiometry({{'Fe': 3}})`, with "
            "the valences of those elements that have several; None takes oxygen from its line."
        )
    return given


def _oxygen_doubts(names: Sequence[str], counted: FoundOxygen | None) -> Iterator[str]:
    """A caution where oxygen by its line is another."""
    for text in () if counted is None else oxygen_apart(names, counted):
        warnings.warn(f"`composition`: {text}", ClaimWarning, stacklevel=users_line())
        yield text


def _thickness_told(common: CommonErrors, path: str) -> tuple[float, float] | None:
    """(pull, relative error) of the mean mass thickness that was told, if it was."""
    for told in common.told:
        if isinstance(told.term, KnownThickness) and told.term.path == path:
            return told.pull, told.term.error * told.error
    return None


def _mean_thickness(
    common: CommonErrors, path: str, mean: float, told: tuple[float, float] | None
) -> tuple[float, tuple[float, float]]:
    """Mean mass thickness, and its 95 % interval, in its logarithm: no wider than what was told."""
    model = common.parts.objective.model
    lines: Any = model.get_submodule(path)
    over = lines.over_map.on_sums(common.labels)

    def log_mean(values: dict[str, Tensor]) -> Tensor:
        with model.once(values):
            return over(lines.mass_thickness(model.atoms())).log()[None]  # type: ignore[operator]

    error = float(common.spread(log_mean))
    around = SIDES * (error if told is None else min(error, told[1]))
    return mean, (mean * float(np.exp(-around)), mean * float(np.exp(around)))


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


def misfit_of(result: Any) -> float:
    """Mean square of the residual of the sum of all pixels over its noise; 1 where it is less."""
    found = [1.0]
    for name, summary in result.data.items():
        over = summary.residual_over_sigma
        if over is not None and result.model.component_parts(name) is not None:
            squares = np.square(over[np.isfinite(over)])
            found += [float(squares.mean())] if squares.size else []
    return max(found)


def _misfit_told(misfit: float) -> Iterator[str]:
    """What the residual is beside its noise, where that counts."""
    if misfit > MISFIT:
        yield (
            f"the residual of the sum of all pixels is {misfit**0.5:.2f} times its noise: "
            "something of the spectrum is not in the model; errors by counts are larger by that, "
            "Birge's ratio"
        )


def _doubts(
    result: Any,
    lines: LineModel,
    elements: Sequence[str],
    atomic: Array,
    errors: Array,
    beside: Sequence[Finding],
) -> Iterator[str]:
    """What the end of the fit, the residual and the charges say against it."""
    if result.stamp:
        yield result.stamp
    for name, summary in result.data.items():
        if result.model.component_parts(name) is not None:
            named = [*lines.elements, *(one.element for one in beside)]
            yield from peaks_without_element(summary, named)
    known = lines.k_factors if lines.zeta_factors is None else None  # those are of one kind
    if known is not None and "A" in result.model.factors and all(lines.measured.values()):
        masses = lines.masses[: len(elements)].cpu().numpy()
        yield from charges_of_the_other_kind(elements, masses, atomic, errors, known.kind)
