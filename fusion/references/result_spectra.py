"""What a result tells of new data: spectra, likelihood, noise level, signs; loaded ones, too."""

from __future__ import annotations

import warnings
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.axis_differences import axis_differences
from fusion.algebra.cautions import NoiseWarning, users_line
from fusion.algebra.prediction import CP
from fusion.answers.roles import maps_and_spectra, other_columns
from fusion.data.dataset import Dataset
from fusion.language.fit_term import Fit
from fusion.losses import Frobenius, Gaussian, Poisson

if TYPE_CHECKING:
    from fusion.answers.result import Result

BY_NOISE: dict[str, type[Fit]] = {kind.noise: kind for kind in (Frobenius, Gaussian, Poisson)}
"""Likelihoods by what a result that was saved tells of its noise."""


def channels_of(result: Result, name: str) -> Axes:
    """The channels of a data set of a result."""
    told = result.data[name]
    return told.axes[len(told.axes) - told.signal :]


def same_channels(result: Result) -> bool:
    """Whether all data sets have the same spectra, so that new data have these, too."""
    first, *others = (spectra_of(result, name) for name in result.data)
    return all(torch.equal(first.nan_to_num(), other.nan_to_num()) for other in others)


def spectra_of(result: Result, name: str) -> Tensor:
    """S (channel, K) of a data set, float64; NaN in channels that were masked.

    Raises:
        ValueError: if the data set is not predicted as maps times spectra.
    """
    other = name in other_columns(result)
    maps, spectra = ((), ()) if other else maps_and_spectra(result, name)
    if maps and spectra:
        return torch.from_numpy(sum(np.asarray(result[each], dtype=float) for each in spectra))
    if result.model is not None and not other:
        with torch.no_grad(), result.model.once():
            M = result.model.predict().get(name)
            if isinstance(M, CP) and len(M.factors) == 2:
                return M.factors[1].double().cpu().clone()
    raise ValueError(
        f"`result.transform(…)`: the model does not predict {name!r} as maps times spectra "
        f"(factors {', '.join(result.factors)}), so that new pixels have no amounts of their own: "
        "fit the new data, `fu.fit(model, loss, init=result)`."
    )


def fit_of(result: Result, name: str, data: Dataset, several: bool) -> tuple[float | None, Fit]:
    """(weight, fit of new data as the result's own fit of that data set has it).

    Raises:
        ValueError: if a result that was loaded does not tell.
    """
    if result.minimised is not None:
        own = [(w, fit) for _, w, fit in result.minimised.fits if fit.dataset.name == name]
        weight, fit = max(own, key=lambda pair: pair[0])
        other = copy(fit)
        other.dataset, other.instead = data, None
        return weight, other
    noise = result.data[name].noise
    kind = BY_NOISE.get(noise)
    line = "`fu.losses.Poisson(data)`, `Gaussian(data)` or `Frobenius(data)`"
    if several:
        raise ValueError(
            "`result.transform(…)`: a result that was loaded does not tell the weights of its data "
            "sets beside each other: give the loss in place of the data, "
            "`fu.losses.Poisson(a) + 2 * fu.losses.Gaussian(b)`."
        )
    if kind is None:
        raise ValueError(
            f"`result.transform({data})`: a result that was loaded does not hold its likelihood "
            f"({noise or 'nothing'} is known of its noise): give the fit in place of the data, "
            f"{line}."
        )
    return None, kind(data)


def check_variance(result: Result, name: str, fit: Fit, several: bool) -> None:
    """Complain of new data without a variance where those that were fitted had one.

    Raises:
        ValueError: where the balance between detectors rests on it.

    Warns:
        NoiseWarning: else; the maps are those of another fit.
    """
    told, data = result.data[name], fit.dataset
    had = told.chi2 is not None and told.noise in (Frobenius.noise, Gaussian.noise)
    if not had or not fit.weighted_by_variance or data.variance is not None:
        return
    text = (
        f"`result.transform({data})`: {name!r} was fitted with a variance and {data.name!r} has "
        "none"
    )
    mend = "`data.estimate_variance()`, or `data.with_variance(…)`"
    if several:
        raise ValueError(f"{text}, by which the detectors are weighed: give one, {mend}.")
    warnings.warn(
        f"{text}: all its values count alike: give one, {mend}.",
        NoiseWarning,
        stacklevel=users_line(),
    )


def level_of(result: Result, name: str, fit: Fit) -> float:
    """Factor before a fit's squares that it has learned: 1 / σ² of the data that were fitted.

    Raises:
        ValueError: if it learns something else.
    """
    if not fit.lagged:
        return 1.0
    told = result.data[name]
    squares = np.nanmean(np.square(told.residual_map)) if told.chi2 is None else told.chi2
    try:
        return float(fit.scale({"variance": torch.tensor(float(squares), dtype=torch.float64)}))
    except KeyError as error:
        raise ValueError(
            f"`result.transform(…)`: {fit} learns {error}, which the result does not hold: give "
            "the data set of one detector alone."
        ) from None


def on_channels(result: Result, name: str, fit: Fit, S: Tensor) -> tuple[Fit, Tensor]:
    """(the fit, the spectra) without channels of which the result knows nothing.

    Raises:
        ValueError: if the channels of the data are others than those of the result.
    """
    data, own = fit.dataset, channels_of(result, name)
    said = _differences(own, data.channels)
    if said:
        raise ValueError(
            f"`result.transform({data})`: the channels of {data.name!r} are not those of "
            f"{name!r} that was fitted: {'; '.join(said)}: crop, bin or calibrate the new data as "
            "the old ones were."
        )
    unknown = torch.isnan(S).any(1)
    if not bool(unknown.any()):
        return fit, S
    shape = (*(1 for _ in data.pixels), *(axis.size or 1 for axis in data.channels))
    other = copy(fit)
    other.dataset = data.masked(unknown.numpy().reshape(shape))
    return other, S.nan_to_num()


def may_be_negative(result: Result, name: str) -> bool:
    """Whether the maps of a data set may be: as they are, or as their constraint says."""
    maps, _ = maps_and_spectra(result, name)
    if maps and bool((np.nan_to_num(sum(result[each] for each in maps)) < 0).any()):
        return True
    if result.model is None or len(maps) != 1:
        return False
    first = result.model.factor_modules()[maps[0]].chain[0]
    return first.identity and first.signed


def _differences(own: Axes, new: Axes) -> list[str]:
    """What differs between channels, in words."""
    if len(own) != len(new):
        return [f"{len(own)} spectral axes were fitted, here are {len(new)}"]
    pairs = list(zip(own, new, strict=True))
    return [f"{a.name}: {text} (fitted, new)" for a, b in pairs for text in axis_differences(a, b)]
