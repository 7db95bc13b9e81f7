"""White lines: areas above a continuum of two steps, their ratio and branching ratio."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning
from fusion.algebra.display import Display, Notes, Part, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.answers.measured import metadata_along
from fusion.data.signal_type import has_edges
from fusion.edges.channel_spectra import Bools, ChannelSpectra, Window
from fusion.edges.maxima import Top
from fusion.edges.tables import with_error, write_rows

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]

SUBSHELL = re.compile(r"(?:.*[^A-Za-z])?([L-O])([1-7])$")
"""How the name of a line ends: "L3", "Mn_L3"."""
LEAST = 3.0
"""Standard errors by which both lines stand out, for their ratio to be told."""


@dataclass(frozen=True, eq=False, repr=False)
class WhiteLines(Shown):
    """White lines of every component, above their continuum.

    Attributes:
        names: of the components, one a row.
        lines: names of the two lines, the one of lower energy first: ("L3", "L2").
        windows: from where to where each goes; `behind`: where the continuum is read; in `units`.
        areas: (n, 2) sums over channels above the continuum, in the unit of the spectra;
            `area_errors` standard errors.
        ratio: (n,) of the first to the second; `ratio_errors`. NaN where it is not determined.
        branching: (n,) of the first to both; `branching_errors`.
        maxima: (n, 2) of the lines, where the steps stand, in `units`; `maxima_errors`, 0 where
            they were given.
        step: (n,) height of both steps together; `step_errors`.
        energies: (channel,); `spectra`, `continuum`: (channel, n).
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    lines: tuple[str, str]
    windows: tuple[Window, Window]
    behind: Window
    units: str
    areas: Array
    area_errors: Array
    ratio: Array
    ratio_errors: Array
    branching: Array
    branching_errors: Array
    maxima: Array
    maxima_errors: Array
    step: Array
    step_errors: Array
    energies: Array
    spectra: Array
    continuum: Array
    messages: tuple[str, ...] = ()

    def to_csv(self, path: Any) -> None:
        """Write a row for every component: areas, ratios, maxima and steps, with errors.

        Raises:
            OSError: if the folder cannot be written.
        """
        heads, parts = self._columns(self.units)
        head = [f"{sign}{name}" for name in heads for sign in ("", "± ")]
        rows = [
            [name, *(part[i] for pair in parts for part in pair)]
            for i, name in enumerate(self.names)
        ]
        write_rows(path, ["component", *head], rows)

    def _columns(self, units: str) -> tuple[list[str], list[tuple[Array, Array]]]:
        """Heads, and values with errors, of a table."""
        first, second = self.lines
        unit = f" ({units})" if units else ""
        heads = [f"{first}/{second}", f"{first}/({first}+{second})", first, second]
        heads += [f"maximum of {line}{unit}" for line in self.lines] + ["step"]
        parts = [
            (self.ratio, self.ratio_errors),
            (self.branching, self.branching_errors),
            *((self.areas[:, j], self.area_errors[:, j]) for j in (0, 1)),
            *((self.maxima[:, j], self.maxima_errors[:, j]) for j in (0, 1)),
            (self.step, self.step_errors),
        ]
        return heads, parts

    def _display(self) -> Display:
        heads, parts = self._columns(self.units)
        rows = [
            [name, *(with_error(v[i], e[i]) for v, e in parts)] for i, name in enumerate(self.names)
        ]
        shown: list[Part] = [
            Table(["", *heads[:4]], [row[:5] for row in rows]),
            Table(["", *heads[4:]], [[row[0], *row[5:]] for row in rows]),
        ]
        notes = [Notes(self.messages)] if self.messages else []
        return Display(f"white lines {self.lines[0]} and {self.lines[1]}", [*shown, *notes])


@checked_call
@waited_for
def white_lines(
    result: Result,
    *,
    behind: Window,
    before: Window | None = None,
    width: float = 1.0,
    decay: float = 3.0,
    maxima: tuple[float, float] | None = None,
    units: str | None = None,
    factor: str | None = None,
    progress: bool = True,
    **lines: Window,
) -> WhiteLines:
    """Areas of two white lines, L3 and L2 or M5 and M4, their ratio and branching ratio.

    What transitions to the continuum add is taken off as two steps, one under each line, at its
    maximum: h Σ_j n_j / (n_1 + n_2) (½ + arctan(π (E − E_j) / w) / π). Their heights are as the
    electrons of the subshells, 2 : 1 for L3 and L2, 3 : 2 for M5 and M4. Together they reach the
    mean of the spectrum in the window `behind`. A maximum is that of a parabola through the top of
    the line. Errors are those of the whole, with maxima and steps varying (the delta method), of
    the covariance of all channels.

    Ratios depend on how the continuum is drawn: compare with numbers that were found alike.

    Args:
        result: of `fit`, with spectra of single scattering, as `models.DualEELS` has them: plural
            scattering moves electrons from the lines to some 20 eV behind them.
        behind: window behind both lines where the continuum has settled, before other edges.
        before: window before both lines, where other edges have a tail: as A E^−r through its mean
            it goes on under the lines. Default: nothing is there.
        width: w, in the unit of the windows; 0 draws sharp steps.
        decay: r, of that tail; 0: it stays as high as it is.
        maxima: energies of both steps, where they are not to be looked for.
        units: of the windows, "eV", "keV" …; default: that of the axis.
        factor: of the spectra; default: the only one that there is.
        progress: whether a line says that it is at work, as in `fit`.
        lines: two windows, named by their subshells: `L3=(640, 648), L2=(650, 658)`.

    Raises:
        ValueError: if there are no such spectra, the lines are not two of one shell, or no channel
            lies in a window.

    Warns:
        FusionWarning: where windows overlap or run off the axis, a line has no maximum in its
            window, a ratio is not determined, or spectra hold plural scattering.

    References:
        Pearson, Ahn & Fultz, Phys. Rev. B 47:8471 (1993), steps of 2 : 1 at the maxima; van Aken &
        Liebscher, Phys. Chem. Minerals 29:188 (2002), two arctangents, w = 1 eV; Riedl, Gemming &
        Wetzig, Ultramicroscopy 106:284 (2006), how methods differ.

    Example:
        >>> from fusion.simulate import dual_eels
        >>> scan = dual_eels(shape=(8, 10), channels=120).datasets
        >>> core = scan["core"].estimate_variance()
        >>> model = fu.models.DualEELS(core, scan["low"], K=2)
        >>> result = fu.fit(model, fu.losses.Frobenius(core), starts=1, progress=False)
        >>> found = fu.edges.white_lines(
        ...     result,
        ...     L3=(638, 648),
        ...     L2=(649, 660),
        ...     behind=(680, 700),
        ...     before=(620, 634),
        ...     progress=False,
        ... )
        >>> found.lines, found.ratio.shape
        (('L3', 'L2'), (2,))
    """
    spectra = ChannelSpectra.of("white_lines", result, factor, units)
    names, electrons = _subshells(lines)
    inside = [spectra.window(name, lines[name], least=3) for name in names]
    level = spectra.window("behind", behind)
    foot = None if before is None else spectra.window("before", before)
    _check_order(spectra, {**{n: lines[n] for n in names}, "behind": behind}, before)
    _check_scattering(spectra)
    continuum = _Continuum(spectra.energies, level, foot, electrons, _checked(width), float(decay))
    tops = _tops(spectra, inside)
    functions = [_reading(inside, continuum, pair, maxima) for pair in tops]
    values, covariance = spectra.read_all(functions, progress)
    K = len(spectra.names)
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).reshape(K, -1)
    told = _told(spectra, names, values, errors)
    for k in np.flatnonzero(told):
        _check_steps(spectra, k, names, tops[k] if maxima is None else [], values[k], errors[k])
    spectra.at_zero(dict(zip(names, inside, strict=True)))
    with torch.no_grad():
        curves = [continuum.of(torch.from_numpy(np.nan_to_num(s)), torch.from_numpy(v[4:6])).numpy()
                  for s, v in zip(spectra.values.T, values, strict=True)]  # fmt: skip
    return WhiteLines(
        names=spectra.names,
        lines=names,
        windows=(lines[names[0]], lines[names[1]]),
        behind=behind,
        units=spectra.axis.units,
        areas=values[:, :2],
        area_errors=errors[:, :2],
        ratio=np.where(told, values[:, 2], np.nan),
        ratio_errors=np.where(told, errors[:, 2], np.nan),
        branching=np.where(told, values[:, 3], np.nan),
        branching_errors=np.where(told, errors[:, 3], np.nan),
        maxima=values[:, 4:6],
        maxima_errors=errors[:, 4:6],
        step=values[:, 6],
        step_errors=errors[:, 6],
        energies=spectra.energies,
        spectra=spectra.values,
        continuum=np.stack(curves, 1),
        messages=tuple(spectra.messages),
    )


class _Continuum:
    """What lies under the lines: a tail of what comes before, and two steps."""

    def __init__(
        self,
        energies: Array,
        level: Bools,
        foot: Bools | None,
        electrons: tuple[int, int],
        width: float,
        decay: float,
    ) -> None:
        self.level, self.foot = torch.from_numpy(level), foot
        self.energies, self.width = torch.from_numpy(energies), width
        self.shares = tuple(n / sum(electrons) for n in electrons)
        self.channel = torch.from_numpy(np.abs(np.gradient(energies)))
        tail = np.zeros_like(energies)
        if foot is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                power = np.where(energies > 0, energies, np.nan) ** -decay
            tail = np.nan_to_num(power / np.nanmean(power[foot]))
        self.tail = torch.from_numpy(tail)

    def below(self, spectrum: Tensor) -> Tensor:
        """(channel,) the tail of what comes before."""
        return self.tail * spectrum[self.foot].mean() if self.foot is not None else 0 * spectrum

    def height(self, spectrum: Tensor) -> Tensor:
        """Of both steps together."""
        return (spectrum - self.below(spectrum))[self.level].mean()

    def of(self, spectrum: Tensor, at: Sequence[Tensor] | Tensor) -> Tensor:
        """(channel,) all of it, steps at these energies."""
        made = self.below(spectrum)
        for share, position in zip(self.shares, at, strict=True):
            made = made + share * self.height(spectrum) * self._step(position)
        return made

    def _step(self, position: Tensor) -> Tensor:
        """From 0 to 1; a sharp one is shared out within its channel."""
        x = self.energies - position
        if self.width > 0:
            return 0.5 + torch.atan(torch.pi * x / self.width) / torch.pi
        return (0.5 + x / self.channel).clamp(0, 1)


def _reading(
    inside: Sequence[Bools],
    continuum: _Continuum,
    tops: Sequence[Top],
    maxima: tuple[float, float] | None,
) -> Callable[[Tensor], Tensor]:
    """Of one spectrum: both areas, ratio, branching ratio, both maxima, height of the steps."""
    rows = torch.from_numpy(np.stack(inside)).double()

    def read(spectrum: Tensor) -> Tensor:
        if maxima is None:
            at = [top.of(spectrum)[0] for top in tops]
        else:
            at = [spectrum.new_tensor(energy) + 0 * spectrum[0] for energy in maxima]
        first, second = rows @ (spectrum - continuum.of(spectrum, at))
        ratios = first / second, first / (first + second)
        return torch.stack([first, second, *ratios, *at, continuum.height(spectrum)])

    return read


def _subshells(lines: dict[str, Window]) -> tuple[tuple[str, str], tuple[int, int]]:
    """Names of the two lines, the one of lower energy first, and electrons of their subshells."""
    found = {name: match for name in lines if (match := SUBSHELL.match(name))}
    shells = {match[1] for match in found.values()}
    order = sorted(found, key=lambda name: -int(found[name][2]))
    if len(lines) != 2 or len(found) != 2 or len(shells) != 1 or found[order[0]][2] == "1":
        raise ValueError(
            f"`white_lines({', '.join(f'{name}=…' for name in lines)})`: give the windows of two "
            "lines of one shell by their names: L3=(640, 648), L2=(650, 658), or M5=…, M4=…"
        )
    numbers = [int(found[name][2]) for name in order]
    electrons = [2 * -(-n // 2) for n in numbers]  # 2j + 1: 2 of L2, 4 of L3 and M4, 6 of M5
    return (order[0], order[1]), (electrons[0], electrons[1])


def _tops(spectra: ChannelSpectra, inside: Sequence[Bools]) -> list[list[Top]]:
    """Tops of both lines of every spectrum."""
    columns = np.nan_to_num(spectra.values.T)
    return [[Top(spectra.energies, column, some) for some in inside] for column in columns]


def _check_order(
    spectra: ChannelSpectra, windows: dict[str, Window], before: Window | None
) -> None:
    """A caution where windows overlap, or do not follow each other."""
    named = windows if before is None else {"before": before, **windows}
    ends = [(-np.inf if a is None else a, np.inf if b is None else b) for a, b in named.values()]
    names = list(named)
    for i in range(len(names) - 1):
        if ends[i][1] > ends[i + 1][0]:
            what = "overlap" if ends[i + 1][1] > ends[i][0] else "do not follow each other"
            spectra.caution(
                f"the windows {names[i]} ({ends[i][0]:g} to {ends[i][1]:g}) and {names[i + 1]} "
                f"({ends[i + 1][0]:g} to {ends[i + 1][1]:g}) {what}: what is in both is counted "
                "twice, or as its own background",
                ClaimWarning,
            )


def _check_scattering(spectra: ChannelSpectra) -> None:
    """A caution where spectra of EELS hold plural scattering."""
    result, factor = spectra.result, spectra.factor
    loss = has_edges(spectra.axis, metadata_along(result, result.axes[factor][0]))
    if result.model is None or not loss or factor in result.model.single_scattering:
        return
    spectra.caution(
        f"{factor} of this model holds plural scattering, which moves electrons from the lines "
        "behind them, more where it is thicker, and changes ratios: with the low loss of the same "
        "pixels `fusion.models.DualEELS(core, low, K)` has spectra without it",
        ClaimWarning,
    )


def _told(
    spectra: ChannelSpectra, names: Sequence[str], values: Array, errors: Array
) -> NDArray[np.bool_]:
    """(n,) whether both lines stand out, and a caution where they do not."""
    unknown = np.isnan(errors[:, :2]).any(1)
    seen = values[:, :2] > LEAST * np.where(np.isnan(errors[:, :2]), 0, errors[:, :2])
    told = np.asarray(seen.all(1) & (unknown | (errors[:, 2] < values[:, 2])))
    for k in np.flatnonzero(~told):
        sizes = ", ".join(
            f"{name} is {with_error(v, e)}"
            for name, v, e in zip(names, values[k, :2], errors[k, :2], strict=True)
        )
        spectra.caution(
            f"{spectra.names[k]}: the ratio is not determined, as not both lines stand out by "
            f"{LEAST:g} standard errors: {sizes}",
            ClaimWarning,
        )
    return told


def _check_steps(
    spectra: ChannelSpectra,
    k: int,
    names: Sequence[str],
    tops: Sequence[Top],
    values: Array,
    errors: Array,
) -> None:
    """A caution where a step cannot stand where it does, or leads downwards."""
    if ends := [line for line, top in zip(names, tops, strict=False) if top.at_end]:
        spectra.caution(
            f"{spectra.names[k]} is highest at an end of the window of {' and '.join(ends)}, where "
            "its step stands: the window cuts the line: move it, or give `maxima`",
            ClaimWarning,
        )
    if values[6] < -LEAST * errors[6]:
        spectra.caution(
            f"{spectra.names[k]}: steps lead down, by {with_error(-values[6], errors[6])}: what "
            "lies before the lines falls faster than A E^−r does, or `behind` is too far",
            ClaimWarning,
        )


def _checked(width: float) -> float:
    if not (np.isfinite(width) and width >= 0):
        raise ValueError(f"`white_lines(width={width!r})`: a width is 0 or more; 0 is sharp.")
    return float(width)
