"""The spectra of a result on their axis, windows of it, and covariances of what is read of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axis
from fusion.algebra.cautions import CutWarning, FusionWarning, users_line
from fusion.algebra.unit_names import SPECTRAL, unit
from fusion.algebra.units import in_units
from fusion.answers.components import in_words, index_of, names_of
from fusion.answers.measured import data_along
from fusion.uncertainty.sums import sums_covariance

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Window = tuple[float | None, float | None]

AT_ZERO = 0.1
"""Share of the channels of a window at zero, from which on it is said."""
SLACK = 1e-6
"""Of a channel, by which an end of a window may be beyond the axis."""
MIXED = (
    "errors: what noise does to this answer; where maps or spectra may be mixed and fit as well, "
    "`fusion.ambiguity(result)` says how far"
)


@dataclass(eq=False)
class ChannelSpectra:
    """Spectra (channel, n) of one factor, and what is said of them on the way.

    Attributes:
        call: what is complained of; result, factor: whose spectra.
        axis: of the channels, in the unit of the windows; energies: (channel,) its positions.
        columns: (n,) which components, from 0; names: theirs, in words; values: (channel, n).
        messages: what else a user should know.
    """

    call: str
    result: Result
    factor: str
    axis: Axis
    energies: Array
    columns: list[int]
    names: tuple[str, ...]
    values: Array
    messages: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        call: str,
        result: Any,
        factor: str | None,
        units: str | None = None,
        components: Sequence[int | str] | None = None,
    ) -> ChannelSpectra:
        """Of a result.

        Raises:
            ValueError: if there are no such spectra or components, several factors could be meant,
                or units do not fit.
        """
        if not hasattr(result, "factors") or not hasattr(result, "component_names"):
            raise ValueError(
                f"`{call}({type(result).__name__})`: give the result of `fu.fit(model, loss)`."
            )
        known = {name: axis for name in result.factors if (axis := _axis_of(result, name))}
        if factor not in known and (factor is not None or len(known) != 1):
            raise ValueError(
                f"`{call}(factor={factor!r})`: the factors that are spectra are "
                f"{', '.join(known) or 'none'}, of {', '.join(result.factors)}: name one of them."
            )
        name = factor if factor is not None else next(iter(known))
        axis = known[name]
        if units is not None:
            axis = in_units(axis, unit(units), f"{call}(units={units!r})")
        values = np.asarray(result.factors[name], dtype=float)
        called = names_of(result, values.shape[1])
        columns = _columns(call, called, components)
        names = tuple(in_words(called[k]) for k in columns)
        return cls(call, result, name, axis, axis.values, columns, names, values[:, columns])

    @property
    def step(self) -> float:
        """Width of a channel; of an axis that is not uniform the smallest."""
        return float(np.abs(np.diff(self.energies)).min()) if len(self.energies) > 1 else 1.0

    def window(self, what: str, window: Any, least: int = 1) -> Bools:
        """(channel,) whether a channel lies in a window, both ends included.

        Raises:
            ValueError: if it is no pair, or holds fewer channels than `least`.
        """
        pair = isinstance(window, tuple | list) and len(window) == 2
        if not pair or not all(end is None or _number(end) for end in window):
            raise ValueError(
                f"`{self.call}({what}={window!r})`: give two numbers (first, last) in "
                f"{self.axis.units or 'the unit of the axis'}, None for an end."
            )
        try:
            chosen = self.axis.window(*window)
        except ValueError as error:
            raise ValueError(f"`{self.call}({what}={tuple(window)})`: {error}") from None
        inside = np.zeros(len(self.energies), dtype=bool)
        inside[chosen] = True
        self._cut(what, (window[0], window[1]), inside)
        hidden = np.isnan(self.values).all(1) & inside
        if hidden.any():
            told = f"{what}: {hidden.sum()} of {inside.sum()} channels are masked and left out"
            self.caution(told, CutWarning)
            inside &= ~hidden
        if inside.sum() < least:
            raise ValueError(
                f"`{self.call}({what}={tuple(window)})`: {inside.sum()} channels in the window, "
                f"{least} are needed: choose a wider one; a channel is {self.step:g} "
                f"{self.axis.units}".rstrip()
                + "."
            )
        return inside

    def _cut(self, what: str, window: Window, inside: Bools) -> None:
        """A caution where the axis ends within a window."""
        low, high = float(self.energies.min()), float(self.energies.max())
        edge = self.step * (0.5 + SLACK)
        beyond = [
            end
            for end, out in zip(window, (low - edge, high + edge), strict=True)
            if end is not None and (end < out if out < low else end > out)
        ]
        if beyond:
            self.caution(
                f"{what}: the window goes to {beyond[0]:g} {self.axis.units}, the axis from "
                f"{low:g} to {high:g}: of it the {inside.sum()} channels on the axis are taken",
                CutWarning,
            )

    def column(self, component: int | str, option: str) -> int:
        """Which of these spectra is meant, from 0.

        Raises:
            ValueError: if it is none of them.
        """
        call = f"{self.call}({option}={component!r})"
        called = names_of(self.result, self.result.factors[self.factor].shape[1])
        k = index_of(call, called, component)
        if k not in self.columns:
            raise ValueError(f"`{call}`: it is not among `components`: {', '.join(self.names)}.")
        return self.columns.index(k)

    def caution(self, text: str, kind: type[FusionWarning]) -> None:
        """Warn, and keep it."""
        warnings.warn(f"`{self.call}`: {text}.", kind, stacklevel=users_line())
        self.messages.append(text)

    def at_zero(self, windows: dict[str, Bools]) -> None:
        """Say where spectra stand at their bound: errors there have one side, and are left out."""
        for what, inside in windows.items():
            shares = (self.values[inside] == 0).mean(0)
            some = [f"{n} {100 * s:.0f} %" for n, s in zip(self.names, shares, strict=True)
                    if s > AT_ZERO]  # fmt: skip
            if some:
                self.messages.append(
                    f"{what}: channels that stand at zero have errors of one side, which are not "
                    f"in these: of {', '.join(some)}"
                )

    def covariance(self, weights: Array, progress: bool) -> Array:
        """Of sums over the spectra, weights (sum, channel, K): (sum, sum); NaN where unknown."""
        unknown = np.full((len(weights), len(weights)), np.nan)
        if self.result.model is None:
            self.messages.append("a loaded result has no errors of its spectra: fit once more")
            return unknown
        try:
            made = sums_covariance(self.result, self.factor, weights, progress=progress)
        except ValueError as error:  # too large, with its sizes
            self.messages.append(f"no errors: {error}")
            return unknown
        if self.result.factors[self.factor].shape[1] > 1:
            self.messages.append(MIXED)
        return made

    def read(self, function: Callable[[Tensor], Tensor], k: int) -> tuple[Array, Array]:
        """(values (out,), derivatives (out, channel)) of a function of spectrum k."""
        x = torch.from_numpy(np.nan_to_num(self.values[:, k])).requires_grad_()
        made = function(x)
        rows = [torch.autograd.grad(y, x, retain_graph=True)[0].numpy() for y in made]
        return made.detach().numpy(), np.stack(rows)

    def read_all(
        self, functions: list[Callable[[Tensor], Tensor]], progress: bool
    ) -> tuple[Array, Array]:
        """(values (n, out), their covariance (n·out, n·out)), a function for every spectrum."""
        with torch.enable_grad():
            pairs = [self.read(function, k) for k, function in enumerate(functions)]
        outs, shape = len(pairs[0][0]), self.result.factors[self.factor].shape
        weights = np.zeros((len(pairs), outs, *shape))
        for k, (_, rows) in enumerate(pairs):
            weights[k, :, :, self.columns[k]] = rows
        finite = np.nan_to_num(weights.reshape(-1, *shape))
        return np.stack([values for values, _ in pairs]), self.covariance(finite, progress)


def _axis_of(result: Any, name: str) -> Axis | None:
    """The axis of a factor whose rows are channels of spectra; None of another one."""
    modes = result.axes.get(name) or (None,)
    if modes[0] is None or len(modes[0]) != 1 or result.factors[name].ndim != 2:
        return None
    _, channels = data_along(result, modes[0])
    return modes[0][0] if channels or modes[0][0].units in SPECTRAL else None


def _columns(call: str, called: Sequence[str], components: Sequence[int | str] | None) -> list[int]:
    """Which components were chosen, from 0."""
    if components is None:
        return list(range(len(called)))
    told = f"{call}(components={components!r})"
    if isinstance(components, str) or not len(components):
        raise ValueError(f"`{told}`: give a list of names, or of numbers from 1 to {len(called)}.")
    return list(dict.fromkeys(index_of(told, called, each) for each in components))


def _number(value: Any) -> bool:
    return isinstance(value, Real | Integral) and not isinstance(value, bool)
