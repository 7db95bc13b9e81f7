"""A result as the `learning_results` of a HyperSpy signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis_differences import axis_differences
from fusion.algebra.calls import checked_call
from fusion.answers.diagnostics import DataSummary
from fusion.answers.result import Result
from fusion.signals.from_hyperspy import axes_of

Array = NDArray[Any]
NAMES = (("components", "scores"), ("factors", "loadings"))
"""Of spectra and maps: HyperSpy is going to rename them; the first pair that it has is written."""


@checked_call
def write_to(result: Result, signal: Any, *, name: str | None = None) -> None:
    """Write into the signal; see `Result.write_to`."""
    call = "Result.write_to"
    if not (hasattr(signal, "axes_manager") and hasattr(signal, "learning_results")):
        raise ValueError(f"`{call}({type(signal).__name__})`: give a HyperSpy signal.")
    name, summary = _dataset_of(call, result, name)
    manager = signal.axes_manager
    pixels = tuple(axis.size for axis in manager.navigation_axes[::-1])
    channels = tuple(axis.size for axis in manager.signal_axes[::-1])
    split = len(summary.shape) - summary.signal
    want = summary.shape[:split], summary.shape[split:]
    matrix = int(np.prod(pixels)), int(np.prod(channels))
    if (pixels, channels) != want and (matrix != want[0] + want[1]):
        raise ValueError(
            f"`{call}`: {name!r} has pixels {want[0]} and channels {want[1]}, the signal {pixels} "
            f"and {channels}: give the signal that was fitted, cropped and binned alike."
        )
    if (pixels, channels) == want:
        _check_same_axes(call, name, summary, signal)
    C, S = _maps_and_spectra(call, result, name, summary)
    lr = signal.learning_results
    spectra, maps = next(pair for pair in NAMES if all(hasattr(type(lr), part) for part in pair))
    vars(lr).clear()  # of an earlier decomposition; the class has the defaults
    setattr(lr, spectra, S)
    setattr(lr, maps, C)
    lr.output_dimension = S.shape[1]
    lr.decomposition_algorithm = f"sdfusion: {result.formula}"  # a text, or it cannot be saved
    lr.poissonian_noise_normalized = False
    lr.unfolded = len(pixels) > 1
    lr.original_shape = tuple(signal.data.shape)
    seen = ~np.isnan(C).any(1)
    power = _power(C[seen], np.nan_to_num(S))
    if power.sum() > 0:
        lr.explained_variance = power / max(int(seen.sum()), 1)
        lr.explained_variance_ratio = power / power.sum()
        lr.number_significant_components = int((power > 0).sum())
    if not seen.all():
        lr.navigation_mask = (~seen).reshape(pixels)
    if (lost := np.isnan(S).any(1)).any():
        lr.signal_mask = lost.reshape(channels)


def _check_same_axes(call: str, name: str, summary: DataSummary, signal: Any) -> None:
    """Complain of a signal at other energies or of other pixels than those that were fitted."""
    split = len(summary.shape) - summary.signal
    said = [
        f"{ours.name}: {text}"
        for i, (ours, theirs) in enumerate(zip(summary.axes, axes_of(signal), strict=True))
        for text in axis_differences(ours, theirs, origin=i >= split)
    ]
    if said:
        raise ValueError(
            f"`{call}`: {name!r} and the signal do not have the same axes: {'; '.join(said)}: give "
            "the signal that was fitted, cropped and binned alike."
        )


def _power(C: Array, S: Array) -> Array:
    """⟨M_k, M⟩ of every component."""
    return np.maximum(((C.T @ C) * (S.T @ S)).sum(0), 0)


def _dataset_of(call: str, result: Result, name: str | None) -> tuple[str, DataSummary]:
    if name is None and len(result.data) == 1:
        name = next(iter(result.data))
    if name not in result.data:
        what = "no name is given" if name is None else f"no data set {name!r}"
        raise ValueError(
            f"`{call}`: {what}; the result has {', '.join(result.data)}: say name='…'."
        )
    return str(name), result.data[name]


def _maps_and_spectra(
    call: str, result: Result, name: str, summary: DataSummary
) -> tuple[Array, Array]:
    """(pixel, r) and (channel, r) whose product the model predicts; NaN where masked."""
    rows, columns = summary.residual_map.size, summary.residual_spectrum.size
    if result.model is not None:
        with torch.no_grad():
            L, R = result.model.predict()[name].two_way()
        C, S = (x.detach().cpu().double().numpy().copy() for x in (L, R))
    else:
        pixels, channels = _split_axes(summary)
        C, S = _only_factor(call, result, name, pixels), _only_factor(call, result, name, channels)
    if (len(C), len(S)) != (rows, columns) or C.shape[1] != S.shape[1]:
        raise ValueError(
            f"`{call}`: the model predicts {name!r} as {C.shape} times {S.shape}, the data set is "
            f"{(rows, columns)} (pixel, channel): only maps times spectra can be written."
        )
    C[np.isnan(summary.residual_map.ravel())] = np.nan
    S[np.isnan(summary.residual_spectrum.ravel())] = np.nan
    return C, S


def _split_axes(summary: DataSummary) -> tuple[Any, Any]:
    split = len(summary.axes) - summary.signal
    return summary.axes[:split], summary.axes[split:]


def _only_factor(call: str, result: Result, name: str, axes: Any) -> Array:
    """The only factor over these axes, of a result that was loaded."""
    modes = {n: result.axes.get(n, ()) for n in result.factors}
    fitting = [n for n, each in modes.items() if len(each) == 2 and each[0] == axes]
    if len(fitting) != 1:
        raise ValueError(
            f"`{call}`: of {name!r} the factors {', '.join(fitting) or 'none'} run along "
            f"{', '.join(a.name for a in axes)}, and this result has no model that tells how they "
            "make the data: write a loaded one before it is saved, one of batches not at all."
        )
    return np.array(result.factors[fitting[0]], dtype=float)
