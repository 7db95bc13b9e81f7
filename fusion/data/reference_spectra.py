"""Reference spectra, brought onto the channels of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset
from fusion.data.tally import tally

Array = NDArray[np.float64]

SAME = 0.01
"""Channels by which two axes may differ and still be taken for one."""
COARSE = 1.5
"""Steps of a reference over those of the data from which on it is called coarser."""


@dataclass(frozen=True, eq=False)
class References:
    """Reference spectra on the channels of a data set.

    Attributes:
        names: one a column.
        spectra: (channel, K), in the unit they came in; 0 in masked channels that one lacks.
        messages: what was done to bring them there.
    """

    names: tuple[str, ...]
    spectra: Array
    messages: tuple[str, ...]


def references_on_channels(call: str, data: Dataset, references: Mapping[str, Any]) -> References:
    """The references on the channels of the data.

    Args:
        call: what a complaint begins with.
        data: spectra; its mask says which channels need a reference.
        references: {name: spectrum}: an array with one value a channel; a `Dataset` (the mean over
            its pixels); or (energies, spectrum), energies in the unit of the data's axis.

    Raises:
        ValueError: if one does not fit: naming it, with both axes.
    """
    if not data.signal:
        raise ValueError(f"`{call}`: {data} is an image: references need spectra.")
    if not isinstance(references, Mapping) or not references:
        raise ValueError(
            f"`{call}`: {type(references).__name__} of references: give {{name: spectrum}}, one or "
            "more."
        )
    columns, messages = [], []
    for name, given in references.items():
        column, said = _spectrum_on_channels(f"`{call}`: reference {str(name)!r}", data, given)
        columns.append(column)
        messages += [f"reference {str(name)!r}: {text}" for text in said]
    spectra = np.stack(columns, 1)
    seen = _unmasked_channels(data)
    for name, column in zip(references, columns, strict=True):
        if not column[seen].any():
            raise ValueError(f"`{call}`: reference {str(name)!r} is zero in all channels.")
    return References(tuple(map(str, references)), spectra, tuple(messages))


def _spectrum_on_channels(what: str, data: Dataset, given: Any) -> tuple[Array, list[str]]:
    """(spectrum (channel,), what was done to it)."""
    said: list[str] = []
    if isinstance(given, Dataset):
        axes = given.channels
        if given.signal != data.signal:
            raise ValueError(f"{what}: {len(axes)} signal axes, the data have {data.signal}.")
        spectrum, n = tally(given).means, given.matrix_shape[0]
        said += [f"the mean of {n} pixels"] if n > 1 else []
        if data.signal == 1:
            _check_units(what, data.axes[-1], axes[0])
            return _resampled(what, data, axes[0].values, spectrum, said)
    elif isinstance(given, tuple) and len(given) == 2 and np.ndim(given[0]) == 1:
        energy, spectrum = (_array(part) for part in given)
        if energy.shape != spectrum.shape or len(energy) < 2:
            raise ValueError(
                f"{what}: energies of shape {energy.shape}, spectrum {spectrum.shape}: "
                "give equal ones, two values or more."
            )
        if data.signal > 1:
            raise ValueError(f"{what}: one energy axis, the data have {data.signal} signal axes.")
        return _resampled(what, data, energy, spectrum, said)
    else:
        spectrum = _array(given)
    size = tuple(axis.size for axis in data.channels)
    if spectrum.size != data.matrix_shape[1] or spectrum.ndim not in (1, len(size)):
        raise ValueError(
            f"{what}: shape {spectrum.shape}, the data have {size} channels: give one value a "
            "channel, or (energies, spectrum), or a `Dataset` with its axis."
        )
    return _finite(what, spectrum.reshape(-1), _unmasked_channels(data)), said


def _array(values: Any) -> Array:
    return as_tensor(values).cpu().double().numpy()


def _check_units(what: str, axis: Axis, other: Axis) -> None:
    if axis.units and other.units and axis.units != other.units:
        raise ValueError(
            f"{what}: its axis is in {other.units}, the data's in {axis.units}: convert one."
        )


def _resampled(
    what: str, data: Dataset, energy: Array, spectrum: Array, said: list[str]
) -> tuple[Array, list[str]]:
    """The spectrum at the data's energies: as it is where they agree, else resampled."""
    at, seen, axis = data.axes[-1].values, _unmasked_channels(data), data.axes[-1]
    step = float(np.median(np.abs(np.diff(at)))) if len(at) > 1 else 1.0
    if len(at) == len(energy) and np.abs(at - energy).max() <= SAME * step:
        return _finite(what, spectrum, seen), said
    kept = np.isfinite(energy) & np.isfinite(spectrum)
    if kept.sum() < 2:
        raise ValueError(f"{what}: fewer than two values are finite.")
    energy, which = np.unique(energy[kept], return_inverse=True)  # sorted; equal ones averaged
    spectrum = np.bincount(which, spectrum[kept]) / np.bincount(which)
    _check_cover(what, axis, at[seen], energy, step)
    own = float(np.median(np.diff(energy)))
    text = f"resampled from {len(energy)} values, {energy[0]:g} to {energy[-1]:g}, "
    text += f"onto {len(at)}, {at.min():g} to {at.max():g} {axis.units}".rstrip()
    if own > COARSE * step:
        text += (
            f"; its step, {own:.3g}, is {own / step:.1f} times that of the data: no finer detail"
        )
    inside = (at >= energy[0] - step) & (at <= energy[-1] + step)
    resampled = (
        _channel_means(at, energy, spectrum) if own < step else np.interp(at, energy, spectrum)
    )
    return np.where(inside, resampled, 0.0), [*said, text]


def _check_cover(what: str, axis: Axis, at: Array, energy: Array, step: float) -> None:
    """Complain of channels that the reference does not reach."""
    missing = int(((at < energy[0] - step / 2) | (at > energy[-1] + step / 2)).sum())
    if missing:
        low, high = max(energy[0], at.min()), min(energy[-1], at.max())
        name = axis.name.replace(" ", "_")
        help_ = f"crop them (`data.crop({name}=({low:g}, {high:g}))`) or mask those channels"
        raise ValueError(
            f"{what}: it goes from {energy[0]:g} to {energy[-1]:g}, the data from {at.min():g} to "
            f"{at.max():g} {axis.units}".rstrip()
            + f": {missing} of {len(at)} channels have no value: "
            + (help_ if low < high else "they do not overlap: check the units and the offset")
            + "."
        )


def _channel_means(at: Array, energy: Array, spectrum: Array) -> Array:
    """Means over the channels of the polygon through a finer spectrum."""
    middle = (at[1:] + at[:-1]) / 2
    ends = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    ends = ends.clip(energy[0], energy[-1])
    x = np.union1d(energy, ends)
    y = np.interp(x, energy, spectrum)
    area = np.concatenate([[0.0], np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2)])
    width = np.diff(ends)
    whole = np.diff(np.interp(ends, x, area))
    flat = np.interp(at, energy, spectrum)
    return np.where(width != 0, whole / np.where(width != 0, width, 1.0), flat)


def _finite(what: str, spectrum: Array, seen: NDArray[np.bool_]) -> Array:
    """The spectrum, complained of if it is not finite where the data are."""
    bad = int((~np.isfinite(spectrum[seen])).sum())
    if bad:
        raise ValueError(
            f"{what}: {bad} of {int(seen.sum())} values are NaN or infinite: mask those channels "
            "of the data, or leave those values out of (energies, spectrum)."
        )
    return np.where(np.isfinite(spectrum), spectrum, 0.0)


def _unmasked_channels(data: Dataset) -> NDArray[np.bool_]:
    """Channels that are not masked in all pixels."""
    if data.mask is None:
        return np.ones(data.matrix_shape[1], dtype=bool)
    split = len(data.shape) - data.signal
    mask = data.mask.expand(data.shape) if data.mask.ndim == len(data.shape) else data.mask
    return ~mask.flatten(split).reshape(-1, data.matrix_shape[1]).all(0).numpy()
