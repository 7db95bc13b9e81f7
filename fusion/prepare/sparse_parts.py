"""Parts and sums of sparse data, which stay sparse."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion.forms.entries import Entries


def places(entries: Entries, shape: Sequence[int]) -> Tensor:
    """Index of every entry along every axis of the array, (axis, entry)."""
    flat = entries.i.long() * entries.shape[1] + entries.j
    along: list[Tensor] = []
    for n in reversed(shape):
        along.append(flat % n)
        flat = torch.div(flat, n, rounding_mode="floor")
    return torch.stack(along[::-1])


def cropped(entries: Entries, shape: Sequence[int], parts: Sequence[slice]) -> Tensor:
    """The entries of a part of the array, as a sparse tensor of its shape."""
    where = places(entries, shape)
    kept = torch.ones(where.shape[1], dtype=torch.bool, device=where.device)
    ranges = [range(*part.indices(n)) for part, n in zip(parts, shape, strict=True)]
    for index, chosen in zip(where, ranges, strict=True):
        kept &= (index >= chosen.start) & (index < chosen.stop)
        if chosen.step > 1:
            kept &= (index - chosen.start) % chosen.step == 0
    start, step = (
        torch.tensor([getattr(r, end) for r in ranges], device=where.device)[:, None]
        for end in ("start", "step")
    )
    inside = torch.div(where[:, kept] - start, step, rounding_mode="floor")
    return _tensor(inside, entries.x[kept], list(map(len, ranges)))


def binned(entries: Entries, shape: Sequence[int], groups: Sequence[int]) -> Tensor:
    """Sums of so many neighbours along every axis, as a sparse tensor."""
    by = torch.tensor(groups, device=entries.i.device)[:, None]
    where = torch.div(places(entries, shape), by, rounding_mode="floor")
    return _tensor(where, entries.x, [n // g for n, g in zip(shape, groups, strict=True)])


def _tensor(where: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.sparse_coo_tensor(where, values, tuple(shape), check_invariants=False)
