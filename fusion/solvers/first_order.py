"""First-order methods: without second derivatives, for comparison, for a user's own optimiser.

Projected: after every step the raw variables are put back above their bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.engine.evaluation import evaluate
from fusion.engine.objective import Objective
from fusion.engine.variables import States
from fusion.solvers.base import Solver
from fusion.solvers.track import Track, states_of

HALVINGS = 20
"""How often a step that leaves the domain of the loss is halved."""
FIRST = 0.1
"""Length of a first step, as a share of the size of a factor's entries."""


class FirstOrderLoop(Solver):
    """Step, project, record; all starts as one batch of variables."""

    pace: ClassVar[int] = 50

    def optimiser(self, flat: Tensor) -> torch.optim.Optimizer:
        """The optimiser of a leaf (start, n)."""
        raise NotImplementedError

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        lower, free = objective.lower(), objective.free()
        # one number a variable: a step of fixed length means the same for every factor
        unit = _scales(objective, flat)
        flat = torch.maximum(flat, lower)
        z = (flat / unit).detach().requires_grad_()
        optimiser = self.optimiser(z)
        ended = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        first = evaluate(objective, flat, states)[0].sum(1, keepdim=True).abs().to(flat.dtype)
        before: Tensor | None = None
        # an optimiser's own constants are for losses near 1
        first = torch.where(first > 0, first, 1)
        for _ in range(max_steps + 1):
            terms, _, states = evaluate(objective, z.detach() * unit, states)
            for _ in range(HALVINGS):  # a step out of the loss's domain is taken back by halves
                out = ~torch.isfinite(terms).all(1) & ~ended
                if before is None or not bool(out.any()):
                    break
                with torch.no_grad():
                    z.copy_(torch.where(out[:, None], 0.5 * (z + before), z))
                terms, _, states = evaluate(objective, z.detach() * unit, states)
            now = track.record(
                (z.detach() * unit)[~ended],
                terms[~ended],
                states_of(states, (~ended).nonzero()[:, 0]),
            )
            ended[(~ended).nonzero()[:, 0][now]] = True
            if bool(ended.all()):
                return
            before = z.detach().clone()

            def closure(states: States = states) -> Any:
                terms, gradient, _ = evaluate(objective, z.detach() * unit, states, frozen=True)
                z.grad = torch.where(ended[:, None] | ~free, 0, gradient * unit / first).nan_to_num(
                    0, 0, 0
                )
                return (torch.where(ended, 0, terms.sum(1)) / first[:, 0]).nan_to_num().sum()

            optimiser.step(closure)
            with torch.no_grad():
                z.copy_(torch.maximum(torch.where(torch.isfinite(z), z, before), lower / unit))
                z.copy_(torch.where(ended[:, None], before, z))


def _scales(objective: Objective, flat: Tensor) -> Tensor:
    """Root mean square of every variable's entries at the start, (start, n); 1 where it is zero.

    Entries of a raw variable that stands for others, as amplitudes and exponents do, have units of
    their own.
    """
    unit = torch.empty_like(flat)
    for slot in objective.slots:
        entries = flat[:, slot.part]
        size = entries.square().mean(1, keepdim=True).sqrt()
        if slot.module is not None and slot.shape != slot.module.shape:
            size = torch.where(entries != 0, entries.abs(), size)
        unit[:, slot.part] = torch.where(size > 0, size, 1)
    return unit


@checked_class
@dataclass(frozen=True)
class Adam(FirstOrderLoop):
    """Adam, projected onto the bounds.

    Args:
        lr: step length, as a share of the size of a factor's entries.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.
    """

    lr: float = 0.05
    tolerance: float = 1e-7
    window: int = 50
    max_steps: int = 2000

    def optimiser(self, flat: Tensor) -> torch.optim.Optimizer:
        return torch.optim.Adam([flat], lr=self.lr)


@checked_class
@dataclass(frozen=True)
class TorchOptimizer(FirstOrderLoop):
    """Any `torch.optim` class, projected onto the bounds: all starts are one parameter.

    Args:
        kind: the class.
        options: its keyword arguments; `lr` is a share of the size of a factor's entries.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.
    """

    kind: Callable[..., torch.optim.Optimizer]
    options: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-7
    window: int = 50
    max_steps: int = 2000

    def optimiser(self, flat: Tensor) -> torch.optim.Optimizer:
        return self.kind([flat], **self.options)


@checked_class
@dataclass(frozen=True)
class LBFGS(Solver):
    """Limited-memory BFGS with projected steps, for every start on its own.

    Args:
        memory: pairs kept.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.
    """

    pace: ClassVar[int] = 10
    memory: int = 10
    tolerance: float = 1e-9
    window: int = 20
    max_steps: int = 2000

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        lower, movable = objective.lower(), objective.free()
        unit = _scales(objective, flat)
        flat = torch.maximum(flat, lower)
        # (change of variables, change of gradient), newest last
        pairs: list[tuple[Tensor, Tensor]] = []
        terms, gradient, states = evaluate(objective, flat, states)
        while True:
            ended = track.record(flat, terms, states)
            if bool(ended.all()) or len(track.outcome.history) > max_steps:
                return
            if bool(ended.any()):
                rows = (~ended).nonzero()[:, 0]
                flat, terms, gradient, unit = flat[rows], terms[rows], gradient[rows], unit[rows]
                states, pairs = states_of(states, rows), [(s[rows], y[rows]) for s, y in pairs]
            free = (movable & ~((flat <= lower) & (gradient > 0))).to(flat.dtype)
            direction = -_two_loop(pairs, gradient * free, unit.square(), free)
            downhill = (direction * gradient).sum(1, keepdim=True) < 0
            steepest = -unit.square() * gradient * free
            slope = torch.linalg.vector_norm(unit * gradient * free, dim=1, keepdim=True)
            share = FIRST * free.shape[1] ** 0.5 / torch.where(slope > 0, slope, 1)
            direction = torch.where(downhill & bool(pairs), direction, share * steepest)
            new, terms, moved = self._search(
                objective, flat, terms, gradient, direction, states, lower
            )
            track.stuck = ~moved & (len(pairs) == 0)
            before, flat = flat, new
            terms, after, states = evaluate(objective, flat, states)
            pairs = (
                []
                if not bool(moved.any())
                else [
                    *pairs[-self.memory + 1 :],
                    ((flat - before) * free, (after - gradient) * free),
                ]
            )
            gradient = after

    def _search(
        self,
        objective: Objective,
        flat: Tensor,
        terms: Tensor,
        gradient: Tensor,
        direction: Tensor,
        states: States,
        lower: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Backtrack along the projected path; where nothing helps, stay."""
        loss, length = terms.sum(1), flat.new_ones(len(flat), 1)
        best, best_terms, moved = (
            flat,
            terms,
            torch.zeros(len(flat), dtype=torch.bool, device=flat.device),
        )
        for _ in range(20):
            trial = torch.maximum(flat + length * direction, lower)
            with torch.no_grad():
                values = objective.values(trial)
                trial_terms = torch.cat(
                    [objective.fits(values, states), objective.penalties(values, states)], 1
                )
            promise = 1e-4 * (gradient * (trial - flat)).sum(1)
            good = (
                ~moved & torch.isfinite(trial_terms).all(1) & (trial_terms.sum(1) <= loss + promise)
            )
            best, best_terms = (
                torch.where(good[:, None], trial, best),
                torch.where(good[:, None], trial_terms, best_terms),
            )
            moved = moved | good
            if bool(moved.all()):
                break
            length = torch.where(moved[:, None], length, 0.4 * length)
        return best, best_terms, moved


def _two_loop(pairs: list[tuple[Tensor, Tensor]], g: Tensor, scale: Tensor, free: Tensor) -> Tensor:
    """Inverse Hessian of the pairs times a gradient; a start skips pairs that bend down.

    Variables count in units of their own size, `scale` its square: data in another unit change
    amounts and gradients, and nothing else.
    """
    kept, q, unit = [], g, scale.sqrt()
    for s, y in reversed(pairs):
        sy = (s * y).sum(1, keepdim=True)
        good = sy > 1e-10 * torch.linalg.vector_norm(
            s / unit, dim=1, keepdim=True
        ) * torch.linalg.vector_norm(y * unit, dim=1, keepdim=True)
        rho = torch.where(good, 1 / torch.where(good, sy, 1), 0)
        a = rho * (s * q).sum(1, keepdim=True)
        q = q - a * y
        kept.append((s, y, rho, a))
    gamma = scale.new_ones(len(g), 1)
    if kept:
        s, y, rho, _ = kept[0]
        size = (y * scale * y).sum(1, keepdim=True)
        gamma = torch.where(
            (rho > 0) & (size > 0),
            (s * y).sum(1, keepdim=True) / torch.where(size > 0, size, 1),
            1,
        )
    r = gamma * scale * q
    for s, y, rho, a in reversed(kept):
        r = r + s * (a - rho * (y * r).sum(1, keepdim=True))
    return r * free
