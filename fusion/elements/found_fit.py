"""The spectrum of a few elements fitted to counts: amounts ≥ 0, tables as sure as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from fusion.elements.found_background import Continuum, coincidences, escapes
from fusion.elements.found_lines import CandidateLines, Unsure
from fusion.xrays.attenuation import mass_attenuation
from fusion.xrays.line_model import ABSORBERS, GAIN, OFFSET, THICKER, THICKNESS, WIDTH

Array = NDArray[np.float64]

MATTERS = 0.05
"""Variances of noise that something unsure has to make before it is fitted."""
STEPS = 40
"""Steps of a fit at most; a few are enough."""
CLOSE = 1e-3
"""Of the log likelihood that a step still promises, at which a fit ends."""
FLOOR = 1e-6
"""Counts that are expected of a channel at least."""
TWICE = np.array([1.0, 0.0]), np.array([1.0, 0.02])
"""Expected of escapes, over what theory says, and of coincidences, over counts; and their errors."""
FAR = 4.0
"""Standard deviations beyond which something unsure is not believed."""
NEAR = np.array([0.3, 0.6, 0.6, 0.6])
"""Standard deviations by which calibration moves before shapes are made anew."""


@dataclass(frozen=True)
class Spot:
    """Where a fit stands.

    Attributes:
        active: numbers of the elements in it.
        n: (element,) counts of each; `u`: of what is unsure of them, in standard deviations.
        rest: calibration (4), absorbers (2), depth (1), bends of the continuum, escapes and
            coincidences (2).
        unsure: (element, what) in the order of `u`.
        loss: −ln L of the counts, priors in it.
    """

    active: tuple[int, ...]
    n: Array
    u: Array
    rest: Array
    unsure: tuple[tuple[int, Unsure], ...]
    loss: float = np.inf


class SumFit:
    """Fits of one spectrum of counts.

    Args:
        counts: (channel,).
        lines: of candidates; continuum: under them.
        elevation: of the detector, degrees.
    """

    def __init__(
        self, counts: Array, lines: CandidateLines, beam_energy: float, elevation: float
    ) -> None:
        self.counts, self.lines, self.beam_energy = counts, lines, beam_energy
        self.continuum = continuum = Continuum(lines, beam_energy, [])
        self.sine = float(np.sin(np.deg2rad(elevation)))
        self.bends = len(continuum.bends)
        channels = lines.channels
        self.extra = np.stack([escapes(counts, channels), coincidences(counts, channels)])
        self.weight = 1.0
        self.settle_shapes(np.zeros(4))
        self.settle_depth((), np.zeros(0))

    # ---- what is held while a fit runs -----------------------------------------------------------

    def settle_shapes(self, calibration: Array) -> None:
        """Shapes at a calibration, in standard deviations of what is expected."""
        self.calibration = np.array(calibration)
        offset, gain = OFFSET * calibration[0], 1 + GAIN * calibration[1]
        noise, fano = np.exp(2 * WIDTH * calibration[2]), np.exp(WIDTH * calibration[3])
        lines = self.lines
        self.shape, self.moved, wider = lines.shapes(offset, gain, noise, fano)
        self.wide = wider
        E = lines.energies
        self.turn = np.stack(
            [
                np.full(len(E), OFFSET),
                GAIN * E,
                np.full(len(E), 2 * WIDTH * lines.variance[0] * noise),
                WIDTH * lines.variance[1] * fano * E,
            ]
        )
        self.under = self.continuum.shapes(offset, gain, noise, fano)
        inside = np.maximum(self.shape.sum(1), 1e-3)
        photons = lines.sent * inside
        total = np.add.reduceat(photons, lines.first)
        self.per_count = lines.sent / total[lines.owner]

    def settle_depth(self, active: Sequence[int], n: Array) -> None:
        """How lines and continuum are absorbed by elements of these counts."""
        lines, E = self.lines, self.continuum.energies
        per_atom = np.add.reduceat(lines.sent, lines.first)
        mass = np.array([n[i] / per_atom[e] * lines.masses[e] for i, e in enumerate(active)])
        if not mass.sum() > 0:
            line_mu, mu = mass_attenuation("Si", lines.energies), mass_attenuation("Si", E)
        else:
            weight = mass / mass.sum()
            line_mu = sum(w * lines.attenuation(e) for w, e in zip(weight, active, strict=True))
            names = [lines.elements[e] for e in active]
            mu = sum(w * mass_attenuation(e, E) for w, e in zip(weight, names, strict=True))
        self.line_depth = THICKNESS / self.sine * np.asarray(line_mu)
        self.depth = THICKNESS / self.sine * np.asarray(mu)

    # ---- the spectrum ----------------------------------------------------------------------------

    def split(self, rest: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Calibration, absorbers, depth, bends, escapes and coincidences."""
        calibration, absorbers, depth, bends, extra = np.split(rest, [4, 6, 7, 7 + self.bends])
        return calibration, absorbers, depth, bends, extra

    def left(self, depth: Array, scale: float) -> tuple[Array, Array]:
        """f(χ), and d f / d ln χ."""
        chi = np.maximum(depth * np.exp(THICKER * scale), 1e-9)
        f = -np.expm1(-chi) / chi
        return f, np.exp(-chi) - f

    def photons(self, rest: Array) -> tuple[Array, Array]:
        """(group,) of one count of every element, and (3, group) how window, dead layer and depth
        change their logarithms."""
        _, absorbers, depth, _, _ = self.split(rest)
        passed = np.exp(ABSORBERS * absorbers)
        lines = self.lines
        f, df = self.left(self.line_depth, depth[0])
        made = self.per_count * f
        made = made * np.exp(-(passed[0] - 1) * lines.window - (passed[1] - 1) * lines.dead)
        turned = [-ABSORBERS * passed[0] * lines.window, -ABSORBERS * passed[1] * lines.dead]
        return made, np.stack([*turned, THICKER * df / f])

    def background(self, rest: Array) -> tuple[Array, Array]:
        """(channel,) of continuum, and (parameter, channel) how absorbers, depth, bends change it."""
        _, absorbers, depth, bends, _ = self.split(rest)
        under = self.continuum
        passed = np.exp(ABSORBERS * absorbers)
        f, df = self.left(self.depth, depth[0])
        course = np.exp(np.clip(bends @ under.bends, -60, 60))
        made = under.made * course * f * np.exp(-passed[0] * under.window - passed[1] * under.dead)
        turned = np.stack(
            [
                -ABSORBERS * passed[0] * under.window,
                -ABSORBERS * passed[1] * under.dead,
                THICKER * df / f,
                *under.bends,
            ]
        )
        both = (np.vstack([np.ones(len(made)), turned]) * made) @ self.under
        return both[0], both[1:]

    def spectrum(self, spot: Spot) -> tuple[Array, Array]:
        """(channel,) expected counts, and (parameter, channel) how n, u and the rest change them."""
        lines = self.lines
        own = [lines.of(e) for e in spot.active]
        groups = np.concatenate(own) if own else np.zeros(0, dtype=np.intp)
        place = {g: i for i, g in enumerate(groups)}
        of = np.repeat(np.arange(len(own)), [len(g) for g in own])
        each, turned = self.photons(spot.rest)
        each, turned = each[groups], turned[:, groups]
        away = spot.rest[:4] - self.calibration
        turn = self.turn[:, groups]
        moves, grows = away[:2] @ turn[:2], away[2:4] @ turn[2:4]
        log = np.zeros(len(groups))
        members = [[place[g] for g in what.groups] for _, what in spot.unsure]
        for u, where, (_, what) in zip(spot.u, members, spot.unsure, strict=True):
            if what.moves:
                moves[where] += u * what.error
            else:
                log[where] += u * what.error
        each = each * np.exp(log)
        shape = self.shape[groups] + moves[:, None] * self.moved[groups]
        shape += grows[:, None] * self.wide[groups]
        single = each[:, None] * shape  # of one count of its element
        per = np.zeros((len(own), len(self.counts)))
        np.add.at(per, of, single)
        amount = each * spot.n[of] if len(groups) else each
        whole = spot.n[of][:, None] * single if len(groups) else single
        du = np.zeros((len(spot.u), len(self.counts)))
        for j, (where, (_, what)) in enumerate(zip(members, spot.unsure, strict=True)):
            if what.moves:
                du[j] = what.error * (amount[where] @ self.moved[groups[where]])
            else:
                du[j] = what.error * whole[where].sum(0)
        calibration = np.vstack(
            [
                (amount * turn[:2]) @ self.moved[groups],
                (amount * turn[2:]) @ self.wide[groups],
            ]
        )
        level, dlevel = self.background(spot.rest)
        dlevel[:3] += turned @ whole
        extra = spot.rest[-2:]
        made = per.T @ spot.n + level + extra @ self.extra
        changes = np.vstack([per, du, calibration, dlevel, self.extra])
        return np.maximum(made, FLOOR), changes

    # ---- the fit ---------------------------------------------------------------------------------

    def prior(self, spot: Spot) -> tuple[Array, Array]:
        """Gradient and second derivatives of ½ Σ (what is unsure in standard deviations)²."""
        n, u, rest = len(spot.n), len(spot.u), len(spot.rest)
        curved = np.zeros((n + u + rest,) * 2)
        diagonal = np.arange(n, n + u + 7)
        curved[diagonal, diagonal] = 1.0
        b = n + u + 7
        curved[b : b + self.bends, b : b + self.bends] = self.continuum.stiff
        curved[[-2, -1], [-2, -1]] = TWICE[1] ** -2.0
        x = np.concatenate([spot.n, spot.u, spot.rest])
        x[-2:] -= TWICE[0]
        middle = self.middle
        x[b : b + self.bends] -= middle
        return curved @ x, curved

    @property
    def middle(self) -> float:
        """Where the logarithm of the continuum is expected: as if all counts were its."""
        made = float((self.continuum.made * np.exp(-self.continuum.window)).sum())
        return float(np.log(max(self.counts.sum(), 1.0) / made))

    def loss(self, spot: Spot, expected: Array) -> float:
        g, curved = self.prior(spot)
        x = np.concatenate([spot.n, spot.u, spot.rest])
        x[-2:] -= TWICE[0]
        b = len(spot.n) + len(spot.u) + 7
        x[b : b + self.bends] -= self.middle
        y = self.counts
        fit = expected - y + np.where(y > 0, y * np.log(np.maximum(y, 1e-9) / expected), 0.0)
        return float(self.weight * fit.sum() + 0.5 * x @ g)

    def deviance(self, spot: Spot) -> float:
        """Of the counts over their number: 1 where all is as expected."""
        expected, _ = self.spectrum(spot)
        y = self.counts
        fit = expected - y + np.where(y > 0, y * np.log(np.maximum(y, 1e-9) / expected), 0.0)
        return float(2 * fit.sum() / len(y))

    def start(self) -> Spot:
        """Nothing but continuum."""
        rest = np.concatenate(
            [np.zeros(7), np.full(self.bends, self.middle - 1), [0.0, 0.0]]
        )
        return Spot((), np.zeros(0), np.zeros(0), rest, ())

    def fit(self, spot: Spot) -> Spot:
        """The best answer from there: Fisher scoring, with bounds at 0."""
        expected, changes = self.spectrum(spot)
        spot = replace(spot, loss=self.loss(spot, expected))
        n, u = len(spot.n), len(spot.u)
        for _ in range(STEPS):
            gradient, curved = self.prior(spot)
            gradient = gradient + self.weight * (changes @ (1 - self.counts / expected))
            curved = curved + self.weight * ((changes / expected) @ changes.T)
            x = np.concatenate([spot.n, spot.u, spot.rest])
            bound = np.zeros(len(x), dtype=bool)
            bound[:n], bound[-2:] = True, True
            free = ~(bound & (x <= 0) & (gradient > 0))
            step = np.zeros(len(x))
            H = curved[np.ix_(free, free)]
            H[np.diag_indices_from(H)] *= 1 + 1e-9
            H[np.diag_indices_from(H)] += 1e-12
            step[free] = -cho_solve(cho_factor(H), gradient[free])
            promised = -float(gradient @ step)
            if promised < CLOSE or not np.isfinite(promised):
                break
            limit = np.abs(step[n:-2]).max() if len(step) > n + 2 else 0.0
            share = min(1.0, 2.0 / limit) if limit > 0 else 1.0
            for _ in range(12):
                new = x + share * step
                new[bound] = np.maximum(new[bound], 0.0)
                new[n : n + u] = np.clip(new[n : n + u], -2 * FAR, 2 * FAR)
                new[n + u : n + u + 7] = np.clip(new[n + u : n + u + 7], -FAR, FAR)
                at = slice(n + u, n + u + 4)
                new[at] = np.clip(new[at], self.calibration - NEAR, self.calibration + NEAR)
                trial = replace(spot, n=new[:n], u=new[n : n + u], rest=new[n + u :])
                made, turned = self.spectrum(trial)
                loss = self.loss(trial, made)
                if loss < spot.loss:
                    break
                share /= 3
            else:
                break
            gained = spot.loss - loss
            spot, expected, changes = replace(trial, loss=loss), made, turned
            if gained < CLOSE / 3:
                break
        return spot

    def settle(self, spot: Spot, rounds: int = 8) -> Spot:
        """The best answer with shapes, absorption and what is unsure as they are there."""
        for _ in range(rounds):
            self.weight = 1 / max(1.0, self.deviance(spot))
            spot = self.fit(self.with_unsure(spot))
            away = np.abs(spot.rest[:4] - self.calibration)
            weight = 1 / max(1.0, self.deviance(spot))
            if (away < NEAR / 20).all() and weight < 1.3 * self.weight:
                break
            self.hold(spot)
        self.hold(spot)
        return self.fit(spot)

    def hold(self, spot: Spot) -> None:
        """Shapes and absorption as they are there."""
        self.continuum = Continuum(self.lines, self.beam_energy, self.names(spot))
        self.settle_shapes(spot.rest[:4])
        self.settle_depth(spot.active, spot.n)

    def names(self, spot: Spot) -> list[str]:
        return [self.lines.elements[e] for e in spot.active]

    def with_elements(self, spot: Spot, active: Sequence[int]) -> Spot:
        """The same with other elements, those that were there as they were."""
        old = dict(zip(spot.active, spot.n, strict=True))
        u = [(v, k) for v, k in zip(spot.u, spot.unsure, strict=True) if k[0] in active]
        n = np.array([old.get(e, 0.0) for e in active])
        return replace(
            spot, active=tuple(active), n=n, u=np.array([v for v, _ in u]),
            unsure=tuple(k for _, k in u),
        )

    def with_unsure(self, spot: Spot) -> Spot:
        """The same with all that is unsure of its elements and can be seen."""
        expected, _ = self.spectrum(spot)
        photons, _ = self.photons(spot.rest)
        known = {(e, tuple(w.groups), w.moves): v for v, (e, w) in zip(spot.u, spot.unsure)}
        made = []
        for e, n in zip(spot.active, spot.n, strict=True):
            for what in self.lines.unsure(e, photons):
                source = self.moved if what.moves else self.shape
                change = n * what.error * (photons[what.groups] @ source[what.groups])
                if (change**2 / expected).sum() > MATTERS:
                    made.append((e, what))
        u = [known.get((e, tuple(w.groups), w.moves), 0.0) for e, w in made]
        return replace(spot, unsure=tuple(made), u=np.array(u))

    def score(self, spot: Spot) -> tuple[Array, Array]:
        """(element,) of all candidates: standard deviations that adding some promises, and counts."""
        expected, changes = self.spectrum(spot)
        _, curved = self.prior(spot)
        x = np.concatenate([spot.n, spot.u, spot.rest])
        gradient, _ = self.prior(spot)
        gradient = gradient + self.weight * (changes @ (1 - self.counts / expected))
        bound = np.zeros(len(x), dtype=bool)
        bound[: len(spot.n)], bound[-2:] = True, True
        free = ~(bound & (x <= 0) & (gradient > 0))
        J = changes[free]
        H = curved[np.ix_(free, free)] + self.weight * ((J / expected) @ J.T)
        H[np.diag_indices_from(H)] += 1e-9 * np.diag(H) + 1e-12
        photons, _ = self.photons(spot.rest)
        away = spot.rest[:4] - self.calibration
        moves, grows = away[:2] @ self.turn[:2], away[2:] @ self.turn[2:]
        shape = self.shape + moves[:, None] * self.moved + grows[:, None] * self.wide
        each = np.add.reduceat(photons[:, None] * shape, self.lines.first, axis=0)
        s = self.weight * (each @ (self.counts / expected - 1))
        cross = self.weight * ((each / expected) @ J.T)
        factor = cho_factor(H)
        own = self.weight * (each**2 / expected).sum(1)
        information = own - (cross * cho_solve(factor, cross.T).T).sum(1)
        # what is left of the gradient of the others is taken along
        s = s + cross @ cho_solve(factor, gradient[free])
        information = np.maximum(information, 1e-6 * own)
        return s / np.sqrt(information), s / information
