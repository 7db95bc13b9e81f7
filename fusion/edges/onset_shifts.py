"""Onsets of an edge in every component, and how far they are shifted against one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning
from fusion.algebra.display import Display, Notes, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.edges.channel_spectra import ChannelSpectra, Window
from fusion.edges.rise import NEAR, POINTS, Rise
from fusion.edges.tables import with_error, write_rows

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]

LEAST = 3.0
"""Standard errors by which an edge stands out, for its onset to be told."""


@dataclass(frozen=True, eq=False, repr=False)
class OnsetShifts(Shown):
    """Onsets of an edge.

    Attributes:
        names: of the components, one a row; `reference`: that which shifts are counted from.
        onsets: (n,) energies at which the edge has risen to `level` of its height, in `units`; NaN
            where there is no such rise; `onset_errors` standard errors.
        shifts: (n,) less that of the reference; `shift_errors`, 0 of the reference itself.
        heights: (n,) of the edges, in the unit of the spectra; `height_errors`.
        window, level, units: as they were asked for.
        axis: of the channels, in `units`; `spectra`: (channel, n).
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    reference: str
    onsets: Array
    onset_errors: Array
    shifts: Array
    shift_errors: Array
    heights: Array
    height_errors: Array
    window: Window
    level: float
    units: str
    axis: Axis
    spectra: Array
    messages: tuple[str, ...] = ()

    def to_csv(self, path: Any) -> None:
        """Write a row for every component: onset, shift and height, with errors.

        Raises:
            OSError: if the folder cannot be written.
        """
        heads = (f"onset ({self.units})", f"shift ({self.units})", "height")
        rows = [
            [name, *(part[i] for pair in self._parts() for part in pair)]
            for i, name in enumerate(self.names)
        ]
        write_rows(path, ["component", *(f"{s}{h}" for h in heads for s in ("", "± "))], rows)

    def _parts(self) -> list[tuple[Array, Array]]:
        return [
            (self.onsets, self.onset_errors),
            (self.shifts, self.shift_errors),
            (self.heights, self.height_errors),
        ]

    def _display(self) -> Display:
        unit = f" ({self.units})" if self.units else ""
        heads = [f"onset at {100 * self.level:g} %{unit}", f"shift{unit}", "height"]
        rows = []
        for i, name in enumerate(self.names):
            cells = [with_error(v[i], e[i]) for v, e in self._parts()]
            if name == self.reference:
                cells[1] = "reference"
            rows.append([name, *cells])
        notes = [Notes(self.messages)] if self.messages else []
        return Display(f"onsets against {self.reference}", [Table(["", *heads], rows), *notes])


@checked_call
@waited_for
def onset_shifts(
    result: Result,
    window: Window,
    *,
    reference: int | str = 1,
    before: Window | None = None,
    level: float = 0.5,
    components: Sequence[int | str] | None = None,
    units: str | None = None,
    factor: str | None = None,
    progress: bool = True,
) -> OnsetShifts:
    """Onset of an edge in every component, and its chemical shift against one of them.

    An onset is where the edge first reaches half of its height, between channels by a cubic through
    the four next to it. The height is that of the highest maximum in the window, by a parabola
    through its top, over the mean of the window `before`. Errors are those of all of this (the
    delta method), of the covariance of all channels and components.

    A shift of the onset is one of energy levels where edges are alike; where their shapes differ it
    is that of the rise, as a reader of the spectra sees it. Plural scattering leaves it alone.

    Args:
        result: of `fit`.
        window: from before the rise to behind the first maximum, in the unit of the axis.
        reference: component whose onset is taken for zero: its name, or its number from 1.
        before: window in front of the edge, where others have a tail; default: nothing is there.
        level: of the height, between 0 and 1, at which the onset is read.
        components: names, or numbers from 1, of those that have the edge; default: all.
        units: of the windows and of the answer, "eV", "keV" …; default: that of the axis.
        factor: of the spectra; default: the only one that there is.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if there are no such spectra or component, or no channels in a window.

    Warns:
        FusionWarning: where a window runs off the axis, or a component has no such edge in it.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=120).datasets["net"]
        >>> model = fu.models.NMF(data, K=3)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> found = fu.edges.onset_shifts(result, (96, 112), progress=False)
        >>> found.reference, float(found.shifts[0])
        ('component 1', 0.0)
    """
    spectra = ChannelSpectra.of("onset_shifts", result, factor, units, components)
    at = spectra.column(reference, "reference")
    if not 0 < level < 1:
        raise ValueError(f"`onset_shifts(level={level!r})`: give a share between 0 and 1.")
    inside = spectra.window("window", window, least=POINTS)
    foot = None if before is None else spectra.window("before", before)
    rises = [
        Rise(spectra.energies, np.nan_to_num(s), inside, foot, level) for s in spectra.values.T
    ]
    values, covariance = spectra.read_all([rise.of for rise in rises], progress)
    errors = np.sqrt(np.maximum(covariance.diagonal(), 0)).reshape(len(values), 2)
    lost = _lost(spectra, rises, values, errors)
    if lost[at] and not lost.all():
        others = ", ".join(repr(spectra.names[k]) for k in np.flatnonzero(~lost))
        spectra.caution(
            f"shifts are counted from {spectra.names[at]}, which has no onset: give `reference=` "
            f"one that has, of {others}",
            ClaimWarning,
        )
    onsets = np.where(lost, np.nan, values[:, 0])
    own = covariance[::2, ::2]
    with np.errstate(invalid="ignore"):
        spread = own.diagonal() + own[at, at] - 2 * own[at]
    spread[at] = 0.0
    spectra.at_zero({"window": inside})
    return OnsetShifts(
        names=spectra.names,
        reference=spectra.names[at],
        onsets=onsets,
        onset_errors=np.where(lost, np.nan, errors[:, 0]),
        shifts=onsets - onsets[at],
        shift_errors=np.where(lost | lost[at], np.nan, np.sqrt(np.maximum(spread, 0))),
        heights=values[:, 1],
        height_errors=errors[:, 1],
        window=window,
        level=level,
        units=spectra.axis.units,
        axis=spectra.axis,
        spectra=spectra.values,
        messages=tuple(spectra.messages),
    )


def _lost(
    spectra: ChannelSpectra, rises: list[Rise], values: Array, errors: Array
) -> NDArray[np.bool_]:
    """(n,) which spectra have no onset, and a caution of each."""
    lost = np.zeros(len(rises), dtype=bool)
    for k, rise in enumerate(rises):
        height, error = values[k, 1], errors[k, 1]
        why = rise.missing
        if not why and np.isfinite(error) and height <= LEAST * error:
            told = with_error(height, error)
            why = f"its edge, {told} high, does not stand out by {LEAST:g} standard errors"
        if rise.elsewhere and not why:
            spectra.caution(
                f"{spectra.names[k]} rises in two steps, and a maximum at "
                f"{', '.join(f'{x:g}' for x in rise.elsewhere)} {spectra.axis.units} is within "
                f"{100 * NEAR:g} % of the height at which the onset is read, so that noise chooses "
                "between them: end the window behind the first maximum, or read another `level`",
                ClaimWarning,
            )
        if why:
            lost[k] = True
            spectra.caution(f"{spectra.names[k]} has no onset here: {why}", ClaimWarning)
    return lost
