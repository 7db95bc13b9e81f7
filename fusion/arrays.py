"""What users hand in, as tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: Any) -> Tensor:
    """A tensor of anything array-like, without a copy where torch can read it in place.

    Foreign byte order, negative strides, extended precision and read-only memory are copied.
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
    return torch.from_numpy(values)
