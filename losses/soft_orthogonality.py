"""Components that avoid each other."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FactorCurvature, FitInformation, Surrogate
from fusion.language.term import State

RAMP = 15
"""Outer steps in which the weight rises to its full value, or the rule cycles from w ≈ 0.5."""
MEMORY = 0.7
"""Share of the old multiplier in the new one, for the same reason."""
FADE = 0.5
"""Share of that share which is left after a step in which the multiplier moves on as before."""
CAP = 0.9
"""The term alone may take at most this share of a component, or two equal ones empty each other."""


def _unit_columns(C: Tensor) -> Tensor:
    """Columns of (…, n, K) over their norm; a zero column stays zero."""
    norm2 = C.square().sum(-2, keepdim=True)
    return C / torch.where(norm2 > 0, norm2, 1).sqrt()


class SoftOrthogonality(FactorTerm, Surrogate):
    """Σ_k ξ_k c̄_kᵀ u_k with u_k = c_k / ‖c_k‖, c̄_k = Σ_{j≠k} u_j. Review, eq. (13).

    ξ_k is the multiplier for which weight 1 makes c_k orthogonal to c̄_k:
    ξ_k = max(0, c̄_kᵀ h_k / c̄_kᵀ c̄_k) with h_k = ‖c_k‖ ((H c)_k − g_k), g and H the gradient and
    own-column curvature of all fits. So the weight is dimensionless, 0 to 1, and means the same for
    any data. ξ and c̄ are held within an outer step: a fixed-point rule, not one objective.

    Args:
        factor: name of a factor (n, K): maps, or spectra.

    References:
        Shiga et al., Ultramicroscopy 170:43 (2016); Kimura, Tanaka, Kudo, ACML (2014).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 0.05 * fu.losses.SoftOrthogonality("C")
        Frobenius(net) + 0.05 * SoftOrthogonality('C')
          = ½‖net − M_net‖² + 0.05·Σ ξₖ c̄ₖᵀcₖ
    """

    potential = False

    @checked_call
    def __init__(self, factor: str) -> None:
        if not isinstance(factor, str):
            raise ValueError(
                "`SoftOrthogonality`: give a factor's name: "
                "the multiplier needs what the fits say about it."
            )
        super().__init__(factor)

    def needs(self) -> Sequence[str]:
        return (self.factor or "",)

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        return self._refreshed(self.of(model), state, fits[self.factor or ""])

    def batched_refresh(
        self,
        model: Model,
        values: Mapping[str, Tensor],
        state: State,
        fits: Mapping[str, FitInformation],
    ) -> State:
        name = self.factor or ""
        return self._refreshed(values[name], state, fits[name])

    @staticmethod
    def _refreshed(value: Tensor, state: State, fit: FitInformation) -> State:
        """The pieces at (…, n, K), of one start or of all at once."""
        seen = (fit.curvature != 0).any(-1, keepdim=True)  # rows without data have no part in it
        C = torch.where(seen, value.detach(), 0)
        U = _unit_columns(C)
        others = U.sum(-1, keepdim=True) - U
        norms = torch.linalg.vector_norm(C, dim=-2)
        h = norms[..., None, :] * (fit.curvature * C - fit.gradient)
        tiny = torch.finfo(C.dtype).tiny
        square = others.square().sum(-2)
        xi = ((others * h).sum(-2) / square.clamp_min(tiny)).clamp_min(0)
        xi = torch.minimum(
            xi, CAP * torch.linalg.vector_norm(h, dim=-2) / square.sqrt().clamp_min(tiny)
        )
        step = xi.new_full(xi.shape[:-1], 1 / RAMP)
        ramp = (state["ramp"] + step).clamp_max(1) if state else step
        pull = xi - state["xi"] if state else torch.zeros_like(xi)
        memory = torch.full_like(xi, MEMORY)
        if state:
            calm = (pull * state["pull"] >= 0) & (state["ramp"] >= 1)[..., None]
            memory = torch.where(calm, FADE * state["memory"], memory)
            xi = state["xi"] + (1 - memory) * pull
        there = norms > 0
        scale = torch.where(there, (ramp[..., None] * xi).sqrt() / torch.where(there, norms, 1), 0)
        pieces = {"xi": xi, "others": others, "ramp": ramp, "point": C, "units": U, "scale": scale}
        return pieces | {"pull": pull, "memory": memory, "seen": seen.to(C)}

    def settled(self, state: State) -> State:
        ramp = state["ramp"]  # raised to its end
        return {
            **state,
            "ramp": torch.ones_like(ramp),
            "scale": state["scale"] / ramp.sqrt()[..., None],
        }

    def value(self, model: Model, state: State) -> Tensor:
        return self._value(self.of(model), state)

    def batched_value(self, model: Model, values: Mapping[str, Tensor], state: State) -> Tensor:
        return self._value(values[self.factor or ""], state)

    @staticmethod
    def _value(C: Tensor, state: State) -> Tensor:
        """The term at (…, n, K), of one start or of all at once."""
        U = _unit_columns(C * state["seen"])
        overlaps = state["xi"] * (state["others"] * U).sum(-2)
        return state["ramp"] * overlaps.sum(-1, dtype=torch.float64)

    def curvature(self, model: Model, state: State) -> Tensor:
        """½‖Σ_k √ξ_k δu_k‖², δu the change of u to first order: a proximal term.

        The frozen term is linear in u.
        """
        step = (self.of(model) * state["seen"] - state["point"]) * state["scale"]
        step = step - state["units"] * (state["units"] * step).sum(0)
        return 0.5 * (step.sum(1)).square().sum(dtype=torch.float64)

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        U, seen, scale = state["units"], state["seen"], state["scale"][:, None]

        def tangent(step: Tensor) -> Tensor:
            return step - U * (U * step).sum(1, keepdim=True)

        def product(v: Tensor) -> Tensor:
            change = tangent(v * seen * scale).sum(2, keepdim=True)
            return tangent(change) * scale * seen

        # but for what one row moves the norms: all alike
        return FactorCurvature(product, (scale.mT * scale)[:, None])

    def formula(self) -> tuple[str, str]:
        C = self.symbol.lower()
        return f"Σ ξₖ {C}̄ₖᵀ{C}ₖ", rf"\sum_k \xi_k\, \bar {C}_k^\top {C}_k"
