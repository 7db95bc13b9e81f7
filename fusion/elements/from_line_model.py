"""Compositions out of a fit of a line model, and how well everything in it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import length
from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waited_for
from fusion.answers.components import in_words, names_of
from fusion.data.dataset import Dataset
from fusion.elements.common_errors import CommonErrors, common_errors
from fusion.elements.doubts import charges_of_the_other_kind, peaks_without_element
from fusion.elements.modelled_composition import FoundDetector, ModelledComposition
from fusion.elements.pixel_composition import SIDES, PixelSource
from fusion.engine.directional import jacobian
from fusion.xrays.line_model import GAIN, OFFSET, WIDTH, LineModel

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]
Shares = tuple[Array, Array, Array]
"""Per cent (K, element), standard errors, 95 % intervals (K, element, 2)."""

FAR = 3.0
"""Standard deviations of what was expected, from which an unknown is told to be far off."""
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
def modelled_composition(result: Result | Dataset, *, progress: bool = True) -> ModelledComposition:
    """Atomic and weight per cent of what a model found that has a `LineModel` in it.

    Args:
        result: of `models.Compositions`, or of a model of one's own with its names: `A` (element,
            component), `C` (pixel, component) and `atoms()`, (pixel, element). Without `A`, as of
            `models.ElementMaps`, the composition is that of the whole map.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if the result was loaded, or has no compositions.
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
    path, lines = found
    common = common_errors(model, loss)
    known = "A" in model.factors
    elements = lines.elements[: model.factors["A"].shape[0]] if known else lines.elements
    masses = lines.masses[: len(elements)]
    with torch.no_grad():
        atoms = model.atoms()
        thickness = lines.mass_thickness(atoms)
    of = _shares if known else _whole_shares
    atomic, weight = (of(common, atoms, unit) for unit in (torch.ones_like(masses), masses))
    K = len(atomic[0])
    names = map(in_words, names_of(cast(Any, result), K)) if known else (WHOLE,)
    scan = loss.fits[0][2].dataset.pixels
    shape = tuple(length(axis) for axis in scan)
    return ModelledComposition(
        tuple(names),
        tuple(elements),
        *atomic,
        *weight,
        _detector(common, path, lines),
        thickness.numpy().reshape(shape),
        *_mean_thickness(common, path, float(thickness.mean())),
        tuple(s for s in lines.shells if not lines.measured[s]),
        (*_messages(common, path, lines), *_doubts(result, lines, tuple(elements), *atomic[:2])),
        PixelSource(model, loss, common, tuple(elements), masses, scan, progress),
    )


def _whole_shares(common: CommonErrors, atoms: Tensor, unit: Tensor) -> Shares:
    """The same of the mean over the map, (1, element)."""
    model: Any = common.parts.objective.model

    def shares(amounts: Tensor) -> Tensor:
        mean = amounts[:, : len(unit)].mean(0) * unit
        return 100 * mean / mean.sum()

    def found(values: dict[str, Tensor]) -> Tensor:
        with model.once(values):
            return shares(model.atoms())

    value, error = shares(atoms), _spread(common, found)
    low, high = value - SIDES * error, value + SIDES * error
    intervals = torch.stack([low.clamp_min(0), high.clamp_max(100)], -1)
    return tuple(each[None].cpu().double().numpy() for each in (value, error, intervals))  # type: ignore[return-value]


def _shares(common: CommonErrors, atoms: Tensor, unit: Tensor) -> Shares:
    """Those of the compositions A."""
    place = common.place("A")
    slot = next(slot for slot in common.parts.few_slots if slot.name == "A")
    assert slot.module is not None
    module = slot.module

    def shares(raw: Tensor) -> Tensor:
        amounts = module.constrain(raw.reshape(slot.shape)) * unit[:, None]
        return (100 * amounts / amounts.sum(0)).T

    raw = common.few[place]
    value = shares(raw)
    slope = jacobian(shares, raw)[0].flatten(0, 1)
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


def _spread(common: CommonErrors, function: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
    """Standard errors of functions (n,) of the values on the sums, all variables varying."""
    few, places = common.few, common.parts.places
    flat = common.flat.clone()

    def of(x: Tensor, rows: Tensor) -> Tensor:
        at = flat.index_put((common.parts.few,), x).index_put((places,), rows)
        values = common.parts.objective.values(at[None])
        return function({name: v[0] for name, v in values.items()})

    by_few, by_rows = jacobian(of, few, flat[places])
    along = by_few + torch.einsum("npr,prg->ng", by_rows, common.follow)
    own = torch.einsum("npr,prs,nps->n", by_rows, common.rows, by_rows)
    return ((along @ common.covariance * along).sum(1) + own).clamp_min(0).sqrt()


def _mean_thickness(
    common: CommonErrors, path: str, mean: float
) -> tuple[float, tuple[float, float]]:
    """Mean mass thickness, and its 95 % interval, in its logarithm."""
    model = common.parts.objective.model
    lines: Any = model.get_submodule(path)

    def log_mean(values: dict[str, Tensor]) -> Tensor:
        with model.once(values):
            return lines.mass_thickness(model.atoms()).mean().log()[None]  # type: ignore[operator]

    spread = SIDES * float(_spread(common, log_mean))
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


def _doubts(
    result: Any, lines: LineModel, elements: Sequence[str], atomic: Array, errors: Array
) -> Iterator[str]:
    """What the end of the fit, the residual and the charges say against it."""
    if result.stamp:
        yield result.stamp
    for name, summary in result.data.items():
        if result.model.component_parts(name) is not None:
            yield from peaks_without_element(summary, lines)
    known = lines.k_factors
    if known is not None and "A" in result.model.factors and all(lines.measured.values()):
        masses = lines.masses[: len(elements)].cpu().numpy()
        yield from charges_of_the_other_kind(elements, masses, atomic, errors, known.kind)


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
