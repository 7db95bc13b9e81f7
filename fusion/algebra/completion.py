"""Low-rank completion: what is hidden of a matrix, from a fit of what is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEPS = 15  # alternating steps
PART = 2**14  # hidden entries that are filled in together


def complete(
    filled: Array, hidden: NDArray[np.bool_], V: Array, steps: int = STEPS
) -> tuple[Array, Array, Array]:
    """A low-rank fit of the entries that are seen: what is hidden is filled in by turns with it.

    Args:
        filled: (n, m), with a guess where hidden.
        hidden: (n, m).
        V: (m, K), the start.
        steps: alternating steps.

    Returns:
        (filled, V with orthonormal columns, the fit at the hidden entries).
    """
    rows, columns = np.nonzero(hidden)
    filled, V = filled.copy(), np.linalg.qr(V)[0]
    guess = filled[hidden]
    for _ in range(steps):
        U = np.linalg.qr(filled @ V)[0]
        W = filled.T @ U
        for part in (slice(i, i + PART) for i in range(0, len(rows), PART)):
            guess[part] = np.einsum("ek,ek->e", U[rows[part]], W[columns[part]])
        filled[rows, columns] = guess
        V = np.linalg.qr(W)[0]
    return filled, V, guess
