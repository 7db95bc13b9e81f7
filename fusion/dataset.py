"""A measured array with its axes, mask and noise."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.arrays import as_tensor, sparse_parts
from fusion.axis import Axes, Axis, named
from fusion.dense import Dense
from fusion.forms import Form, Weights, separable
from fusion.prepare import Preparing
from fusion.sparse import Entries, Sparse

PART = 2**20  # values that are looked at together


class Dataset(Preparing):
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
        variance: of every entry, in the squared unit of the data; broadcastable to the array, as in
            NumPy. One per channel, one per pixel, or a product of both keeps the fast path.
        history: what was done to the data before, a line a step.
        metadata: what else is known of the measurement; carried along, not used.

    A dask array is read when the data are first needed: crop and bin it before.

    Raises:
        ValueError: if sizes disagree, the data are empty or not real, a variance is not positive,
            nothing is left outside the mask, or all that is left is zero or not finite (`check`).
    """

    def __init__(
        self,
        name: str,
        array: Any,
        *,
        axes: Sequence[Axis | str] | None = None,
        signal: int = 1,
        mask: Any = None,
        variance: Any = None,
        history: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = str(name)
        self.lazy: Any
        self.entries: Entries | None
        self.lazy, self._tensor, self.entries, self.shape = _read(self, array, axes)
        if not 0 <= signal <= len(self.shape):
            raise ValueError(
                f"`{self}`: signal={signal}, the array has {len(self.shape)} axes: "
                "give 0 to that many."
            )
        self.signal = int(signal)
        self.axes = named(axes, self.shape, self.signal)
        self.mask = _mask(self, mask)
        self.variance = _variance(self, variance)
        self.history = tuple(str(step) for step in history)
        self.metadata = dict(metadata or {})
        self._forms: dict[tuple, Form] = {}
        self._checked, self._finite = False, True
        self.tallied: Any = None
        """Sums of it, once `fusion.tally.tally` was asked for them."""

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
            self._tensor, self.lazy = _tensor(self, self.lazy.compute()), None
        return self._tensor

    @property
    def dtype(self) -> torch.dtype | str:
        """Type of the values as they came."""
        if self.lazy is not None:
            return str(self.lazy.dtype)
        return self.tensor.dtype if self.entries is None else self.entries.x.dtype

    def numpy(self) -> NDArray[Any]:
        """The data as a NumPy array, not to be written to."""
        return self.tensor.cpu().numpy()

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

    def renamed(self, name: str) -> "Dataset":
        """The same under another name, under which models and results will have it."""
        copy = Dataset.__new__(Dataset)
        copy.__dict__.update(self.__dict__, name=str(name), _forms={})
        return copy

    def masked(self, mask: Any) -> "Dataset":
        """With this mask beside the one it has; True = excluded, shapes as in `Dataset`."""
        added = _mask(self, mask)
        if added is None:
            return self
        step = f"masked: {int(added.sum())} of {added.numel()} left out"
        both = added if self.mask is None else self.mask | added
        return self.derive(self._array, step, mask=both)

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

    def weights(self, shape: tuple[int, int], *, variance: bool = True) -> Weights:
        """Weight of every entry, 1 / variance, 0 where masked, unfolded to this two-way shape."""
        keep = None if self.mask is None else _unfold(~self.mask, self.shape, shape)
        precision = None
        if variance and self.variance is not None:
            precision = _unfold(1.0 / self.variance, self.shape, shape)
        if keep is None or precision is None:
            return Weights.of(precision if keep is None else keep)
        return Weights.of(precision) * Weights.of(keep)

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
            if self.entries is not None:
                self._forms[key] = self._sparse(shape, weights, device, dtype)
                return self._forms[key]
            tensor = self.tensor
            if not self._finite:  # what is not finite is masked
                tensor = torch.nan_to_num(tensor, nan=0.0, posinf=0.0, neginf=0.0)
            self._forms[key] = Dense(tensor.reshape(shape).to(device), weights, dtype)
        return self._forms[key]

    def _sparse(
        self, shape: tuple[int, int], weights: Weights, device: torch.device, dtype: torch.dtype
    ) -> Form:
        """The entries as a fit reads them, without those of no weight."""
        assert self.entries is not None
        if shape != self.matrix_shape or weights.full is not None:
            raise ValueError(
                f"`{self}`: sparse data are read as (pixels, channels), with a mask and a variance "
                "of whole pixels and channels: give a dense array for a tensor decomposition or "
                "other weights."
            )
        held = self.entries.to(device, dtype)
        keep = torch.ones(len(held.x), dtype=torch.bool, device=device)
        for vector, index in ((weights.rows, held.i), (weights.cols, held.j)):
            if vector is not None:
                keep &= vector.index_select(0, index) > 0
        if not bool(keep.all()):
            held = Entries(held.i[keep], held.j[keep], held.x[keep], shape)
        return Sparse(held, weights, dtype)

    def check(self) -> None:
        """Complain of what no fit can use.

        Raises:
            ValueError: if there are NaN or infinities, only zeros, or nothing outside the mask.
        """
        if self._checked:
            return
        keep = None if self.mask is None else ~self.mask.expand(self.shape)
        if keep is not None and not keep.any():
            raise ValueError(
                f"`{self}`: the mask excludes all {prod(self.shape)} values: True means excluded."
            )
        if self.entries is not None:  # finite and not zero, as they were read
            self._checked = True
            return
        broken, nonzero = self._look(keep)
        if broken > 0:
            bad = ~torch.isfinite(self.tensor.cpu())
            first = tuple(int(i) for i in (bad if keep is None else bad & keep).nonzero()[0])
            raise ValueError(
                f"`{self}`: {broken} of {self.tensor.numel()} values are NaN or infinite, "
                f"the first at {first} ({', '.join(axis.name for axis in self.axes)}): "
                f"mask them (mask=~numpy.isfinite(array)){self._turned()}."
            )
        if not nonzero:
            raise ValueError(f"`{self}`: all values are zero: there is nothing to fit.")
        self._checked = True

    def _look(self, keep: Tensor | None) -> tuple[int, bool]:
        """(how many values are not finite, whether one is not zero), by parts, mask aside."""
        rows = self.matrix
        keep = None if keep is None else keep.reshape(rows.shape)
        broken, nonzero = 0, False
        step = max(1, PART // rows.shape[1])
        for part in (slice(i, i + step) for i in range(0, len(rows), step)):
            x = rows[part]
            quick = keep is None and nonzero and x.dtype.is_floating_point
            if quick and bool(torch.isfinite(torch.linalg.vector_norm(x))):
                continue  # what is not finite would show in the norm
            seen = None if keep is None else keep[part].to(x.device)
            if x.dtype.is_floating_point:
                bad = ~torch.isfinite(x)
                if bool(bad.any()):
                    self._finite = False
                    broken += int((bad if seen is None else bad & seen).sum())
            if not nonzero:
                nonzero = bool((x != 0 if seen is None else (x != 0) & seen).any())
        return broken, nonzero

    def _turned(self) -> str:
        """Said where the mask of a square map would hide what is not finite if it were turned."""
        if self.mask is None or len(self.pixels) != 2 or self.mask.shape[0] != self.mask.shape[1]:
            return ""
        keep = ~self.mask.transpose(0, 1).expand(self.shape).to(self.tensor.device)
        if bool((~torch.isfinite(self.tensor) & keep).any()):
            return ""
        y, x = (axis.name for axis in self.pixels)
        return f"; the mask hides them all if it is transposed: give it as ({y}, {x})"

    def __getstate__(self) -> dict[str, Any]:
        if self.lazy is not None:
            self.tensor  # noqa: B018, what is lazy hangs on an open file
        return {**self.__dict__, "_forms": {}}

    def __deepcopy__(self, memo: dict) -> "Dataset":
        return self  # never changed in place, so a copy of a model or a loss may share it

    def __str__(self) -> str:
        return f"Dataset({self.name!r})"

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis.name} {n}" for axis, n in zip(self.axes, self.shape, strict=True))
        kind = str(self.dtype).removeprefix("torch.") + ", sparse" * (self.entries is not None)
        return f"Dataset({self.name!r}, {axes}; {kind})"


def _merges(shape: Sequence[int], finer: Sequence[int]) -> bool:
    """Whether a shape is the finer one with some neighbouring axes made one."""
    ends = set(accumulate(finer, mul))
    return prod(shape) == prod(finer) and set(accumulate(shape, mul)) <= ends


def _read(
    owner: Dataset, array: Any, axes: Sequence[Axis | str] | None
) -> tuple[Any, Tensor | None, Entries | None, tuple[int, ...]]:
    """(lazy array, tensor, entries: one of them; shape)."""
    if isinstance(array, Entries):  # from another data set
        sizes = [axis.size for axis in axes or () if isinstance(axis, Axis)]
        return None, None, array, tuple(n for n in sizes if n is not None)
    if (found := sparse_parts(array)) is not None:
        return None, None, *_entries(owner, *found, axes)
    if isinstance(array, Tensor) or not (hasattr(array, "compute") and hasattr(array, "dtype")):
        tensor = _tensor(owner, array)
        return None, tensor, None, tuple(tensor.shape)
    _suits(owner, array.dtype, array.shape)
    return array, None, None, tuple(int(n) for n in array.shape)


def _entries(
    owner: Dataset,
    coordinates: Tensor,
    values: Tensor,
    shape: tuple[int, ...],
    axes: Sequence[Axis | str] | None,
) -> tuple[Entries, tuple[int, ...]]:
    """Entries of sparse data as (pixel, channel), and the shape; a matrix may be a map unfolded."""
    if not shape or 0 in shape:
        raise ValueError(f"`{owner}`: the array is empty (shape {shape}): give one spectrum.")
    if values.is_complex() or values.dtype is torch.bool:
        raise ValueError(f"`{owner}`: data of type {values.dtype}: give real numbers.")
    if values.dtype.is_floating_point and (bad := int((~torch.isfinite(values)).sum())):
        raise ValueError(f"`{owner}`: {bad} of {len(values)} entries are NaN or infinite.")
    columns = shape[-1]
    *outer, j = coordinates
    i = outer[0] if outer else torch.zeros_like(j)
    for place, n in zip(outer[1:], shape[1:-1], strict=True):
        i = i * n + place
    flat = i * columns + j
    if not bool((flat[1:] > flat[:-1]).all()):
        flat, order = torch.sort(flat)
        values = values[order]
        if bool((flat[1:] == flat[:-1]).any()):  # several counts of one place add up
            flat, group = torch.unique_consecutive(flat, return_inverse=True)
            values = values.new_zeros(len(flat)).index_add_(0, group, values)
        i = torch.div(flat, columns, rounding_mode="floor")
        j = flat - i * columns
    keep = values != 0
    if not bool(keep.any()):
        raise ValueError(f"`{owner}`: all values are zero: there is nothing to fit.")
    if not bool(keep.all()):
        i, j, values = i[keep], j[keep], values[keep]
    rows = prod(shape) // columns
    sizes = tuple(axis.size or 0 for axis in axes or () if isinstance(axis, Axis))
    if len(shape) == 2 and len(sizes) == len(axes or ()) > 2 and prod(sizes[:-1]) == rows:
        shape = sizes  # the axes tell how the matrix folds
    return Entries(i, j, values, (rows, columns)), tuple(int(n) for n in shape)


def _suits(owner: Dataset, dtype: Any, shape: Sequence[int]) -> None:
    """Complain of a type or a shape that no data set has."""
    if dtype.kind not in "buif":
        raise ValueError(f"`{owner}`: data of type {dtype}: give real numbers.")
    if not shape or 0 in shape:
        raise ValueError(
            f"`{owner}`: the array is empty (shape {tuple(shape)}): give at least one spectrum."
        )


def _tensor(owner: Dataset, array: Any) -> Tensor:
    """The array as a torch tensor, without a copy where torch can read it in place."""
    if not isinstance(array, Tensor):
        array = np.asarray(array)
        _suits(owner, array.dtype, array.shape)
    array = as_tensor(array)
    if array.is_complex():
        raise ValueError(f"`{owner}`: data of type {array.dtype}: give real numbers.")
    if array.ndim == 0 or array.numel() == 0:
        raise ValueError(
            f"`{owner}`: the array is empty (shape {tuple(array.shape)}): "
            "give at least one spectrum."
        )
    return array


def _mask(owner: Dataset, mask: Any) -> Tensor | None:
    """The mask broadcastable to the array, True = excluded."""
    if mask is None:
        return None
    mask = torch.as_tensor(np.array(mask) if not isinstance(mask, Tensor) else mask).cpu()
    if mask.dtype is not torch.bool:
        raise ValueError(
            f"`{owner}`: the mask is of type {mask.dtype}: give booleans, True = excluded."
        )
    split = len(owner.shape) - owner.signal
    scan, spectrum, got = owner.shape[:split], owner.shape[split:], tuple(mask.shape)
    if got == scan == spectrum:
        raise ValueError(
            f"`{owner}`: a mask of shape {got} could mean pixels or channels, both {scan}: "
            f"give shape {(*scan, *(1,) * owner.signal)} for pixels, "
            f"{(*(1,) * split, *spectrum)} for channels."
        )
    if got == scan:
        return mask.reshape(*scan, *(1,) * owner.signal)
    if got == spectrum:
        return mask.reshape(*(1,) * split, *spectrum)
    if len(got) == len(owner.shape) and all(
        m in (1, n) for m, n in zip(got, owner.shape, strict=True)
    ):
        return mask
    raise ValueError(
        f"`{owner}`: a mask of shape {got} for data of shape {owner.shape}: "
        f"give {scan} (pixels), {spectrum} (channels) or {owner.shape} (entries), "
        "in the array's order."
    )


def _variance(owner: Dataset, variance: Any) -> Tensor | None:
    """The variance with as many axes as the array, broadcastable to it."""
    if variance is None:
        return None
    variance = torch.as_tensor(np.array(variance) if not isinstance(variance, Tensor) else variance)
    variance = variance.detach().cpu().double()
    try:
        torch.broadcast_shapes(variance.shape, owner.shape)
        fits = variance.ndim <= len(owner.shape)
        variance = variance.reshape(
            (1,) * (len(owner.shape) - variance.ndim) + tuple(variance.shape)
        )
        fits = fits and all(m in (1, n) for m, n in zip(variance.shape, owner.shape, strict=True))
    except (RuntimeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"`{owner}`: variance of shape {tuple(variance.shape)} "
            f"for data of shape {owner.shape}: "
            "give a shape that broadcasts to the data, as in NumPy."
        )
    used = (
        variance
        if owner.mask is None
        else variance.expand(owner.shape)[~owner.mask.expand(owner.shape)]
    )
    if (count := int((~(torch.isfinite(used) & (used > 0))).sum())) > 0:
        raise ValueError(
            f"`{owner}`: {count} variances are not positive and finite "
            f"(lowest {float(used.min()):g}): "
            "add the read-out noise, or mask those entries."
        )
    return torch.where(torch.isfinite(variance) & (variance > 0), variance, 1.0)


def _unfold(
    array: Tensor, full: tuple[int, ...], shape: tuple[int, int]
) -> tuple[Tensor, Tensor] | Tensor:
    """The array unfolded: (row, column) vectors if it is their product, else the matrix."""
    split, rows = 0, 1
    while rows < shape[0] or (
        rows == shape[0] and split < len(full) and full[split] == 1 and split < len(full) - 1
    ):
        rows, split = rows * full[split], split + 1
    left, right = array.shape[:split], array.shape[split:]
    array = array.to(torch.float64)
    if prod(right) == 1:
        return array.reshape(left).expand(full[:split]).reshape(-1), torch.ones(
            shape[1], dtype=array.dtype
        )
    if prod(left) == 1:
        return torch.ones(shape[0], dtype=array.dtype), array.reshape(right).expand(
            full[split:]
        ).reshape(-1)
    return separable(array.expand(full).reshape(shape))
