"""HyperSpy's signals, in and out; HyperSpy is imported where it is used."""

from fusion.signals.dataset_to_hyperspy import dataset_to_hyperspy
from fusion.signals.from_hyperspy import from_hyperspy
from fusion.signals.to_hyperspy import to_hyperspy
from fusion.signals.write_to import write_to

__all__ = ["dataset_to_hyperspy", "from_hyperspy", "to_hyperspy", "write_to"]
