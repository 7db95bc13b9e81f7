"""How certain an extrapolated background is: from the counts in its window, and how they lie."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.cautions import CutWarning, users_line

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

LARGEST = 1e100  # of a background: beyond it nothing is known
DEPARTS, SURE = 0.02, 5.0  # of the background, and of its noise, by which the mean may be off
LARGE = 0.25  # of the background, from which its standard error is warned of


class BackgroundError(NamedTuple):
    """Of fits exp(a + b x), pixel by pixel.

    Attributes:
        shares: (pixel, 2) standard error of the sums below and above the window, over the sums,
            where a value's variance is its mean; 0 where there are no such channels.
        misfit: Σ (y − m)² / m in the window, over all pixels; `freedom`: values less parameters.
        left: Σ (y − m) of every channel of the window; `fitted`: Σ m.
    """

    shares: Array
    misfit: float
    freedom: float
    left: Array
    fitted: Array


def background_error(
    x: Array, spectra: Array, inside: Bools, seen: Bools, backgrounds: Array
) -> BackgroundError:
    """Standard errors by the Fisher information of (a, b) in the window.

    Var ln m(x) = (1 + (x − x̄)² / Var x) / Σ m, mean and variance weighted by the m of the window.

    Args:
        x: (channel,) what ln m is linear in.
        spectra: (pixel, channel).
        inside: (channel,) the window.
        seen: (pixel, channel) entries outside the mask.
        backgrounds: (pixel, channel), as fitted; pixels without any are left out.
    """
    alive = backgrounds.max(1) > 0
    spectra, seen, backgrounds = spectra[alive], seen[alive], backgrounds[alive]
    used = seen[:, inside].astype(float)
    m, y = backgrounds[:, inside] * used, spectra[:, inside] * used
    total = m.sum(1)
    mean = m @ x[inside] / total
    variance = np.maximum(m @ x[inside] ** 2 / total - mean**2, np.finfo(float).tiny)
    with np.errstate(over="ignore"):  # an error beyond all bounds is said as such
        relative = np.sqrt((1 + (x - mean[:, None]) ** 2 / variance[:, None]) / total[:, None])
        first, last = np.flatnonzero(inside)[[0, -1]]
        sides = (slice(0, first), slice(last + 1, None))
        errors = np.where(backgrounds > 0, np.minimum(relative, LARGEST) * backgrounds, 0.0)
        sums = [errors[:, s].sum(1) for s in sides]
        shares = [
            error / np.maximum(backgrounds[:, s].sum(1), np.finfo(float).tiny)
            for error, s in zip(sums, sides, strict=True)
        ]
    misfit = float((np.where(m > 0, (y - m) ** 2, 0.0) / np.where(m > 0, m, 1.0)).sum())
    freedom = float((used.sum(1) - 2).clip(0).sum())
    return BackgroundError(np.stack(shares, 1), misfit, freedom, (y - m).sum(0), m.sum(0))


def check_background(errors: list[BackgroundError], channels: int, call: str) -> str:
    """The standard error of the usual pixel, in words.

    Raises:
        ValueError: if it is larger than the background itself.

    Warns:
        CutWarning: from a quarter of it.
    """
    shares = np.concatenate([np.zeros((0, 2)), *(each.shares for each in errors)])
    freedom = sum(each.freedom for each in errors)
    if not len(shares) or not freedom:
        return ""
    dispersion = sum(each.misfit for each in errors) / freedom  # variance over mean
    _warn_of_departure(errors, dispersion, call)
    below, above = np.sqrt(dispersion) * np.median(shares, axis=0)
    worst, where = max((below, "below"), (above, "above"))
    text = f"the background {where} the window is uncertain by {100 * worst:.3g} % (1σ)"
    if not worst < 1:
        mend = "crop the channels below it away first" if where == "below" else "take a wider one"
        raise ValueError(
            f"`{call}`: {text} in the usual pixel, as {channels} channels tell it: {mend}, fit "
            "after compression (components=…), bin pixels, or keep the background in the model "
            "(`models.WithBackground`)."
        )
    if worst > LARGE:
        warnings.warn(
            f"`{call}`: {text} in the usual pixel, as {channels} channels tell it: take a wider "
            "window, fit after compression (components=…), or keep the background in the model.",
            CutWarning,
            stacklevel=users_line(),
        )
    return text + "; "


def _warn_of_departure(errors: list[BackgroundError], dispersion: float, call: str) -> None:
    """Say where the mean spectrum does not follow the background within its own window."""
    left, fitted = (np.sum([getattr(e, name) for e in errors], 0) for name in ("left", "fitted"))
    if len(left) < 4 or not (fitted > 0).all():
        return
    departure = float(np.sqrt(np.mean((left / fitted) ** 2)))
    chance = float(np.sqrt(np.mean(dispersion / fitted)))
    if departure > max(DEPARTS, SURE * chance):
        warnings.warn(
            f"`{call}`: within the window the mean spectrum departs from the background by "
            f"{100 * departure:.2g} % (rms; its noise is {100 * chance:.2g} %): "
            "is there an edge, or a dead channel, inside? Take a window of background alone, or "
            "mask the channels.",
            CutWarning,
            stacklevel=users_line(),
        )
