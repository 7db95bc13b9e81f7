"""Where the norms of unit columns go when a factor is changed by itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor

from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.engine.variables import Values

Gauge = dict[str, tuple[float, int]]
"""Factors that take up the norms of another: (power, mode of the batched value)."""
GAUGE = 1e-8
"""Relative change of the predictions below which a rescaling of factors leaves them alone."""


def gauges(objective: Objective) -> dict[str, Gauge]:
    """For every factor of unit columns, the powers of its norms that the others take up.

    Found from the model itself: multiplying every factor f, component by component, by t^e_f leaves
    the predictions alone for exponents e in the null space of the factors' scale directions.

    Raises:
        ValueError: if a factor's norm can go nowhere.
    """
    if objective.gauges is None:
        objective.gauges = _gauges(objective)
    return objective.gauges


def _gauges(objective: Objective) -> dict[str, Gauge]:
    units = [s.name for s in objective.slots if s.module is not None and s.module.scale_free]
    if not units:
        return {}
    names = [s.name for s in objective.slots]
    generator = torch.Generator().manual_seed(0)
    values = {}
    for slot in objective.slots:
        assert slot.module is not None
        size = 0.5 + torch.rand((1, *slot.module.shape), generator=generator, dtype=torch.float64)
        values[slot.name] = size.to(objective.like.device)
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        hessian = Hessian(objective.products(leaves), leaves)
    products = [hessian({name: values[name]}) for name in names]
    gram = torch.tensor(
        [[float((row[b] * values[b]).sum()) for b in names] for row in products],
        dtype=torch.float64,
    )
    gauge_of = {}
    for unit in units:
        others = [n for n in names if n not in units and objective.model.factor(n).known is None]
        at, rest = names.index(unit), [names.index(n) for n in others]
        e = torch.linalg.lstsq(gram[:, rest], -gram[:, [at]]).solution[:, 0]
        powers = {n: float(p) for n, p in zip(others, e.tolist(), strict=True) if abs(p) > 1e-6}
        taken = _taken_up(objective, values, unit, powers)
        if taken is None:
            raise ValueError(
                f"`fit`: no factor takes up the norms of {unit!r}, which has unit columns: "
                "use `GaussNewton()`."
            )
        gauge_of[unit] = taken
    return gauge_of


def _taken_up(
    objective: Objective, values: Values, unit: str, powers: Mapping[str, float]
) -> Gauge | None:
    """Along which modes the others take up a factor's norms; None where none do."""
    K = values[unit].shape[-1]
    t = torch.linspace(0.5, 2, K, dtype=values[unit].dtype, device=values[unit].device)[None]
    before = -objective.products(values)  # of ⟨M, M⟩: t is one of many, so M is the same, too
    modes = [[d for d, n in enumerate(values[name].shape) if d > 0 and n == K] for name in powers]
    for chosen in product(*modes) if powers else ():
        gauge = {name: (p, d) for (name, p), d in zip(powers.items(), chosen, strict=True)}
        after = -objective.products(rescale_factors(values, unit, t, gauge))
        if bool((before - after).abs() <= GAUGE * before.abs()):
            return gauge
    return None


def rescale_factors(values: Values, unit: str, t: Tensor, gauge: Gauge) -> Values:
    """A unit factor's columns times t, (start, K), and what the others take up for it."""
    scaled = values | {unit: _times_along(values[unit], t, values[unit].ndim - 1)}
    return scaled | {n: _times_along(values[n], t**power, d) for n, (power, d) in gauge.items()}


def _times_along(value: Tensor, t: Tensor, mode: int) -> Tensor:
    """A factor times t, (start, K), along one mode."""
    return value * t.reshape(
        len(t), *(t.shape[1] if d == mode else 1 for d in range(1, value.ndim))
    )


def set_by_known(objective: Objective, unit: str) -> Tensor:
    """(K,) columns of which known entries, that are not zero, set the scale: they keep it."""
    module = objective.model.factor(unit)
    known = module.known
    if known is None:
        return torch.zeros(module.shape[-1], dtype=torch.bool, device=module.raw.device)
    with torch.no_grad():
        return ((module() != 0) & known).flatten(0, -2).any(0)


def rescaled(
    values: Values, gauges: Mapping[str, Gauge], kept: Mapping[str, Tensor] | None = None
) -> Values:
    """Unit columns where they belong, their norms taken up by the others.

    Args:
        kept: by factor, (K,) columns that stay as they are: `set_by_known`.
    """
    for unit, gauge in gauges.items():
        norm = torch.linalg.vector_norm(values[unit], dim=1)
        norm = torch.where(norm > 0, norm, 1)
        norm = norm if kept is None else torch.where(kept[unit], 1, norm)
        values = rescale_factors(values, unit, 1 / norm, gauge)
    return values
