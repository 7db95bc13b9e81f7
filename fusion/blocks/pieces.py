"""One data set's part of a block: all that is needed to read it, wherever that is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis import Axes
from fusion.blocks.on_rows import pixel_axis
from fusion.data.dataset import Dataset
from fusion.data.parts import as_numpy, numbers
from fusion.forms.entries import Entries

Box = tuple[slice, ...]
"""A part of a scan, along each of its axes."""


class UnusableValues(ValueError):
    """Values that no fit can use, told as users read it."""


@dataclass(frozen=True)
class Piece:
    """Some pixels of a data set.

    Attributes:
        name, lead, channels, signal: of the data set; lead: its axes before those of the scan.
        pixels: how many.
        array: of dask, a tensor, or sparse entries; mask, variance: theirs, broadcastable to
            (…, pixel, channel …).
        place: in words, for errors; scan, box: which part of which scan it is.
    """

    name: str
    lead: Axes
    scan: Axes
    box: Box
    channels: Axes
    signal: int
    pixels: int
    array: Any
    mask: Tensor | None
    variance: Tensor | None
    place: str

    @classmethod
    def of(cls, data: Dataset, scan: Axes, box: Box) -> Piece:
        """What a data set has in this part of a scan."""
        lead = data.pixels[: len(data.pixels) - len(scan)]
        index = (*(slice(None) for _ in lead), *box)
        sizes = [part.stop - part.start for part in box]
        ends = zip(scan, box, strict=True)
        mask = _part(data.mask, index, len(lead))
        array = _part_of_array(data, scan, index, box)
        if data.lazy is not None and mask is not None and bool(mask.all()):
            array = _nothing_of(array)
        where = ", ".join(f"{axis.name} {part.start}–{part.stop - 1}" for axis, part in ends)
        return cls(
            data.name,
            lead,
            scan,
            box,
            data.channels,
            data.signal,
            prod(sizes),
            array,
            mask,
            _part(data.variance, index, len(lead)),
            f"{where} of {data.name!r}",
        )

    @property
    def bytes(self) -> int:
        """Of the array as it is stored."""
        if isinstance(self.array, Entries):
            return len(self.array.x) * (self.array.x.element_size() + 8)
        return prod(self.array.shape) * self.array.dtype.itemsize

    def position(self, pixel: int, channel: int) -> str:
        """A pixel of it in the whole scan, and a channel, in words: "y 3, x 7, energy 20"."""
        sizes = [part.stop - part.start for part in self.box]
        inside = np.unravel_index(pixel, sizes)
        at = [part.start + int(i) for part, i in zip(self.box, inside, strict=True)]
        axes = self.scan
        if self.channels:
            axes = (*axes, *self.channels)
            at += map(int, np.unravel_index(channel, [axis.size or 1 for axis in self.channels]))
        return ", ".join(f"{axis.name} {i}" for axis, i in zip(axes, at, strict=True))

    @property
    def lazy(self) -> bool:
        """Whether it has to be read."""
        return hasattr(self.array, "compute")

    def read(self) -> Dataset:
        """The data set of these pixels, in memory."""
        if not self.lazy:
            return self.filled(self.array)
        return self.filled(joined(self._read(), self.join))

    @property
    def join(self) -> tuple[Any, ...] | None:
        """How dask makes one array of its chunks; None where there is one."""
        return self.array.__dask_postcompute__() if self.array.npartitions > 1 else None

    @cached_property
    def tasks(self) -> tuple[Any, Any]:
        """(what dask does to read it, under which names it comes): found once, not at each pass."""
        keys = self.array.__dask_keys__()
        return self.array.__dask_optimize__(self.array.__dask_graph__(), keys), keys

    @cached_property
    def _read(self) -> Callable[[], Any]:
        """The same, done here."""
        from dask.core import flatten, get  # by a scheduler's name dask loads distributed: 22 MB

        graph, keys = self.tasks
        first, *more = flatten(keys)
        task = graph[first]
        while (named := getattr(task, "target", None)) in graph:  # another name of the same
            task = graph[named]
        if callable(task) and not more and not getattr(task, "dependencies", True):
            return task  # there is nothing to put in order
        return lambda: get(graph, keys)

    @cached_property
    def _axes(self) -> Axes:
        return (*self.lead, *pixel_axis(self.pixels), *self.channels)

    def filled(self, array: Any) -> Dataset:
        """The same of the array once it is there.

        Raises:
            ValueError: if there are NaN or infinities outside the mask.
        """
        axes = self._axes
        if not isinstance(array, Entries):
            array = as_tensor(array).reshape([axis.size or 1 for axis in axes])
        data = Dataset(
            self.name,
            array,
            axes=axes,
            signal=self.signal,
            mask=self.mask,
            variance=self.variance,
        )
        data._checked, data._finite, data._passing = True, self._finite(data), True
        return data

    def _finite(self, data: Dataset) -> bool:
        """Whether all values are finite, masked ones too."""
        if data.entries is not None or not data.tensor.dtype.is_floating_point:
            return True
        x = data.tensor
        if bool(torch.isfinite(torch.linalg.vector_norm(x))):
            return True  # what is not finite would show in the norm
        bad = ~torch.isfinite(x)
        if not bool(bad.any()):
            return True  # the norm alone was too large
        seen = bad if self.mask is None else bad & ~self.mask
        if bool(seen.any()):
            lead = len(self.lead)
            at = tuple(seen.nonzero()[0].tolist())
            channel = (
                np.ravel_multi_index(at[lead + 1 :], x.shape[lead + 1 :]) if self.signal else 0
            )
            raise UnusableValues(
                f"`fit`, block by block: {int(seen.sum())} values of block {self.place} are NaN or "
                f"infinite, the first at {self.position(at[lead], int(channel))}: mask them "
                "(`data.masked(~numpy.isfinite(array).compute())`), or set them right."
            )
        return False

    def sent(self) -> Piece:
        """The same for another process: what is lazy comes there by itself, the rest is its own.

        A slice of a tensor would carry the whole of it.
        """
        array = self.array
        if self.lazy:
            array = None
        elif isinstance(array, Entries):
            array = Entries(_own(array.i), _own(array.j), _own(array.x), array.shape)
        elif not _expanded(array):
            array = as_numpy(array)  # torch cannot send unsigned counts, a slice goes alone
        mask, variance = (None if x is None else _own(x) for x in (self.mask, self.variance))
        return replace(self, array=array, mask=mask, variance=variance)


def joined(chunks: Any, join: tuple[Any, ...] | None) -> Any:
    """The chunks of a piece as one array.

    Of one chunk dask would make a copy, so that nobody writes to what it holds: nobody does.
    """
    if join is not None:
        made, rest = join
        return made(chunks, *rest)
    while isinstance(chunks, list | tuple):
        (chunks,) = chunks
    return chunks


def _own(values: Tensor) -> Tensor:
    """The same with no more memory than its own."""
    if values.untyped_storage().nbytes() <= values.nbytes:
        return values
    return values.clone()


def _expanded(values: Tensor) -> bool:
    """Whether one value stands for many."""
    return values.untyped_storage().nbytes() < values.nbytes


def let_go(datasets: Iterable[Dataset]) -> None:
    """Drop the arrays of data sets that are done with.

    What a fit is made of goes round in circles, which Python finds late: blocks would pile up.
    """
    for data in datasets:
        for form in data._forms.values():
            vars(form).clear()
        data._forms.clear()
        data._tensor = data.entries = None


def rows_of(scan: Axes, box: Box) -> Tensor:
    """Numbers of the pixels of a box in the whole scan, as one list."""
    return torch.from_numpy(numbers(box, [axis.size or 1 for axis in scan]))


def _part_of_array(data: Dataset, scan: Axes, index: Sequence[slice], box: Box) -> Any:
    if data.entries is None:
        return (data.tensor if data.lazy is None else data.lazy)[tuple(index)]
    rows = rows_of(scan, box)
    first, last, held = int(rows[0]), int(rows[-1]) + 1, data.entries
    part = slice(int(held.start[first]), int(held.start[last]))
    shape = (len(rows), held.shape[1])
    return Entries(held.i[part] - first, held.j[part], held.x[part], shape)


def _nothing_of(array: Any) -> Tensor:
    """Zeros in place of what is wholly masked: it is not read, and may not be readable."""
    return torch.zeros(1, dtype=torch.uint8).expand(array.shape)


def _part(values: Tensor | None, index: Sequence[slice], lead: int) -> Tensor | None:
    """Of a mask or a variance, axes of one entry as they are: (…, pixel, channel …)."""
    if values is None or values.ndim == 0:
        return values
    held = values.shape[: len(index)]
    part = values[tuple(i if n > 1 else slice(None) for i, n in zip(index, held, strict=True))]
    if max(held[lead:], default=1) == 1:
        return part.flatten(lead, len(index) - 1)
    sizes = [i.stop - i.start for i in index[lead:]]
    full = part.expand(*part.shape[:lead], *sizes, *part.shape[len(index) :])
    return full.flatten(lead, len(index) - 1)
