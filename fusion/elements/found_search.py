"""Which elements a spectrum holds: one after the other, each against the best fit without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import uniform_filter1d

from fusion.elements.found_evidence import Evidence, threshold
from fusion.elements.found_fit import Fit, amounts_of
from fusion.elements.found_lines import Detector, spread
from fusion.elements.found_spectrum import Spectrum, Spot
from fusion.xrays.response import FWHM

Array = NDArray[np.float64]

MORE = 40
"""Elements at most."""
SWAPS = 3
"""Others that are tried in place of an element."""
BETTER = 0.5
"""2 Δ ln L from which another is taken in place of an element."""
TRIED, FAR_WORSE = 100.0, 400.0
"""2 Δ ln L below which others are tried in place of an element; from which it is not followed."""
ALIKE, NEARLY = 0.9, 0.8
"""Correlation of the counts of two elements, and share of a score, from which either is tried."""
AROUND, BY_CHANCE = 8.0, 1.5
"""Widths of a line to either side of it, in which residuals are looked at, and their variance, in
noise, that chance seldom exceeds."""
PLAIN = Detector(0.0, 1.0, 1.0, 1.0)


class Search:
    """Elements of a spectrum.

    Args:
        spectrum: of counts, with its candidates.
        known: numbers of elements that are in it, which need no evidence.
    """

    def __init__(self, spectrum: Spectrum, known: Sequence[int] = ()) -> None:
        self.spectrum, self.fit, self.known = spectrum, Fit(spectrum), tuple(known)
        self.least = threshold(len(spectrum.lines.elements) - len(self.known))

    def amounts(self, spot: Spot, without: Sequence[int] = ()) -> dict[int, float]:
        """{element: counts} of what is there, and of what is known."""
        return dict.fromkeys(self.known, 0.0) | amounts_of(spot, without)

    def scores(self, spot: Spot) -> tuple[Array, Array]:
        """(element,) of every candidate: counts by which a fit would be better, and their error.

        To first order, all else refitted.
        """
        up, information = self.gains(spot)
        own = information.diagonal()
        return up / own, own**-0.5

    def gains(self, spot: Spot) -> tuple[Array, Array]:
        """(element,) slopes of ln L with counts of every candidate, and (element, element) −bends.

        To first order, all else refitted.
        """
        fit = self.fit
        _, expected, changes = fit.at(spot)
        gradient, curved, free = fit.slopes(spot, expected, changes)
        each = self.spectrum.candidates(spot)
        weighted = fit.weight * each / expected
        up = weighted @ (self.spectrum.counts - expected)
        own = weighted @ each.T
        cross = weighted @ changes[free].T
        factor = cho_factor(curved[np.ix_(free, free)])
        up = up + cross @ cho_solve(factor, gradient[free])
        information = own - cross @ cho_solve(factor, cross.T)
        at = np.diag_indices_from(own)
        information[at] = np.maximum(information[at], 1e-6 * own[at])
        return up, information

    def forward(self, spot: Spot, least: float | None = None) -> Spot:
        """Adds what raises the likelihood most, as long as chance does not.

        Args:
            least: 2 Δ ln L, to first order, from which one is tried; None: near the threshold.
        """
        least = 0.8 * self.least if least is None else least
        refused = set(self.known)
        while len(spot.active) < MORE:
            up, bends = self.gains(spot)
            own = bends.diagonal()
            z = up / own**0.5
            z[[*spot.active, *refused]] = -np.inf
            best = int(np.argmax(z))
            if not z[best] ** 2 * np.sign(z[best]) > least:
                break
            alike = bends[best] > ALIKE * (own * own[best]) ** 0.5
            near = np.flatnonzero(alike & (z > max(NEARLY * z[best], TRIED**0.5))).tolist()
            best, spot, taken = self.best_of(spot, near or [best], up / own)
            refused = set(self.known) if taken else refused | {best}
        return spot

    def best_of(self, spot: Spot, those: Sequence[int], counts: Array) -> tuple[int, Spot, bool]:
        """That one more, of those that look alike, with which a fit is best when all is settled.

        Args:
            those: numbers of the elements; counts: (element,) of every candidate, to begin with.

        Returns:
            Its number, the fit, and whether the element is in it.
        """
        fit, made = self.fit, []
        start = fit.weight, fit.stiff
        for e in those:
            if made:
                self._back(spot, *start)
            new, taken = self._added(spot, e, float(counts[e]))
            off = float(fit.deviance(self.spectrum.expected(new)[0]).sum())
            made.append((off, e, new, taken, fit.weight, fit.stiff))
        _, e, new, taken, *weights = min(made, key=lambda one: one[0])
        if e != those[-1]:
            self._back(new, *weights)
            new = fit.fit(new)
        return e, new, taken

    def _back(self, spot: Spot, weight: float, stiff: float) -> None:
        """All that is held as it was there."""
        self.fit.weight, self.fit.stiff = weight, stiff
        self.spectrum.shares = {}
        self.spectrum.hold(spot, everything=True)

    def _added(self, spot: Spot, element: int, counts: float) -> tuple[Spot, bool]:
        """With one more, where it stands against what was there."""
        before = self.fit.weight
        amounts = self.amounts(spot) | {element: self._at_most(spot, element, counts)}
        new = self.fit.settle(self.fit.with_elements(spot, amounts))
        kept = self.amounts(new)
        taken = element in kept
        if taken and self.fit.weight < 2 * before:  # else it is needed beyond doubt
            without = self.without(new, element)
            taken = 2 * (without.loss - new.loss) > self.least
        if not taken:
            kept.pop(element, None)
        spot = self.fit.with_elements(new, kept)
        self.spectrum.hold(spot, everything=True)
        return self.fit.fit(spot), taken

    def _at_most(self, spot: Spot, element: int, counts: float) -> float:
        """Not more than a fit lacks: what is promised to first order may be any multiple of it."""
        expected, _ = self.spectrum.expected(spot)
        lacking = float(np.maximum(self.spectrum.counts - expected, 0).sum())
        return min(counts, lacking / float(self.spectrum.candidates(spot)[element].sum()))

    def without(self, spot: Spot, element: int) -> Spot:
        """The best fit without an element, with what is held; any that is far worse serves."""
        left = self.fit.with_elements(spot, self.amounts(spot, [element]))
        return self.fit.fit(left, worse=spot.loss + FAR_WORSE)

    def backward(self, spot: Spot) -> tuple[Spot, list[Evidence]]:
        """Without what nothing tells for, and with what is better in its place; evidence of all."""
        tried: set[tuple[int, int | None]] = set()
        while True:
            found = [self.evidence(spot, e) for e in spot.active if e not in self.known]
            weakest = min(found, key=lambda one: one.ratio, default=None)
            if weakest is None or weakest.ratio < self.least:
                if weakest is None:
                    return spot, found
                spot = self._settled(self.without(spot, weakest.element))
                continue
            better = [
                one for one in found if one.gap < -BETTER and (one.element, one.rival) not in tried
            ]
            if not better:
                return spot, found
            one = min(better, key=lambda one: one.gap)
            tried |= {(one.element, one.rival), (one.rival or 0, one.element)}
            spot = self._better(spot, one)

    def _better(self, spot: Spot, one: Evidence) -> Spot:
        """With another in the place of an element, if that is better when all is settled."""
        swapped = self._swapped(spot, one)
        if swapped.loss < spot.loss:
            return swapped
        self.spectrum.hold(spot, everything=True)
        return self.fit.fit(spot)

    def _settled(self, spot: Spot) -> Spot:
        spot = self.fit.settle(spot)
        self.spectrum.hold(spot, everything=True)
        return self.fit.fit(spot)

    def _swapped(self, spot: Spot, one: Evidence) -> Spot:
        """With another element in the place of one."""
        assert one.rival is not None
        without = self.without(spot, one.element)
        more, _ = self.scores(without)
        counts = self._at_most(without, one.rival, float(more[one.rival]))
        amounts = self.amounts(without) | {one.rival: counts}
        return self._settled(self.fit.with_elements(without, amounts))

    def evidence(self, spot: Spot, element: int) -> Evidence:
        """2 Δ ln L to the best fit without an element, and with another in its place."""
        without = self.without(spot, element)
        ratio = 2 * (without.loss - spot.loss)
        if not self.least < ratio < TRIED:
            return Evidence(element, ratio)
        more, error = self.scores(without)
        z = more / error
        z[[element, *without.active]] = -np.inf
        gaps = []
        for other in np.argsort(-z)[:SWAPS].tolist():
            if z[other] ** 2 * np.sign(z[other]) > 0.5 * ratio:
                amounts = self.amounts(without) | {other: float(more[other])}
                swapped = self.fit.fit(self.fit.with_elements(without, amounts))
                gaps.append((2 * (swapped.loss - spot.loss), other))
        gap, rival = min(gaps, default=(np.inf, None))
        return Evidence(element, ratio, rival, gap)

    def dispersion_near(self, spot: Spot, element: int, expected: Array | None = None) -> float:
        """How much worse than noise a fit is around the lines of an element, where beyond chance.

        Of residuals added up over the width of a line: squares in variances of noise.

        Args:
            expected: (channel,) counts; None: those of the spot.
        """
        spectrum = self.spectrum
        if expected is None:
            expected, _ = spectrum.expected(spot)
        each = spectrum.candidates(spot)[element]
        lines = spectrum.lines
        at = float(lines.channels[np.argmax(each**2 / expected)])
        width = FWHM * float(np.sqrt(spread(lines.variance, PLAIN, np.array(at))))
        over = max(1, round(width / lines.step))
        sums = [uniform_filter1d(x, over) * over for x in (spectrum.counts - expected, expected)]
        near = np.abs(lines.channels - at) < AROUND * width
        return max(1.0, float(np.mean(sums[0][near] ** 2 / sums[1][near])) / BY_CHANCE)

    def run(self) -> tuple[Spot, list[Evidence]]:
        """What is there, and what tells for it."""
        spot = self.spectrum.start()
        self.fit.weigh(spot)
        spot = self.forward(self.fit.settle(spot))
        return self.backward(self._settled(spot))

    def counts(self, spot: Spot) -> tuple[Array, Array]:
        """(element,) counts of what is there, as they are seen, and their standard errors."""
        spectrum = self.spectrum
        _, expected, changes = self.fit.at(spot)
        _, curved, free = self.fit.slopes(spot, expected, changes)
        covariance = np.zeros((len(free),) * 2)
        covariance[np.ix_(free, free)] = np.linalg.inv(curved[np.ix_(free, free)])
        size = changes[: len(spot.n)].sum(1)
        slopes = np.zeros((len(spot.n), len(free)))
        slopes[np.arange(len(size)), np.arange(len(size))] = size
        for j, (e, _) in enumerate(spot.unsure, start=len(size)):
            slopes[spot.active.index(e), j] = changes[j].sum()
        through = len(size) + len(spot.u) + 4
        photons, changed = spectrum.photons(spot)
        for i, e in enumerate(spot.active):
            own = spectrum.lines.of(e)
            share = photons[own] / photons[own].sum()
            slopes[i, through : through + 3] = spot.n[i] * size[i] * (changed[:, own] @ share)
        variances = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
        return spot.n * size, np.sqrt(np.maximum(variances, 0.0))
