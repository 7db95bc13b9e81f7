"""Hierarchical alternating least squares for any model that is linear in every factor by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from fusion.constraints import Fixed, Free, NonNegative, UnitColumns
from fusion.curvature import Hessian, row_blocks
from fusion.objective import Objective, Slot, States, Values
from fusion.solvers.base import Solver, Track, take

SHRINK, GROW, GROW_LIMIT = 1.5, 1.01, 1.005
"""How the extrapolation answers to a rise and a fall of the loss: η, γ, γ̄ of Ang & Gillis."""
Gauge = dict[str, tuple[float, int]]
"""Factors that take up the norms of another: (power, mode of the batched value)."""
GAUGE = 1e-8
"""Relative change of the predictions below which a rescaling of factors leaves them alone."""


@dataclass(frozen=True)
class HALS(Solver):
    """One component at a time in closed form. Review, (11), (12).

    Several sweeps a product with the data, extrapolated. For fits of least squares and penalties
    that are quadratic row by row; unit columns are kept by moving their norm into the factors that
    take it up.

    Args:
        sweeps: at most so many sweeps over the components of a factor before the next.
        inner: end the sweeps when one changes the factor by less than this share of the first.
        extrapolation: β at the start; 0 for none.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.

    References:
        Gillis & Glineur, Neural Comput. 24:1085 (2012); Ang & Gillis, Neural Comput. 31:417 (2019).
    """

    sweeps: int = 8
    inner: float = 0.1
    extrapolation: float = 0.5
    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 1000

    def check(self, objective: Objective) -> None:
        for _, term in objective.loss.terms:
            if not self.suits(term):
                raise ValueError(
                    f"`{type(self).__name__}`: `{term}` is not quadratic in each factor, "
                    "row by row: use `GaussNewton()`."
                )
        for slot in objective.slots:
            chain = [] if slot.module is None else slot.module.chain
            bad = [c for c in chain if not isinstance(c, (NonNegative, Free, UnitColumns, Fixed))]
            if slot.module is None or bad or len(slot.shape) < 2:
                what = ", ".join(map(str, bad)) or "a plain parameter"
                raise ValueError(
                    f"`HALS`: {slot.name!r} ({what}) is not linear in its unknowns: "
                    "use `GaussNewton()`."
                )
        gauges(objective)

    def suits(self, term: Any) -> bool:
        """Whether the method can follow this term."""
        return term.quadratic

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        gauge, beta = gauges(objective), flat.new_full((len(flat),), self.extrapolation)
        limit, before, plain = torch.ones_like(beta), beta.clone(), torch.zeros_like(beta).bool()
        values = {k: v.detach() for k, v in objective.values(flat).items()}
        last, loss, kept_terms = values, None, flat
        for step in range(max_steps + 1):
            terms, states = _terms(objective, values, states)
            new = terms.sum(1)
            if loss is not None:
                rises = (new > loss + 4 * torch.finfo(loss.dtype).eps * loss.abs()) & ~plain
                values = {k: _where(rises, last[k], v) for k, v in values.items()}
                terms, new = (
                    torch.where(rises[:, None], kept_terms, terms),
                    torch.where(rises, loss, new),
                )
                limit, beta, before = (
                    torch.where(rises, before, (GROW_LIMIT * limit).clamp_max(1)),
                    torch.where(
                        rises,
                        beta / SHRINK,
                        torch.minimum(limit, GROW * beta),
                    ),
                    beta,
                )
                plain = rises  # the step after a rise is not extrapolated, so it goes down
            ended = track.record(objective.raws(values), terms, states)
            if bool(ended.all()) or step == max_steps:
                return
            if bool(ended.any()):
                rows = (~ended).nonzero()[:, 0]
                values, states = {k: v[rows] for k, v in values.items()}, take(states, rows)
                beta, limit, before, plain, new, terms = (
                    beta[rows],
                    limit[rows],
                    before[rows],
                    plain[rows],
                    new[rows],
                    terms[rows],
                )
            last, loss, kept_terms = values, new, terms
            values = self._sweep(objective, values, states, torch.where(plain, 0, beta))
            values = _rescaled(values, gauge)

    def _sweep(self, objective: Objective, values: Values, states: States, beta: Tensor) -> Values:
        """Every factor once, from the newest of the others, a little beyond its own minimum."""
        values = dict(values)
        for slot in objective.slots:
            old = values[slot.name]
            new = self._block(objective, slot, values, states)
            further = new + beta.reshape(-1, *(1,) * (new.ndim - 1)) * (new - old)
            values[slot.name] = _allowed(slot, further, old)
        return values

    def _block(self, objective: Objective, slot: Slot, values: Values, states: States) -> Tensor:
        """The factor after sweeps on its own quadratic, from the gradient here and row blocks."""
        assert slot.module is not None
        with torch.enable_grad():
            here = values[slot.name].detach().requires_grad_()
            point = values | {slot.name: here}
            total = objective.fits(point, states).sum() + objective.penalties(point, states).sum()
            (g,) = torch.autograd.grad(total, here)
            bend = objective.fit_curvature(point, states).sum(1)
            bend = bend + objective.penalty_curvature(point, states).sum(1)
            hessian = Hessian(bend, {slot.name: here})
        width = here.shape[-1] if here.ndim == 3 else here[0].numel()  # a core is one block
        blocks = row_blocks(hessian, slot.name, here.detach(), width)
        shape, x0 = here.shape, here.detach().reshape(len(here), -1, width)
        lower = 0.0 if slot.module.lower is not None else -torch.inf
        return _allowed(
            slot, self._sweeps(x0, g.reshape(x0.shape), blocks, lower).reshape(shape), here.detach()
        )

    def _sweeps(self, x0: Tensor, g: Tensor, blocks: Tensor, lower: float) -> Tensor:
        """Coordinate descent on gᵀδ + ½ δᵀBδ, δ = x − x0, x ≥ lower; (start, row, k)."""
        x, first = x0.clone(), None
        diagonal = blocks.diagonal(dim1=-2, dim2=-1)
        info = torch.finfo(x.dtype)
        floor = diagonal.amax((-1, -2), keepdim=True)[..., 0] * info.eps + info.tiny
        for _ in range(self.sweeps):
            before = x.clone()
            for k in range(x.shape[-1]):  # each component sees those before it: what the method is
                slope = g[..., k] + (blocks[..., k, :] * (x - x0)).sum(-1)
                moved = x[..., k] - slope / torch.maximum(diagonal[..., k], floor)
                bends = diagonal[..., k] > floor
                x[..., k] = torch.where(bends, moved.clamp_min(lower), x[..., k])
            change = torch.linalg.vector_norm(x - before)
            first = change if first is None else first
            if bool(change <= self.inner * first):
                break
        return x


def _allowed(slot: Slot, new: Tensor, old: Tensor) -> Tensor:
    """On the allowed side of the bound, known entries as they were."""
    assert slot.module is not None
    new = new if slot.module.lower is None else new.clamp_min(slot.module.lower)
    return new if slot.module.known is None else torch.where(slot.module.known, old, new)


def _terms(objective: Objective, values: Values, states: States) -> tuple[Tensor, States]:
    """Terms (start, term) with the lagged pieces taken anew."""
    with torch.no_grad():
        states = objective.refresh_penalties(values, objective.refresh_fits(values, states), {})
        return torch.cat(
            [objective.fits(values, states), objective.penalties(values, states)], 1
        ), states


def _where(rows: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(rows.reshape(-1, *(1,) * (yes.ndim - 1)), yes, no)


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
        values[slot.name] = size.to(objective.like)
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        hessian = Hessian(objective.likeness(leaves)[1], leaves)
    products = [hessian({name: values[name]}) for name in names]
    gram = torch.tensor(
        [[float((row[b] * values[b]).sum()) for b in names] for row in products],
        dtype=torch.float64,
    )
    found = {}
    for unit in units:
        others = [n for n in names if n not in units and objective.model.factor(n).known is None]
        at, rest = names.index(unit), [names.index(n) for n in others]
        e = torch.linalg.lstsq(gram[:, rest], -gram[:, [at]]).solution[:, 0]
        powers = {n: float(p) for n, p in zip(others, e.tolist(), strict=True) if abs(p) > 1e-6}
        taken = _taken_up(objective, values, unit, powers)
        if taken is None:
            raise ValueError(
                f"`HALS`: no factor takes up the norms of {unit!r}, which has unit columns: "
                "use `GaussNewton()`."
            )
        found[unit] = taken
    return found


def _taken_up(
    objective: Objective, values: Values, unit: str, powers: Mapping[str, float]
) -> Gauge | None:
    """Along which modes the others take up a factor's norms; None where none do."""
    K = values[unit].shape[-1]
    t = torch.linspace(0.5, 2, K, dtype=values[unit].dtype, device=values[unit].device)[None]
    before = objective.likeness(values)[1]  # of ⟨M, M⟩: t is one of many, so M is the same, too
    modes = [[d for d, n in enumerate(values[name].shape) if d > 0 and n == K] for name in powers]
    for chosen in product(*modes) if powers else ():
        gauge = {name: (p, d) for (name, p), d in zip(powers.items(), chosen, strict=True)}
        after = objective.likeness(_scaled(values, unit, t, gauge))[1]
        if bool((before - after).abs() <= GAUGE * before.abs()):
            return gauge
    return None


def _scaled(values: Values, unit: str, t: Tensor, gauge: Gauge) -> Values:
    """A unit factor's columns times t, (start, K), and what the others take up for it."""
    scaled = values | {unit: _along(values[unit], t, values[unit].ndim - 1)}
    return scaled | {n: _along(values[n], t**power, d) for n, (power, d) in gauge.items()}


def _along(value: Tensor, t: Tensor, mode: int) -> Tensor:
    """A factor times t, (start, K), along one mode."""
    return value * t.reshape(
        len(t), *(t.shape[1] if d == mode else 1 for d in range(1, value.ndim))
    )


def _rescaled(values: Values, gauges: Mapping[str, Gauge]) -> Values:
    """Unit columns where they belong, their norms taken up by the others."""
    for unit, gauge in gauges.items():
        norm = torch.linalg.vector_norm(values[unit], dim=1)
        values = _scaled(values, unit, 1 / torch.where(norm > 0, norm, 1), gauge)
    return values
