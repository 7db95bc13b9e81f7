"""A data set as a HyperSpy signal of its own kind."""

from __future__ import annotations

from typing import Any

from fusion.algebra.calls import checked_call
from fusion.data.dataset import Dataset
from fusion.files.dataset_dictionaries import metadata_with_noise, shown_axes
from fusion.signals.to_hyperspy import axis_entry, hyperspy, set_type


@checked_call
def dataset_to_hyperspy(data: Dataset) -> Any:
    """The signal; see `Dataset.to_hyperspy`."""
    hs = hyperspy("Dataset.to_hyperspy")
    shown = shown_axes(data)
    kinds = {1: hs.signals.Signal1D, 2: hs.signals.Signal2D}
    make = kinds.get(shown, hs.signals.BaseSignal)
    array = data.numpy().copy() if data.lazy is None else data.lazy
    axes = [axis_entry(axis, i < len(data.axes) - shown) for i, axis in enumerate(data.axes)]
    signal = make(array, axes=axes)
    if data.lazy is not None:
        signal = signal.as_lazy()
    metadata = metadata_with_noise(data)
    noise = metadata["Signal"].pop("Noise_properties", {})
    kind = metadata["Signal"].pop("signal_type")
    signal.metadata.add_dictionary(metadata)
    set_type(signal, kind)
    if "variance" in noise:
        signal.set_noise_variance(noise["variance"])
    elif noise:
        signal.set_noise_variance(make(noise["_sig_variance"]["data"], axes=axes))
    return signal
