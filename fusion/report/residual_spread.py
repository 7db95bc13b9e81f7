"""How far measured values lie from a true fit, by the noise that was assumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fusion.report.averaging import binned, cell_of, means
from fusion.report.data_parts import DataPart
from fusion.report.packing import floats


def spread_entry(
    part: DataPart, bins: Sequence[int], store: Callable[[str, dict[str, Any]], str], i: int
) -> dict[str, Any] | None:
    """What a page draws ±2σ with.

    Poisson's variance is the fit; a known one of rank one is a value of every pixel times one of
    every channel; where the size is not known it is that of what is left. None for other noise.
    """
    kind, data, split = part.summary.noise, part.data, len(part.pixels)
    if kind == "poisson":
        return {"kind": "poisson"}
    if not kind.startswith("gaussian"):
        return None
    if data is None or data.variance is None or kind != "gaussian":
        squares = np.square(part.summary.residual_map)
        return {"kind": "level", "variance": float(np.nanmean(squares))}
    weights = data.weights(part.matrix_shape)
    if weights.full is not None:
        return None
    shape, factors = part.summary.shape, {}
    for name, vector, n, axes, b in (
        ("rows", weights.rows, part.matrix_shape[0], shape[:split], bins[:split]),
        ("cols", weights.cols, part.matrix_shape[1], shape[split:], bins[split:]),
    ):
        w = np.ones(n) if vector is None else vector.double().numpy()
        variance = np.where(w > 0, 1.0 / np.where(w > 0, w, 1.0), np.nan)
        mean = means(variance, cell_of(axes, b), prod(binned(axes, b)))
        factors[name] = store(f"variance{i}.{name}", floats(mean))
    return {"kind": "product", **factors}
