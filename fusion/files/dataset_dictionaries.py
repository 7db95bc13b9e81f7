"""A data set as a signal: RosettaSciIO's dictionary, with mask and variance, and back again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.cautions import CutWarning, users_line
from fusion.data.dataset import Dataset
from fusion.data.signal_type import signal_type
from fusion.files.calibration import KEPT, is_as_saved
from fusion.files.factor_dictionaries import Signal, axis_entry


def dictionary_of(data: Dataset) -> Signal:
    """The data set as RosettaSciIO's dictionary; lazy stays lazy.

    Raises:
        ValueError: if it is sparse.
    """
    shown = shown_axes(data)
    array = data.numpy() if data.lazy is None else data.lazy
    entries = [
        axis_entry(axis, i, navigate=i < len(data.axes) - shown) for i, axis in enumerate(data.axes)
    ]
    return {
        "data": array,
        "axes": entries,
        "metadata": metadata_with_noise(data),
        "original_metadata": {},
        "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": data.lazy is not None, "ragged": False},
        "tmp_parameters": {},
        "learning_results": {},
        "models": {},
    }


def shown_axes(data: Dataset) -> int:
    """How many of the last axes are the signal for HyperSpy: of an image its rows and columns."""
    return data.signal or min(len(data.axes), 2)


def metadata_with_noise(data: Dataset) -> dict[str, Any]:
    """The metadata with title and type, variance as HyperSpy has it, and what it has no place for.

    `Signal.Noise_properties.variance` is one number, or a signal of the shape of the data.
    """
    metadata = plain_metadata(data.metadata)
    general = metadata.setdefault("General", {})
    general["title"] = general.get("title") or data.name
    signal = metadata.setdefault("Signal", {})
    signal["signal_type"] = signal_type(data.channels, data.metadata) if data.signal else ""
    signal.pop("Noise_properties", None)
    kept: dict[str, Any] = {"signal": data.signal, "history": "\n".join(data.history)}
    kept |= {"name": data.name, "axes": "\n".join(axis.name for axis in data.axes)}
    kept["shape"] = list(data.shape)
    if data.mask is not None:
        kept["mask"] = data.mask.numpy()
    if data.variance is not None:
        kept["variance"] = variance = data.variance.numpy()
        signal["Noise_properties"] = _noise_properties(data, variance)
    return {**metadata, KEPT: kept}


def restored(data: Dataset) -> Dataset:
    """The data set with what `metadata_with_noise` has written into its metadata.

    What no longer fits, as the signal was cut or summed elsewhere, is left out with a `CutWarning`.
    """
    kept = data.metadata.get(KEPT)
    if not isinstance(kept, Mapping):
        return data
    metadata = {key: value for key, value in data.metadata.items() if key != KEPT}
    found: dict[str, Any] = {"mask": data.mask, "variance": data.variance}
    as_saved = is_as_saved(kept, [axis.name for axis in data.axes], data.shape)
    for what in ("mask", "variance"):
        array = _array(kept.get(what), bool if what == "mask" else float)
        if array is not None and as_saved and _fits(array, data.shape):
            found[what] = array
        elif array is not None:
            warnings.warn(
                f"`{data}`: the {what} that was saved with it, of shape {array.shape}, does not "
                f"fit {data.shape}: it is left out, as the signal was cut or turned since.",
                CutWarning,
                stacklevel=users_line(),
            )
    history = [step for step in str(kept.get("history") or "").split("\n") if step]
    return Dataset(
        data.name,
        data.tensor if data.lazy is None else data.lazy,
        axes=data.axes,
        signal=int(kept["signal"]) if as_saved else data.signal,
        history=(*history, *data.history),
        metadata=metadata,
        **found,
    )


def _noise_properties(data: Dataset, variance: NDArray[Any]) -> dict[str, Any]:
    if variance.size == 1:
        return {"variance": float(variance.ravel()[0])}
    whole = np.ascontiguousarray(np.broadcast_to(variance, data.shape))
    shown = shown_axes(data)
    axes = [axis_entry(a, i, navigate=i < len(data.axes) - shown) for i, a in enumerate(data.axes)]
    signal = {"data": whole, "axes": axes, "attributes": {"_lazy": False, "ragged": False}}
    signal["metadata"] = {"General": {"title": "variance"}, "Signal": {"signal_type": ""}}
    signal |= {"original_metadata": {}, "tmp_parameters": {}, "learning_results": {}, "models": {}}
    signal["package_info"] = {"package": "", "package_version": ""}
    return {"_sig_variance": signal}


def plain_metadata(value: Any) -> Any:
    """The metadata as plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain_metadata(each) for key, each in value.items()}
    return [plain_metadata(each) for each in value] if isinstance(value, list) else value


def _array(value: Any, kind: type) -> NDArray[Any] | None:
    return None if value is None else np.asarray(value).astype(kind)


def _fits(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    sizes = zip(array.shape, shape, strict=False)
    return array.ndim == len(shape) and all(m in (1, n) for m, n in sizes)


def calibrated(axis: Axis, default: str) -> bool:
    """Whether an axis says more than its place in the array."""
    plain = (default, 1.0, 0.0, "", True)
    return (axis.name, axis.scale, axis.offset, axis.units, axis.uniform) != plain
