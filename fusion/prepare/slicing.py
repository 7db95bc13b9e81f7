"""Parts of a data set by `data[…]`: whole numbers are entries, floats are positions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
import torch

from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import cut
from fusion.prepare.sparse_parts import cropped

DIGITS = 1e-12
"""Of an entry, below which a position is cut off before it is rounded, as HyperSpy does."""


def part_of(data: Dataset, key: Any) -> Dataset:
    """See `Dataset.__getitem__`."""
    text = f"{data.name}[{_key_text(key)}]"
    keys = _all_keys(data, key, text)
    chosen = [_entries(axis, part, text) for axis, part in zip(data.axes, keys, strict=True)]
    kept = [i for i, part in enumerate(chosen) if isinstance(part, slice)]
    if not kept:
        raise ValueError(
            f"`{text}`: one value is no data set: take it of the array, "
            f"`{data.name}.data[{_key_text(tuple(chosen))}]`."
        )
    split = len(data.shape) - data.signal
    return data.derive(
        _array_part(data, chosen),
        f"[{_key_text(key)}]",
        axes=[data.axes[i].cut(chosen[i]) for i in kept],  # type: ignore[arg-type]
        signal=sum(i >= split for i in kept),
        mask=cut(data.mask, data.shape, chosen),
        variance=cut(data.variance, data.shape, chosen),
    )


def _array_part(data: Dataset, chosen: list[int | slice]) -> Any:
    """The entries of the array; sparse ones stay sparse where pixels and channels are left."""
    if data.entries is None:
        return (data.numpy() if data.lazy is None else data.lazy)[tuple(chosen)]
    parts = [part if isinstance(part, slice) else slice(part, part + 1) for part in chosen]
    tensor = cropped(data.entries, data.shape, parts)
    gone = [i for i, part in enumerate(chosen) if not isinstance(part, slice)]
    split = len(data.shape) - data.signal
    places = tensor._indices()[[i for i in range(len(chosen)) if i not in gone]]
    shape = [n for i, n in enumerate(tensor.shape) if i not in gone]
    left = torch.sparse_coo_tensor(places, tensor._values(), shape, check_invariants=False)
    few = set(range(split)) <= set(gone) or set(range(split, len(chosen))) <= set(gone)
    return left.to_dense() if few and gone else left


def _all_keys(data: Dataset, key: Any, text: str) -> list[Any]:
    """One key for every axis: what is left out, or stands for `…`, is all of it."""
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [i for i, part in enumerate(keys) if part is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > len(data.axes):
        names = ", ".join(axis.name for axis in data.axes)
        raise IndexError(
            f"`{text}`: {len(keys)} parts for {len(data.axes)} axes ({names}): give one for each "
            "at most, with one … at most."
        )
    at = dots[0] if dots else len(keys)
    rest = len(data.axes) - (len(keys) - len(dots))
    return [*keys[:at], *[slice(None)] * rest, *keys[at + len(dots) :]]


def _entries(axis: Axis, part: Any, text: str) -> int | slice:
    """The entry, or the entries, of an axis that are meant."""
    n = axis.size or 0
    if not isinstance(part, slice):
        _check_kind(axis, part, text)
        i = _index(axis, part) if _is_position(part) else int(part)
        if i is None or not -n <= i < n:
            _refuse_outside(axis, part, text)
        return i + n if i < 0 else i
    if part.step is not None and not (isinstance(part.step, Integral) and int(part.step) > 0):
        raise ValueError(
            f"`{text}`: a step of {part.step!r} along {axis.name}: give a whole number from 1 on; "
            f"`bin({_word(axis)}=2)` adds neighbours up."
        )
    start, stop = (
        _end(axis, end, text, last=i == 1) for i, end in enumerate((part.start, part.stop))
    )
    chosen = slice(start, stop, part.step)
    if not len(range(*chosen.indices(n))):
        raise ValueError(
            f"`{text}`: nothing is left of the {n} entries along {axis.name}: whole numbers count "
            f"entries, floats are positions ({_span(axis)}), the last is not included."
        )
    return chosen


def _end(axis: Axis, end: Any, text: str, *, last: bool) -> int | None:
    """An end of a slice as an index; None where it lies beyond the end it is for."""
    if end is None:
        return None
    _check_kind(axis, end, text)
    if not _is_position(end):
        return int(end)
    i = _index(axis, end)
    if i is None and (_is_before(axis, float(end)) is last):
        _refuse_outside(axis, end, text)
    return i


def _index(axis: Axis, position: Any) -> int | None:
    """The entry next to a position, as HyperSpy rounds; None where it lies beyond the axis.

    Of two that are as near, the one of the lower number where the position is 0 or more along a
    rising axis, or below 0 along a falling one, else that of the higher.
    """
    x, value = axis.values, float(position)
    lower = (value >= 0) == _rises(axis)
    if not axis.uniform:
        off = np.abs(x - value)
        near = np.flatnonzero(off == off.min())
        return int(near[0 if lower else -1]) if min(x) <= value <= max(x) else None
    place = float(np.trunc((value - axis.offset) / axis.scale / DIGITS) * DIGITS)
    size = np.ceil(abs(place) - 0.5) if lower else np.floor(abs(place) + 0.5)
    i = int(np.copysign(size, place))
    return i if 0 <= i < len(x) else None


def _rises(axis: Axis) -> bool:
    x = axis.values
    return bool(x[-1] > x[0]) if len(x) > 1 else axis.scale > 0


def _is_before(axis: Axis, value: float) -> bool:
    """Whether a position that lies beyond the axis lies before its first entry."""
    return (value < float(axis.values[0])) == _rises(axis)


def _is_position(part: Any) -> bool:
    return isinstance(part, Real) and not isinstance(part, Integral)


def _check_kind(axis: Axis, part: Any, text: str) -> None:
    """Complain of what is neither an entry nor a position."""
    number = isinstance(part, Real) and not isinstance(part, bool | np.bool_)
    if number and np.isfinite(float(part)):
        return
    said = repr(part) if isinstance(part, str | bool | float | None) else type(part).__name__
    raise TypeError(
        f"`{text}`: {said} for {axis.name}: give whole numbers (entries), floats (positions"
        f"{f' in {axis.units}' if axis.units else ''}) or slices of them; `crop({_word(axis)}="
        "(first, last))` takes an axis by its name, `masked` a mask."
    )


def _refuse_outside(axis: Axis, part: Any, text: str) -> NoReturn:
    """Complain of what lies outside the axis."""
    n = axis.size or 0
    where = f"positions run {_span(axis)}" if _is_position(part) else f"it has {n} entries"
    raise IndexError(f"`{text}`: {part} lies outside {axis.name}: {where}: choose inside.")


def _span(axis: Axis) -> str:
    x = axis.values
    return f"from {x[0]:g} to {x[-1]:g} {axis.units}".rstrip()


def _word(axis: Axis) -> str:
    return axis.name.replace(" ", "_")


def _key_text(key: Any) -> str:
    """The key as it was written, arrays aside."""
    if isinstance(key, tuple):
        return ", ".join(_key_text(part) for part in key)
    if isinstance(key, slice):
        ends = ("" if end is None else _key_text(end) for end in (key.start, key.stop))
        return ":".join(ends) + ("" if key.step is None else f":{_key_text(key.step)}")
    if key is Ellipsis:
        return "…"
    if isinstance(key, np.generic):
        key = key.item()
    return repr(key) if isinstance(key, str | int | float | None) else type(key).__name__
