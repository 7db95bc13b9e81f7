"""White lines: areas above a continuum of two steps, their ratio and branching ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Notes, Part, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.edges.channel_spectra import Bools, ChannelSpectra, Window
from fusion.edges.continuum import Continuum, reading
from fusion.edges.maxima import Top
from fusion.edges.tables import with_error, write_rows
from fusion.edges.white_line_checks import (
    check_order,
    check_scattering,
    check_steps,
    checked_maxima,
    checked_width,
    subshells,
    which_are_told,
)

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class WhiteLines(Shown):
    """White lines of every component, above their continuum; `fusion.plots.plot_white_lines` draws.

    Attributes:
        names: of the components, one a row.
        lines: names of the two lines, the one of lower energy first: ("L3", "L2").
        windows: from where to where each goes; `behind`, `before`: those of the continuum; in
            `units`.
        areas: (n, 2) sums over channels above the continuum, in the unit of the spectra;
            `area_errors` standard errors.
        ratio: (n,) of the first to the second; `ratio_errors`. NaN where it is not determined.
        branching: (n,) of the first to both; `branching_errors`.
        maxima: (n, 2) of the lines, where the steps stand, in `units`; `maxima_errors`, 0 where
            they were given.
        step: (n,) height of both steps together; `step_errors`.
        axis: of the channels, in `units`; `spectra`, `continuum`: (channel, n).
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    lines: tuple[str, str]
    windows: tuple[Window, Window]
    behind: Window
    before: Window | None
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
    axis: Axis
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
    width: float | None = None,
    decay: float = 3.0,
    maxima: tuple[float, float] | None = None,
    components: Sequence[int | str] | None = None,
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
        width: w, in the unit of the windows; default: 1 eV; 0 draws sharp steps.
        decay: r, of that tail; 0: it stays as high as it is.
        maxima: energies of both steps, where they are not to be looked for.
        components: names, or numbers from 1, of those that have the edge; default: all.
        units: of the windows, "eV", "keV" …; default: that of the axis.
        factor: of the spectra; default: the only one that there is.
        progress: whether a line says that it is at work, as in `fit`.
        lines: two windows, named by their subshells: `L3=(640, 648), L2=(650, 658)`.

    Raises:
        ValueError: if there are no such spectra or component, the lines are not two of one shell,
            or no channel lies in a window.

    Warns:
        FusionWarning: where windows overlap or run off the axis, a line has no maximum in its
            window, a ratio is not determined, or spectra hold plural scattering.

    References:
        Pearson, Ahn & Fultz, Phys. Rev. B 47:8471 (1993), steps of 2 : 1 at the maxima; van Aken &
        Liebscher, Phys. Chem. Minerals 29:188 (2002), two arctangents, w = 1 eV; Riedl, Gemming &
        Wetzig, Ultramicroscopy 106:284 (2006), how methods differ.

    Example:
        >>> from fusion.simulate import dual_eels
        >>> scan = dual_eels(shape=(18, 20), channels=100).datasets
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
    spectra = ChannelSpectra.of("white_lines", result, factor, units, components)
    names, electrons = subshells(lines)
    inside = [spectra.window(name, lines[name], least=3) for name in names]
    level = spectra.window("behind", behind)
    foot = None if before is None else spectra.window("before", before)
    check_order(spectra, {**{n: lines[n] for n in names}, "behind": behind}, before)
    check_scattering(spectra)
    continuum = Continuum(
        spectra.energies, level, foot, electrons, checked_width(spectra, width), float(decay)
    )
    maxima = checked_maxima(maxima, [spectra.energies[some] for some in inside])
    tops = _tops(spectra, inside)
    functions = [reading(inside, continuum, pair, maxima) for pair in tops]
    values, covariance = spectra.read_all(functions, progress)
    K = len(spectra.names)
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).reshape(K, -1)
    told = which_are_told(spectra, names, values, errors)
    channels = sum(int(some.sum()) for some in inside)
    for k in np.flatnonzero(told).tolist():
        steps = tops[k] if maxima is None else []
        check_steps(spectra, k, names, steps, channels, values[k], errors[k])
    spectra.at_zero(dict(zip(names, inside, strict=True)))
    with torch.no_grad():
        curves = [continuum.of(torch.from_numpy(np.nan_to_num(s)), torch.from_numpy(v[4:6])).numpy()
                  for s, v in zip(spectra.values.T, values, strict=True)]  # fmt: skip
    return WhiteLines(
        names=spectra.names,
        lines=names,
        windows=(lines[names[0]], lines[names[1]]),
        behind=behind,
        before=before,
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
        axis=spectra.axis,
        spectra=spectra.values,
        continuum=np.stack(curves, 1),
        messages=tuple(spectra.messages),
    )


def _tops(spectra: ChannelSpectra, inside: Sequence[Bools]) -> list[list[Top]]:
    """Tops of both lines of every spectrum."""
    columns = np.nan_to_num(spectra.values.T)
    return [[Top(spectra.energies, column, some) for some in inside] for column in columns]
