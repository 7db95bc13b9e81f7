"""Rows of factors in which nothing but noise is: channels and pixels without any component."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.variables import Values
from fusion.uncertainty.standard_errors import FittedPoint


def empty_rows(point: FittedPoint, noise: float, level: float, pair: tuple[int, int]) -> Values:
    """Rows in which a pair of components may as well be zero.

    Zeros in place of both, x, raise the loss by about ½ xᵀ H x, H its block of the curvature. Noise
    alone makes that ½ g χ², with as many degrees of freedom as numbers in it are positive. Empty
    are the weakest rows for which this holds one by one, among so many, and of all together.

    Args:
        point: a fit's answer.
        noise: g, the variance of the noise in the unit of the loss.
        level: of confidence.
        pair: of components.

    Returns:
        {factor: (n, K) bool}, both components in empty rows; factors without any are left out.
    """
    costs, counts = [], []
    able = {name: both for name, both in _row_blocks(point).items() if both[0].shape[1] > max(pair)}
    columns = list(pair)
    for values, blocks in able.values():
        x, H = values[:, columns], blocks[:, columns][:, :, columns]
        costs.append(0.5 * torch.einsum("ij,ijk,ik->i", x, H, x))
        counts.append((x > 0).sum(1))
    if not able or not noise > 0:
        return {}
    cost, count = torch.cat(costs), torch.cat(counts)
    weak = _noise_only(cost, count, noise, level)
    parts = weak.split([len(c) for c in costs])
    empty = {}
    for (name, (x, _)), rows in zip(able.items(), parts, strict=True):
        if bool(rows.any()):
            empty[name] = torch.zeros_like(x, dtype=torch.bool)
            empty[name][:, columns] = rows[:, None]
    return empty


def _row_blocks(point: FittedPoint) -> dict[str, tuple[Tensor, Tensor]]:
    """Rows (n, K) of factors that have a bound, and their blocks (n, K, K)."""
    quadratic, rows = point.quadratic(), {}
    for slot, block in zip(point.objective.slots, quadratic.curvature.blocks(), strict=True):
        module = slot.module
        if (
            module is None
            or module.lower is None
            or module.known is not None
            or not module.entrywise
        ):
            continue
        x = slot.of(point.flat)[0] - module.lower
        if x.ndim == 2 and block.rows == len(x):
            rows[slot.name] = x, block.expanded()[0]
    return rows


def _noise_only(cost: Tensor, count: Tensor, noise: float, level: float) -> Tensor:
    """Rows that noise may have made, each among so many and all together."""
    seen = (cost > 0) & (count > 0)
    level_of_each = 1 - (1 - level) / max(int(seen.sum()), 1)
    order = torch.argsort(torch.where(seen, cost, torch.inf))
    order = order[seen[order]]
    alone = cost[order] <= 0.5 * noise * _chi2_quantile(count[order], level_of_each)
    together = cost[order].cumsum(0) <= 0.5 * noise * _chi2_quantile(count[order].cumsum(0), level)
    weak = torch.zeros_like(seen)
    weak[order] = alone & together
    return weak


def _chi2_quantile(numbers: Tensor, level: float) -> Tensor:
    """Of χ² with so many degrees of freedom."""
    from scipy.special import chdtri

    return torch.from_numpy(chdtri(numbers.cpu().numpy(), 1 - level)).to(numbers.device)
