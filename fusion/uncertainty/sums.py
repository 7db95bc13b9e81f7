"""Covariances of weighted sums over a factor: areas of windows, heights, slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.waiting import waiting
from fusion.engine.autograd import autograd
from fusion.engine.covariance import covariance_of_sums
from fusion.engine.quadratic import Quadratic
from fusion.engine.thread_count import suitably_threaded
from fusion.engine.variables import Values
from fusion.uncertainty.standard_errors import point_of_errors, sandwich

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[Any]


@autograd()
def sums_covariance(
    result: Result,
    name: str,
    weights: Array,
    *,
    held: Sequence[str] = (),
    progress: bool = True,
) -> Array:
    """Covariance of sums Σ w x over a factor, all factors varying together as in `standard_errors`.

    Errors of neighbouring channels are not independent: maps that vary move whole spectra. Entries
    at their bound are held there, known ones have no error.

    Args:
        result: of `fit`.
        name: of the factor.
        weights: (sum, *shape of the factor); derivatives for what is no sum (the delta method).
        held: factors that are taken to be right.
        progress: whether a line says so, as in `fit`.

    Returns:
        (sum, sum), in the unit of the factor squared; ∞ on the diagonal where the data leave a sum
        open.

    Raises:
        ValueError: if the result was loaded, there is no such factor to hold, there are more free
            numbers than data, or the problem is too large, with its sizes.
    """
    point = point_of_errors(result, "standard_errors", held)
    rows = torch.from_numpy(np.ascontiguousarray(weights, dtype=float)).to(point.flat)

    def read(curvature: Quadratic) -> Values:
        return {name: covariance_of_sums(curvature, point.free, name, rows)}

    with waiting("errors", progress) as step, suitably_threaded(point.objective):
        step.say(f"covariance of {len(rows)} sums over {name}")
        return sandwich(point, read)[name].cpu().numpy()
