"""What a scene returns, and what the scenes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.display import Display, Facts, Shown
from fusion.algebra.seeds import generator
from fusion.data.dataset_display import in_a_line

if TYPE_CHECKING:
    from fusion.algebra.axis import Axis
    from fusion.data.dataset import Dataset

Array = NDArray[np.float64]
PIXEL = 0.5  # nm


@dataclass(frozen=True, repr=False)
class Simulation(Shown):
    """Simulated data sets and what they were made of.

    Attributes:
        datasets: data sets by name, with calibrated axes (nm, eV, keV).
        truth: arrays by the name of the factor: "C" and "N" on maps (pixel, K), "S…" and power laws
            (channel, K). Maps are shares times the thickness, no unit; spectra are counts of a pure
            pixel of thickness 1.
        components: names of the K components, in the order of the truth's columns.
    """

    datasets: dict[str, Dataset]
    truth: dict[str, Array]
    components: tuple[str, ...]

    def _display(self) -> Display:
        facts = [("components", ", ".join(self.components))]
        facts += [(name, in_a_line(data)) for name, data in self.datasets.items()]
        shapes = (f"{n} {' × '.join(map(str, np.shape(x)))}" for n, x in self.truth.items())
        return Display("simulated data", (Facts([*facts, ("truth", ", ".join(shapes))]),))


def poisson_counts(expected: ArrayLike, *, seed: int = 0) -> NDArray[np.unsignedinteger]:
    """Poisson counts, as the smallest unsigned integers that hold them.

    Args:
        expected: mean counts ≥ 0, any shape.
        seed: of the random numbers.

    Returns:
        Counts, of the shape of `expected`.

    Raises:
        ValueError: if a mean is negative or NaN.
    """
    expected = np.asarray(expected, dtype=float)
    if not np.all(expected >= 0):
        raise ValueError(
            f"`poisson_counts`: {(~(expected >= 0)).sum()} of {expected.size} expected "
            f"counts are negative or NaN (lowest {expected.min():g}): give means ≥ 0."
        )
    counts = generator(seed).poisson(expected)
    return counts.astype(np.min_scalar_type(counts.max(initial=0)))


def seeds(seed: int, n: int) -> list[int]:
    """n unrelated seeds from one."""
    return [int(s) for s in np.random.SeedSequence(int(seed) % 2**63).generate_state(n)]


def uniform_axis(name: str, start: float, stop: float, size: int, units: str) -> Axis:
    """A uniform axis from start to stop."""
    from fusion.algebra.axis import Axis

    if size < 2:
        raise ValueError(f"`{name}` axis: {size} entries: give two or more.")
    return Axis(name, scale=(stop - start) / (size - 1), offset=start, units=units, size=size)


def scan_axes() -> tuple[Axis, Axis]:
    """(y, x) of a map, in nm."""
    from fusion.algebra.axis import Axis

    return Axis("y", scale=PIXEL, units="nm"), Axis("x", scale=PIXEL, units="nm")


def as_matrix(maps: Array, weight: ArrayLike = 1.0) -> Array:
    """Maps (y, x, K), times a weight (y, x), as a matrix (pixel, K)."""
    return (maps * np.asarray(weight)[..., None]).reshape(-1, maps.shape[-1])


def columns(spectra: Sequence[Array], totals: ArrayLike) -> Array:
    """Spectra with these sums as a matrix (channel, K); one total for all, or one for each."""
    matrix = np.stack(spectra, axis=1)
    return matrix * (np.asarray(totals) / matrix.sum(0))
