"""Backgrounds fitted before an edge, or as a baseline: `subtract_background`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.preparing import Window
from fusion.prepare.background_error import BackgroundError, background_error, check_background
from fusion.prepare.chosen_pixels import mask_of_pixels, sample_of_blocks
from fusion.prepare.crop_bin import index_range
from fusion.prepare.lazily import by_block, whole_spectra
from fusion.prepare.low_rank import low_rank

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Estimate = Callable[[Array, Bools, Bools], Array]

PART = 4096  # spectra that are fitted at once
STEPS = 100
CHANGE = 1e-10  # of the slope over the half window, at which the fit has converged
TINY = float(np.finfo(float).tiny)


def subtract_background(
    data: Dataset, window: Window, model: str, components: int | None = None
) -> Dataset:
    """See `Dataset.subtract_background`."""
    option = "" if components is None else f", components={components}"
    call = f"subtract_background({_window_text(window)}, {model!r}{option})"
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    inside = np.zeros(data.shape[-1], dtype=bool)
    inside[index_range(data, len(data.shape) - 1, window, call)] = True
    if inside.sum() < 3:
        raise ValueError(
            f"`{call}`: {inside.sum()} of {inside.size} channels in the window: "
            "choose a window of three channels or more."
        )
    x, estimate = _background_model(model, data.channels[0].values, call)
    if data.lazy is not None:
        return _subtract_lazily(data, (x, estimate, inside), components, call)
    X = data.numpy().reshape(data.matrix_shape)
    keep = np.ones((1, 1), dtype=bool)
    if data.mask is not None:
        keep = ~data.mask.expand(data.shape).numpy().reshape(X.shape)
    compress = None if components is None else low_rank(data, components, call)
    net, errors = _net(X, keep, (x, estimate, inside), compress)
    uncertain = check_background(errors, int(inside.sum()), call)
    return data.derive(net.reshape(data.shape), f"{call}: {uncertain}{_negatives_text(net, keep)}")


Fitted = tuple[Array | None, Estimate, Bools]
"""What the logarithm of the background is linear in, how it is estimated, and the window."""


def _net(
    X: NDArray, keep: Bools, fitted: Fitted, compress: Callable[[Array, Bools], Array] | None
) -> tuple[NDArray, list[BackgroundError]]:
    """Spectra (pixel, channel) without their backgrounds, and how certain these are."""
    x, estimate, inside = fitted
    net = np.empty(X.shape, _float_kind(X.dtype))
    errors: list[BackgroundError] = []
    for start in range(0, len(X), PART):
        part = X[start : start + PART].astype(float)
        kept = keep[start : start + PART] if len(keep) > 1 else keep
        seen = np.asarray(np.isfinite(part) & kept)
        clean = np.where(seen, part, 0.0)
        if compress is not None:  # what is masked is known from the components, where any is seen
            clean, seen = (
                compress(clean, seen),
                np.broadcast_to(seen.any(axis=1, keepdims=True), seen.shape),
            )
        backgrounds = estimate(clean, inside, seen)
        if x is not None:
            errors.append(background_error(x, clean, inside, seen, backgrounds))
        net[start : start + PART] = part - backgrounds
    return net, errors


def _subtract_lazily(data: Dataset, fitted: Fitted, components: int | None, call: str) -> Dataset:
    """The same where the data are read later; how certain backgrounds are is told by a sample."""
    compress = None if components is None else low_rank(data, components, call)
    hidden = None if data.mask is None else data.mask.numpy()

    def of(block: NDArray, masked: Bools | None) -> NDArray:
        return _net(*_matrix(block, masked), fitted, compress)[0].reshape(block.shape)

    array = whole_spectra(data)
    kind = _float_kind(data.lazy.dtype)
    net, errors, seen = [], [], []
    for pixels, X in sample_of_blocks(data):
        masked = None if hidden is None else mask_of_pixels(data, pixels)
        keep = np.ones((1, 1), dtype=bool) if masked is None else ~masked
        made, told = _net(X, keep, fitted, compress)
        net.append(made)
        errors += told
        seen.append(np.broadcast_to(keep, made.shape))
    uncertain = check_background(errors, int(fitted[2].sum()), call)
    text = _negatives_text(np.concatenate(net), np.concatenate(seen))
    told = f"{uncertain}of {sum(map(len, net))} spectra that were looked at {text}"
    return data.derive(by_block(of, array, hidden, dtype=kind), f"{call}: {told}")


def _matrix(block: NDArray, masked: Bools | None) -> tuple[NDArray, Bools]:
    """(spectra (pixel, channel), which entries are left)."""
    X = block.reshape(-1, block.shape[-1])
    if masked is None:
        return X, np.ones((1, 1), dtype=bool)
    return X, ~np.broadcast_to(masked, block.shape).reshape(X.shape)


def _float_kind(dtype: np.dtype) -> np.dtype:
    return dtype if dtype in (np.float32, np.float64) else np.dtype(float)


def log_linear(x: Array, spectra: Array, inside: Bools, seen: Bools) -> Array:
    """exp(a + b x), b ≤ 0, for every spectrum, of maximum Poisson likelihood inside the window.

    Σ (m − y ln m) is convex in (a, b). At its minimum Σ m = Σ y, which gives a, and Σ m x = Σ y x,
    which Newton steps in b solve, all spectra at once. Where that has b > 0, the best constant is
    the answer. A spectrum that sums to nothing in the window has no background.

    Args:
        x: (channel,) what ln m is linear in.
        spectra: (pixel, channel), finite.
        inside: (channel,) the window.
        seen: (pixel, channel) entries outside the mask.

    Returns:
        (pixel, channel).
    """
    used = seen[:, inside].astype(float)
    y = spectra[:, inside] * used
    centre, spread = (x[inside].min() + x[inside].max()) / 2, np.ptp(x[inside]) / 2
    t = (x[inside] - centre) / spread  # from −1 to 1
    total = y.sum(1)
    alive = total > 0
    target, slope = y @ t / np.where(alive, total, 1.0), np.zeros(len(y))
    going = np.flatnonzero(alive & (target < used @ t / np.maximum(used.sum(1), 1.0)))
    for _ in range(STEPS):
        if not going.size:
            break
        m = used[going] * np.exp(slope[going, None] * t)
        m /= m.sum(1, keepdims=True)
        mean = m @ t
        variance = np.maximum(m @ t**2 - mean**2, TINY)
        change = np.clip((target[going] - mean) / variance, -1, 1)
        slope[going] += change
        going = going[np.abs(change) > CHANGE]
    shape = np.exp(slope[:, None] * (x - centre) / spread)
    height = np.where(alive, total, 0.0) / np.maximum((shape[:, inside] * used).sum(1), TINY)
    return height[:, None] * shape


def _background_model(name: str, energy: Array, call: str) -> tuple[Array | None, Estimate]:
    """What its logarithm is linear in, if that; and what estimates it.

    The latter: (spectra (pixel, channel), window, entries to use) → backgrounds (pixel, channel).
    """
    if name == "exponential":
        return energy, partial(log_linear, energy)
    if name != "power law":
        return None, _pybaselines_model(name, energy, call)
    if energy.min() <= 0:
        raise ValueError(
            f"`{call}`: the axis begins at {energy.min():g}: a power law needs positive energies: "
            "crop first, or use 'exponential'."
        )
    x = np.log(energy)
    return x, partial(log_linear, x)


def _pybaselines_model(name: str, energy: Array, call: str) -> Estimate:
    """A baseline of pybaselines, spectrum by spectrum; what is masked is interpolated before."""
    try:
        from pybaselines import Baseline
    except ImportError:
        raise ValueError(
            f"`{call}`: 2 models are built in, 'power law' and 'exponential'; others come from "
            'pybaselines: pip install "sdfusion[io]".'
        ) from None
    if name.startswith("_") or not callable(getattr(Baseline, name, None)):
        raise ValueError(
            f"`{call}`: no such model: give 'power law', 'exponential', or a baseline of "
            "pybaselines: 'snip', 'asls', 'arpls', 'modpoly' …"
        )

    def estimate(spectra: Array, inside: Bools, seen: Bools) -> Array:
        fit = getattr(Baseline(x_data=energy[inside]), name)
        x, backgrounds = np.arange(inside.sum()), np.zeros(spectra.shape)
        for row, (y, good) in enumerate(zip(spectra[:, inside], seen[:, inside], strict=True)):
            if good.any():
                backgrounds[row, inside] = fit(np.interp(x, x[good], y[good]))[0]
        return backgrounds

    return estimate


def _negatives_text(net: Array, keep: Bools) -> str:
    """How many, outside the mask."""
    seen = net[np.broadcast_to(keep, net.shape)]
    lowest = f", lowest {seen.min():.4g}" if seen.size else ""
    return f"{int((seen < 0).sum())} of {seen.size} values negative{lowest}"


def _window_text(window: Window) -> str:
    return str(tuple(window)) if isinstance(window, tuple | list) else repr(window)
