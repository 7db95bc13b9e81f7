"""A measured array with its axes, mask and noise."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from numbers import Integral
from operator import mul
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, named
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Shown
from fusion.data.array_input import (
    both_masks,
    check_name_and_array,
    folded_to,
    mask_of,
    read_array,
    read_whole,
    tensor_of,
    unfold,
    variance_of,
    without_mask,
)
from fusion.data.dataset_display import dataset_display
from fusion.data.looking import Looking
from fusion.data.parts import array_of, as_numpy
from fusion.data.preparing import Preparing
from fusion.data.usable_form import all_finite, form_of
from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.forms.weights import Weights


class Dataset(Shown, Preparing, Looking):
    """One detector's data: `(…, channel)`, named and calibrated; never changed in place.

    Args:
        name: the key under which a model predicts it.
        array: NumPy array, torch tensor or dask array, integers or floats, navigation axes first.
            Or sparse counts, which are never made dense: a torch or `sparse` array of that shape,
            or a matrix (pixel, channel) of scipy.sparse; with axes of known size it is a map.
        axes: an `Axis` or a name for every array axis; default "y", "x", "channel".
        signal: how many of the last axes are spectral: 1; 2 for diffraction patterns, 0 for images.
        mask: True = excluded. Of the shape of the navigation axes (whole pixels), of the signal
            axes (whole channels), or of the array (single entries; axes of length 1 are repeated).
            A NumPy masked array brings its own, which is kept beside it.
        variance: of every entry, in the squared unit of the data; broadcastable to the array, as in
            NumPy. One per channel, one per pixel, or a product of both keeps the fast path.
        history: what was done to the data before, a line a step.
        metadata: what else is known of the measurement; carried along, not used.

    A dask array stays one: most steps and fits go block by block (the how-to *Large data* says
    which), what needs all of it reads it once and says so where it is large.

    Raises:
        ValueError: if sizes disagree, the data are empty or not real, a variance is not positive,
            nothing is left outside the mask, or all that is left is zero or not finite (`check`).

    Example:
        >>> counts = np.random.default_rng(0).poisson(5.0, (4, 6, 100))
        >>> energy = fu.Axis("energy loss", scale=0.5, offset=100, units="eV")
        >>> fu.Dataset("eels", counts, axes=["y", "x", energy])
        Dataset('eels', y 4, x 6, energy loss 100; int64)
          axis         size  from     to  step  unit
          y               4     0      3     1     –
          x               6     0      5     1     –
          energy loss   100   100  149.5   0.5    eV  spectral
          noise    no variance given
        >>> fu.Dataset("eels", counts, axes=["y", "x", energy]).crop(energy_loss=(110, 130)).shape
        (4, 6, 41)
    """

    @checked_call
    def __init__(
        self,
        name: str,
        array: Any = None,
        *,
        axes: Sequence[Axis | str] | None = None,
        signal: int = 1,
        mask: Any = None,
        variance: Any = None,
        history: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        check_name_and_array(name, array)
        self.name = name
        self.lazy: Any
        self.entries: Entries | None
        array, own_mask = without_mask(array)
        self.lazy, self._tensor, self.entries, self.shape = read_array(self, array, axes)
        if not isinstance(signal, Integral) or not 0 <= signal <= len(self.shape):
            raise ValueError(
                f"`{self}`: signal={signal!r}, the array has {len(self.shape)} axes: "
                "give 0 to that many."
            )
        self.signal = int(signal)
        if self.entries is not None:
            self.entries = folded_to(self.entries, self.matrix_shape)
        self.axes = named(axes, self.shape, self.signal)
        self.mask = both_masks(mask_of(self, mask), own_mask)
        self.variance = variance_of(self, variance)
        self.history = tuple(str(step) for step in history)
        self.metadata = dict(metadata or {})
        self._forms: dict[tuple, Form] = {}
        self._checked, self._finite = False, True
        self._passing = False  # whether it is a block of a pass, read a few times and let go
        self.tallied: Any = None
        """Sums of it, once `fusion.tally.tally` was asked for them."""

    @classmethod
    def from_hyperspy(cls, signal: Any, *, name: str | None = None, mask: Any = None) -> "Dataset":
        """The data set of a HyperSpy signal, with its axes and metadata; lazy stays lazy.

        The array is taken as it was measured: counts that HyperSpy would scale or mask are not.

        Args:
            signal: of any kind, energies on any array axis: they come last here.
            name: default: by the kind of signal ("eels", "eds"), else its title.
            mask: True = excluded; as in `Dataset`, in the order of the array, (ny, nx), which is
                not that of HyperSpy's NumPy masks; or a HyperSpy signal, whose order is known.

        A variance in the metadata is taken where it is one number; `history` tells.

        Raises:
            ValueError: if it is no signal, not real or ragged, or the mask does not fit.
        """
        from fusion.signals import from_hyperspy

        return from_hyperspy(signal, name=name, mask=mask)

    @property
    def tensor(self) -> Tensor:
        """The data; what is lazy is read now, once.

        Raises:
            ValueError: if they are sparse: they are never made dense.
        """
        if self.entries is not None:
            raise ValueError(
                f"`{self}`: sparse, {len(self.entries.x)} of {prod(self.shape)} values: only fits "
                "and sums read it so: give a dense array (`.todense()`) for this, if it fits."
            )
        if self._tensor is None:
            read_whole(self, self.lazy)
            self._tensor, self.lazy = tensor_of(self, self.lazy.compute()), None
        return self._tensor

    @property
    def dtype(self) -> torch.dtype | str:
        """Type of the values as they came."""
        if self.lazy is not None:
            return str(self.lazy.dtype)
        return self.tensor.dtype if self.entries is None else self.entries.x.dtype

    def numpy(self) -> NDArray[Any]:
        """The data as a NumPy array, not to be written to."""
        return as_numpy(self.tensor)

    @property
    def data(self) -> Any:
        """The array as it was given, to be read: NumPy, dask where it is lazy, torch's sparse."""
        return array_of(self)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy if copy else None)

    @checked_call
    def derive(self, array: Any, step: str, **changes: Any) -> "Dataset":
        """A data set made from this one: the same but for the array and what is named.

        Args:
            array: the new data.
            step: what was done, for `history`.
            changes: `axes`, `mask`, `variance`, `signal`, where they differ.
        """
        kept = {key: getattr(self, key) for key in ("axes", "signal", "mask", "variance")}
        return Dataset(
            self.name,
            array,
            **(kept | changes),
            history=(*self.history, step),
            metadata=self.metadata,
        )

    @checked_call
    def renamed(self, name: str) -> "Dataset":
        """The same under another name, under which models and results will have it."""
        copy = Dataset.__new__(Dataset)
        copy.__dict__.update(self.__dict__, name=str(name), _forms={})
        return copy

    @checked_call
    def masked(self, mask: Any) -> "Dataset":
        """With this mask beside the one it has; True = excluded, shapes as in `Dataset`."""
        added = mask_of(self, mask)
        if added is None:
            return self
        step = f"masked: {int(added.sum())} of {added.numel()} left out"
        both = added if self.mask is None else self.mask | added
        return self.derive(self._array, step, mask=both)

    @checked_call
    def with_variance(self, variance: Any) -> "Dataset":
        """With this variance in place of the one it has; shapes as in `Dataset`, None for none."""
        return self.derive(self._array, "variance given", variance=variance)

    @property
    def _array(self) -> Any:
        """The data, read or not, dense or not."""
        if self.entries is not None:
            return self.entries
        return self._tensor if self.lazy is None else self.lazy

    @property
    def pixels(self) -> Axes:
        """Navigation axes."""
        return self.axes[: len(self.axes) - self.signal]

    @property
    def channels(self) -> Axes:
        """Signal axes; none for an image."""
        return self.axes[len(self.axes) - self.signal :]

    @property
    def matrix(self) -> Tensor:
        """The data as (pixel, channel); (pixel, 1) for an image."""
        return self.tensor.reshape(self.matrix_shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(number of pixels, number of channels)."""
        split = len(self.shape) - self.signal
        return prod(self.shape[:split]), prod(self.shape[split:])

    @checked_call
    def matching(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """Two-way shape in which a prediction of this shape is compared; None if it does not fit.

        With as many modes as the array it is compared as it is (last mode against the rest); with
        two, against `.matrix`; with one, an image against its pixels. Pixels may be flattened in
        part: (segment, pixel, channel) for an array (segment, y, x, channel).
        """
        shape = tuple(shape)
        if shape == self.shape:
            return prod(shape[:-1]), shape[-1]
        if shape in (self.matrix_shape, self.matrix_shape[:1]) and (
            len(shape) == 2 or self.signal == 0
        ):
            return self.matrix_shape
        pixels = self.shape[: len(self.shape) - self.signal]
        if len(shape) > 2 and shape[-1] == self.matrix_shape[1] and _merges(shape[:-1], pixels):
            return self.matrix_shape
        return None

    @checked_call
    def weights(self, shape: tuple[int, int], *, variance: bool = True) -> Weights:
        """Weight of every entry, 1 / variance, 0 where masked, unfolded to this two-way shape."""
        keep = None if self.mask is None else unfold(~self.mask, self.shape, shape)
        precision = None
        if variance and self.variance is not None:
            precision = unfold(1.0 / self.variance, self.shape, shape)
        if keep is None or precision is None:
            return Weights.of(precision if keep is None else keep)
        return Weights.of(precision) * Weights.of(keep)

    @checked_call
    def form(
        self,
        shape: tuple[int, int],
        device: torch.device,
        dtype: torch.dtype,
        *,
        variance: bool = True,
    ) -> Form:
        """The data as the losses read them: moved to the device once, kept there."""
        key = (shape, str(device), dtype, variance)
        if key not in self._forms:
            weights = self.weights(shape, variance=variance).to(device, dtype)
            self.check()
            self._forms[key] = form_of(self, shape, weights, device, dtype)
        return self._forms[key]

    def check(self) -> None:
        """Complain of what no fit can use.

        Raises:
            ValueError: if there are NaN or infinities, only zeros, or nothing outside the mask.
        """
        if not self._checked:
            if self.lazy is not None:  # what holds a form reads them whole
                read_whole(self, self.lazy)
            self._finite = all_finite(self)
            self._checked = True

    def __getstate__(self) -> dict[str, Any]:
        if self.lazy is not None:
            self.tensor  # noqa: B018, what is lazy hangs on an open file
        return {**self.__dict__, "_forms": {}}

    def __deepcopy__(self, memo: dict) -> "Dataset":
        return self  # never changed in place, so a copy of a model or a loss may share it

    def __format__(self, spec: str) -> str:
        """Its name, as sentences have it; `print` shows all."""
        return format(f"Dataset({self.name!r})", spec)

    def _display(self) -> Display:
        return dataset_display(self)


def _merges(shape: Sequence[int], finer: Sequence[int]) -> bool:
    """Whether a shape is the finer one with some neighbouring axes made one."""
    ends = set(accumulate(finer, mul))
    return prod(shape) == prod(finer) and set(accumulate(shape, mul)) <= ends


def check_dataset(call: str, given: Any) -> Dataset:
    """What was given, if it is a data set.

    Raises:
        ValueError: if it is not: how to make one of it.
    """
    if isinstance(given, Dataset):
        return given
    kind = type(given).__name__
    if hasattr(given, "axes_manager"):
        line = "`fusion.Dataset.from_hyperspy(signal)` makes a data set of a HyperSpy signal"
    elif isinstance(given, list | tuple) and any(isinstance(each, Dataset) for each in given):
        line = (
            f"it holds {len(given)} of them: give one; `fusion.models.SharedSpectra(*scans, K=3)` "
            "takes several scans, `SharedMaps(*detectors, K=3)` several detectors of one"
        )
    elif names := _names_in(given):
        one = _map_in(given) or names[0]
        line = f"it holds {', '.join(map(repr, names[:6]))}: give one of them, `…[{one!r}]`"
    elif hasattr(given, "shape") or isinstance(given, list | tuple):
        line = "`fusion.Dataset('name', array, axes=…)` makes one of an array"
    elif isinstance(given, str | PathLike):
        line = "`fusion.load(path)` reads one from a file"
    else:
        line = "give a `fusion.Dataset`"
    raise ValueError(f"`{call}`: {kind} is no data set: {line}.")


def _map_in(given: Any) -> str:
    """The name of the first of spectra at several pixels in a mapping; "" where there is none."""
    held = given.items() if isinstance(given, Mapping) else ()
    maps = (n for n, d in held if isinstance(d, Dataset) and d.signal and d.pixels)
    return next(maps, "")


def _names_in(given: Any) -> list[str]:
    """Names of the data sets in a mapping or a scan; none of what is neither."""
    named = isinstance(given, Mapping) or hasattr(type(given), "__iter__")
    if not named or hasattr(given, "dtype") or isinstance(given, str | list | tuple):
        return []
    names = list(given)
    return names if all(isinstance(name, str) for name in names) else []
