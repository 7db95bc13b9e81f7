"""What reaches a detector from elsewhere than the thin specimen: of grid, holder, thick parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

ELSEWHERE = 2.0
"""Of the logarithm of a shell of what is elsewhere, beside its hardest one: bulk absorbs Cu L where
it lets Cu K out, and hard X-rays excite K there and hardly L."""
SAME, FURTHER, RARE = 0.01, 1.5, 3.0
"""Of the logarithm of the continuum's path over that of lines: as a rule, and, `RARE` standard
deviations from what is expected, of stray electrons in thick parts."""


def errors_of_shells(errors: Mapping[str, float], elsewhere: Sequence[str]) -> dict[str, float]:
    """Standard errors of the logarithms of sensitivities; shells of what is elsewhere are apart.

    Args:
        errors: {"Cu K": …, "Cu L": …}, of a thin specimen, the hardest shell of an element first.
        elsewhere: elements that are no part of the specimen.
    """
    made = dict(errors)
    for element in elsewhere:
        for shell in [s for s in errors if s.split()[0] == element][1:]:
            made[shell] = float(np.hypot(made[shell], ELSEWHERE))
    return made


def log_path(t: Tensor) -> Tensor:
    """Logarithm of the matter that the continuum passes, over what lines pass.

    t is in standard deviations, so that what follows has heavy tails: nearly always both come
    from the same atoms and the path is the same within a per cent, which tells absorption; where
    stray electrons make continuum in thick parts it is many times as long, and tells nothing of
    the specimen. Data choose: to leave the rule costs what `RARE` standard deviations do, once.
    """
    return t * (SAME + FURTHER / RARE * (t / RARE) ** 4)
