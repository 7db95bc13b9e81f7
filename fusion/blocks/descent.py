"""The way down: passes over all data, and between them steps of the shared factors on a sample.

Given the factors that all blocks share, S, the rows of the others are at their minimum in a pass,
which sums up the loss, F(S), and its gradient. The next S is that of the sample's loss f, whose
pixels stand for all, with the first order set right: min over S of f(S) + ⟨∇F − ∇f, S⟩. What is
still wrong shrinks at every pass by the share by which the sample's curvature is off.

References:
    Shamir, Srebro & Zhang, ICML (2014) p. 1000: approximate Newton steps of distributed data.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.blocks.held import HeldPenalty, held_fits, is_of_squares
from fusion.blocks.partition import Block
from fusion.blocks.passes import Passes, shared_rows
from fusion.blocks.sample import Sample
from fusion.blocks.sample_step import SampleStep
from fusion.blocks.work import Problem, Settled, Sums, settle
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import State


@dataclass(frozen=True)
class Totals:
    """Of a whole data set what fits ask of a form, and Σ x of every channel."""

    size: float
    entries: int
    channels: Tensor

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.size + other.size, self.entries + other.entries, self.channels + other.channels
        )

    def norm2(self) -> Tensor:
        """Σ w x²."""
        return torch.tensor(self.size, dtype=torch.float64)

    def count(self) -> int:
        """Number of entries with weight."""
        return self.entries


@dataclass
class Point:
    """Where a fit stands.

    Attributes:
        values: of all factors, those over pixels with all their rows.
        states: lagged pieces of the fits, by the names of their data sets.
        terms: the weighted terms there; loss: their sum.
        sums: of the pass at these values.
    """

    values: dict[str, Tensor]
    states: dict[str, State]
    terms: Tensor
    sums: Sums

    @property
    def loss(self) -> float:
        """The loss of all data."""
        return float(self.terms.sum())


class Descent:
    """A model and a loss of data that are read in passes.

    Args:
        model: with all its rows.
        loss: of the whole data sets.
        problem: the same without pixels.
        passes: over the data.
        totals: of every data set.
        sample: the pixels on which steps are made.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        problem: Problem,
        passes: Passes,
        totals: Mapping[str, Totals],
        sample: Sample,
    ) -> None:
        self.model, self.loss, self.problem, self.passes = model, loss, problem, passes
        self.totals, self.sample = totals, sample
        self.names = problem.names

    # ---- a pass ----------------------------------------------------------------------------------

    def at(self, values: Mapping[str, Tensor], states: Mapping[str, State], *, rows: bool) -> Point:
        """A pass at these shared factors: rows at their minimum, loss and gradient.

        Args:
            values: of all factors; those over pixels are written to.
            states: lagged pieces under which the rows are.
            rows: whether the rows stood somewhere already.
        """
        total = Sums()
        for block, made in self._pass(values, states, rows=rows, left=False):
            self._write(values, block, made)
            total = total + made.sums
        return self._point(values, total)

    def end(self, values: Mapping[str, Tensor], states: Mapping[str, State]) -> tuple[Point, dict]:
        """A last pass: the rows, and what the fits leave, by data set in the order of its pixels."""
        total, left = Sums(), {}
        for block, made in self._pass(values, states, rows=True, left=True):
            self._write(values, block, made)
            total = total + made.sums
            for name, part in made.left.items():
                left.setdefault(name, []).append((block, part))
        return self._point(values, total), left

    def _pass(self, values, states, *, rows: bool, left: bool):
        problem = self.under(states, values)
        shared = {n: v for n, v in values.items() if n not in self.names}

        def own(block: Block) -> tuple:
            if not rows:
                return ({},)
            numbers = block.rows
            here = {n: numbers[scan] for n, scan in self.names.items() if scan in numbers}
            return (shared_rows(values, here),)

        task = settle_and_describe if left else settle
        yield from self.passes.run(task, (problem, shared), own)

    def under(self, states: Mapping[str, State], values: Mapping[str, Tensor]) -> Problem:
        """The problem of a block with the lagged pieces held."""
        made = copy(self.problem)
        terms = [(w, bare(fit)) for w, fit in held_fits(self.loss, states)]
        object.__setattr__(made, "loss", Loss([*terms, *self._row_penalties(values)]))
        return made

    def _row_penalties(self, values: Mapping[str, Tensor], groups=()) -> list:
        return [
            (w, HeldPenalty(term, {}, groups, list(self.names)))
            for _, w, term in self.loss.penalties
            if self._over_pixels(term)
        ]

    def _over_pixels(self, term) -> bool:
        return getattr(term, "factor", None) in self.names

    def _write(self, values: Mapping[str, Tensor], block: Block, made: Settled) -> None:
        rows = block.rows
        for name, scan in self.names.items():
            if scan in rows:
                values[name][rows[scan]] = torch.as_tensor(made.rows[name]).to(values[name])

    def _point(self, values: Mapping[str, Tensor], sums: Sums) -> Point:
        states, terms = {}, []
        for _, weight, fit in self.loss.fits:
            name, total = fit.dataset.name, self.totals[fit.dataset.name]
            amount = torch.tensor(sums.fits[name], dtype=torch.float64)
            if is_of_squares(fit):
                half = amount + 0.5 * total.norm2()
                state = fit.refresh_of_squares(half, total, {}) if fit.lagged else {}
                amount, states[name] = fit.value_of_squares(half, total, state), state
            terms.append(weight * amount)
        for _, weight, term in self.loss.penalties:
            terms.append(weight * self._penalty(term, values))
        return Point(dict(values), states, torch.stack([t.double() for t in terms]), sums)

    def _penalty(self, term, values: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad(), self.model.once(dict(values)):
            return term.value(self.model, {}).double().cpu()

    def on_sample(self, values: Mapping[str, Tensor], states: Mapping[str, State]) -> SampleStep:
        """The sample, where a step is made from these values."""
        shared = [(w, t) for _, w, t in self.loss.penalties if not self._over_pixels(t)]
        return SampleStep(self.model, self.under(states, values), self.sample, shared, values)


def settle_and_describe(problem, shared, datasets, rows) -> Settled:
    """`settle` with what the fits leave."""
    return settle(problem, shared, datasets, rows, left=True)


def bare(fit):
    """A fit whose data set is but its name: blocks bring their own."""
    other = copy(fit)
    other.dataset = _named(fit.dataset)
    return other


def _named(data):
    made = copy(data)
    made.__dict__.update(
        lazy=None, _tensor=torch.zeros(1, 1), entries=None, mask=None, _forms={}, tallied=None
    )
    if made.variance is not None:
        made.variance = torch.ones(())
    return made
