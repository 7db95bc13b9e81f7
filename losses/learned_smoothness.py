"""Neighbours are alike, by as much as the data say."""

from collections.abc import Mapping, Sequence
from math import pi

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FactorCurvature, FitInformation, Surrogate
from fusion.language.term import State
from fusion.losses.neighbour_differences import Differences, bending

FARTHEST = 10.0
"""Times by which a weight may change from one outer step to the next."""
FIRST = 1e-3
"""Weight to start with, over the curvature of the fits."""


class LearnedSmoothness(FactorTerm, Surrogate):
    """½ Σ_k λ_k ‖Dᵖ f_k‖², λ_k by evidence: neighbours are as alike as the data say.

    The weight of each column is that at which a smooth random curve of this roughness is most
    probable: λ_k ‖Dᵖ f_k‖² = γ_k, the number of directions that the fits tell, rather than the
    smoothness; γ_k = Σ_j h_k / (h_k + λ_k d_j), d the squared frequencies of Dᵖ and h_k the
    curvature of the fits by an entry. It is taken anew at every outer step: so there is no weight
    to choose. Lines as sharp as the channels make the rest rougher than it is.

    Args:
        factor: name of a factor (n, K) whose rows run along an axis, such as spectra.
        order: p, 1 for slopes, 2 for bends (a straight line is free).

    Raises:
        ValueError: by `check`, if the factor has fewer than order + 2 rows.

    References:
        MacKay, Neural Computation 4:415 (1992).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Gaussian(data) + fu.losses.LearnedSmoothness("S")
        Gaussian(net) + LearnedSmoothness('S')
          = (n/2) ln‖net − M_net‖² + ½ Σ λₖ‖D² Sₖ‖²
    """

    potential = False
    falls_with_scale = True

    @checked_call
    def __init__(self, factor: str, *, order: int = 2) -> None:
        if not isinstance(factor, str):
            raise ValueError(
                "`LearnedSmoothness`: give a factor's name: the weight needs what the fits say "
                "about it."
            )
        super().__init__(factor)
        if order < 1:
            raise ValueError(f"`LearnedSmoothness({factor!r}, order={order})`: give 1 or more.")
        self.order = int(order)

    def needs(self) -> Sequence[str]:
        return (self.factor or "",)

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        F, rows = self.of(model).detach(), self._unknown(model)
        bend = (fits[self.factor or ""].curvature * rows).sum(0) / rows.sum()
        n, tiny = int(rows.sum()), torch.finfo(F.dtype).tiny
        angle = torch.arange(1, n, dtype=F.dtype, device=F.device) * (pi / n)
        frequencies = (2 - 2 * angle.cos()) ** self.order
        before = state["weights"] if state else FIRST * bend
        told = (bend / (bend + before * frequencies[:, None]).clamp_min(tiny)).sum(0)
        weights = told / self._roughness(model, F).to(F).clamp_min(tiny)
        return {"weights": torch.clamp(weights, before / FARTHEST, before * FARTHEST)}

    def learned(self, state: State) -> Mapping[str, Tensor]:
        return {f"λ{k + 1}": state["weights"][..., k] for k in range(state["weights"].shape[-1])}

    def value(self, model: Model, state: State) -> Tensor:
        return 0.5 * (state["weights"] * self._roughness(model, self.of(model))).sum()

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        weight = state["weights"].to(value)[:, None] * self._compared(model)
        return bending(value, value.shape[1:2], [Differences(-2, self.order, weight)])

    def check(self, model: Model) -> None:
        super().check(model)
        shape = model.factor(self.factor or "").shape
        if int(self._unknown(model).sum()) < self.order + 2:
            raise ValueError(
                f"`{self}`: a factor of shape {shape} has no {self.order + 2} unknown rows to "
                "compare."
            )

    def _roughness(self, model: Model, F: Tensor) -> Tensor:
        """‖Dᵖ f_k‖² of every column, (K,), over neighbours of which something is unknown."""
        steps = torch.diff(F, n=self.order, dim=0) * self._compared(model)
        return steps.square().sum(0, dtype=torch.float64)

    def _compared(self, model: Model) -> Tensor:
        """(n − p, 1) 1 for differences that count."""
        return self._unknown(model)[:, 0].unfold(0, self.order + 1, 1).amin(1)[:, None]

    def _unknown(self, model: Model) -> Tensor:
        """(n, 1) 1 for rows of which something is unknown: zeros before an edge say nothing."""
        module = model.factor(self.factor or "")
        if module.known is None:
            return module.raw.new_ones(module.shape[0], 1)
        return (~module.known).any(1, keepdim=True).to(module.raw)

    def formula(self) -> tuple[str, str]:
        power = "" if self.order == 1 else f"^{self.order}"
        mark = {1: "", 2: "²", 3: "³"}.get(self.order, f"^{self.order}")
        return (
            f"½ Σ λₖ‖D{mark} {self.symbol}ₖ‖²",
            rf"\tfrac12 \sum_k \lambda_k \|D{power} {self.symbol.lower()}_k\|^2",
        )
