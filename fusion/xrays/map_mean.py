"""Means over a map that stay what they are where its pixels are summed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.data.dataset import Dataset
from fusion.language.seen_rows import seen_rows


@dataclass(frozen=True, eq=False)
class MapMean:
    """The mean over the pixels of a map that are not masked, or over sums of them.

    Attributes:
        pixels: axes of the map.
        weights: (pixel,) or (sum,), how many pixels each stands for; None: one each.
    """

    pixels: Axes
    weights: Tensor | None = None

    @classmethod
    def of(cls, data: Dataset) -> MapMean:
        """Over the pixels of a data set."""
        seen = seen_rows(data.pixels, [data])
        none_is_masked = seen is None or bool(seen.all()) or not bool(seen.any())
        return cls(data.pixels, None if none_is_masked else torch.from_numpy(seen).double())

    def __call__(self, values: Tensor) -> Tensor:
        """Of values (pixel,) or (sum,), a 0-d tensor; what is masked may be anything."""
        if self.weights is None:
            return values.mean()
        weights = self.weights.to(values)
        return (weights / weights.sum()) @ values

    def on_sums(self, labels: Mapping[Axes, Tensor]) -> MapMean:
        """Over sums of pixels.

        Args:
            labels: of every scan's pixels, to which sum they belong, (pixel,).
        """
        label = labels.get(self.pixels)
        if label is None:
            return MapMean(self.pixels)
        each = torch.ones(len(label)) if self.weights is None else self.weights
        total = torch.zeros(int(label.max()) + 1, dtype=torch.float64)
        return MapMean(self.pixels, total.index_add(0, label.cpu(), each.double().cpu()))
