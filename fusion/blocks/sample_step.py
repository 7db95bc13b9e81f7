"""A step of the shared factors on the sample, its first order that of all data."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy

import torch
from torch import Tensor, nn

from fusion.algebra.axis import Axes
from fusion.blocks.checks import about
from fusion.blocks.held import Correction, HeldPenalty
from fusion.blocks.norms import ColumnNorms, ColumnSquares, in_place, with_norms
from fusion.blocks.sample import Sample
from fusion.blocks.slopes import Slopes, slopes
from fusion.blocks.standouts import Standouts
from fusion.blocks.work import Problem, Sums
from fusion.constraints import Fixed
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.forms.sparse import Sparse
from fusion.forms.weights import Weights
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.likelihood.entry_losses import SQUARE
from fusion.solvers import GaussNewton, Outcome, RowNewton, Watch

STEPS = 100
"""Steps on the sample, at most."""
LITTLE, LAST = 0.03, 2
"""Share of its fall in the last so many steps by which the loss of the sample need not fall on."""
LIFT = 1e-3
"""Share of the counts of a channel that each spectrum is given at least to begin with."""
INSIDE = 0.1
"""Share of a row of the spectra that a step leaves at least, where data are counts."""
MOST = 0.99
"""Share of all that the sample stands for, where what it lacks is said by further pixels."""
KNOWN = 0.5
"""Share of the curvature of all data from which on the sample knows it."""
FARTHEST = 4.0
"""Times that an entry of a spectrum grows at most by what the sample lacks."""
COUNT = 0.02
"""Counts that a further pixel has in a channel at least: what is less is next to nothing."""

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
        self.stuck: dict[str, Tensor] = {}
        """Entries that the sample cannot say how far to raise."""

    def step(self, sums: Sums, watch: Watch) -> tuple[dict[str, Tensor], float]:
        """(shared factors, by how much the loss is to fall), given the sums over all data."""
        counts = any(fit.entrywise is not SQUARE for _, fit in self.fits)
        made = self._by_further_pixels(sums, watch) if counts else None
        if made is None:
            made = self._by_correction(sums, watch)
        objective, outcome = made
        found = objective.values(outcome.flat)
        new = in_place(self.model, {n: found[n][0].to(self.values[n]) for n in self.shared})
        if self.standouts is not None:
            new |= self.standouts.column_of(new, self.model)
        if counts:
            new = {n: self._inside(n, v, self.values[n]) for n, v in new.items()}
            new = {n: self._raised(n, v, sums) for n, v in new.items()}
        return new, float(outcome.history[0][0].sum() - outcome.loss[0])

    # ---- two ways to say what the sample lacks ---------------------------------------------------

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

    def _by_further_pixels(self, sums: Sums, watch: Watch) -> tuple[Objective, Outcome] | None:
        """As counts of further pixels, one a component, where rows are solved by turns.

        Pixel k holds β_k of component k alone and the counts a: β S − a ln S is how all data that
        the sample lacks pull at S, to first order and beyond; what is left is linear in S. The
        weights of the sample are set so that its amounts are a share of those of all pixels: it has
        to lack something of each, or nothing holds what is linear.
        """
        if len(self.names) != 1 or self._row_penalties():
            return None
        name = next(iter(self.names))
        here, amounts = self.here[name][0], self.values[name].sum(0).to(self.here[name])
        weights = _calibrated(self._weights(name), here, MOST * amounts)
        seen = weights @ here
        weights = weights * min(1.0, MOST * float((amounts / seen.clamp_min(1e-300)).min()))
        beta = (amounts - weights @ here).clamp_min(torch.finfo(here.dtype).tiny ** 0.5)
        with torch.no_grad(), self.objective.model.once():
            pairs = [
                (w, f, f.pair(self.objective.model)[0]) for _, w, f in self.objective.loss.fits
            ]
        own = [(w, f._reading(_times_rows(form, weights))) for w, f, form in pairs]
        with torch.no_grad():
            _, places = self.objective.closed(self.here)
        mine = slopes(Objective(self.objective.model, Loss(own)), self.here, self.shared)
        fits, linear = [], {}
        for i, _, _, sides in places:
            weight, fit = own[self._place(i)]
            form = fit.instead
            if fit.entrywise is SQUARE or sides[0] != name or len(sides) != 2 or not sides[1]:
                return None
            if form.weights.cols is not None or form.weights.full is not None:
                return None
            S, other = self.here[sides[1]][0], sides[1]
            a, slope, known = (x / weight for x in self._lacking(other, sums, mine))
            known = known > 0
            a = torch.where((a >= COUNT) & (S > 0), a, 0)
            fits.append((weight, fit._reading(_with_pixels(form, a))))
            left = slope - beta + a / torch.where(S > 0, S, 1)
            least = torch.maximum(left, -beta)  # else nothing holds it
            self.stuck[other] = (a == 0) & (left < -beta) & ~known
            linear[other] = weight * torch.where((a > 0) | known, left, least)
        return self._rows_by_turns(name, beta, fits, linear, watch)

    def _rows_by_turns(
        self, name: str, beta: Tensor, fits: Parts, linear: dict[str, Tensor], watch: Watch
    ) -> tuple[Objective, Outcome] | None:
        model = self._of_free_scale(self.objective.model)
        module, K = model.factor(name), len(beta)
        n = module.shape[0]
        other = module.rows(torch.zeros(n + K, dtype=torch.long))
        known = torch.full((n + K, K), torch.nan, dtype=torch.float64)
        known[n:] = torch.diag(beta.double())
        chain = [*other.chain, Fixed(known)]
        other.constraints = nn.ModuleList(c.for_shape(other.shape) for c in chain)
        model._modules[f"_{name}"] = other.to(module.raw.device, module.raw.dtype)
        point = {n_: self.here[n_][0] for n_ in self.shared}
        terms = [*fits, (1.0, Correction(linear, {}, point)), *self.penalties]
        objective = Objective(model, Loss(terms))
        solver = RowNewton(tolerance=1e-10, window=3)
        try:
            solver.check(objective)
        except ValueError:
            return None
        start = self.here | {name: torch.cat([self.here[name][0], torch.diag(beta)])[None]}
        outcome = solver.minimise(objective, objective.raws(start), watch, STEPS)
        if watch.stopped:
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

    def _of_free_scale(self, model: Model) -> Model:
        """A copy in which columns of spectra may have any norm, as the maps take it up."""
        other = deepcopy(model)
        penalised = {about(term) for _, term in self.penalties}
        for name, module in other.factor_modules().items():
            chain = module.chain
            plain = len(chain) == 2 and chain[0].identity and chain[1].unit_norm == 2
            if plain and name not in penalised:
                module.constraints = nn.ModuleList(chain[:1])
        return other

    def _inside(self, name: str, new: Tensor, old: Tensor) -> Tensor:
        """New rows that are more than next to nothing where they were: a likelihood ends there."""
        if self.model.factor(name).lower != 0 or new.ndim != 2:
            return new
        vanish = new.sum(1, keepdim=True) < INSIDE * old.sum(1, keepdim=True)
        return torch.where(vanish, torch.maximum(new, INSIDE * old), new)

    def _raised(self, name: str, new: Tensor, sums: Sums) -> Tensor:
        """New values, stuck ones by half of a step of their own, a standard error at most."""
        if name not in self.stuck:
            return new
        slope, bend = (torch.as_tensor(x[name]).to(new) for x in (sums.gradient, sums.bends))
        bend = bend.clamp_min(torch.finfo(new.dtype).tiny ** 0.5)
        step = torch.minimum(-0.5 * slope / bend, bend.rsqrt()).clamp_min(0)
        raised = torch.maximum(new, self.values[name] + step)
        return torch.where(self.stuck[name].to(new.device), raised, new)

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


def _calibrated(weights: Tensor, amounts: Tensor, totals: Tensor) -> Tensor:
    """Weights that differ as little as possible, for which the amounts add up to these totals.

    References:
        Deville & Särndal, J. Am. Stat. Assoc. 87:376 (1992), the linear case.
    """
    gram = (amounts * weights[:, None]).T @ amounts
    gram = gram + torch.diag(1e-9 * gram.diagonal().clamp_min(1e-300))
    off = torch.linalg.solve(gram, totals - weights @ amounts)
    return weights * (1 + amounts @ off).clamp(0.2, 5)


def _with_pixels(form: Form, counts: Tensor) -> Form:
    """The counts with those of further pixels below them, counts (channel, pixel)."""
    held, own = form.entries(), form.weights
    (n, m), K = form.shape, counts.shape[1]
    more = counts.T.contiguous()
    i, j = (more > 0).nonzero(as_tuple=True)
    both = Entries(
        torch.cat([held.i.long(), i + n]),
        torch.cat([held.j.long(), j]),
        torch.cat([held.x.to(form.dtype), more[i, j].to(form.dtype)]),
        (n + K, m),
    )
    rows = own.rows if own.rows is not None else torch.ones(n, dtype=form.dtype)
    rows = torch.cat([rows, torch.ones(K, dtype=form.dtype, device=rows.device)])
    return Sparse(both, Weights(rows, own.cols), form.dtype)
