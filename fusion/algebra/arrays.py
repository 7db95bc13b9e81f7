"""What users hand in, as tensors."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(values: Any) -> Tensor:
    """A tensor of anything array-like, without a copy where torch can read it in place.

    Foreign byte order, negative strides, fields of records, extended precision and read-only memory
    are copied; C's other names of an integer type (`numpy.ulonglong`) are taken for what they are.

    Raises:
        ValueError: if they are no numbers.
    """
    if isinstance(values, Tensor):
        return values.detach()
    values = as_array(values)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(float)
    size = values.dtype.itemsize
    if any(step < 0 or step % size for step in values.strides) or not values.flags.writeable:
        values = values.copy()
    if values.dtype.kind in "iu":  # a type of this size and sign that torch has by name
        values = values.view(f"{values.dtype.kind}{size}")
    if values.dtype.kind not in "biuf" and values.dtype.kind != "c":
        raise ValueError(
            f"{str(values)[:40]!r} is of type {values.dtype}: give an array of real numbers."
        )
    return torch.from_numpy(values)


def as_array(values: Any) -> NDArray[Any]:
    """An array of NumPy.

    Raises:
        ValueError: if they are lists of different lengths.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"a {type(values).__name__} of rows of different lengths: give an array of real "
            "numbers, filled up and with a mask where some are missing."
        ) from None


def defined_beside(owner: type, helper: str, main: str) -> bool:
    """Whether a class says `helper` where it says `main`, or below: it may stand for it."""
    for cls in owner.__mro__:
        if helper in cls.__dict__ or main in cls.__dict__:
            return helper in cls.__dict__
    return False


def sparse_parts(values: Any) -> tuple[tuple[Tensor, ...], Tensor, tuple[int, ...]] | None:
    """(positions of every axis, (entry,) each, values, shape) of a sparse array; None of any other.

    Torch sparse tensors of every layout, scipy.sparse, and the arrays of the package sparse.
    """
    if isinstance(values, Tensor):
        if values.layout is torch.strided:
            return None
        return _torch_parts(values.detach())
    if not (hasattr(values, "nnz") and hasattr(values, "shape")):
        return None
    for convert in ("tocoo", "to_coo"):  # of SciPy and GCXS; of DOK
        if hasattr(values, convert):
            values = getattr(values, convert)()
            break
    places = values.coords if hasattr(values, "coords") else (values.row, values.col)
    small = max(values.shape, default=0) < 2**31  # half the memory
    index = torch.int32 if small else torch.int64
    # what is kept in that type already is shared: columns of a matrix by rows
    own = tuple(as_tensor(np.asarray(place)).to(index) for place in places)
    return own, as_tensor(values.data), tuple(int(n) for n in values.shape)


def _torch_parts(values: Tensor) -> tuple[tuple[Tensor, ...], Tensor, tuple[int, ...]]:
    """Of a sparse tensor of torch, of any layout, some of its last axes dense or not."""
    coo = values if values.layout is torch.sparse_coo else _by_entry(values)
    places, entries = coo._indices(), coo._values()
    if entries.ndim > 1:
        inner = entries.nonzero().T
        places = torch.cat([places[:, inner[0]], inner[1:]])
        entries = entries[tuple(inner)]
    return tuple(places), entries, tuple(coo.shape)


def _by_entry(values: Tensor) -> Tensor:
    """A compressed tensor as a list of entries, or of blocks where it has such."""
    if values.layout in (torch.sparse_csr, torch.sparse_csc):
        return values.to_sparse_coo()
    by_row = values.layout is torch.sparse_bsr
    ends, inner = (
        (values.crow_indices(), values.col_indices())
        if by_row
        else (values.ccol_indices(), values.row_indices())
    )
    blocks = values.values()
    outer = torch.repeat_interleave(torch.arange(len(ends) - 1, device=ends.device), ends.diff())
    i, j = (outer, inner) if by_row else (inner, outer)
    k, y, x = blocks.nonzero().T
    places = torch.stack([i[k] * blocks.shape[1] + y, j[k] * blocks.shape[2] + x])
    return torch.sparse_coo_tensor(places, blocks[k, y, x], values.shape, check_invariants=False)
