"""Areas of windows of spectra, with errors that hold the covariance of their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axes_array import AxesArray
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Notes, Part, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.answers.components import index_of
from fusion.answers.labelled_parts import by_dataset
from fusion.edges.channel_spectra import Bools, ChannelSpectra, Window
from fusion.edges.tables import with_error, write_rows

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Areas(Shown):
    """Areas of windows of every component's spectrum.

    Attributes:
        names: of the components, one a row; `windows`: names of the windows, one a column.
        ranges: from where to where each goes, in `units`.
        values: (n, window) sums over its channels, in the unit of the spectra: of a column of unit
            norm only shares, ratios and, times amounts of the maps, counts mean something.
        errors: (n, window) their standard errors; NaN where unknown, ∞ where data leave them open.
        covariance: (n, window, window) between the windows of one spectrum.
        shares: (n, window) of the whole spectrum, between its first and last channel; without unit;
            `share_errors` their standard errors.
        maps: amounts of the components, (y, x, K), where the result has some.
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    windows: tuple[str, ...]
    ranges: tuple[Window, ...]
    units: str
    values: Array
    errors: Array
    covariance: Array
    shares: Array
    share_errors: Array
    maps: AxesArray | None = None
    messages: tuple[str, ...] = ()

    @checked_call
    def map(self, component: int | str, window: int | str = 1) -> AxesArray:
        """Counts of one component in a window, in every pixel: its amount times the area.

        Args:
            component: its name, or its number from 1.
            window: its name, or its number from 1.

        Raises:
            ValueError: if there is no such component or window, or the result has no maps.
        """
        call = f"map({component!r}, {window!r})"
        if self.maps is None:
            raise ValueError(f"`{call}`: the result has no maps beside these spectra.")
        k = index_of(call, self.maps.components, component)
        if window in self.windows:
            w = self.windows.index(str(window))
        else:
            w = index_of(call, [str(i + 1) for i in range(len(self.windows))], window)
        return AxesArray(self.maps.values[..., k] * self.values[k, w], self.maps.axes[:-1])

    def to_csv(self, path: Any) -> None:
        """Write a row for every component and window: area and share, with errors.

        Raises:
            OSError: if the folder cannot be written.
        """
        head = ("component", "window", f"from ({self.units})", f"to ({self.units})")
        parts = (self.values, self.errors, self.shares, self.share_errors)
        rows = [
            [name, window, *ends, *(part[i, j] for part in parts)]
            for i, name in enumerate(self.names)
            for j, (window, ends) in enumerate(zip(self.windows, self._ends(), strict=True))
        ]
        write_rows(path, (*head, "area", "± area", "share", "± share"), rows)

    def _ends(self) -> list[tuple[Any, Any]]:
        return [
            ("" if low is None else low, "" if high is None else high) for low, high in self.ranges
        ]

    def _display(self) -> Display:
        heads = [f"{w} ({_ends_text(pair, self.units)})" if w != _ends_text(pair, self.units) else w
                 for w, pair in zip(self.windows, self.ranges, strict=True)]  # fmt: skip
        tables: list[Part] = [
            Table([what, *heads], _rows(self.names, values, errors))
            for what, values, errors in (
                ("area", self.values, self.errors),
                ("% of the spectrum", 100 * self.shares, 100 * self.share_errors),
            )
        ]
        notes = [Notes(self.messages)] if self.messages else []
        many = "s" * (len(self.windows) > 1)
        return Display(f"areas of {len(self.windows)} window{many}", [*tables, *notes])


@checked_call
@waited_for
def areas(
    result: Result,
    windows: Mapping[str, Window] | Sequence[Window] | Window,
    *,
    units: str | None = None,
    factor: str | None = None,
    progress: bool = True,
) -> Areas:
    """Areas of windows of every component's spectrum, with standard errors.

    An area is the sum over the channels of a window, both ends included, as `crop` has them. Its
    error is that of the sum: channels of one spectrum are off together, as all pixels move all of
    it, and the root of the sum of single errors' squares would be wrong. It is found as the errors
    of `fusion.standard_errors` are, with all factors varying.

    Columns of spectra are usually of unit norm, Σ s² = 1: then areas tell ratios within one
    spectrum, `shares` its parts, and `map(component, window)` counts in every pixel.

    Args:
        result: of `fit`, with spectra on an axis of energies or another one.
        windows: {name: (from, to)}, in the unit of the axis, None for its end; a list of pairs, or
            one pair.
        units: of the windows, "eV", "keV" …; default: that of the axis.
        factor: of the spectra; default: the only one that there is.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if there are no such spectra, or no channel in a window.

    Warns:
        FusionWarning: where a window runs off the axis, or channels in it are masked.

    Example:
        >>> from fusion.simulate import with_background
        >>> data = with_background(shape=(6, 8), channels=60).datasets["net"]
        >>> model = fu.models.NMF(data, K=2)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> found = fu.edges.areas(result, {"π*": (528, 534), "σ*": (536, 548)}, progress=False)
        >>> found.values.shape, found.map(1, "σ*").shape
        ((2, 2), (6, 8))
    """
    spectra = ChannelSpectra.of("areas", result, factor, units)
    named = _named(windows, spectra)
    inside = {name: spectra.window(name, pair) for name, pair in named.items()}
    seen = np.asarray(~np.isnan(spectra.values).all(1))
    read = _sums(list(inside.values()), seen)
    values, covariance = spectra.read_all([read] * len(spectra.names), progress)
    K, n = len(spectra.names), len(named)
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).reshape(K, 2 * n)
    own = covariance.reshape(K, 2 * n, K, 2 * n)[np.arange(K), :n, np.arange(K), :n]
    spectra.at_zero(inside)
    return Areas(
        names=spectra.names,
        windows=tuple(named),
        ranges=tuple(named.values()),
        units=spectra.axis.units,
        values=values[:, :n],
        errors=errors[:, :n],
        covariance=own,
        shares=values[:, n:],
        share_errors=errors[:, n:],
        maps=_maps(result, spectra),
        messages=tuple(spectra.messages),
    )


def _sums(windows: list[Bools], seen: Bools) -> Any:
    """Areas and shares of one spectrum, a function of it."""
    rows = torch.from_numpy(np.stack(windows)).double()
    whole = torch.from_numpy(seen).double()

    def read(spectrum: Tensor) -> Tensor:
        sums = rows @ spectrum
        return torch.cat([sums, sums / (whole @ spectrum)])

    return read


def _named(windows: Any, spectra: ChannelSpectra) -> dict[str, Window]:
    """Every window by its name."""
    named: dict[str, Any]
    if isinstance(windows, Mapping):
        named = {str(name): pair for name, pair in windows.items()}
    else:
        ends = (int, float, np.number, type(None))
        one = isinstance(windows, tuple | list) and all(isinstance(end, ends) for end in windows)
        pairs = [windows] if one else list(windows) if isinstance(windows, tuple | list) else []
        named = {_ends_text(pair, spectra.axis.units): pair for pair in pairs}
    if not named:
        raise ValueError(
            f"`areas(…, {windows!r})`: give one window or more, "
            '{"L3": (640, 648), "L2": (650, 658)}.'
        )
    return named


def _maps(result: Result, spectra: ChannelSpectra) -> AxesArray | None:
    """Amounts of the components that these spectra are of."""
    try:
        along = by_dataset(result, "maps", "areas")
    except ValueError:  # a tensor decomposition
        return None
    for name, maps in along.items():
        axes = result.data[name].axes if name in result.data else ()
        if spectra.result.axes[spectra.factor][0] == axes[len(axes) - 1 :]:
            return maps if maps.values.shape[-1] == len(spectra.names) else None
    return None


def _ends_text(pair: Any, units: str) -> str:
    """ "640 to 648 eV"."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return str(pair)
    low, high = ("…" if end is None else f"{end:g}" for end in pair)
    return f"{low} to {high} {units}".rstrip()


def _rows(names: Sequence[str], values: Array, errors: Array) -> list[list[str]]:
    return [
        [name, *(with_error(v, e) for v, e in zip(row, error, strict=True))]
        for name, row, error in zip(names, values, errors, strict=True)
    ]
