"""The spectrum that amounts of elements give, with all that is unsure of it, and how it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fusion.elements.found_background import Continuum, coincidences, escapes, shelf
from fusion.elements.found_lines import CandidateLines, Detector, Indices, Unsure
from fusion.xrays.attenuation import mass_attenuation
from fusion.xrays.line_model import ABSORBERS, GAIN, OFFSET, THICKER, THICKNESS, WIDTH

Array = NDArray[np.float64]

EXTRAS = escapes, coincidences, shelf
"""What is made of the counts as they are."""
FLOOR = 1e-6
"""Counts that are expected of a channel at least."""
FACTOR = 4.0
"""Of the logarithm of photons: the most by which tables are believed to be wrong."""


@dataclass(frozen=True)
class Spot:
    """Where a fit stands.

    Attributes:
        active: numbers of the elements in it.
        n: (element,) counts of each, ≥ 0.
        u: of what is unsure of them, in standard deviations.
        calibration: (4,), absorbers (2,), depth (1,): the same.
        bends: of the logarithm of the continuum.
        extra: (3,) escapes over what theory says, shares of counts in coincidences and in the
            shelf below lines; ≥ 0.
        unsure: (element, what) in the order of `u`.
        loss: −ln L of the counts and of what is unsure.
    """

    active: tuple[int, ...]
    n: Array
    u: Array
    calibration: Array
    absorbers: Array
    depth: Array
    bends: Array
    extra: Array
    unsure: tuple[tuple[int, Unsure], ...] = ()
    loss: float = np.inf

    @property
    def parts(self) -> tuple[Array, ...]:
        """All unknowns, in the order of `Spectrum.expected`."""
        return (
            self.n, self.u, self.calibration, self.absorbers, self.depth, self.bends, self.extra,
        )  # fmt: skip


class Spectrum:
    """Expected counts of the channels of one spectrum.

    Shapes of lines, attenuation by what is there, escapes and coincidences are held until `hold`
    makes them anew; in between shapes change in proportion to what calibration does.

    Args:
        counts: (channel,); seen: (channel,), share of the pixels that count there.
        lines: of candidates.
        beam_energy: keV; elevation: of the detector, degrees.
    """

    def __init__(
        self,
        counts: Array,
        seen: Array,
        lines: CandidateLines,
        beam_energy: float,
        elevation: float,
    ) -> None:
        self.counts, self.seen, self.lines = counts, seen, lines
        self.beam_energy = beam_energy
        self.sine = float(np.sin(np.deg2rad(elevation)))
        whole = counts / np.where(seen > 0, seen, 1.0)
        self.extra = np.stack([make(whole, lines.channels) for make in EXTRAS])
        self._kept: Any = None
        self.shares: dict[int, float] = {}
        groups, channels = len(lines.groups), len(counts)
        self.shape, self.moved, self.wide = (np.zeros((groups, channels)) for _ in range(3))

    def start(self) -> Spot:
        """Nothing but continuum."""
        self.continuum = Continuum(self.lines, self.beam_energy, [])
        bends = np.full(len(self.continuum.bends), self.continuum.level(self.counts.sum()) - 1)
        n, u, calibration, absorbers, depth = (np.zeros(k) for k in (0, 0, 4, 2, 1))
        extra = np.zeros(len(EXTRAS))
        spot = Spot((), n, u, calibration, absorbers, depth, bends, extra)
        self.hold(spot, everything=True)
        return spot

    # ---- what is held ----------------------------------------------------------------------------

    def hold(self, spot: Spot, *, everything: bool = False) -> None:
        """Shapes and absorption as they are there; of all candidates, or only of what is in it."""
        lines = self.lines
        names = [lines.elements[e] for e in spot.active]
        if self.continuum.elements != names:
            self.continuum = Continuum(lines, self.beam_energy, names)
        c = self.calibration = np.array(spot.calibration)
        detector = Detector(
            OFFSET * c[0], 1 + GAIN * c[1], np.exp(2 * WIDTH * c[2]), np.exp(WIDTH * c[3])
        )
        groups = np.arange(len(lines.groups)) if everything else self.groups_of(spot.active)
        if len(groups):
            self.shape[groups], self.moved[groups], self.wide[groups] = lines.shapes(
                detector, groups
            )
        E = lines.energies
        self.shifts = np.stack([np.full(len(E), OFFSET), GAIN * E])
        wider = 2 * WIDTH * lines.variance[0] * detector.noise
        self.widths = np.stack(
            [np.full(len(E), wider), WIDTH * lines.variance[1] * detector.fano * E]
        )
        self.under = csr_array(self.continuum.shapes(detector).T)
        self._hold_depth(spot)

    def _hold_depth(self, spot: Spot) -> None:
        lines, E = self.lines, self.continuum.energies
        active = list(spot.active)
        mass = spot.n / lines.per_atom[active] * lines.masses[active]
        if mass.sum() > 0:
            share = mass / mass.sum()
            old = np.array([self.shares.get(e, 0.0) for e in active])
            share = share if not old.sum() > 0 else 0.5 * share + 0.5 * old / old.sum()
            self.shares = dict(zip(active, share.tolist(), strict=True))
            of_lines = share @ np.stack([lines.attenuation(e) for e in active])
            of_continuum = share @ self.continuum.attenuation
        else:
            of_lines, of_continuum = (mass_attenuation("Si", at) for at in (lines.energies, E))
        self.line_depth = THICKNESS / self.sine * of_lines
        self.depth = THICKNESS / self.sine * of_continuum

    def groups_of(self, active: Sequence[int]) -> Indices:
        """Numbers of the groups of some elements, element by element."""
        none = np.zeros(0, dtype=np.intp)
        return np.concatenate([none, *(self.lines.of(e) for e in active)])

    # ---- the spectrum ----------------------------------------------------------------------------

    def photons(self, spot: Spot) -> tuple[Array, Array]:
        """(group,) of one count of every element, as tables say; (3, group) of its logarithm.

        The latter: how it changes with window, dead layer and depth.
        """
        passed = np.exp(ABSORBERS * spot.absorbers)
        f, df = _left(self.line_depth, spot.depth)
        through = np.exp(-(passed - 1) @ self.lines.absorbers)
        stopped = -ABSORBERS * passed[:, None] * self.lines.absorbers
        return self.lines.share * f * through, np.vstack([stopped, THICKER * df / f])

    def background(self, spot: Spot) -> tuple[Array, Array]:
        """(channel,) of the continuum; how absorbers, depth and bends change it."""
        under, passed = self.continuum, np.exp(ABSORBERS * spot.absorbers)
        f, df = _left(self.depth, spot.depth)
        course = np.exp(np.clip(spot.bends @ under.bends, -60, 60))
        made = under.made * course * f * np.exp(-passed @ under.absorbers)
        stopped = -ABSORBERS * passed[:, None] * under.absorbers
        changes = np.vstack([np.ones(len(made)), stopped, THICKER * df / f, under.bends])
        both = (self.under @ (changes * made).T).T
        return both[0], both[1:]

    def shapes(self, spot: Spot, groups: Indices, moved: Array | float = 0.0) -> Array:
        """(group, channel) of some lines at the calibration of a spot, and `moved` by keV."""
        away = spot.calibration - self.calibration
        moves, grows = away[:2] @ self.shifts[:, groups], away[2:] @ self.widths[:, groups]
        made = self.shape[groups] + (moves + moved)[:, None] * self.moved[groups]
        return made + grows[:, None] * self.wide[groups]

    def expected(self, spot: Spot) -> tuple[Array, Array]:
        """(channel,) counts, and (unknown, channel) how they change with `spot.parts`."""
        groups = self.groups_of(spot.active)
        owner = self.lines.owner[groups]
        of = np.searchsorted(spot.active, owner)
        photons, changed = self.photons(spot)
        (wrong, moved), turned = self._mistakes(spot, groups)
        log, moves = np.clip(turned[0] @ spot.u, -FACTOR, FACTOR), turned[1] @ spot.u
        each = photons[groups] * np.exp(log)
        shape = self.shapes(spot, groups, moves)
        amount = each * spot.n[of]
        single = each[:, None] * shape
        per = np.zeros((0, len(self.counts)))
        if len(groups):
            per = np.add.reduceat(single, np.searchsorted(owner, spot.active), axis=0)
        whole = single * spot.n[of][:, None]
        by_shift = (amount * self.shifts[:, groups]) @ self.moved[groups]
        by_width = (amount * self.widths[:, groups]) @ self.wide[groups]
        made, bent = self.background(spot)
        bent[:3] += changed[:, groups] @ whole
        by_unsure = wrong @ whole + moved @ (amount[:, None] * self.moved[groups])
        changes = np.vstack([per, by_unsure, by_shift, by_width, bent, self.extra])
        made = spot.n @ per + made + spot.extra @ self.extra
        return np.maximum(made * self.seen, FLOOR), changes * self.seen

    def _mistakes(self, spot: Spot, groups: Indices) -> tuple[list[csr_array], list[Any]]:
        """(unsure, group): errors of logarithms of photons, and of keV; both turned, too.

        They are kept for the next call.
        """
        if self._kept is None or self._kept[0] is not spot.unsure or self._kept[1] != spot.active:
            place = np.full(len(self.lines.groups), -1)
            place[groups] = np.arange(len(groups))
            shape = len(spot.unsure), len(groups)
            made = []
            for moves in (False, True):
                told = [
                    (what.error, row, place[g])
                    for row, (_, what) in enumerate(spot.unsure)
                    if what.moves == moves
                    for g in what.groups
                ]
                errors, rows, columns = np.array(told).reshape(-1, 3).T
                where = rows.astype(int), columns.astype(int)
                made.append(csr_array((errors, where), shape=shape))
            self._kept = spot.unsure, spot.active, (made, [one.T for one in made])
        return self._kept[2]

    def candidates(self, spot: Spot) -> Array:
        """(element, channel): one count of every candidate."""
        photons, _ = self.photons(spot)
        each = photons[:, None] * self.shapes(spot, np.arange(len(photons)))
        return np.add.reduceat(each, self.lines.first, axis=0) * self.seen


def _left(depth: Array, scale: Array) -> tuple[Array, Array]:
    """f(χ) = (1 − e^−χ) / χ, the share that leaves a layer, and its change with ln χ."""
    chi = np.maximum(depth * np.exp(THICKER * scale), 1e-9)
    f = -np.expm1(-chi) / chi
    return f, np.exp(-chi) - f
