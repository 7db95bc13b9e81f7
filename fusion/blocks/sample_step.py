"""A step of the shared factors on the sample, its first order that of all data."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.blocks.held import Correction, HeldPenalty
from fusion.blocks.norms import ColumnNorms, ColumnSquares, in_place, with_norms
from fusion.blocks.sample import Sample
from fusion.blocks.slopes import Slopes, slopes
from fusion.blocks.standouts import Standouts
from fusion.blocks.work import Problem, Sums
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms.contract import Form
from fusion.forms.weights import Weights
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.likelihood.entry_losses import SQUARE
from fusion.solvers import GaussNewton, Outcome, Watch

STEPS = 100
"""Steps on the sample, at most."""
LITTLE, LAST = 0.01, 2
"""Share of its fall in the last so many steps by which the loss of the sample need not fall on."""
LIFT = 1e-3
"""Share of the counts of a channel that each spectrum is given at least to begin with."""
INSIDE = 0.1
"""Share of a row of the spectra that a step leaves at least, where data are counts."""
KNOWN = 0.5
"""Share of the curvature of all data from which on the sample knows it."""
FARTHEST = 4.0
"""Times that an entry of a spectrum grows at most by what the sample lacks."""

Parts = list[tuple[float, Surrogate]]


class SampleStep:
    """The sample with its pixels weighted, at the shared factors where all data were read.

    Args:
        model: with all its rows.
        problem: without pixels, lagged pieces held.
        sample: the pixels.
        penalties: (weight, term) of the shared factors.
        values: of all factors, where all data were read.
        norms: of factors over pixels that have unit columns.
    """

    def __init__(
        self,
        model: Model,
        problem: Problem,
        sample: Sample,
        penalties: Parts,
        values: Mapping[str, Tensor],
        norms: ColumnNorms,
    ) -> None:
        self.model, self.problem, self.sample = model, problem, sample
        self.penalties, self.values, self.names = penalties, values, problem.names
        self.norms = norms
        self.objective = problem.on(sample.datasets)
        self.here: Values = {}
        for name, value in values.items():
            rows = sample.rows[self.names[name]] if name in self.names else slice(None)
            self.here[name] = value[rows].to(self.objective.like)[None]
        weights = {name: self._weights(name) for name in norms.gauges}
        with_norms(self.objective.model, weights, {n: v[0] for n, v in self.here.items()})
        self.shared = [name for name in values if name not in self.names]
        self.fits = self._weighted_fits()
        self.standouts: Standouts | None = None

    def step(self, sums: Sums, watch: Watch) -> tuple[dict[str, Tensor], float]:
        """(shared factors, by how much the loss is to fall), given the sums over all data."""
        counts = any(fit.entrywise is not SQUARE for _, fit in self.fits)
        objective, outcome = self._by_correction(sums, watch)
        found = objective.values(outcome.flat)
        new = in_place(self.model, {n: found[n][0].to(self.values[n]) for n in self.shared})
        if self.standouts is not None:
            new |= self.standouts.column_of(new, self.model)
        if counts:
            new = {n: self._inside(n, v, self.values[n]) for n, v in new.items()}
        return new, float(outcome.history[0][0].sum() - outcome.loss[0])

    # ---- what the sample lacks -------------------------------------------------------------------

    def _by_correction(self, sums: Sums, watch: Watch) -> tuple[Objective, Outcome]:
        """As a term of the loss; all factors move at once."""
        mine = slopes(Objective(self.objective.model, Loss(self.fits)), self.here, self.shared)
        off = {n: torch.as_tensor(sums.gradient[n]).to(g) - g[0] for n, g in mine.gradient.items()}
        lacking = {n: self._lacking(n, sums, mine)[0] for n in mine.counts}
        point = {n: self.here[n][0] for n in self.shared}
        beside = Correction(off, lacking, point, self._scale())
        terms = [*self.fits, (1.0, beside), *self.penalties, *self._row_penalties()]
        objective = Objective(self.objective.model, Loss(terms))
        objective.still = self._still(objective)
        solver = GaussNewton(damping=1e-4, tolerance=1e-10, window=2, max_steps=STEPS)
        enough = _Enough()
        if not lacking:
            watch.report = enough
        outcome = solver.minimise(objective, objective.raws(self.here), watch, STEPS)
        if watch.stopped and not enough.said:
            raise KeyboardInterrupt
        return objective, outcome

    def _lacking(self, name: str, sums: Sums, mine: Slopes) -> tuple[Tensor, Tensor, Tensor]:
        """What the sample lacks of all counts at a factor: counts, slope, and 1 where it is known.

        Counts as they are to be said, a (S/S₀ − 1 − ln S/S₀): they bend as all data do. Where the
        sample does not know the curvature they lead no farther than `FARTHEST`, and what all data
        have is the most; 1: it is known.
        """
        S = self.here[name][0]
        pairs = ((sums.counts, mine.counts), (sums.bends, mine.bends))
        counts, bend = (
            (torch.as_tensor(of_all[name]).to(S) - own[name][0]).clamp_min(0)
            for of_all, own in pairs
        )
        slope = torch.as_tensor(sums.gradient[name]).to(S) - mine.gradient[name][0]
        known = mine.bends[name][0] > KNOWN * torch.as_tensor(sums.bends[name]).to(S)
        bend = bend * S.square()
        held = torch.maximum(bend, -slope * S / (1 - 1 / FARTHEST)).minimum(counts.maximum(bend))
        return torch.where(known, bend, held), slope, known.to(S)

    def _still(self, objective: Objective) -> Tensor | None:
        """Entries of spectra that are those of pixels that stand out."""
        if self.standouts is None:
            return None
        still = torch.zeros(objective.size, dtype=torch.bool, device=objective.like.device)
        for slot in objective.slots:
            if slot.name in self.standouts.names:
                still[slot.part].view(slot.shape)[:, self.standouts.column] = True
        return still

    def _scale(self) -> dict[str, Tensor]:
        """How the fits bend as columns of the shared factors are stretched, (K,) each."""
        objective = Objective(self.objective.model, Loss(self.fits))
        bends, made = FitCurvature(objective, self.here, objective.no_states()), {}
        for name in self.shared:
            value = self.here[name]
            if value.ndim == 3:
                made[name] = (value * bends({name: value}, [name])[name])[0].sum(0).clamp_min(0)
        return made

    # ---- pieces ----------------------------------------------------------------------------------

    def _weights(self, name: str) -> Tensor:
        return self.sample.weights[self.names[name]].to(self.objective.like)

    def _place(self, i: int) -> int:
        """Of a term of the loss among its fits."""
        return [place for place, _, _ in self.objective.loss.fits].index(i)

    def _weighted_fits(self) -> list[tuple[float, Fit]]:
        """The fits, every pixel for as many as it stands for."""
        terms = []
        with torch.no_grad(), self.objective.model.once():
            for _, w, fit in self.objective.loss.fits:
                form = fit.pair(self.objective.model)[0]
                weights = self.sample.weights[self.problem.scans[fit.dataset.name]]
                terms.append((w, fit._reading(_times_rows(form, weights))))
        return terms

    def _row_penalties(self) -> Parts:
        """Of factors over pixels, every row for as many as it stands for."""
        made: Parts = []
        for w, term in self.problem.loss.terms:
            if isinstance(term, HeldPenalty) and not isinstance(term.term, ColumnSquares):
                scan: Axes = self.names[term.names[0]]
                weights = self.sample.weights[scan]
                groups = [(float(v), (weights == v).nonzero()[:, 0]) for v in torch.unique(weights)]
                made.append((w, HeldPenalty(term.term, term.state, groups, term.names)))
        return made

    def _inside(self, name: str, new: Tensor, old: Tensor) -> Tensor:
        """New rows that are more than next to nothing where they were: a likelihood ends there."""
        if self.model.factor(name).lower != 0 or new.ndim != 2:
            return new
        vanish = new.sum(1, keepdim=True) < INSIDE * old.sum(1, keepdim=True)
        return torch.where(vanish, torch.maximum(new, INSIDE * old), new)

    def lifted(self, channels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Spectra of counts, a little above zero where a channel has some: none is impossible.

        Args:
            channels: Σ x of every channel of all data, by the names of the data sets.
        """
        lifted = {}
        with torch.no_grad():
            _, places = self.objective.closed(self.here)
        for i, *_, sides in places:
            fit = self.fits[self._place(i)][1]
            left, right = (*sides, None)[:2]
            if left is None or right is None or left not in self.names:
                continue
            if fit.entrywise is SQUARE:
                continue
            amounts = self._weights(left) @ self.here[left][0]
            share = channels[fit.dataset.name].to(amounts)[:, None] / amounts.clamp_min(1e-300)
            floor = LIFT * share / len(amounts)
            lifted[right] = torch.maximum(self.values[right], floor.to(self.values[right]))
        return lifted


class _Enough:
    """Says when steps bring little of what those before have brought.

    What is farther away is not worth it: all data know better after the next pass.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.said = False

    def __call__(self, step: int, losses: Tensor) -> bool:
        self.losses.append(float(losses[0]))
        if len(self.losses) <= LAST:
            return False
        fell = self.losses[-1 - LAST] - self.losses[-1]
        self.said = fell <= LITTLE * (self.losses[0] - self.losses[-1])
        return self.said


def _times_rows(form: Form, weights: Tensor) -> Form:
    """The same data, their rows weighted; of segments each has them."""
    made, own = copy(form), form.weights
    rows = weights.to(form.device, form.dtype).repeat(form.shape[0] // len(weights))
    made.weights = own * Weights(rows=rows)
    made._norm2 = made._sums = made._entries = None
    return made
