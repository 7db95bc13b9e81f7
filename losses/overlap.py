"""Components that do not lie on each other: one product for every pair."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FitInformation, Surrogate
from fusion.language.term import State

RAMP, POWER = 30, 3
"""Outer steps in which the weight rises to its full value, and how late: a weight that is large
while spectra are still mixed locks pixels to one component."""


class Overlap(FactorTerm, Surrogate):
    """Σ_{j<k} c_jᵀ c_k / c̄²: maps that lie on each other pay, every pair by what both have there.

    c̄² is the mean square of what a pixel has in all, Σ_k c_k. So it has no unit, and neither has
    the weight: in a likelihood (`Poisson`, `Gaussian`, or `Frobenius` with a variance) a pixel that
    two phases share evenly pays a quarter of it, in units of the logarithm. 10 to 30 tell apart
    phases that are nowhere pure, at any dose. Unlike `SoftOrthogonality` it pulls both of a pair
    alike, also where one is rare, and so bends spectra less; but it has other minima, so that it
    wants a start that is near, or several. It rises to its weight over the first steps.

    Args:
        factor: name of a non-negative factor (n, K) that holds amounts, such as maps beside spectra
            with unit columns.

    Raises:
        ValueError: if it is no name.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 10 * fu.losses.Overlap("C")
        Frobenius(net) + 10 * Overlap('C')
          = ½‖net − M_net‖² + 10·Σ_{j<k} Cⱼᵀ Cₖ/c̄²
    """

    potential = False

    @checked_call
    def __init__(self, factor: str) -> None:
        if not isinstance(factor, str):
            raise ValueError(
                "`Overlap`: give a factor's name: its rows say of which pixels there are data."
            )
        super().__init__(factor)

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        C, seen = self.of(model).detach(), model.factor(self.factor or "").seen
        rows = len(C) if seen is None else seen.sum()
        total = self._seen(model, C).sum(1).square().sum() / rows
        ramp = (state["ramp"] + 1 / RAMP).clamp_max(1) if state else total.new_ones(()) / RAMP
        return {"scale": 1 / total.clamp_min(torch.finfo(C.dtype).tiny), "ramp": ramp}

    def settled(self, state: State) -> State:
        return {**state, "ramp": torch.ones_like(state["ramp"])}

    def value(self, model: Model, state: State) -> Tensor:
        C = self._seen(model, self.of(model))
        products = C.sum(1).square().sum(dtype=torch.float64) - C.square().sum(dtype=torch.float64)
        return 0.5 * state["ramp"] ** POWER * state["scale"] * products

    def _seen(self, model: Model, C: Tensor) -> Tensor:
        """Without rows of which there are no data."""
        seen = model.factor(self.factor or "").seen
        return C if seen is None else C * seen[:, None].to(C)

    def curvature(self, model: Model, state: State) -> Tensor | None:
        """None: linear in every map, and of no definite sign in all together."""
        return None

    def formula(self) -> tuple[str, str]:
        C = self.symbol
        latex = rf"\sum_{{j<k}} {C.lower()}_j^\top {C.lower()}_k / \bar {C.lower()}^2"
        return f"Σ_{{j<k}} {C}ⱼᵀ {C}ₖ/{C.lower()}̄²", latex
