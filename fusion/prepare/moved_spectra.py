"""Spectra moved along their axis, each by a distance of its own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset

Array = NDArray[np.float64]

PART = 2048  # spectra that are moved together


def steps_along(axis: Axis) -> Array:
    """Where every channel is in mean steps from the first: its number, on an even axis."""
    energies = axis.values
    return (energies - energies[0]) / (energies[-1] - energies[0]) * (len(energies) - 1)


def places_of(axis: Axis, shifts: Array) -> Array:
    """Where y(x + s) of every channel stands, in channels, (pixel, channel)."""
    channels = np.arange(float(axis.size or 1))
    if axis.uniform:
        return channels + shifts[:, None]
    steps = steps_along(axis)
    places = np.interp(steps + shifts[:, None], steps, channels)
    beyond = steps + shifts[:, None]
    return np.where((beyond < 0) | (beyond > steps[-1]), beyond, places)


def interpolated(spectra: NDArray, places: Array, power: int = 1) -> Array:
    """Values at these places, between channels by lines; the ends are repeated.

    Args:
        spectra: (pixel, channel).
        places: (pixel or 1, place) in channels.
        power: of the weights: 2 for variances.
    """
    n = spectra.shape[1]
    whole = np.floor(places).astype(int)
    share = places - whole
    rows = np.arange(len(spectra))[:, None]
    lower, upper = (spectra[rows, (whole + step).clip(0, n - 1)] for step in (0, 1))
    return (1 - share) ** power * lower + share**power * upper


def moved_spectra(spectra: NDArray, axis: Axis, shifts: Array, power: int = 1) -> Array:
    """y(x + s), for a drift s to higher channels, (pixel, channel)."""
    parts = (slice(start, start + PART) for start in range(0, len(spectra), PART))
    moved = [interpolated(spectra[p], places_of(axis, shifts[p]), power) for p in parts]
    return np.concatenate(moved)


def move_like(array: torch.Tensor, data: Dataset, shifts: Array, power: int) -> torch.Tensor:
    """A mask or a variance moved with the data; one per pixel stays one per pixel."""
    if array.shape[-1] == 1 and data.channels[0].uniform:
        share = shifts - np.floor(shifts)
        factor = (1 - share) ** power + share**power
        return array * torch.from_numpy(np.asarray(factor))[..., None]
    full = array.expand(data.shape).numpy().reshape(-1, data.shape[-1])
    moved = moved_spectra(full, data.channels[0], shifts.ravel(), power)
    return torch.from_numpy(moved.reshape(data.shape))
