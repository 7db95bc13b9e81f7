"""Gauss–Newton for pixels that meet in a few variables alone: their blocks are eliminated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.algebra.prediction import Expanded
from fusion.engine import conjugate_gradients as cg
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import Arrow, RowsAndFew, over_pixels
from fusion.engine.variables import States
from fusion.language.remembered import remembering
from fusion.solvers.base import SCOUTED, Solver
from fusion.solvers.track import Outcome, Track, states_of

Product = Callable[[Tensor], Tensor]

MOST = 300
"""Variables that count as few."""
DAMPING = (1e-9, 1e9)
"""Range of the Levenberg damping; above it no step helps any more."""
NEAR = 1e-5
"""Damping where a descent goes on, at most."""
SUFFICIENT = 1e-4
"""Share of the promised decrease that a step must bring."""
TRIALS = 4
"""Step lengths that are tried before the damping is raised instead."""
RIDGE = 1e-10
"""Share of its largest diagonal that is always added to a pixel's block."""
OPEN = 1e-12
"""Of a curvature of unit diagonal: what is flatter does not move, as the scale of unit columns."""
CLOSE, PRODUCTS = 0.01, 60
"""How far the system is solved of rows that penalties tie together, and in how many products."""
CLAMPED = 6
"""Times that what would cross its bound is set there, and the others are solved for again."""
LEFT = 0.1
"""Share of the tolerance below which what a step promises does not count any more."""
FEWER = 1.5
"""By how many times fewer rows must move for the others to be left out."""
COMMON = 1e-8
"""Relative change at which what pixels have in common is found: far below what counts tell."""
FARTHEST = 1.0
"""Standard deviations that a step may take what something is expected of."""
NEWTON = 1e-4
"""Share of the loss by which it falls, from which on the curvature of the counts serves."""


@checked_class
@dataclass(frozen=True)
class ArrowNewton(Solver):
    """Projected Gauss–Newton steps with the whole curvature, where it is an arrow.

    For models whose maps (pixel, K) enter their own pixels' spectra alone, and whose other
    variables are few: line models, calibrations, amplitudes. The pixels' K × K blocks are
    eliminated (the Schur complement of bundle adjustment), so that a step is exact, however badly
    a calibration, a thickness and compositions are told apart.

    Args:
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        damping: Levenberg damping to start with, a share of the diagonal.
        max_steps: unless `fit` says otherwise.

    References:
        Triggs et al., Bundle adjustment, LNCS 1883:298 (2000).
    """

    tolerance: float = 1e-9
    window: int = 3
    damping: float = 1e-2
    max_steps: int = 100
    approached: ClassVar[bool] = False
    on_sums: ClassVar[bool] = True

    def scouting(self) -> ArrowNewton:
        return replace(self, window=2, tolerance=max(self.tolerance, SCOUTED))

    def polishing(self) -> ArrowNewton:
        tolerance = max(self.tolerance, COMMON)
        return replace(self, window=2, damping=min(self.damping, NEAR), tolerance=tolerance)

    def resumed(self, outcome: Outcome, row: int) -> ArrowNewton:
        return replace(self, damping=min(self.damping, NEAR))

    @classmethod
    def suited(cls, objective: Objective) -> bool:
        """Whether maps meet in a few variables alone, of some of which something is expected."""
        maps = [slot for slot in objective.slots if over_pixels(objective, slot)]
        few = [slot for slot in objective.slots if slot not in maps]
        if not maps or not few or sum(s.part.stop - s.part.start for s in few) > MOST:
            return False
        apart = all(s.module is None or not any(s.module.axes) for s in few)
        expected = any(s.module is not None and s.module.own_scale for s in few)
        return apart and expected and _arrow_reason(objective) is None

    def check(self, objective: Objective) -> None:
        reason = _arrow_reason(objective)
        if reason is not None:
            raise ValueError(f"`ArrowNewton`: {reason}: use `GaussNewton()`.")

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        _Descent(self, objective, flat, states, track).run(max_steps)


class _Descent:
    """A batch of starts, each by itself."""

    def __init__(
        self, options: ArrowNewton, objective: Objective, flat: Tensor, states: States, track: Track
    ) -> None:
        self.options, self.objective, self.track = options, objective, track
        self.parts = RowsAndFew(objective)
        self.lower, self.movable = objective.lower(), objective.free()
        self.flat = objective.retract(torch.maximum(flat, self.lower))
        self.states = states
        self.damping = flat.new_full((len(flat),), options.damping)
        self.near = [False] * len(flat)
        self.left: list[RowsAndFew] = [self.parts] * len(flat)
        """Of every start, with the rows alone that still move, where they do not meet."""
        self.terms: Tensor | None = None
        """(start, term) here, where nothing of them is taken anew at every step."""
        known = [s for s in self.parts.few_slots if s.module is not None and s.module.own_scale]
        self.measured = self.parts.places_of(known)

    def run(self, max_steps: int) -> None:
        """Steps until every start has ended."""
        for step in range(max_steps + 1):
            terms = self._look()
            ended = self.track.record(self.flat, terms, self.states)
            if step == max_steps or bool(ended.all()):
                return
            rows = (~ended).nonzero()[:, 0]
            if len(rows) < len(ended):
                self.flat, self.damping = self.flat[rows], self.damping[rows]
                self.states, terms = states_of(self.states, rows), terms[rows]
                self.terms = terms
                self.near = [self.near[row] for row in rows.tolist()]
                self.left = [self.left[row] for row in rows.tolist()]
            self.nothing_left = [False] * len(self.flat)
            stuck = [self._step(s, float(terms[s].sum())) for s in range(len(self.flat))]
            device = self.flat.device
            self.track.stuck = torch.tensor(stuck, device=device)
            self.track.down = torch.tensor(self.nothing_left, device=device)

    def _look(self) -> Tensor:
        """Lagged pieces and terms here, (start, term)."""
        objective = self.objective
        if self.terms is not None and not any(self.states):
            return self.terms.clone()
        with torch.no_grad():
            values = objective.values(self.flat)
            self.states = objective.refresh_fits(values, self.states)
            self.states = objective.refresh_penalties(values, self.states, {})
            self.terms = self._terms(self.flat, self.states)
        return self.terms.clone()

    def _terms(self, flat: Tensor, states: States) -> Tensor:
        """(start, term), one after the other: what follows from held variables is remembered."""
        made = []
        for s in range(len(flat)):
            own, values = states_of(states, [s]), self.objective.values(flat[s : s + 1])
            with remembering():
                fits = self.objective.fits(values, own)
                made.append(torch.cat([fits, self.objective.penalties(values, own)], 1))
        return torch.cat(made)

    @torch.no_grad()
    def _step(self, s: int, loss: float) -> bool:
        """One step of a start; whether none helps any more."""
        flat, states = self.flat[s], states_of(self.states, [s])
        parts = self.left[s]
        arrow = parts.arrow(flat, states, observed=self.near[s])
        solve = partial(self._solve, parts, arrow, flat, states)
        for _ in range(TRIALS):
            step, each = solve(float(self.damping[s]))
            promised = float(each.sum())
            found = torch.maximum(flat + step, self.lower)
            terms = self._terms(found[None], states)[0]
            new = float(terms.sum())
            if new < loss - SUFFICIENT * promised:
                gain = (loss - new) / max(promised, 1e-300)
                factor = 0.2 if gain > 0.7 else 4.0 if gain < 0.25 else 1.0
                self.damping[s] = (self.damping[s] * factor).clamp(*DAMPING)
                little = LEFT * self.options.tolerance * abs(loss)
                trusted = float(self.damping[s]) <= NEAR and gain > 0.5
                self.nothing_left[s] = trusted and promised < little
                if trusted and not len(parts.few) and not parts.tied:
                    self._leave_out(s, each[parts.places].sum(1), little)
                self.near[s] = loss - new < NEWTON * abs(loss)
                self.flat[s] = self.objective.retract(found[None])[0]
                assert self.terms is not None
                self.terms[s] = terms
                return False
            self.damping[s] = (self.damping[s] * 8).clamp(*DAMPING)
        return bool(self.damping[s] >= DAMPING[1])

    def _leave_out(self, s: int, promised: Tensor, little: float) -> None:
        """Rows that have arrived, given what the last step promised of each, (pixel,).

        All of them together promise no more than a little.
        """
        parts = self.left[s]
        order = promised.argsort()
        moving = order[promised[order].cumsum(0) > 0.5 * little].sort().values
        if FEWER * len(moving) < parts.pixels and len(moving):
            self.left[s] = parts.among(moving)

    def _solve(
        self, parts: RowsAndFew, arrow: Arrow, flat: Tensor, states: States, damping: float
    ) -> tuple[Tensor, Tensor]:
        """(step (n,), by how much every variable should bring the loss down (n,)).

        What would cross its bound, or go too far from what is expected, goes as far as that, and
        all others make up for it.
        """
        room = self.lower - flat
        reach = torch.full_like(flat, torch.inf)
        reach[self.measured] = FARTHEST
        room = torch.maximum(room, -reach)
        pull = parts.joined(arrow.row_gradient, arrow.few_gradient, flat)
        bent = parts.tying_product(flat, states) if parts.tied else None
        free = self.movable & ~((flat <= self.lower) & (pull > 0))
        given = torch.zeros_like(flat)
        step = self._free_step(parts, arrow, bent, pull, free, given, damping)
        for _ in range(CLAMPED):
            within = step.clamp(room, reach)
            beyond = free & (step != within)
            if not bool(beyond.any()):
                break
            free, given = free & ~beyond, torch.where(beyond, within, given)
            step = self._free_step(parts, arrow, bent, pull, free, given, damping)
        step = step.clamp(room, reach)
        met = _product(parts, arrow, bent, step)
        return step, -(pull + 0.5 * met) * step

    def _free_step(
        self,
        parts: RowsAndFew,
        arrow: Arrow,
        bent: Product | None,
        pull: Tensor,
        free: Tensor,
        given: Tensor,
        damping: float,
    ) -> Tensor:
        """The step (n,) of what is free, where all else moves by what is given."""
        rest = torch.where(free, -pull - _product(parts, arrow, bent, given), 0)
        system = _System(arrow, damping, free[parts.places], free[parts.few])

        def solved(r: Tensor) -> Tensor:
            return parts.joined(*system.solve(r[parts.places], r[parts.few]), r)

        if bent is None:
            return torch.where(free, solved(rest), given)

        def product(v: Tensor) -> Tensor:
            made = parts.joined(*system.times(v[0][parts.places], v[0][parts.few]), v[0])
            return torch.where(free, made + bent(v[0]), 0)[None]

        found, _, _ = cg.solve(
            product,
            lambda r: torch.where(free, solved(r[0]), 0)[None],
            -rest[None],
            free.to(rest)[None],
            tolerance=CLOSE,
            max_products=PRODUCTS,
        )
        return torch.where(free, found[0], given)


def _product(parts: RowsAndFew, arrow: Arrow, bent: Product | None, v: Tensor) -> Tensor:
    """The curvature times (n,)."""
    made = parts.joined(*arrow.times(v[parts.places], v[parts.few]), v)
    return made if bent is None else made + bent(v)


class _System:
    """The damped arrow of what is free, and its inverse.

    Args:
        arrow: the curvature.
        damping: a share of the diagonal.
        rows: (pixel, r) and few: (few,): whether a variable is free.
    """

    def __init__(self, arrow: Arrow, damping: float, rows: Tensor, few: Tensor) -> None:
        self.row_free, self.few_free = rows, few
        self.blocks = _damped(arrow.rows, damping, ~rows)
        self.border = torch.where(rows[:, :, None] & few, arrow.border, 0)
        self.corner = _damped(arrow.corner, damping, ~few)
        self.root = torch.linalg.cholesky_ex(self.blocks)[0]
        self.met = torch.cholesky_solve(self.border, self.root) if len(few) else self.border
        if len(few):
            corner = self.corner - self.border.flatten(0, 1).T @ self.met.flatten(0, 1)
            self.scale = self.corner.diagonal().rsqrt()
            unit = self.scale[:, None] * corner * self.scale
            self.values, self.vectors = torch.linalg.eigh(0.5 * (unit + unit.T))

    def times(self, rows: Tensor, few: Tensor) -> tuple[Tensor, Tensor]:
        """The arrow times (pixel, r) and (few,)."""
        along = torch.einsum("prs,ps->pr", self.blocks, rows) + self.border @ few
        return along, self.border.flatten(0, 1).T @ rows.flatten() + self.corner @ few

    def solve(self, pull: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """By what rows (pixel, r) and few (few,) move that are pulled so; 0 where not free."""
        own = torch.cholesky_solve(
            torch.where(self.row_free, pull, 0)[:, :, None], self.root
        ).squeeze(2)
        few = torch.zeros_like(rest)
        if len(few):
            left = torch.where(self.few_free, rest, 0) - self.border.flatten(0, 1).T @ own.flatten()
            inverse = torch.where(self.values > OPEN, 1 / self.values.clamp_min(OPEN), 0)
            few = self.scale * (self.vectors @ (inverse * (self.vectors.T @ (self.scale * left))))
            own = own - self.met @ few
        return own, few


def _damped(blocks: Tensor, damping: float, held: Tensor) -> Tensor:
    """Blocks (…, r, r) with a share of their diagonals; what is held stands apart."""
    diagonal = blocks.diagonal(dim1=-2, dim2=-1)
    least = diagonal.amax(-1, keepdim=True) * RIDGE if diagonal.shape[-1] else diagonal
    more = diagonal * damping + least + torch.finfo(blocks.dtype).tiny
    apart = torch.where(held[..., :, None] | held[..., None, :], 0, blocks)
    return apart + torch.diag_embed(torch.where(held, 1.0, more))


def _arrow_reason(objective: Objective) -> str | None:
    """Why the curvature is no arrow; None: it is one."""
    for slot in objective.slots:
        module = slot.module
        if over_pixels(objective, slot) and (
            module is None or not module.identity or module.raw.shape != module.shape
        ):
            return f"{slot.name} has a scale or a constraint of its own"
    scans = {term.dataset.pixels for _, _, term in objective.loss.fits}
    if len(scans) > 1:
        return "the data sets have different pixels"
    if any(term.entrywise is None for _, _, term in objective.loss.fits):
        return "a fit is not a sum over entries"
    with torch.no_grad(), objective.model.once():
        predictions = [term.pair(objective.model) for _, _, term in objective.loss.fits]
    if any(isinstance(M, Expanded) or form.shape != M.shape for form, M in predictions):
        return "a prediction is not a matrix (pixel, channel) of two factors"
    if not RowsAndFew(objective).apart():
        return "the prediction of a pixel depends on the maps of others"
    return None
