"""Flat regions with sharp edges."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FactorCurvature, FitInformation, Surrogate
from fusion.language.term import State
from fusion.losses.neighbour_differences import Differences, bending
from fusion.losses.smoothness import grid_of, on_grid


class TotalVariation(FactorTerm, Surrogate):
    """Σ_k Σ_i ‖(∇c_k)_i‖₂ over the factor's own grid: neighbours are equal but for a few edges.

    ∇ holds the differences to the next entry along every axis (isotropic, free edges): of the scan
    for a factor built from `data.pixels`, of the energies for one built from `data.channels`. A
    step costs its height, however sharp it is, where `SpatialSmoothness` rounds it. It charges
    contrast, too: while spectra are unknown, a large weight mixes them until maps have little.

    Held within an outer step as parabolas ½ ‖∇c‖²/s + s/2 that touch from above, s = ‖∇c‖ at its
    start. Gradients below `smallest` · rms(c_k) count by their squares (Huber).

    Args:
        factor: name of a factor built from a data set's axes.
        smallest: share of a column's root mean square, > 0.

    Raises:
        ValueError: if `smallest` is not positive; by `check`, if the factor has no axes.

    References:
        Rudin, Osher & Fatemi, Physica D 60:259 (1992); Iordache et al., IEEE Trans. Geosci. Remote
        Sens. 50:4484 (2012).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> loss = fu.losses.Frobenius(data) + 10 * fu.losses.TotalVariation("C")
        >>> result = fu.fit(fu.models.NMF(data, K=3), loss, starts=1, max_steps=10, progress=False)
        >>> result["C"].shape
        (80, 3)
    """

    falls_with_scale = True

    @checked_call
    def __init__(self, factor: str, *, smallest: float = 1e-2) -> None:
        if not isinstance(factor, str):
            raise ValueError(
                "`TotalVariation`: give a factor's name: its axes say which entries are neighbours."
            )
        super().__init__(factor)
        if not 0 < smallest < float("inf"):
            raise ValueError(
                f"`TotalVariation({factor!r}, smallest={smallest})`: give a number > 0."
            )
        self.smallest = float(smallest)

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        grid = on_grid(self, model).detach()
        rms = grid.flatten(0, -2).square().mean(0).sqrt()
        least = (self.smallest * rms).clamp_min(torch.finfo(grid.dtype).tiny ** 0.5)
        return {"size": torch.maximum(_squares(grid).sqrt(), least)}

    def value(self, model: Model, state: State) -> Tensor:
        squares, size = _squares(on_grid(self, model)), state["size"]
        return 0.5 * (squares / size + size).sum(dtype=torch.float64)

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        grid, stiffness = grid_of(self, model), 1 / state["size"].to(value)
        modes = range(-1 - len(grid), -1)
        steps = [Differences(d, 1, stiffness.narrow(d, 0, stiffness.shape[d] - 1)) for d in modes]
        return bending(value, grid, steps)

    def check(self, model: Model) -> None:
        super().check(model)
        on_grid(self, model)

    def formula(self) -> tuple[str, str]:
        return f"TV({self.symbol})", rf"\operatorname{{TV}}({self.symbol})"


def _squares(grid: Tensor) -> Tensor:
    """‖∇c‖² at every entry of (…, K)."""
    total = torch.zeros_like(grid)
    for d in range(grid.ndim - 1):
        last = grid.narrow(d, grid.shape[d] - 1, 1)
        total = total + torch.diff(grid, dim=d, append=last).square()
    return total
