"""How strongly elements absorb X-rays: µ/ρ, from xraydb's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.xrays.table import subshell_edges, tables

Array = NDArray[np.float64]

LOWEST = 0.1
"""keV below which Elam's tables end; what lies below is taken as there."""
BELOW = 0.998
"""Of an edge: where µ is looked up for a line that lies on it, as M lines of Sb to La do."""
ON_EDGE = 0.003
"""Share of an edge's energy within which a line lies on it."""
OWN = {"K": ("K",), "L": ("L1", "L2", "L3"), "M": ("M1", "M2", "M3", "M4", "M5")}


def mass_attenuation(element: str, energies: ArrayLike) -> Array:
    """µ/ρ in cm²/g at these energies in keV.

    References:
        Elam, Ravel & Sieber, Radiat. Phys. Chem. 63:121 (2002), as in xraydb: 4 % from other tables
        at O K in SrTiO3, up to 15 % at C K.
    """
    eV = 1e3 * np.maximum(np.asarray(energies, dtype=float), LOWEST)
    return _looked_up(element, eV.tobytes()).reshape(eV.shape).copy()


@lru_cache(maxsize=4096)
def _looked_up(element: str, eV: bytes) -> Array:
    """The same of a float64 array as bytes: a model asks for the same energies many times."""
    return np.asarray(tables().mu_elam(element, np.frombuffer(eV)))


def attenuation_of_lines(
    elements: Sequence[str], owners: Sequence[str], shells: Sequence[str], energies: ArrayLike
) -> Array:
    """µ/ρ (element, line) in cm²/g of lines that elements (`owners`) send from these shells.

    A line is never above the edge that it comes from: one that a table puts on its own edge is
    looked up just below.
    """
    energies = np.asarray(energies, dtype=float)
    made = np.stack([mass_attenuation(element, energies) for element in elements])
    for line, (owner, shell, energy) in enumerate(zip(owners, shells, energies, strict=True)):
        if owner not in elements:
            continue
        own = [edges_kev(owner).get(name) for name in OWN[shell]]
        near = [edge for edge in own if edge and abs(energy - edge) < ON_EDGE * edge]
        if near:
            made[list(elements).index(owner), line] = mass_attenuation(owner, BELOW * min(near))
    return made


@cache
def edges_kev(element: str) -> Mapping[str, float]:
    """{"K": keV, "L1": …} of an element."""
    found = subshell_edges(element).items()
    return MappingProxyType({n: float(edge.energy) / 1e3 for n, edge in found if edge.energy})
