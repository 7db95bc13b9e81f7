"""The way down: passes over all data, and between them steps of the shared factors on a sample.

Given the factors that all blocks share, S, the rows of the others are at their minimum in a pass,
which sums up the loss, F(S), and its gradient. The next S is that of the sample's loss f, whose
pixels stand for all, with the first order set right: min over S of f(S) + ⟨∇F − ∇f, S⟩. What is
still wrong shrinks at every pass by the share by which the sample's curvature is off.

References:
    Shamir, Srebro & Zhang, ICML (2014) p. 1000: approximate Newton steps of distributed data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fusion.answers.left_over import SAMPLE, LeftOver
from fusion.blocks.checks import about, penalties_over
from fusion.blocks.group_step import GroupStep
from fusion.blocks.held import HeldPenalty, held_fits, is_of_squares
from fusion.blocks.map_errors import Asked, ErrorsOfMaps, MapErrors
from fusion.blocks.norms import ColumnNorms, ColumnSquares, in_place
from fusion.blocks.on_rows import bare
from fusion.blocks.partition import Block
from fusion.blocks.passes import Passes, shared_rows
from fusion.blocks.pixel_groups import PixelGroups, SummedCounts, columns_of
from fusion.blocks.sample import Sample
from fusion.blocks.sample_step import Parts, SampleStep
from fusion.blocks.standouts import Standouts
from fusion.blocks.work import InOrder, Problem, Settled, Sums, settle
from fusion.data.dataset import Dataset
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import State
from fusion.solvers import Watch

SCATTER = 256
"""Pixels of a block that tell how what is left of it scatters, at least."""
Values = Mapping[str, Tensor]
Left = dict[str, list[tuple[Block, LeftOver]]]
"""What the fits leave of every block, by data set."""


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
class Lagged:
    """Lagged pieces: of the fits by the names of their data sets, of penalties by their places."""

    fits: dict[str, State] = field(default_factory=dict)
    beliefs: dict[int, State] = field(default_factory=dict)

    def batched(self, place: int) -> State:
        """Of a penalty, as of a batch of one start."""
        return {key: value[None] for key, value in self.beliefs.get(place, {}).items()}


@dataclass
class Point:
    """Where a fit stands.

    Attributes:
        values: of all factors, those over pixels with all their rows.
        lagged: pieces taken there.
        terms: the weighted terms there; loss: their sum.
        sums: of the pass at these values.
        grouped: counts of groups of pixels, until a step was made with them.
        errors: standard errors of the maps, where a last pass was asked for them.
    """

    values: dict[str, Tensor]
    lagged: Lagged
    terms: Tensor
    sums: Sums
    grouped: SummedCounts | None = None
    errors: Sequence[ErrorsOfMaps] = ()

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
        norms: of factors over pixels that have unit columns.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        problem: Problem,
        passes: Passes,
        totals: Mapping[str, Totals],
        sample: Sample,
        norms: ColumnNorms,
    ) -> None:
        self.model, self.loss, self.problem, self.passes = model, loss, problem, passes
        self.totals, self.sample, self.norms = totals, sample, norms
        self.names = problem.names
        self.standouts: Standouts | None = None
        """Pixels that have a component of their own."""
        self.errors: MapErrors | None = None
        """What a last pass is to tell of the errors of maps."""
        self.beliefs = Objective(model, Loss([(w, t) for _, w, t in loss.penalties] or loss.terms))

    @property
    def shared(self) -> list[str]:
        """The factors that all blocks share."""
        return [name for name in self.model.factor_modules() if name not in self.names]

    def begun(self, values: Mapping[str, Tensor], lagged: Lagged) -> Lagged:
        """Pieces of the penalties, too, before the first pass."""
        return Lagged(lagged.fits, self._refreshed(values, lagged))

    def in_place(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Shared factors as the model's constraints have them: mixtures of several may not be."""
        return in_place(self.model, shared)

    def lifted(self, values: Mapping[str, Tensor], lagged: Lagged) -> dict[str, Tensor]:
        """Spectra of counts a little above zero: where there are counts, none is nothing."""
        channels = {name: total.channels for name, total in self.totals.items()}
        return self.in_place(self.on_sample(values, lagged).lifted(channels))

    # ---- a pass ----------------------------------------------------------------------------------

    def at(self, values: Mapping[str, Tensor], lagged: Lagged) -> Point:
        """A pass at these shared factors: rows at their minimum, loss and slopes.

        Args:
            values: of all factors; those over pixels are where their rows begin, and are written
                to: each is there once.
            lagged: the pieces under which the rows are.
        """
        return self._at(values, lagged, [])

    def picking(
        self, values: Mapping[str, Tensor], lagged: Lagged
    ) -> tuple[Point, list[tuple[Block, Settled]]]:
        """The same, and the blocks in which pixels stand out."""
        some: list[tuple[Block, Settled]] = []
        return self._at(values, lagged, some, pick=True), some

    def _at(
        self,
        values: Mapping[str, Tensor],
        lagged: Lagged,
        some: list[tuple[Block, Settled]],
        *,
        pick: bool = False,
    ) -> Point:
        total, values, grouped = InOrder(), dict(values), self._grouped(values, lagged)
        groups = None if grouped is None else grouped.groups
        task = partial(settle_each, pick=pick, groups=groups)
        for block, (made,) in self._pass([(values, lagged)], task):
            self._write(values, block, made)
            total.add(block.number, made.sums)
            if grouped is not None:
                grouped.add(made.grouped)
            if made.picked is not None and len(made.picked.rows):
                made.rows, made.grouped = {}, {}  # used already: of all blocks they would be large
                some.append((block, made))
        return replace(self._point(values, total.total, lagged), grouped=grouped)

    def _grouped(self, values: Mapping[str, Tensor], lagged: Lagged) -> SummedCounts | None:
        """Groups of pixels around those of the sample, where steps are made on their counts."""
        if len(self.names) != 1 or self.norms.gauges:
            return None
        step = self.on_sample(values, lagged)
        name = next(iter(self.names))
        columns = columns_of(step.objective, step.here, name)
        if columns is None:
            return None
        spectra = {n: values[S] for n, S in columns.items()}
        groups = PixelGroups.of(name, step.here[name][0], spectra)
        return SummedCounts(groups, columns, self.loss.datasets)

    def ends(self, points: Sequence[tuple[Values, Lagged]]) -> list[tuple[Point, Left]]:
        """A last pass: the rows, and what the fits leave, by data set and block.

        Args:
            points: (values, lagged pieces) of each; blocks are read once for all.
        """
        first, *others = (each for each, _ in points)
        values = [dict(first), *map(self._own_rows, others)]
        totals, lefts = [InOrder() for _ in points], [{} for _ in points]
        pairs = [(v, lagged) for v, (_, lagged) in zip(values, points, strict=True)]
        errors = [self.errors.at(v, lag.fits) if self.errors else [] for v, lag in pairs]
        asked = [[each.asked for each in some] for some in errors]
        task = partial(settle_each, left=self._scatter(), asked=asked)
        for block, made in self._pass(pairs, task):
            for i, settled in enumerate(made):
                self._write(values[i], block, settled)
                totals[i].add(block.number, settled.sums)
                for name, part in settled.left.items():
                    lefts[i].setdefault(name, []).append((block, part))
                for each, found in zip(errors[i], settled.errors, strict=True):
                    if found is not None:
                        each.add(block.number, block.rows[each.scan], found)
        lagged = [each for _, each in points]
        made = list(map(self._point, values, [each.total for each in totals], lagged))
        for point, some in zip(made, errors, strict=True):
            point.errors = some
            for each in some:
                each.settled(point.values)
        return list(zip(made, lefts, strict=True))

    def _scatter(self) -> int:
        """Pixels of a block that tell how what is left scatters: of all blocks together enough."""
        return max(SAMPLE // len(self.passes.blocks), SCATTER)

    def _own_rows(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Values whose rows may be written to beside those of another point."""
        return {n: v.clone() if n in self.names else v for n, v in values.items()}

    def _pass(self, points: Sequence[tuple[Values, Lagged]], task: Any) -> Iterator[Any]:
        problems = [self.under(values, lagged) for values, lagged in points]
        shared = [{n: values[n] for n in self.shared} for values, _ in points]

        def own(block: Block) -> tuple[list[dict[str, Tensor]]]:
            return ([shared_rows(values, block, self.names) for values, _ in points],)

        yield from self.passes.run(task, (problems, shared), own)

    def _write(self, values: Mapping[str, Tensor], block: Block, made: Settled) -> None:
        for name, scan in self.names.items():
            if scan in block.boxes:
                part = block.part_of(values[name], scan)
                part.copy_(torch.as_tensor(made.rows[name]).view(part.shape))

    # ---- what blocks minimise --------------------------------------------------------------------

    def under(self, values: Mapping[str, Tensor], lagged: Lagged) -> Problem:
        """The problem of a block: lagged pieces held, norms free."""
        fits = [(w, bare(fit)) for w, fit in held_fits(self.loss, lagged.fits)]
        return replace(self.problem, loss=Loss([*fits, *self._beliefs_of_rows(values, lagged)]))

    def _beliefs_of_rows(self, values: Mapping[str, Tensor], lagged: Lagged) -> Parts:
        held: Parts = []
        for i, w, term in penalties_over(self.loss, self.names):
            state = lagged.beliefs.get(i, {})
            held.append((w, HeldPenalty(term, state, (), [str(about(term))])))
        if not self.norms.gauges:
            return held
        for name, mu in self.norms.multipliers(values, self._slopes(values, lagged)).items():
            if bool(mu.any()):
                held.append((1.0, HeldPenalty(ColumnSquares(name, mu), {}, (), [name])))
        return held

    def _slopes(self, values: Mapping[str, Tensor], lagged: Lagged) -> dict[str, Tensor]:
        """Of the penalties by the values."""
        if not self.loss.penalties:
            return {}
        states = [lagged.batched(i) for i, _, _ in self.loss.penalties]
        with torch.enable_grad():
            leaves = {n: v[None].detach().requires_grad_() for n, v in values.items()}
            total = self.beliefs.penalties(leaves, states).sum()
            made = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        return {n: g[0] for n, g in zip(leaves, made, strict=True) if g is not None}

    # ---- the point after a pass ------------------------------------------------------------------

    def _point(self, values: dict[str, Tensor], sums: Sums, before: Lagged) -> Point:
        if self.norms.gauges:
            sums = self._rescaled(values, sums)
        states, terms = {}, []
        for _, weight, fit in self.loss.fits:
            name = fit.dataset.name
            total: Any = self.totals[name]  # what a fit of squares asks of a form
            amount = torch.tensor(sums.fits[name], dtype=torch.float64)
            if is_of_squares(fit):
                half = amount + 0.5 * total.norm2()
                state = fit.refresh_of_squares(half, total, {}) if fit.lagged else {}
                amount, states[name] = fit.value_of_squares(half, total, state), state
            terms.append(weight * amount)
        lagged = Lagged(states, self._refreshed(values, before))
        terms += self._belief_terms(values, lagged)
        return Point(values, lagged, torch.stack([t.double() for t in terms]), sums)

    def _rescaled(self, values: dict[str, Tensor], sums: Sums) -> Sums:
        """Unit columns where they belong; slopes by what took up their norms follow."""
        before = {n: values[n] for n in self.shared}
        values.update(self.norms.rescaled(values))
        ratio = {}
        for name, old in before.items():
            a, b = (torch.linalg.vector_norm(x, dim=0) for x in (old, values[name]))
            ratio[name] = torch.where(b > 0, a / torch.where(b > 0, b, 1), 1).cpu().numpy()
        return sums.rescaled(ratio)

    def _refreshed(self, values: Mapping[str, Tensor], before: Lagged) -> dict[int, State]:
        """Lagged pieces of the penalties at these values."""
        if not any(term.lagged for _, _, term in self.loss.penalties):
            return {}
        states = [before.batched(i) for i, _, _ in self.loss.penalties]
        batched = {n: v[None] for n, v in values.items()}
        made = self.beliefs.refresh_penalties(batched, states, {})
        return {
            i: {k: v[0] for k, v in state.items()}
            for (i, _, _), state in zip(self.loss.penalties, made, strict=True)
        }

    def _belief_terms(self, values: Mapping[str, Tensor], lagged: Lagged) -> list[Tensor]:
        if not self.loss.penalties:
            return []
        states = [lagged.batched(i) for i, _, _ in self.loss.penalties]
        with torch.no_grad():
            return list(self.beliefs.penalties({n: v[None] for n, v in values.items()}, states)[0])

    def step(self, point: Point) -> tuple[dict[str, Tensor], float]:
        """(shared factors, by how much the loss is to fall) of a step from a point."""
        if point.grouped is None:
            return self.on_sample(point.values, point.lagged).step(point.sums, Watch())
        grouped, point.grouped = point.grouped, None
        shared = {n: point.values[n] for n in self.shared}
        problem = self.under(point.values, point.lagged)
        step = GroupStep(self.model, problem, self._penalties(), shared, grouped)
        return step.step(point.sums, Watch())

    def _penalties(self) -> Parts:
        """Of the shared factors."""
        over = {i for i, _, _ in penalties_over(self.loss, self.names)}
        return [(w, t) for i, w, t in self.loss.penalties if i not in over]

    def on_sample(self, values: Mapping[str, Tensor], lagged: Lagged) -> SampleStep:
        """The sample, where a step is made from these values."""
        problem, rest = self.under(values, lagged), self._penalties()
        step = SampleStep(self.model, problem, self.sample, rest, values, self.norms)
        step.standouts = self.standouts
        return step


def settle_each(
    problems: Sequence[Problem],
    shared: Sequence[Values],
    datasets: Mapping[str, Dataset],
    rows: Sequence[Values],
    *,
    left: int = 0,
    pick: bool = False,
    groups: PixelGroups | None = None,
    asked: Sequence[Sequence[Asked]] = (),
) -> list[Settled]:
    """`settle` at several points, of a block that is read once.

    Args:
        asked: of the errors of maps, for every point.
    """
    points = zip(problems, shared, rows, strict=True)
    options = {"left": left, "pick": pick, "groups": groups}
    made = [settle(p, s, datasets, r, **options) for p, s, r in points]
    for settled, some in zip(made, asked, strict=False):
        settled.errors = [each.of(datasets, settled.rows, settled.left) for each in some]
    return made
