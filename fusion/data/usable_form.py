"""Whether a data set can be fitted, and the form in which losses read it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch

from fusion.data.tally import tally
from fusion.forms import compiled_reading
from fusion.forms.contract import Form
from fusion.forms.dense import RESIDENT, Dense
from fusion.forms.entries import Entries
from fusion.forms.reading import CHUNK
from fusion.forms.sparse import Sparse
from fusion.forms.weights import Weights

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

PART = 2**20  # values that are looked at together


def form_of(
    data: Dataset,
    shape: tuple[int, int],
    weights: Weights,
    device: torch.device,
    dtype: torch.dtype,
) -> Form:
    """A data set that was checked, as losses read it."""
    if data.entries is not None:
        return _sparse_form(data, shape, weights, device, dtype)
    tensor = data.tensor
    if not data._finite:  # what is not finite is masked
        tensor = torch.nan_to_num(tensor, nan=0.0, posinf=0.0, neginf=0.0)
    tensor = tensor.reshape(shape).to(device)
    resident = RESIDENT
    if data._passing:  # what is compiled reads it as it is
        resident = 0 if compiled_reading.serves(tensor) else CHUNK
    return Dense(tensor, weights, dtype, resident)


def _sparse_form(
    data: Dataset,
    shape: tuple[int, int],
    weights: Weights,
    device: torch.device,
    dtype: torch.dtype,
) -> Form:
    """The entries as a fit reads them, without those of no weight."""
    assert data.entries is not None
    if shape != data.matrix_shape or weights.full is not None:
        raise ValueError(
            f"`{data}`: sparse data are read as (pixels, channels), with a mask and a variance "
            "of whole pixels and channels: give a dense array for a tensor decomposition or "
            "other weights."
        )
    held = data.entries.to(device, _kept_type(data.entries.x, device, dtype))
    keep = None
    for vector, index in ((weights.rows, held.i), (weights.cols, held.j)):
        seen = None if vector is None else vector > 0
        if seen is not None and not bool(seen.all()):  # of an entry a byte, not its weight
            seen = seen.index_select(0, index)
            keep = seen if keep is None else keep & seen
    if keep is not None and not bool(keep.all()):
        held = Entries(held.i[keep], held.j[keep], held.x[keep], shape)
    return Sparse(held, weights, dtype)


def _kept_type(x: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """Single precision where it holds the values exactly and products are made wider anyway."""
    if device.type != "cpu" or x.dtype in (torch.float32, dtype):
        return dtype if device.type != "cpu" else x.dtype
    narrow = not x.dtype.is_floating_point and float(x.max()) <= 2**24
    return torch.float32 if narrow else dtype


def all_finite(data: Dataset) -> bool:
    """Whether all values are finite, masked ones too; complains of what no fit can use.

    Raises:
        ValueError: if there are NaN or infinities, only zeros, or nothing outside the mask.
    """
    if data.mask is not None and bool(data.mask.all()):
        raise ValueError(
            f"`{data}`: the mask excludes all {prod(data.shape)} values: True means excluded: "
            "give `~mask` where True marks what is used."
        )
    if data.entries is not None:  # finite and not zero, as they were read
        return True
    told = None
    if data.lazy is not None or data.tallied is not None:  # one pass over the blocks tells all
        told = tally(data)
        broken, nonzero = told.broken, bool(told.filled_rows.any())
        finite = not broken and not told.masked
    else:
        broken, nonzero, finite = _look(data)
    if broken > 0:
        pixel, channel = (told or tally(data)).first_broken or (0, 0)
        first = tuple(
            int(i) for i in np.unravel_index(pixel * data.matrix_shape[1] + channel, data.shape)
        )
        raise ValueError(
            f"`{data}`: {broken} of {prod(data.shape)} values are NaN or infinite, "
            f"the first at {first} ({', '.join(axis.name for axis in data.axes)}): "
            f"mask them (mask=~numpy.isfinite(array)){_turned_hint(data)}."
        )
    if not nonzero:
        raise ValueError(f"`{data}`: all values are zero: there is nothing to fit.")
    return finite


def _look(data: Dataset) -> tuple[int, bool, bool]:
    """(values that are not finite, whether one is not zero, whether all are finite), by parts.

    The first two without what is masked.
    """
    rows = data.matrix
    keep = None if data.mask is None else (~data.mask).expand(data.shape).reshape(rows.shape)
    broken, nonzero, finite = 0, False, True
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
                finite = False
                broken += int((bad if seen is None else bad & seen).sum())
        if not nonzero:
            nonzero = bool((x != 0 if seen is None else (x != 0) & seen).any())
    return broken, nonzero, finite


def _turned_hint(data: Dataset) -> str:
    """Said where the mask of a square map would hide what is not finite if it were turned."""
    if data.lazy is not None:
        return ""
    if data.mask is None or len(data.pixels) != 2 or data.mask.shape[0] != data.mask.shape[1]:
        return ""
    keep = ~data.mask.transpose(0, 1).expand(data.shape).to(data.tensor.device)
    if bool((~torch.isfinite(data.tensor) & keep).any()):
        return ""
    y, x = (axis.name for axis in data.pixels)
    return f"; the mask hides them all if it is transposed: give it as ({y}, {x})"
