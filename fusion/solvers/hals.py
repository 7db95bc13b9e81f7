"""Hierarchical alternating least squares for any model that is linear in every factor by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot
from fusion.solvers.coordinate_descent import coordinate_descent
from fusion.solvers.least_squares import LeastSquares


@checked_class
@dataclass(frozen=True)
class HALS(LeastSquares):
    """One component at a time in closed form. Review, (11), (12); with `orthogonality` (13).

    Several sweeps a product with the data, extrapolated. For fits of least squares and penalties
    that are quadratic row by row; unit columns are kept by moving their norm into the factors that
    take it up.

    With a weight w, the published NMF-SO step: for the maps h = X⁽ᵏ⁾ s_k, h ← h − w (c̄ᵀh / c̄ᵀc̄) c̄,
    c_k ← [h]₊ at the size that c_k had, c̄ the sum of the other maps over their norms. w = 0 is NMF;
    w = 1 makes them orthogonal but for what cutting off brings back: cosines below 0.1. It is a
    rule, not a loss: the fit may worsen while the maps part, so its steps are not extrapolated, and
    the last point counts. `SoftOrthogonality` has the same fixed points, for any solver and fit.

    Args:
        orthogonality: w, 0 to 1.
        of: name of the factor, ≥ 0, whose components avoid each other.
        sweeps: at most so many sweeps over the components of a factor before the next.
        inner: end the sweeps when one changes the factor by less than this share of the first.
        extrapolation: β at the start; 0 for none.
        initial: I_init of the review: steps of every start, after which the best one goes on alone;
            None: every start goes on to its end.
        tolerance: stop when the loss falls by less than this share over `window` steps; with
            `orthogonality`, when no factor changes by more than its square root.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.

    Raises:
        ValueError: if w is not within 0 to 1.

    References:
        Gillis & Glineur, Neural Comput. 24:1085 (2012); Ang & Gillis, Neural Comput. 31:417 (2019);
        Shiga et al., Ultramicroscopy 170:43 (2016).
    """

    orthogonality: float = 0.0
    of: str = "C"
    sweeps: int = 8
    inner: float = 0.1
    extrapolation: float = 0.5
    initial: int | None = None
    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.orthogonality <= 1:
            raise ValueError(f"`{self._own}`: the weight is a share: give 0 to 1.")

    @property
    def descends(self) -> bool:
        return not self.ruled

    @property
    def ruled(self) -> bool:
        return self.orthogonality > 0

    def check(self, objective: Objective) -> None:
        super().check(objective)
        if not self.ruled:
            return
        try:
            module = objective.model.factor(self.of)
        except ValueError as error:
            raise ValueError(f"`{self._own}`: {error}") from None
        if len(module.shape) != 2 or module.lower != 0:
            raise ValueError(
                f"`{self._own}`: {self.of!r} is {module.shape} with "
                f"{', '.join(map(str, module.chain))}: name a factor (n, K) ≥ 0."
            )

    def step(self, slot: Slot, x: Tensor, g: Tensor, blocks: Tensor) -> Tensor:
        lower = -torch.inf if slot.module is None or slot.module.lower is None else 0.0
        apart = self._apart if self.ruled and slot.name == self.of else None
        return coordinate_descent(x, g, blocks, lower, self.sweeps, self.inner, apart)

    def _apart(self, C: Tensor, k: int, best: Tensor, curvature: Tensor) -> Tensor:
        """c_k (start, row) from its unconstrained optimum h / ‖s_k‖² and the others. Review, (13).

        ξ_k is the multiplier for which w = 1 makes c_k orthogonal to c̄_k before the cut; where rows
        bend differently (a variance, a mask), each moves in inverse proportion.
        """
        norms = torch.linalg.vector_norm(C, dim=1)  # (start, K)
        units = C / torch.where(norms > 0, norms, 1)[:, None]
        units[..., k] = 0
        others = units.sum(-1)
        pull = others / curvature
        square = (others * pull).sum(-1, keepdim=True)
        xi = (others * best).sum(-1, keepdim=True) / torch.where(square > 0, square, torch.inf)
        c = (best - self.orthogonality * xi * pull).clamp_min(0)
        size, cut_norms = norms[:, k, None], torch.linalg.vector_norm(c, dim=1, keepdim=True)
        return c * torch.where((size > 0) & (cut_norms > 0), size / cut_norms, 1)

    @property
    def _own(self) -> str:
        return f"HALS(orthogonality={self.orthogonality:g}, of={self.of!r})"
