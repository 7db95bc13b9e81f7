"""Backgrounds fitted before an edge, or as a baseline: `subtract_background`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fusion.dataset import Dataset
from fusion.prepare import Window

Array = NDArray[np.float64]

PART = 4096  # spectra that are fitted at once
STEPS = 100
CHANGE = 1e-10  # of ln A and of the exponent, at which the fit has converged


def subtract_background(data: Dataset, window: Window, model: str) -> Dataset:
    """See `Dataset.subtract_background`."""
    call = f"subtract_background({_shown(window)}, {model!r})"
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    axis = data.channels[0]
    try:
        inside = np.zeros(data.shape[-1], dtype=bool)
        inside[axis.window(*window)] = True
    except ValueError as error:
        raise ValueError(f"`{call}`: {error}") from None
    if inside.sum() < 3:
        raise ValueError(
            f"`{call}`: {inside.sum()} channels in the window, each "
            f"{abs(axis.scale):g} {axis.units} wide: choose a window of three channels or more."
        )
    estimate = _model(model, call)
    X = data.numpy().reshape(data.matrix_shape)
    keep = None if data.mask is None else ~data.mask.expand(data.shape).numpy().reshape(X.shape)
    net = np.empty(X.shape)
    for start in range(0, len(X), PART):
        part = slice(start, start + PART)
        seen = None if keep is None else keep[part]
        net[part] = X[part] - estimate(axis.values, X[part].astype(float), inside, seen, call)
    seen = net if keep is None else net[keep]
    negative = int((seen < 0).sum())
    step = f"{call}: {negative} of {seen.size} values negative, lowest {seen.min():.4g}"
    return data.derive(net.reshape(data.shape), step)


Estimate = Callable[[Array, Array, NDArray[np.bool_], NDArray[np.bool_] | None, str], Array]


def _model(name: str, call: str) -> Estimate:
    """(energies, spectra (pixel, channel), window, entries to use, call) → backgrounds."""
    if name == "power law":
        return _power_law
    if name == "exponential":
        return _exponential
    return _baseline(name, call)


def _power_law(energy, spectra, inside, seen, call: str) -> Array:
    if energy.min() <= 0:
        raise ValueError(
            f"`{call}`: the axis begins at {energy.min():g}: a power law needs positive energies: "
            "crop first, or use 'exponential'."
        )
    return log_linear(np.log(energy), spectra, inside, seen)


def _exponential(energy, spectra, inside, seen, call: str) -> Array:
    return log_linear(energy, spectra, inside, seen)


def log_linear(
    x: Array, spectra: Array, inside: NDArray[np.bool_], seen: NDArray[np.bool_] | None
) -> Array:
    """exp(a + b x) for every spectrum, of maximum Poisson likelihood inside the window.

    Newton steps on Σ (m − y ln m), which is convex in (a, b), all spectra at once; no step changes
    a or b x by more than 1. A spectrum that sums to nothing in the window has no background.

    Args:
        x: (channel,) what ln m is linear in.
        spectra: (pixel, channel).
        inside: (channel,) the window.
        seen: (pixel, channel) entries outside the mask; None for all.

    Returns:
        (pixel, channel).
    """
    y, used = spectra[:, inside], np.ones((len(spectra), int(inside.sum())))
    if seen is not None:
        used = seen[:, inside].astype(float)
        y = np.where(used > 0, y, 0.0)
    centre, spread = x[inside].mean(), np.ptp(x[inside]) / 2
    t = (x[inside] - centre) / spread  # from −1 to 1
    total, number = y.sum(1), used.sum(1)
    alive = (total > 0) & (number > 1)
    level = np.log(np.where(alive, total, 1.0) / np.maximum(number, 1.0))
    slope = np.zeros_like(level)
    for _ in range(STEPS):
        m = np.exp(level[:, None] + slope[:, None] * t) * used
        left = y - m
        g0, g1 = left.sum(1), left @ t
        h00, h01, h11 = m.sum(1), m @ t, m @ t**2
        det = np.maximum(h00 * h11 - h01**2, 1e-12 * h00 * h11 + np.finfo(float).tiny)
        d0 = np.clip((h11 * g0 - h01 * g1) / det, -1, 1)
        d1 = np.clip((h00 * g1 - h01 * g0) / det, -1, 1)
        level, slope = level + alive * d0, slope + alive * d1
        if not alive.any() or max(np.abs(d0[alive]).max(), np.abs(d1[alive]).max()) < CHANGE:
            break
    with np.errstate(over="ignore"):
        background = np.exp(level[:, None] + slope[:, None] * (x - centre) / spread)
    return np.where(alive[:, None], background, 0.0)


def _baseline(name: str, call: str) -> Estimate:
    """A baseline of pybaselines, spectrum by spectrum."""
    try:
        from pybaselines import Baseline
    except ImportError:
        raise ValueError(
            f"`{call}`: 'power law' and 'exponential' are built in; others come from pybaselines: "
            'pip install "sdfusion[io]".'
        ) from None
    if name.startswith("_") or not callable(getattr(Baseline, name, None)):
        raise ValueError(
            f"`{call}`: no such model: give 'power law', 'exponential', or a baseline of "
            "pybaselines: 'snip', 'asls', 'arpls', 'modpoly' …"
        )

    def estimate(energy, spectra, inside, seen, call: str) -> Array:
        fitter = Baseline(x_data=energy[inside])
        backgrounds = np.zeros(spectra.shape)
        for row, y in enumerate(spectra[:, inside]):
            backgrounds[row, inside] = getattr(fitter, name)(y)[0]
        return backgrounds

    return estimate


def _shown(window: Window) -> str:
    low, high = (("" if end is None else f"{end:g}") for end in window)
    return f"({low or None}, {high or None})"
