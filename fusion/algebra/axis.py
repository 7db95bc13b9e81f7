"""A named, calibrated axis of a data set."""

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.unit_names import name_and_unit


class Axis:
    """One axis of an array: a name, and the position of every entry in a unit.

    Uniform: position of entry i = offset + scale·i. Non-uniform: the positions themselves.

    Args:
        name: what runs along the axis: "x", "energy loss", "tilt".
        scale: step between neighbours, in `units`.
        offset: position of entry 0, in `units`.
        units: "nm", "eV", "keV", "mrad" …, also as "um", "$nm$" or behind the name,
            "Energy loss (eV)"; empty for a plain index.
        values: positions of a non-uniform axis, shape (n,); excludes scale and offset.
        size: number of entries; a `Dataset` fills it in.

    Raises:
        ValueError: if the positions are not one finite list, or do not fit the size.

    Example:
        >>> energy = fu.Axis("energy loss", scale=0.5, offset=100, units="eV", size=4)
        >>> energy.values.tolist(), energy.label
        ([100.0, 100.5, 101.0, 101.5], 'energy loss (eV)')
    """

    @checked_call
    def __init__(
        self,
        name: str,
        scale: float = 1.0,
        offset: float = 0.0,
        units: str = "",
        values: ArrayLike | None = None,
        size: int | None = None,
    ) -> None:
        if values is not None and (scale, offset) != (1.0, 0.0):
            raise ValueError(
                f"`Axis({name!r}, scale={scale}, offset={offset}, values=…)`: the values say where "
                "every entry is: leave scale and offset out."
            )
        if not isinstance(name, str):
            raise ValueError(
                f"`Axis({name!r}, …)`: the name comes first: `Axis('energy loss', 0.5, 100, 'eV')`."
            )
        self.name, self.units = name_and_unit(name, str(units))
        try:
            self.scale, self.offset = float(scale), float(offset)
        except (TypeError, ValueError):
            raise ValueError(
                f"`Axis({name!r}, {scale!r}, {offset!r})`: scale and offset are numbers, units a "
                "text after them: `Axis('energy loss', 0.5, 100, 'eV')`."
            ) from None
        self._values = None if values is None else np.array(values, dtype=float)
        if self._values is not None:
            if self._values.ndim != 1 or not np.isfinite(self._values).all():
                raise ValueError(
                    f"`Axis({name!r})`: values has shape {self._values.shape} or is not finite: "
                    "give one finite position for every entry."
                )
            if size not in (None, self._values.size):
                raise ValueError(
                    f"`Axis({name!r})`: {self._values.size} values for {size} entries: "
                    "give one for every entry."
                )
            size = self._values.size
        if not np.isfinite([self.scale, self.offset]).all() or self.scale == 0:
            raise ValueError(
                f"`Axis({name!r})`: scale {scale}, offset {offset}: "
                "give finite numbers, scale not 0."
            )
        self.size = size

    @property
    def uniform(self) -> bool:
        """Whether scale and offset say it all."""
        return self._values is None

    @property
    def values(self) -> NDArray[np.float64]:
        """Positions of all entries, shape (size,), in `units`."""
        if self._values is not None:
            return self._values.copy()
        if self.size is None:
            raise ValueError(
                f"`{self!r}.values`: the axis has no size yet: "
                "give it one, or take it from a data set."
            )
        return np.asarray(self.offset + self.scale * np.arange(self.size), dtype=np.float64)

    @property
    def ends(self) -> tuple[float, float]:
        """Positions of the first and the last entry, in `units`; the size has to be known."""
        if self._values is not None:
            return float(self._values[0]), float(self._values[-1])
        return self.offset, self.offset + self.scale * ((self.size or 1) - 1)

    @property
    def label(self) -> str:
        """Name and unit for a plot."""
        return f"{self.name} ({self.units})" if self.units else self.name

    def sized(self, size: int) -> "Axis":
        """The same axis with `size` entries.

        Raises:
            ValueError: if it has another size already.
        """
        if self.size not in (None, size):
            raise ValueError(
                f"`{self!r}`: the axis has {self.size} entries, the array {size} there: "
                "check the order of the axes, or crop one of the two."
            )
        return Axis(self.name, self.scale, self.offset, self.units, self._values, size)

    def window(self, low: float | None, high: float | None) -> slice:
        """The entries from low to high, both included, in `units`; None is the end of the axis.

        Raises:
            ValueError: if there is no entry between them, or the axis runs back and forth.
        """
        if low is not None and high is not None and low > high:
            raise ValueError(f"{self.name} from {low:g} to {high:g}: give the lower end first.")
        x = self.values
        steps = np.diff(x)
        if (steps > 0).any() and (steps < 0).any():
            raise ValueError(f"`{self!r}`: its values run back and forth: crop by index, slice(…).")
        slack = 1e-6 * float(np.abs(steps).min(initial=np.inf)) if steps.size else 0.0
        inside = np.flatnonzero(
            (x >= (-np.inf if low is None else low - slack))
            & (x <= (np.inf if high is None else high + slack))
        )
        if not inside.size:
            raise ValueError(
                f"no entry of {self.name} lies between {low} and {high}: it runs from "
                f"{min(x):g} to {max(x):g} {self.units}".rstrip()
                + " in "
                f"{len(x)} steps: choose a window inside."
            )
        return slice(int(inside[0]), int(inside[-1]) + 1)

    def cut(self, part: slice) -> "Axis":
        """The axis of these entries alone."""
        start, stop, step = part.indices(self.size or 0)
        if not self.uniform:
            return Axis(self.name, units=self.units, values=self.values[part])
        offset, size = self.offset + self.scale * start, len(range(start, stop, step))
        return Axis(self.name, self.scale * step, offset, self.units, size=size)

    def binned(self, n: int) -> "Axis":
        """The axis of groups of n entries, each at the middle of its group."""
        if not self.uniform:
            values = self.values.reshape(-1, n).mean(1)
            return Axis(self.name, units=self.units, values=values)
        offset, size = self.offset + self.scale * (n - 1) / 2, (self.size or 0) // n
        return Axis(self.name, self.scale * n, offset, self.units, size=size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Axis):
            return NotImplemented
        same = (self.name, self.units, self.size, self.uniform) == (
            other.name,
            other.units,
            other.size,
            other.uniform,
        )
        if self.uniform:
            return same and (self.scale, self.offset) == (other.scale, other.offset)
        return same and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.name, self.units, self.size))

    def __repr__(self) -> str:
        where = f"scale={self.scale:g}, offset={self.offset:g}" if self.uniform else "values=…"
        return f"Axis({self.name!r}, {where}, units={self.units!r}, size={self.size})"


Axes = tuple[Axis, ...]
Extent = int | Axis | Axes
"""Length of one mode of a factor: a number, an axis, or several axes flattened (`eels.pixels`)."""


def as_axes(extent: Extent) -> Axes | None:
    """The axes behind one entry of a factor's shape; None for a bare number."""
    if isinstance(extent, Axis):
        return (extent,)
    return tuple(extent) if isinstance(extent, tuple) else None


def length(extent: Extent) -> int:
    """Number of entries behind one entry of a factor's shape."""
    axes = as_axes(extent)
    if axes is None:
        return int(extent)  # type: ignore[arg-type]
    sizes = [axis.size for axis in axes if axis.size is not None]
    if len(sizes) < len(axes):
        raise ValueError(
            f"`Factor`: {axes} has no size: take the axes from a data set, or give Axis(size=…)."
        )
    return prod(sizes)


def named(entries: Sequence[Axis | str] | None, shape: Sequence[int], signal: int) -> Axes:
    """Axes of an array of this shape: those given, sized; where none are, indices."""
    if entries is None:
        n = len(shape) - signal
        scan = ["z", "y", "x"][-n:] if 0 < n <= 3 else [f"axis {i}" for i in range(n)]
        entries = [
            *scan,
            *(["channel"] if signal == 1 else [f"channel {i}" for i in range(signal)]),
        ]
    if len(entries) != len(shape):
        raise ValueError(
            f"`Dataset`: {len(entries)} axes for an array of {len(shape)} (shape {tuple(shape)}): "
            "give one for every array axis, in the array's order."
        )
    axes = (entry if isinstance(entry, Axis) else Axis(entry) for entry in entries)
    return tuple(axis.sized(n) for axis, n in zip(axes, shape, strict=True))
