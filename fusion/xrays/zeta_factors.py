"""Sensitivities with the dose of the beam: mass thickness in absolute units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fusion.algebra.calls import checked_class
from fusion.xrays.sensitivities import KFactors

IN_CGS = 0.1
"""g/cm² of 1 kg/m²."""
THINNEST, THICKEST = 1e-8, 1e-2
"""g/cm² between which a map's mean mass thickness is no mistake of units: 20 pm, 20 µm of oxide."""


@checked_class
@dataclass(frozen=True)
class ZetaFactors:
    """ζ factors of X-ray lines or families, and the dose: ρt = ζ I / (C D), C the weight fraction.

    Ratios of them are those of k factors for weight fractions. With the dose a pixel's photons tell
    its mass thickness by themselves, however little it absorbs.

    Args:
        values: {line or family: ζ} or {…: (ζ, standard error)}, kg electron / (m² photon); names as
            for `KFactors`.
        dose: electrons a pixel, during its live time: 6.24e9 × nA × s.
        dose_error: relative standard error of the dose, and of what all ζ have in common.
        error: relative standard error of every ζ that has none of its own, beside that.

    Raises:
        ValueError: if a name, or a number, means nothing.

    Example:
        >>> zeta = fu.elements.ZetaFactors({"Si K": 430.0, "O K": 900.0}, dose=6.24e9 * 0.5 * 0.02)
        >>> zeta.elements
        ('Si', 'O')

    References:
        Watanabe & Williams, J. Microsc. 221:89 (2006).
    """

    values: Mapping[str, float | tuple[float, float]]
    dose: float
    dose_error: float = 0.05
    error: float = 0.0

    def __post_init__(self) -> None:
        call = f"ZetaFactors(…, dose={self.dose!r})"
        if not (isinstance(self.dose, Real) and np.isfinite(self.dose) and self.dose > 0):
            raise ValueError(f"`{call}`: give electrons a pixel, 6.24e9 × nA × s.")
        if not (isinstance(self.dose_error, Real) and 0 < self.dose_error < 1):
            raise ValueError(
                f"`{call}`: dose_error={self.dose_error!r}: give a relative standard error, 0.05 "
                "for 5 %."
            )
        _ = self.k_factors.pairs

    @property
    def k_factors(self) -> KFactors:
        """Their ratios; photons times k are moles of atoms times the dose, k = ζ / M."""
        return KFactors(self.values, kind="weight", error=self.error)

    @property
    def elements(self) -> tuple[str, ...]:
        """Of which there are ζ factors."""
        return self.k_factors.elements

    @property
    def scale(self) -> float:
        """g/cm² of a unit of photons times ζ."""
        return IN_CGS / float(self.dose)

    def check(self, call: str, mass: float) -> None:
        """Complain where the mean pixel would be thinner than an atom, or as thick as a foil.

        Args:
            call: that gave them; mass: photons times ζ of the mean pixel, about.
        """
        thickness = self.scale * mass
        if not THINNEST < thickness < THICKEST:
            raise ValueError(
                f"`{call}`: by ζ factors and dose the mean pixel has about {thickness:.2g} g/cm², "
                f"{thickness * 2e6:.2g} nm of a solid of 5 g/cm³: ζ are in kg electron / (m² "
                f"photon), hundreds to thousands, the dose ({self.dose:.3g}) in electrons a pixel."
            )
