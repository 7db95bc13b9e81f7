"""Components whose spectra are nearly the same: what a fit can hardly tell apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.answers.components import names_of
from fusion.language.loss import Loss
from fusion.language.model import Model

NEAR = 20.0
"""Degrees between two spectra, below which it is said."""


def near_spectra(model: Model, loss: Loss) -> str | None:
    """A caution where two components are near in the spectra of every detector; else None.

    Near in one detector alone is no harm: another tells them apart.
    """
    signals = [d.channels for d in loss.datasets.values() if d.signal]
    angles = [
        _angles(module().detach().cpu().double().numpy())
        for module in model.factor_modules().values()
        if len(module.shape) == 2 and module.shape[0] > 1 and module.axes[0] in signals
    ]
    if not angles or len({each.shape for each in angles}) > 1:
        return None
    apart = np.max(angles, axis=0)
    j, k = np.unravel_index(int(apart.argmin()), apart.shape)
    if not apart[j, k] < NEAR:
        return None
    pairs = int((apart < NEAR).sum()) // 2
    others = f", and {pairs - 1} more pair{'s' * (pairs > 2)} below {NEAR:g}°" if pairs > 1 else ""
    called = names_of(model, len(apart))
    return (
        f"`fit`: the spectra of components {called[min(j, k)]} and {called[max(j, k)]} are "
        f"{apart[j, k]:.1f}° apart{others}: noise moves their maps against each other; see "
        "`fu.ambiguity(result)` and `result.errors()` before their difference is believed."
    )


def _angles(S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees between the columns, (K, K); 180 for a column with itself, or with an empty one."""
    norms = np.linalg.norm(S, axis=0)
    units = S / np.where(norms > 0, norms, 1.0)
    angles = np.degrees(np.arccos(np.clip(units.T @ units, -1, 1)))
    empty = norms == 0
    angles[np.eye(len(angles), dtype=bool) | empty | empty[:, None]] = 180.0
    return angles
