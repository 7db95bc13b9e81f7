"""How the photons of a family are shared among its lines, as far as that is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.xrays.line_groups import LineGroup
from fusion.xrays.sensitivities import ShellSensitivity
from fusion.xrays.table import atomic_number

Array = NDArray[np.float64]

SUBSHELLS, OF_ELEMENT = 0.2, 0.1
"""Of the logarithms of what L1 and L2 send beside L3: of all elements alike, and of each."""
BEYOND_AXIS = 0.01
"""Share of a family beyond the axis from which what is seen is no longer what was measured."""
WEAK = ("Ll", "Ln")
"""Families that come from 3s, beside α and β1, which come from 3d."""
LAST_CLOSED, NEXT_CLOSED = 20, 29
"""Atomic numbers of Ca and Cu, between which the 3d shell fills."""


def unknown_shares(groups: Sequence[LineGroup], elements: Sequence[str]) -> Array:
    """(unknown, line) how much lines grow with each unknown share, in logarithms.

    Those of L1 and L2, of all elements and of each; then Ll and Lη of each element whose 3d shell
    is open.
    """
    rows = []
    for subshell in ("L1", "L2"):
        of_it = np.array([g.subshell == subshell for g in groups])
        rows.append(SUBSHELLS * of_it)
        for element in elements:
            own = of_it & np.array([g.element == element for g in groups])
            if own.any():
                rows.append(OF_ELEMENT * own)
    for element in elements:
        own = np.array([g.element == element and g.family in WEAK for g in groups])
        if own.any() and (unknown := error_of_weak_lines(element)) > 0:
            rows.append(unknown * own)
    return np.stack(rows)


def measured_together(groups: Sequence[LineGroup], known: Mapping[str, ShellSensitivity]) -> Array:
    """(some, line) 1: lines whose photons together are measured, whatever subshells send.

    Of a family that has a k factor: all; where its alpha lines have one, too, those from other
    subshells than theirs, and Ll where it is unknown.
    """
    rows = []
    shells = dict.fromkeys(g.shell_name for g in groups)
    for shell in (s for s in shells if s.endswith("L") and known[s].whole):
        own = np.array([g.shell_name == shell for g in groups])
        if sum(g.share for g in groups if g.shell_name == shell) < 1 - BEYOND_AXIS:
            continue
        if known[shell].alpha is not None:
            strong = [g.subshell for g in groups if g.name == f"{shell}a"]
            weak = WEAK if error_of_weak_lines(shell.split()[0]) > 0 else ()
            own &= np.array([g.subshell not in strong or g.family in weak for g in groups])
        if own.any():
            rows.append(own)
    return np.array(rows, dtype=float).reshape(len(rows), len(groups))


def error_of_weak_lines(element: str) -> float:
    """Standard error of the logarithm of Ll and Lη, beside Lα and Lβ1; 0 where 3d is full or empty.

    xraydb has α lines of Ti to Fe as if 3d were full, other tables fewer (Ll/Lα of Ti: 0.11 and
    0.41). By the number of 3d electrons Ll/Lα is 10/n of a full shell: that is how little is known.
    """
    electrons = atomic_number(element) - LAST_CLOSED
    if not 0 < electrons < NEXT_CLOSED - LAST_CLOSED:
        return 0.0
    return float(np.log(10 / electrons))
