"""How often fast electrons ionise a subshell."""

from __future__ import annotations

from math import log

ELECTRON = 510.999
"""keV, rest energy."""
BETHE = {"K": (0.9, 0.65), "L": (0.9, 0.6), "M": (0.9, 0.6)}
"""(b, c) of Bethe's cross-section, Powell, Rev. Mod. Phys. 48:33 (1976), its middle values."""


def cross_section(shell: str, edge: float, beam_energy: float) -> float:
    """Of one electron of a shell, over what is common to all; 0 where the beam does not reach.

    b / (T E) (ln(c T / E) − ln(1 − β²) − β²), T = m v² / 2: Bethe's, relativistic.

    Args:
        shell: "K", "L" or "M".
        edge, beam_energy: keV.
    """
    if beam_energy <= edge:
        return 0.0
    b, c = BETHE[shell]
    speed2 = 1 - (1 + beam_energy / ELECTRON) ** -2  # (v / c)²
    T = 0.5 * ELECTRON * speed2
    return b / (T * edge) * max(log(c * T / edge) - log(1 - speed2) - speed2, 0.0)
