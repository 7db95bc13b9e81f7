"""Mean free path of inelastic scattering, and thickness in nm by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Facts, Shown
from fusion.data.dataset import Dataset
from fusion.data.signal_type import nested

Array = NDArray[np.float64]

REST = 511.0
"""keV, rest energy of an electron."""
WIDEST = 20.0
"""mrad: beyond it nearly nothing is scattered inelastically (θ_C of the reference)."""
DENSEST, FASTEST = 30.0, 1500.0
"""g/cm³ and keV that there are."""
NARROWEST = 0.2
"""mrad of a collection half-angle."""
SPREAD = 0.1
"""Of the formula, about measured mean free paths: one standard deviation, relative."""


@dataclass(frozen=True)
class ElectronOptics:
    """How energy losses were recorded: keV, and half-angles in mrad; None where not known."""

    beam_energy: float | None
    convergence: float | None
    collection: float | None

    @classmethod
    def of(cls, data: Dataset) -> ElectronOptics:
        """As the metadata say, arranged as in HyperSpy; angles of 0 were not filled in."""
        read = [
            _positive(nested(data.metadata, "Acquisition_instrument", "TEM", *path))
            for path in (
                ("beam_energy",),
                ("convergence_angle",),
                ("Detector", "EELS", "collection_angle"),
            )
        ]
        return cls(*read)


@dataclass(frozen=True, eq=False, repr=False)
class Thickness(Shown):
    """Thickness of every pixel.

    Attributes:
        values: nm, of the shape of the scan; NaN where it is not known.
        errors: standard deviations by the noise of the counts, likewise.
        mean_free_path: nm. All values share its error, about 10 %.
    """

    values: Array
    errors: Array
    mean_free_path: float

    def _display(self) -> Display:
        low, middle, high = np.nanquantile(self.values, [0.05, 0.5, 0.95])
        told = [
            ("thickness", f"{middle:.3g} nm, in 90 % of the pixels {low:.3g} to {high:.3g} nm"),
            ("standard error", f"{np.nanmedian(self.errors):.2g} nm by noise"),
            ("mean free path", f"{self.mean_free_path:.4g} nm ± {100 * SPREAD:.0f} %, for all"),
        ]
        return Display("thickness", (Facts(told),))


@checked_call
def mean_free_path(
    density: float, *, beam_energy: float, convergence: float, collection: float
) -> float:
    """λ in nm of all inelastic scattering into a collection aperture, by the density.

    Within about 10 % of what was measured for elements and oxides, at 200 keV. Below a collection
    of some 5 mrad it is an extrapolation.

    Args:
        density: g/cm³.
        beam_energy: keV.
        convergence: half-angle of the beam, mrad.
        collection: half-angle that the spectrometer takes in, mrad.

    Raises:
        ValueError: if one of them is not above zero (the convergence may be zero).

    References:
        Iakoubovskii, Mitsuishi, Nakayama, Furuya, Microsc. Res. Tech. 71:626 (2008).

    Example:
        >>> round(fu.mean_free_path(5.12, beam_energy=200, convergence=20, collection=40), 1)
        125.0
    """
    given = {
        "density": density,
        "beam_energy": beam_energy,
        "convergence": convergence,
        "collection": collection,
    }
    call = f"mean_free_path({', '.join(f'{name}={value!r}' for name, value in given.items())})"
    if not all(isinstance(x, Real) and math.isfinite(x) for x in given.values()) or (
        min(density, beam_energy, collection) <= 0 or convergence < 0
    ):
        raise ValueError(
            f"`{call}`: give g/cm³, keV and mrad, above zero (a parallel beam has convergence=0)."
        )
    for name, most, units in (
        ("density", DENSEST, "g/cm³, not kg/m³"),
        ("beam_energy", FASTEST, "keV, not eV"),
    ):
        if given[name] > most:
            raise ValueError(f"`{call}`: {name}={given[name]:g}: give {units}, below {most:g}.")
    if collection < NARROWEST:
        raise ValueError(
            f"`{call}`: collection={collection:g}: give mrad, not radians, {NARROWEST:g} or more."
        )
    slow = (1 + beam_energy / (2 * REST)) / (1 + beam_energy / REST) ** 2
    narrow = 5.5 * density**0.3 / (slow * beam_energy)
    both = convergence**2 + collection**2 + abs(convergence**2 - collection**2)
    angles = (both + 2 * narrow**2) / (both + 2 * WIDEST**2) * (WIDEST / narrow) ** 2
    return 200 * slow * beam_energy / (11 * density**0.3 * math.log(angles))


def path_from(call: str, density: float, optics: ElectronOptics, given: ElectronOptics) -> float:
    """λ by what was given, else by what the metadata say.

    Raises:
        ValueError: if a number is nowhere.
    """
    told = {
        name: getattr(optics, name) if getattr(given, name) is None else getattr(given, name)
        for name in ("beam_energy", "convergence", "collection")
    }
    if missing := [name for name, value in told.items() if value is None]:
        raise ValueError(
            f"`{call}`: the metadata say no {' nor '.join(missing)}: give "
            f"{', '.join(f'`{name}=`' for name in missing)}, in keV and mrad."
        )
    return mean_free_path(density, **told)


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
