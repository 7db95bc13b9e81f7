"""Which rows of a factor some data set shows: masked ones are no unknowns of a prior."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.data.dataset import Dataset
from fusion.language.model import Model

Bools = NDArray[np.bool_]


def seen_rows(axes: Axes | None, datasets: Iterable[Dataset]) -> Bools | None:
    """Which entries along these axes one of the data sets does not wholly mask; None: unknown."""
    seen: Bools | None = None
    for data in datasets:
        unmasked = _unmasked(data, axes)
        if unmasked is not None:
            seen = unmasked if seen is None else seen | unmasked
    return seen


def mark_seen_rows(model: Model, datasets: Iterable[Dataset]) -> None:
    """Tell every factor of a model which of its rows are seen."""
    datasets = list(datasets)
    for module in model.factor_modules().values():
        seen = seen_rows(module.axes[0], datasets)
        module.seen = None if seen is None or seen.all() else torch.from_numpy(seen)


def _unmasked(data: Dataset, axes: Axes | None) -> Bools | None:
    """Which entries along these axes of a data set are not wholly masked; None without them."""
    n = len(axes or ())
    places = [i for i in range(len(data.axes) - n + 1) if n and data.axes[i : i + n] == axes]
    if not places:
        return None
    at = range(places[0], places[0] + n)
    if data.mask is None:
        return np.ones(prod(data.shape[i] for i in at), dtype=bool)
    mask = data.mask.expand(data.shape).numpy()
    return ~mask.all(axis=tuple(i for i in range(mask.ndim) if i not in at)).reshape(-1)
