"""What a report shows of every data set: maps and spectra whose product is the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.algebra.prediction import CP, Expanded, Prediction, Sum, cp, tucker
from fusion.answers.diagnostics import DataSummary
from fusion.answers.result import Result
from fusion.data.dataset import Dataset, check_dataset
from fusion.models.checks import identifier

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class DataPart:
    """One data set of a result.

    Attributes:
        name: of the data set; summary: how it is met.
        left: (pixel, K), right: (channel, K): the fit is left @ right.T; None where it is no such
            product, or is not known any more.
        dense: (pixel, channel), a fit that the model computes in full; else None.
        copies: K = components × copies, where several products add up.
        exact: (pixel, n) and (channel, n), the fit where left @ right.T is but near it; else None.
        more: names of the last components, which are none of the model's.
        data: as measured; None where it is not at hand.
    """

    name: str
    summary: DataSummary
    left: Array | None
    right: Array | None
    dense: Array | None
    copies: int
    data: Dataset | None
    exact: tuple[Array, Array] | None = None
    more: tuple[str, ...] = ()

    @property
    def pixels(self) -> Axes:
        """Navigation axes."""
        return self.summary.axes[: len(self.summary.axes) - self.summary.signal]

    @property
    def channels(self) -> Axes:
        """Signal axes."""
        return self.summary.axes[len(self.summary.axes) - self.summary.signal :]

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(number of pixels, number of channels)."""
        split = len(self.summary.shape) - self.summary.signal
        return prod(self.summary.shape[:split]), prod(self.summary.shape[split:])

    @property
    def masked_pixels(self) -> NDArray[np.bool_]:
        """Which pixels are masked, (pixel,)."""
        return np.isnan(self.summary.residual_map).reshape(-1)

    @property
    def masked_channels(self) -> NDArray[np.bool_]:
        """Which channels are masked, (channel,)."""
        return np.isnan(self.summary.residual_spectrum).reshape(-1)


def parts_of(result: Result, data: Dataset | Sequence[Dataset] | None = None) -> list[DataPart]:
    """Every data set with its fit, in the order of the result.

    Args:
        result: what `fit` gave, or `Result.load`.
        data: the data sets, for a result that was loaded; default: those of the fit.

    Raises:
        ValueError: if a data set is none of the result's, or of another shape.
    """
    measured, predictions = _measured(result, data), _predictions(result)
    parts = [
        _part_of(name, summary, predictions.get(name), measured.get(name))
        for name, summary in result.data.items()
    ]
    return [_with_components(part, result) for part in parts]


def _with_components(part: DataPart, result: Result) -> DataPart:
    """Where the model says that its components are others than the columns of its prediction."""
    if result.model is None or part.left is None or part.right is None:
        return part
    with torch.no_grad(), result.model.once():
        shown = result.model.component_parts(part.name)
    if shown is None:
        return part
    left, right = (x.cpu().double().numpy() for x in shown[:2])
    exact = part.left, part.right
    return replace(part, left=left, right=right, copies=1, exact=exact, more=shown.more)


def _measured(result: Result, data: Dataset | Sequence[Dataset] | None) -> Mapping[str, Dataset]:
    """The measured data, by name."""
    if data is None:
        return {} if result.minimised is None else result.minimised.datasets
    given = [data] if not isinstance(data, Sequence) else list(data)
    for each in given:
        check_dataset("report(data=…)", each)
    for dataset in given:
        if dataset.name not in result.data:
            raise ValueError(
                f"`report(data={dataset})`: the result is of {', '.join(map(repr, result.data))}: "
                "rename it (`data.renamed(…)`), or leave it out."
            )
        if dataset.shape != (shape := result.data[dataset.name].shape):
            raise ValueError(
                f"`report(data={dataset})`: of shape {dataset.shape}, fitted were {shape}: "
                "crop and bin it as it was for the fit."
            )
    return {dataset.name: dataset for dataset in given}


def _predictions(result: Result) -> dict[str, Prediction]:
    """What the model predicts; of a loaded result what its factors tell beyond doubt."""
    if result.model is not None:
        with torch.no_grad(), result.model.once():
            return {name: p.map(torch.Tensor.cpu) for name, p in result.model.predict().items()}
    if result.structure is not None and len(result.data) == 1:
        kind, names = result.structure
        tensors = [torch.from_numpy(np.array(result.factors[name])) for name in names]
        (name,) = result.data
        return {name: cp(*tensors) if kind == "cp" else tucker(tensors[0], *tensors[1:])}
    inferred = {name: _product(result, name, summary) for name, summary in result.data.items()}
    return {name: p for name, p in inferred.items() if p is not None}


def _product(result: Result, name: str, summary: DataSummary) -> Prediction | None:
    """C Sᵀ, where one factor alone runs over the pixels and one over the channels."""
    split = len(summary.axes) - summary.signal
    pair = []
    for axes in (summary.axes[:split], summary.axes[split:]):
        able = [
            f
            for f, modes in result.axes.items()
            if modes[0] == axes and result.factors[f].ndim == 2
        ]
        own = [f for f in able if f.endswith(f"_{identifier(name)}")]
        chosen = own if len(own) == 1 and len(able) > 1 else able
        if len(chosen) != 1:
            return None
        pair.append(torch.from_numpy(np.array(result.factors[chosen[0]])))
    return cp(*pair) if pair[0].shape[1] == pair[1].shape[1] else None


def _part_of(
    name: str, summary: DataSummary, prediction: Prediction | None, data: Dataset | None
) -> DataPart:
    split = len(summary.shape) - summary.signal
    shape = prod(summary.shape[:split]), prod(summary.shape[split:])
    left = right = dense = None
    copies = 1
    if prediction is not None and not isinstance(prediction, Expanded):
        L, R = (x.double().numpy() for x in prediction.two_way())
        if (len(L), len(R)) == shape:
            left, right = L, R
            copies = _products(prediction)
    if prediction is not None and left is None:
        dense = prediction.dense().double().numpy().reshape(shape)
    return DataPart(name, summary, left, right, dense, copies, data)


def _products(prediction: Prediction) -> int:
    """How many products with the same number of components are added."""
    parts = prediction.parts if isinstance(prediction, Sum) else (prediction,)
    ranks = {p.like.shape[-1] for p in parts}
    alike = all(isinstance(p, CP) for p in parts) and len(ranks) == 1
    return len(parts) if alike else 1
