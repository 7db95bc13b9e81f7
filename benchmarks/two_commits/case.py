"""A case: data, a whole call on them from public names, and the loss that the call ends with."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from . import ROOT

DATA = ROOT.parent / "shared" / "data"
"""Where the real data stand, beside the checkout."""


class Case(ABC):
    """What asv times, and beside it the loss of the last call that it timed.

    One call goes before those that are timed: code is compiled, files and libraries are in memory.
    Data are read or drawn outside the time; data sets and models are made within it.

    Attributes:
        starts: of the fit.
        every: of real maps every so-manieth pixel in y and x is kept; 1: all.
        sizes: of what is drawn.
    """

    starts: int = 10
    every: int = 1
    sizes: tuple[int, ...] = ()

    timeout = 3600.0
    number = 1
    rounds = 2
    warmup_time = 1e-3  # one call
    repeat = (1, 5, 5.0)  # at least one call, and more while they are short

    @abstractmethod
    def data(self) -> Any:
        """What the call needs, made once a process."""

    @abstractmethod
    def call(self, data: Any) -> Any:
        """What is timed."""

    def loss(self, made: Any) -> float:
        """What the call ends with, lower is better."""
        return float(made.loss)

    def setup_cache(self) -> str:
        """The folder that the benchmarks of one commit share, which asv makes and removes."""
        return str(Path.cwd())

    def setup(self, folder: str) -> None:
        if not hasattr(self, "_data"):  # asv comes here before every call
            self._data = self._loaded()

    def time_call(self, folder: str) -> None:
        self._made = self._called()

    def teardown(self, folder: str) -> None:
        if hasattr(self, "_made"):
            self._kept(folder).write_text(json.dumps(self.loss(self._made)))

    def track_loss_of_call(self, folder: str) -> float:
        """The loss of the call that was timed; of a call now, where none was."""
        kept = self._kept(folder)
        return json.loads(kept.read_text()) if kept.exists() else self.loss(self._called())

    track_loss_of_call.unit = "loss"  # type: ignore[attr-defined]

    def _kept(self, folder: str) -> Path:
        return Path(folder) / f"{type(self).__name__}.json"

    def _called(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.call(self._data)

    def _loaded(self) -> Any:
        try:
            return self.data()
        except FileNotFoundError as error:  # what asv takes for "skipped"
            raise NotImplementedError(str(error)) from None

    def read(self, path: str) -> dict[str, np.ndarray]:
        """The arrays of a file, its maps (y, x, …) thinned to every so-manieth pixel."""
        with np.load(DATA / f"{path}.npz") as file:
            return {name: self._thinned(file[name]) for name in file.files}

    def _thinned(self, array: np.ndarray) -> np.ndarray:
        if array.ndim < 3:
            return array
        if array.shape[0] > 4:  # (y, x, channel)
            return array[:: self.every, :: self.every]
        return array[:, :: self.every, :: self.every]  # (component, y, x)
