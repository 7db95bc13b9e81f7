"""How often fast electrons ionise a subshell."""

from __future__ import annotations

from math import exp, log

ELECTRON = 510.999
"""keV, rest energy."""
RYDBERG = 0.0136057
"""keV."""


def cross_section(edge: float, beam_energy: float) -> float:
    """Of one electron of a subshell, over what is common to all; 0 where the beam does not reach.

    Bethe's ln(U) / (U E²), U the beam energy over the edge, as measurements want it, with
    Gryzinski's factor for fast electrons. Bethe's alone, with one constant for all elements, gives
    K of Sr ten per cent less beside K of Ti.

    Args:
        edge, beam_energy: keV.

    References:
        Casnati, Tartari & Baraldi, J. Phys. B 15:155 (1982): 10 % from measured K shells.
    """
    if beam_energy <= edge:
        return 0.0
    U, J = beam_energy / edge, ELECTRON / edge
    power = -0.0318 + 0.3160 / U - 0.1135 / U**2
    height = 10.57 * exp(-1.736 / U + 0.317 / U**2)
    slow = J**2 * (1 + 2 * J)
    fast = U * (U + 2 * J) * (1 + J) ** 2
    relativistic = (1 + 2 * J) / (U + 2 * J) * ((U + J) / (1 + J)) ** 2
    relativistic *= ((1 + U) * (U + 2 * J) * (1 + J) ** 2 / (slow + fast)) ** 1.5
    return relativistic * (edge / RYDBERG) ** power * height * log(U) / U / edge**2
