"""The spectrum of a few elements fitted to counts: amounts ≥ 0, tables as sure as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from fusion.elements.found_spectrum import Spectrum, Spot

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MATTERS = 0.05
"""Variances of noise that something unsure has to make before it is fitted."""
STEPS, SHORTER, ROUNDS = 40, 12, 8
"""Steps of a fit, shorter ones tried, and times that shapes are made anew; fewer do as a rule."""
CLOSE = 1e-3
"""Of the log likelihood that a step still promises, at which a fit ends."""
EXTRA = np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.02, 0.02])
"""Expected of escapes, coincidences and the shelf, and the standard errors of that."""
FAR = 4.0
"""Standard deviations beyond which calibration, absorbers and depth are not believed."""
REACH = 2.0
"""Standard deviations of a step at most."""
NEAR = np.array([0.3, 0.6, 0.6, 0.6])
"""Standard deviations by which calibration moves before shapes are made anew."""
POOR = 3.0
"""Dispersion above which detector and tables are held nearer to what is expected of them."""
HEAVIER = 1.3
"""Ratio of weights from which a fit is repeated with the new one."""


class Fit:
    """Fits of one spectrum of counts.

    While something is missing, deviance is a multiple of what noise makes; the likelihood then has
    that much less weight, so that what is known of detector and tables is not given up for it.

    Args:
        spectrum: to be fitted.
    """

    def __init__(self, spectrum: Spectrum) -> None:
        self.spectrum, self.weight, self.stiff = spectrum, 0.0, 1.0

    # ---- what is minimised -----------------------------------------------------------------------

    def deviance(self, expected: Array) -> Array:
        """(channel,) 2 (m − x + x ln (x / m))."""
        x = self.spectrum.counts
        return 2 * (expected - x + np.where(x > 0, x * np.log(np.maximum(x, 1e-9) / expected), 0))

    def dispersion(self, expected: Array) -> float:
        """Deviance over its expectation; 1 at least.

        Where few counts are expected deviance is less than 1 a channel; those are left out.
        """
        many = expected > 1
        return max(1.0, float(self.deviance(expected)[many].mean()) if many.any() else 1.0)

    def weigh(self, spot: Spot) -> None:
        """Weights as the fit is there."""
        dispersion = self.dispersion(self.spectrum.expected(spot)[0])
        self.weight = max(self.weight, 1 / dispersion)
        self.stiff = max(1.0, 1 / self.weight / POOR)

    def prior(self, spot: Spot) -> tuple[float, Array, Array]:
        """½ Σ u² of what is unsure, its gradient and second derivatives."""
        continuum = self.spectrum.continuum
        level = continuum.level(self.spectrum.counts.sum())
        n, u, *_, bends, extra = spot.parts
        middle = np.concatenate(
            [np.zeros(len(n) + len(u) + 7), np.full(len(bends), level), EXTRA[0]]
        )
        curved = np.zeros((len(middle),) * 2)
        first, last = len(n) + len(u) + 7, len(middle) - len(extra)
        known = np.arange(len(n), first)
        curved[known, known] = self.stiff
        curved[first:last, first:last] = continuum.stiff
        few = np.arange(last, len(middle))
        curved[few, few] = EXTRA[1] ** -2.0
        away = np.concatenate(spot.parts) - middle
        gradient = curved @ away
        return float(0.5 * away @ gradient), gradient, curved

    def at(self, spot: Spot) -> tuple[Spot, Array, Array]:
        """The spot with its loss, expected counts and their changes."""
        expected, changes = self.spectrum.expected(spot)
        loss = 0.5 * self.weight * float(self.deviance(expected).sum()) + self.prior(spot)[0]
        return replace(spot, loss=loss), expected, changes

    def slopes(self, spot: Spot, expected: Array, changes: Array) -> tuple[Array, Array, Mask]:
        """Gradient, expected second derivatives, and which unknowns are free of their bound."""
        _, gradient, curved = self.prior(spot)
        gradient = gradient + self.weight * (changes @ (1 - self.spectrum.counts / expected))
        curved = curved + self.weight * ((changes / expected) @ changes.T)
        curved[np.diag_indices_from(curved)] *= 1 + 1e-9
        curved[np.diag_indices_from(curved)] += 1e-12
        x = np.concatenate(spot.parts)
        return gradient, curved, ~(self.bound(spot) & (x <= 0) & (gradient > 0))

    @staticmethod
    def bound(spot: Spot) -> Mask:
        """Which unknowns are ≥ 0."""
        bound = np.zeros(sum(map(len, spot.parts)), dtype=bool)
        bound[: len(spot.n)], bound[-len(spot.extra) :] = True, True
        return bound

    # ---- how -------------------------------------------------------------------------------------

    def fit(self, spot: Spot, worse: float = np.inf) -> Spot:
        """The best answer with what is held: Fisher scoring with bounds.

        Args:
            worse: a loss; where no answer is better than that the fit ends as it is.
        """
        spot, expected, changes = self.at(spot)
        for _ in range(STEPS):
            gradient, curved, free = self.slopes(spot, expected, changes)
            step = np.zeros(len(gradient))
            factor = cho_factor(curved[np.ix_(free, free)])
            step[free] = -cho_solve(factor, gradient[free])
            promised = -float(gradient @ step)
            if not promised > CLOSE or spot.loss - promised > worse:
                break
            before = spot.loss
            found = self._along(spot, step)
            if found is None:
                break
            spot, expected, changes = found
            if before - spot.loss < CLOSE / 3:
                break
        return spot

    def _along(self, spot: Spot, step: Array) -> tuple[Spot, Array, Array] | None:
        """A better spot on the way; None where there is none."""
        sure = len(spot.n)
        longest = float(np.abs(step[sure : -len(spot.extra)]).max())
        share = min(1.0, REACH / longest) if longest > 0 else 1.0
        x = np.concatenate(spot.parts)
        for _ in range(SHORTER):
            tried = self.at(self._moved(spot, x + share * step))
            if tried[0].loss < spot.loss:
                return tried
            share /= 3
        return None

    def _moved(self, spot: Spot, x: Array) -> Spot:
        """The spot with unknowns as they are given, as far as they are believed."""
        ends = np.cumsum([len(part) for part in spot.parts])
        n, u, calibration, absorbers, depth, bends, extra = np.split(x, ends[:-1])
        held = self.spectrum.calibration
        calibration = np.clip(np.clip(calibration, held - NEAR, held + NEAR), -FAR, FAR)
        return replace(
            spot,
            n=np.maximum(n, 0.0),
            u=np.clip(u, -2 * FAR, 2 * FAR),
            calibration=calibration,
            absorbers=np.clip(absorbers, -FAR, FAR),
            depth=np.clip(depth, -FAR, FAR),
            bends=bends,
            extra=np.maximum(extra, 0.0),
        )

    def settle(self, spot: Spot, rounds: int = ROUNDS) -> Spot:
        """The best answer with shapes, absorption and what is unsure as they are there.

        The likelihood's weight grows only: a start may be poor where an element is new in it.
        """
        for _ in range(rounds):
            before = self.weight
            spot = self.fit(self.with_unsure(spot))
            away = np.abs(spot.calibration - self.spectrum.calibration)
            self.weigh(spot)
            if (away < NEAR / 20).all() and self.weight < HEAVIER * before:
                break
            self.spectrum.hold(spot)
        self.spectrum.hold(spot)
        return self.fit(spot)

    # ---- which elements --------------------------------------------------------------------------

    def with_elements(self, spot: Spot, amounts: dict[int, float]) -> Spot:
        """The same with these elements and counts of them."""
        active = tuple(sorted(amounts))
        kept = [(u, k) for u, k in zip(spot.u, spot.unsure, strict=True) if k[0] in amounts]
        return replace(
            spot,
            active=active,
            n=np.array([amounts[e] for e in active]),
            u=np.array([u for u, _ in kept]),
            unsure=tuple(k for _, k in kept),
        )

    def with_unsure(self, spot: Spot) -> Spot:
        """The same with all that is unsure of its elements and can be seen."""
        spectrum = self.spectrum
        expected, _ = spectrum.expected(spot)
        photons, _ = spectrum.photons(spot)
        known = {k: u for u, k in zip(spot.u, spot.unsure, strict=True)}
        made = []
        for e, n in zip(spot.active, spot.n, strict=True):
            for what in spectrum.lines.unsure(e, photons):
                groups = list(what.groups)
                source = spectrum.moved if what.moves else spectrum.shape
                change = n * what.error * (photons[groups] @ source[groups])
                if float((change**2 / expected).sum()) > MATTERS:
                    made.append((e, what))
        return replace(spot, unsure=tuple(made), u=np.array([known.get(k, 0.0) for k in made]))


def amounts_of(spot: Spot, without: Sequence[int] = ()) -> dict[int, float]:
    """{element: counts} of what is there."""
    pairs = zip(spot.active, spot.n.tolist(), strict=True)
    return {e: n for e, n in pairs if n > 0 and e not in without}
