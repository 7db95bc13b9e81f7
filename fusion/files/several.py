"""The data sets of a file that holds several: a dictionary that says so, `Signals`."""

from __future__ import annotations

from typing import Any, NoReturn

from fusion.data.dataset import Dataset
from fusion.data.dataset_display import in_a_line


class Signals(dict[str, Dataset]):
    """Data sets by name, a dictionary; what is asked of all of them is answered by how to take one.

    Example:
        >>> from fusion.files.several import Signals
        >>> both = Signals(eels=fu.Dataset("eels", np.ones((4, 6, 41))))
        >>> both.summary()
        Traceback (most recent call last):
        AttributeError: `….summary`: there are several data sets, 'eels': take one, `…['eels']`.
    """

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or not hasattr(Dataset, name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")
        raise AttributeError(
            f"`….{name}`: there are several data sets, {self._names}: take one, `…[{self._one!r}]`."
        )

    def __missing__(self, name: Any) -> NoReturn:
        raise KeyError(f"no data set {name!r}; there are {self._names}: give one of them")

    def __repr__(self) -> str:
        """A line for each."""
        return "\n".join(["several data sets, by name:", *map(in_a_line, self.values())])

    @property
    def _names(self) -> str:
        return ", ".join(map(repr, self))

    @property
    def _one(self) -> str:
        """The first of spectra at several pixels, else the first of all."""
        maps = [name for name, data in self.items() if data.signal == 1 and data.pixels]
        return (maps or list(self))[0]
