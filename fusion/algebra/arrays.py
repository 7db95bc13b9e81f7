"""What users hand in, as tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: Any) -> Tensor:
    """A tensor of anything array-like, without a copy where torch can read it in place.

    Foreign byte order, negative strides, extended precision and read-only memory are copied.

    Raises:
        ValueError: if they are no numbers.
    """
    if isinstance(values, Tensor):
        return values.detach()
    values = np.asarray(values)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(float)
    if any(step < 0 for step in values.strides) or not values.flags.writeable:
        values = values.copy()
    if values.dtype.kind not in "biuf" and values.dtype.kind != "c":
        raise ValueError(
            f"{str(values)[:40]!r} is of type {values.dtype}: give an array of real numbers."
        )
    return torch.from_numpy(values)


def defined_beside(owner: type, helper: str, main: str) -> bool:
    """Whether a class says `helper` where it says `main`, or below: it may stand for it."""
    for cls in owner.__mro__:
        if helper in cls.__dict__ or main in cls.__dict__:
            return helper in cls.__dict__
    return False


def sparse_parts(values: Any) -> tuple[Tensor, Tensor, tuple[int, ...]] | None:
    """(positions (axis, entry), values, shape) of a sparse array; None of any other.

    Torch sparse tensors of every layout, scipy.sparse, and the arrays of the package sparse.
    """
    if isinstance(values, Tensor):
        if values.layout is torch.strided:
            return None
        coo = values.detach().to_sparse_coo()
        return coo._indices(), coo._values(), tuple(coo.shape)
    if not (hasattr(values, "nnz") and hasattr(values, "shape")):
        return None
    if hasattr(values, "tocoo"):
        values = values.tocoo()
    places = values.coords if hasattr(values, "coords") else (values.row, values.col)
    stacked = torch.stack([as_tensor(np.asarray(place)).long() for place in places])
    return stacked, as_tensor(values.data), tuple(int(n) for n in values.shape)
