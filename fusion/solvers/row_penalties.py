"""Penalties that add up over the rows of factors, beside the fits of counts in a sweep."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.likelihood.count_rows import Array
from fusion.solvers.gauge import Gauge

POWER = 1e-6
"""By how much the power of a norm may be off, as it was found from the predictions."""


class RowPenalties:
    """All penalties of an objective: their values, and how they bend by the rows of a factor.

    A penalty on the amounts is one on the norms of their partner with unit columns, too: amounts c
    take up its norm n. By that it has the slope b s and, as a bound for penalties of first and
    second degree, the curvature b = Σ c ∂p/∂c of every entry s of a column.

    Args:
        objective: its penalties are quadratic row by row and never taken anew.
        gauge: what takes up the norms of unit columns.
    """

    def __init__(self, objective: Objective, gauge: Mapping[str, Gauge]) -> None:
        self.objective, self.gauge = objective, gauge
        self.states = objective.no_states()
        self.count = len(objective.loss.penalties)

    @staticmethod
    def suits(objective: Objective, gauge: Mapping[str, Gauge]) -> bool:
        """Whether sweeps can follow them: none on unit columns, norms taken up as they are."""
        terms = [term for _, _, term in objective.loss.penalties]
        if not terms:
            return True
        if not all(term.quadratic and term.potential and not term.lagged for term in terms):
            return False
        penalised = {
            name
            for name, g in _gradients(objective, objective.values(objective.current())).items()
            if bool(g.any())
        }
        taken = [(n, power) for g in gauge.values() for n, (power, _) in g.items()]
        as_they_are = all(abs(power + 1) <= POWER for n, power in taken if n in penalised)
        return as_they_are and not penalised & gauge.keys()

    def terms(self, values: Values) -> Array:
        """Their weighted values at one start, (penalty,)."""
        if not self.count:
            return np.zeros(0)
        with torch.no_grad():
            return self.objective.penalties(values, self.states)[0].numpy()

    def bend(self, name: str, values: Values, columns: int) -> tuple[Array, Array]:
        """Gradient (row, K) and packed curvature (row or 1, K (K + 1) / 2), K padded to columns."""
        g = _gradients(self.objective, values)
        value, gradient = values[name], g[name][0]
        with torch.enable_grad():
            leaf = value.detach().requires_grad_()
            bent = self.objective.penalty_curvature(values | {name: leaf}, self.states)
            hessian = Hessian(bent, {name: leaf}) if bent.requires_grad else None
            own = row_blocks(hessian, name, value) if hessian and hessian.touches(name) else None
        K, rows = value.shape[-1], 1 if own is None else own.shape[1]
        full = np.zeros((rows, columns, columns))
        if own is not None:
            full[:, :K, :K] = own[0].detach().numpy()
        if name in self.gauge:
            met = [g[other][0] * values[other][0] for other in self.gauge[name]]
            b = torch.stack([amounts.sum(0) for amounts in met]).sum(0)
            gradient = gradient + b * value[0]
            full[:, np.arange(K), np.arange(K)] += b.clamp_min(0).numpy()
        padded = np.zeros((len(gradient), columns))
        padded[:, :K] = gradient.numpy()
        return padded, full[:, *np.tril_indices(columns)]


def _gradients(objective: Objective, values: Values) -> Values:
    """Gradient of the penalties by the values, (start, row, K) of every factor."""
    with torch.enable_grad():
        leaves = {name: v.detach().requires_grad_() for name, v in values.items()}
        total = objective.penalties(leaves, objective.no_states()).sum()
        if not total.requires_grad:
            return {name: torch.zeros_like(v) for name, v in values.items()}
        made = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(v) if g is None else g
        for (name, v), g in zip(values.items(), made, strict=True)
    }
