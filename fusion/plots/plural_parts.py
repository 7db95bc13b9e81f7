"""What is drawn of a fit with plural scattering: its low loss, its spectra with and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.units import in_units
from fusion.answers.components import names_of
from fusion.answers.roles import maps_and_spectra

if TYPE_CHECKING:
    from fusion.answers.diagnostics import DataSummary
    from fusion.answers.result import Result
    from fusion.prepare.relative_thickness import RelativeThickness

Array = NDArray[Any]

ENDS = 0.1
"""Share of the pixels whose mean stands for the thinnest, and for the thickest."""
NEEDED = ("kernels", "amounts", "scattered", "relative_thickness")
"""What a model has that knows of plural scattering, beside `component_parts`."""


@dataclass(frozen=True, eq=False)
class PluralParts:
    """Means over the pixels that are fitted.

    Attributes:
        core: how the core loss is met; axis: its energies; names: of the components.
        losses: (loss,) eV, the first the zero loss.
        low: (loss,) share of the electrons; thin, thick: (loss,) of the thinnest and thickest.
        kernels: (loss, r), each times the root mean square of its amounts, positive in the mean.
        single, plural: (channel, K) spectra without and with the mean plural scattering.
        background: (channel,) beside the components.
        thickness: t/λ with errors; pixels: the axes of both.
    """

    core: DataSummary
    axis: Axis
    names: list[str]
    losses: Array
    low: Array
    thin: Array
    thick: Array
    kernels: Array
    single: Array
    plural: Array
    background: Array
    thickness: RelativeThickness
    pixels: Axes


def plural_parts(result: Result) -> PluralParts | None:
    """Of a result whose model has kernels of a low loss, `models.DualEELS`; None of any other.

    Such a model has `kernels()` D (loss, r), the zero loss first, `amounts()` B (pixel, r), whose
    product is the low loss of every pixel over its sum, `relative_thickness()`, and
    `component_parts`. A loaded result has no model.
    """
    model: Any = result.model
    if model is None or not all(hasattr(model, name) for name in NEEDED):
        return None
    for name in result.data:
        with torch.no_grad(), model.once():
            shown = model.component_parts(name)
            D, B = _array(model.kernels()), _array(model.amounts())
        if shown is not None:
            return _parts(result, name, shown, D, B)
    return None


def _parts(result: Result, name: str, shown: Any, D: Array, B: Array) -> PluralParts:
    model: Any = result.model
    data, n = result.data[name], len(shown.more)
    maps, spectra = _array(shown.maps), _array(shown.spectra)
    K = spectra.shape[1] - n
    seen = ~np.isnan(data.residual_map).reshape(-1)
    thickness = model.relative_thickness()
    t = thickness.values.reshape(-1)
    used = np.flatnonzero(np.isfinite(t) & B.any(1))
    ordered = used[np.argsort(t[used])]
    few = max(1, round(ENDS * len(ordered)))
    mean, axis = B[used].mean(0), data.axes[-1]
    single = sum(result.factors[factor] for factor in maps_and_spectra(result, name)[1])
    return PluralParts(
        core=data,
        axis=axis,
        names=names_of(result, K),
        losses=np.arange(len(D)) * in_units(axis, "eV", "plot").scale,
        low=D @ mean,
        thin=D @ B[ordered[:few]].mean(0),
        thick=D @ B[ordered[-few:]].mean(0),
        kernels=D * np.sign(mean) * np.sqrt(np.square(B[used]).mean(0)),
        single=np.asarray(single, dtype=float).reshape(len(spectra), K),
        plural=spectra[:, :K],
        background=spectra[:, K:] @ maps[seen, K:].mean(0),
        thickness=thickness,
        pixels=data.axes[: len(data.axes) - data.signal],
    )


def _array(values: torch.Tensor) -> Array:
    return values.detach().cpu().double().numpy()
