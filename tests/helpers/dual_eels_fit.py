"""A few steps of a fit of EELS with plural scattering: for how it looks, not how good it is."""

from __future__ import annotations

from functools import cache

import fusion as fu
from fusion.losses import dual_eels_loss
from fusion.simulate import dual_eels


@cache
def few_steps(K: int = 3) -> fu.Result:
    """Of a map of 8 × 10 pixels, one of which is dark in the low loss."""
    scene = dual_eels(shape=(8, 10), channels=80, seed=1).datasets
    core = scene["core"].estimate_variance()
    counts = scene["low"].numpy().copy()
    counts[2, 3] = 0
    model = fu.models.DualEELS(core, scene["low"].derive(counts, "a dark pixel"), K)
    return fu.fit(model, dual_eels_loss(core), starts=1, max_steps=3, progress=False)
