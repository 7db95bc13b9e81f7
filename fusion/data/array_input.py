"""What users hand in for a data set, as it is kept: array, mask and variance; complaints of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.arrays import as_array, as_tensor, sparse_parts
from fusion.algebra.axis import Axis
from fusion.algebra.cautions import MemoryWarning, users_line
from fusion.algebra.memory import total_bytes
from fusion.forms.entries import PART, Entries
from fusion.forms.weights import separable

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

SHARE = 0.25
"""Of the memory that there is, above which it is said."""


def check_name_and_array(name: Any, array: Any) -> None:
    """Complain of an array, a signal or a data set in the wrong place, or missing.

    Raises:
        ValueError: with the line that was meant.
        TypeError: if there is no array.
    """
    for given in (name, array):
        if hasattr(given, "axes_manager"):
            raise ValueError(
                f"`Dataset({_short(name)}, …)`: a HyperSpy signal: "
                "`Dataset.from_hyperspy(signal)` keeps its axes and metadata."
            )
    if not isinstance(name, str):
        raise ValueError(
            f"`Dataset({_short(name)}, …)`: the name comes first: `Dataset('eels', array)`."
        )
    if array is None:
        raise TypeError(f"`Dataset({name!r})`: array missing: `Dataset('eels', array)`.")
    if isinstance(array, str | PathLike):
        raise ValueError(
            f"`Dataset({name!r}, {str(array)!r})`: a path: `fusion.load({str(array)!r})` reads it."
        )
    if hasattr(array, "tallied"):
        raise ValueError(
            f"`Dataset({name!r}, {array})`: that is a data set already: `{array.name}.renamed("
            f"{name!r})` gives it another name, `.with_axes`, `.masked` and `.with_variance` more."
        )


def _short(given: Any) -> str:
    return repr(given) if isinstance(given, str) else type(given).__name__


def read_array(
    owner: Dataset, array: Any, axes: Sequence[Axis | str] | None
) -> tuple[Any, Tensor | None, Entries | None, tuple[int, ...]]:
    """(lazy array, tensor, entries: one of them; shape)."""
    if isinstance(array, Entries):  # from another data set
        sizes = [axis.size for axis in axes or () if isinstance(axis, Axis)]
        return None, None, array, tuple(n for n in sizes if n is not None)
    if hasattr(getattr(array, "_meta", None), "nnz") and hasattr(array, "compute"):
        if not bool(getattr(array._meta, "fill_value", 0) != 0):
            return None, None, *sparse_entries(owner, *_of_blocks(array), axes)
        array = array.map_blocks(lambda block: block.todense(), dtype=array.dtype)
    if hasattr(array, "nnz") and bool(getattr(array, "fill_value", 0) != 0):
        array = array.todense()  # all that is not listed has a value: dense in truth
    if (parts := sparse_parts(array)) is not None:
        return None, None, *sparse_entries(owner, *parts, axes)
    if isinstance(array, Tensor) or not (hasattr(array, "compute") and hasattr(array, "dtype")):
        tensor = tensor_of(owner, array)
        return None, tensor, None, tuple(tensor.shape)
    check_type(owner, array.dtype, array.shape)
    return array, None, None, tuple(int(n) for n in array.shape)


def _of_blocks(array: Any) -> tuple[tuple[Tensor, ...], Tensor, tuple[int, ...]]:
    """(positions of every axis, values, shape) of a dask array of sparse blocks, one by one."""
    places, values = [], []
    ends = [np.cumsum([0, *chunks]).tolist() for chunks in array.chunks]
    for block in product(*(range(n) for n in array.numblocks)):
        own = sparse_parts(array.blocks[block].compute())
        assert own is not None
        corner = [along[i] for along, i in zip(ends, block, strict=True)]
        places.append([place + first for place, first in zip(own[0], corner, strict=True)])
        values.append(own[1])
    joined = tuple(torch.cat(each) for each in zip(*places, strict=True))
    return joined, torch.cat(values), tuple(int(n) for n in array.shape)


def without_mask(array: Any) -> tuple[Any, Any]:
    """(array, its own mask or None) of a masked array of NumPy, or of dask; True = excluded."""
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        return array.filled(0), mask if mask.any() else None
    if isinstance(getattr(array, "_meta", None), np.ma.MaskedArray):  # dask: read for its mask
        blocks = array.map_blocks(np.ma.getmaskarray, dtype=bool, meta=np.empty(0, bool))
        mask = np.asarray(blocks.compute())
        plain = array.map_blocks(np.ma.filled, 0, meta=np.empty(0, array.dtype))
        return plain, mask if mask.any() else None
    return array, None


def sparse_entries(
    owner: Dataset,
    coordinates: tuple[Tensor, ...],
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
    if values.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch adds none of these
        values = values.to(torch.int64)
    if values.dtype in (torch.float16, torch.bfloat16):  # whose sums overflow
        values = values.float()
    columns, rows = shape[-1], prod(shape[:-1])
    *outer, j = coordinates
    if rows >= 2**31:
        outer = [place.long() for place in outer]
    i = outer[0] if outer else torch.zeros_like(j)
    for place, n in zip(outer[1:], shape[1:-1], strict=True):
        i = i * n + place
    if not _in_order(i, j):
        flat, order = torch.sort(i.long() * columns + j)
        values = values[order]
        if bool((flat[1:] == flat[:-1]).any()):  # several counts of one place add up
            flat, group = torch.unique_consecutive(flat, return_inverse=True)
            # in a type that holds the sum: 300 events of uint8 are 300
            wide = values.dtype if values.dtype.is_floating_point else torch.int64
            values = torch.zeros(len(flat), dtype=wide).index_add_(0, group, values.to(wide))
        i = torch.div(flat, columns, rounding_mode="floor")
        j = flat - i * columns
    keep = values != 0
    if not bool(keep.any()):
        raise ValueError(f"`{owner}`: all values are zero: there is nothing to fit.")
    if not bool(keep.all()):
        i, j, values = i[keep], j[keep], values[keep]
    shape = _folded_shape(shape, axes)
    return Entries(i, j, values, (rows, columns)), tuple(int(n) for n in shape)


def _folded_shape(shape: tuple[int, ...], axes: Sequence[Axis | str] | None) -> tuple[int, ...]:
    """How the rows of a matrix fold, as the axes tell; the last has the columns."""
    *outer, last = axes or (None,)
    sizes = [axis.size or 0 if isinstance(axis, Axis) else 0 for axis in outer]
    columns = getattr(last, "size", None) or shape[-1]
    folds = len(shape) == 2 and len(sizes) > 1 and prod(sizes) == shape[0] and columns == shape[1]
    return (*sizes, shape[1]) if folds else shape


def _in_order(i: Tensor, j: Tensor) -> bool:
    """Whether every place comes once, by rows, then columns; looked at in parts."""
    for a in range(0, len(i) - 1, PART):
        here, there = slice(a, min(a + PART, len(i) - 1)), slice(a + 1, a + 1 + PART)
        further = (i[there] > i[here]) | ((i[there] == i[here]) & (j[there] > j[here]))
        if not bool(further.all()):
            return False
    return True


def folded_to(entries: Entries, shape: tuple[int, int]) -> Entries:
    """The same entries as (pixel, channel) where the signal has other axes than the last."""
    if entries.shape == shape:
        return entries
    flat = entries.i.long() * entries.shape[1] + entries.j
    i = torch.div(flat, shape[1], rounding_mode="floor")
    return Entries(i, flat - i * shape[1], entries.x, shape)


def fits_in_memory(need: int, told: Callable[[str, str], str]) -> None:
    """Complain of what is larger than the machine's memory, before it is read or made.

    Args:
        need: bytes.
        told: what is complained of, by "1.2 GB" that are needed and that the machine has.

    Raises:
        ValueError: if there is not as much in all.

    Warns:
        MemoryWarning: from a quarter of what there is.
    """
    have = total_bytes()
    if have is None or need <= SHARE * have:
        return
    text = told(f"{need / 1e9:.3g} GB", f"{have / 1e9:.3g}")
    if need > have:
        raise ValueError(text)
    warnings.warn(text, MemoryWarning, stacklevel=users_line())


def read_whole(owner: Dataset, lazy: Any) -> None:
    """Complain of a dask array that is read whole, if it is large; as `fits_in_memory`."""
    fits_in_memory(
        prod(lazy.shape) * lazy.dtype.itemsize,
        lambda need, have: (
            f"`{owner}`: {need} are to be read, the machine has {have}: crop or bin it first, "
            "which stays lazy; `fu.fit` goes block by block, and so do `result.transform` and "
            "most steps of preparing."
        ),
    )


def check_type(owner: Dataset, dtype: Any, shape: Sequence[int]) -> None:
    """Complain of a type or a shape that no data set has."""
    if dtype.kind not in "buif":
        raise ValueError(f"`{owner}`: data of type {dtype}: give real numbers.")
    if not shape or 0 in shape:
        raise ValueError(
            f"`{owner}`: the array is empty (shape {tuple(shape)}): give at least one spectrum."
        )


def tensor_of(owner: Dataset, array: Any) -> Tensor:
    """The array as a torch tensor, without a copy where torch can read it in place."""
    if not isinstance(array, Tensor):
        array = as_array(array)
        check_type(owner, array.dtype, array.shape)
    array = as_tensor(array)
    if array.is_complex():
        raise ValueError(f"`{owner}`: data of type {array.dtype}: give real numbers.")
    if array.ndim == 0 or array.numel() == 0:
        raise ValueError(
            f"`{owner}`: the array is empty (shape {tuple(array.shape)}): "
            "give at least one spectrum."
        )
    return array


def mask_of(owner: Dataset, mask: Any) -> Tensor | None:
    """The mask broadcastable to the array, True = excluded."""
    if mask is None:
        return None
    if hasattr(mask, "axes_manager"):  # a HyperSpy signal
        mask = mask.data
    mask = as_tensor(mask).clone().cpu()
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
    turned = got == scan[::-1]
    raise ValueError(
        f"`{owner}`: a mask of shape {got} for data of shape {owner.shape}: "
        f"give {scan} (pixels), {spectrum} (channels) or {owner.shape} (entries), "
        "in the array's order" + (": `mask.T` is that." if turned else ".")
    )


def both_masks(mask: Tensor | None, own: Any) -> Tensor | None:
    """A mask beside the one that the array itself had, of its shape."""
    if own is None:
        return mask
    own = torch.as_tensor(own)
    return own if mask is None else own | mask


def variance_of(owner: Dataset, variance: Any) -> Tensor | None:
    """The variance with as many axes as the array, broadcastable to it."""
    if variance is None:
        return None
    variance = as_tensor(variance).clone()
    variance = variance.detach().cpu().double()
    try:
        np.broadcast_shapes(variance.shape, owner.shape)  # torch brings in sympy for its own
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


def unfold(
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
