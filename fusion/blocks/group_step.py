"""A step of the shared factors on counts of groups of pixels, its first order that of all data."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from fusion.blocks.checks import about
from fusion.blocks.norms import in_place
from fusion.blocks.pixel_groups import SummedCounts
from fusion.blocks.work import Problem, Sums, settle
from fusion.data.dataset import Dataset
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.solvers import GaussNewton, Outcome, RowNewton, Solver, Watch

STEPS = 100
"""Steps on the groups, at most."""
INSIDE = 0.1
"""Share of a row of the spectra that a step leaves at least: a likelihood ends there."""
ROUNDS = 3
"""Times that counts are calibrated: maps of the groups follow, and change the slopes a little."""
MOST, RIDGE = 2.0, 1e-6
"""Times that a count is more or less at most by calibration; share of curvature added to it."""

Parts = list[tuple[float, Surrogate]]


class GroupStep:
    """The groups at the shared factors where all data were read.

    Args:
        model: with all its rows.
        problem: without pixels, lagged pieces held.
        penalties: (weight, term) of the shared factors.
        values: of the shared factors there.
        grouped: counts of the groups, which are taken out of there.
    """

    def __init__(
        self,
        model: Model,
        problem: Problem,
        penalties: Parts,
        values: Mapping[str, Tensor],
        grouped: SummedCounts,
    ) -> None:
        self.model, self.penalties, self.values = model, penalties, dict(values)
        self.problem, self.columns, self.name = problem, grouped.columns, grouped.groups.name
        self.datasets, rows = grouped.taken()
        self._settle(rows)

    def _settle(self, rows: Tensor) -> None:
        """Rows of the groups at their minimum, and the slopes there."""
        made = settle(self.problem, self.values, self.datasets, {self.name: rows})
        self.sums, self.rows = made.sums, torch.as_tensor(made.rows[self.name])

    def step(self, sums: Sums, watch: Watch) -> tuple[dict[str, Tensor], float]:
        """(shared factors, by how much the loss is to fall), given the sums over all data."""
        for _ in range(ROUNDS):
            self.datasets = {n: self._calibrated(n, sums) for n in self.datasets}
            self._settle(self.rows)
        objective, solver = self._posed()
        here = {n: v.to(objective.like)[None] for n, v in self.values.items()}
        here[self.name] = self.rows.to(objective.like)[None]
        outcome = solver.minimise(objective, objective.raws(here), watch, STEPS)
        if watch.stopped:
            raise KeyboardInterrupt
        found = objective.values(outcome.flat)
        new = in_place(self.model, {n: found[n][0].to(v) for n, v in self.values.items()})
        new = {n: self._inside(n, v, self.values[n]) for n, v in new.items()}
        return new, self._promised(outcome)

    def _calibrated(self, name: str, sums: Sums) -> Dataset:
        """Counts of the groups, changed as little as gives them the slope of all data.

        x_g (1 − λ c_g / m_g) in every channel, Σ_g x_g c_g c_gᵀ / m_g² λ by how much the slope of
        all data is more. A straight line beside the likelihood would do the same, but maps do not
        take it up: it leads away along all that they do.
        """
        data, column = self.datasets[name], self.columns[name]
        x = data.tensor.double().reshape(len(self.rows), -1)
        C, S = self.rows.double(), self.values[column].double()
        m = (C @ S.T).clamp_min(1e-100)
        off = (sums.gradient[column] - self.sums.gradient[column]) / self.weights[name]
        H = torch.einsum("gj,gk,gl->jkl", x / m.square(), C, C)
        H = H + torch.diag_embed(RIDGE * H.diagonal(dim1=1, dim2=2) + 1e-100)
        more = torch.linalg.solve(H, torch.as_tensor(off)[..., None])[..., 0]
        share = (1 - (C @ more.T) / m).clamp(1 / MOST, MOST)
        made = data.derive((x * share).reshape(data.shape), "calibrated")
        made._checked = True
        return made

    def _promised(self, outcome: Outcome) -> float:
        return float(outcome.history[0][0].sum() - outcome.loss[0])

    def _posed(self) -> tuple[Objective, Solver]:
        """Rows by turns, where nobody asks for the norms of spectra; else all at once."""
        objective = self.problem.alone_on(self.datasets)
        loss = Loss([*objective.loss.terms, *self.penalties])
        free = not objective.loss.penalties  # else they ask for the scale of maps
        model = self._of_free_scale(objective.model) if free else objective.model
        rows = Objective(model, loss)
        solver = RowNewton(tolerance=1e-11, window=3)
        try:
            solver.check(rows)
        except ValueError:
            solver = GaussNewton(damping=1e-4, tolerance=1e-11, window=3)
            return Objective(objective.model, loss), solver
        return rows, solver

    @property
    def weights(self) -> dict[str, float]:
        """Of the fits in the loss, by data set."""
        return {fit.dataset.name: w for _, w, fit in self.problem.loss.fits}

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
        """New rows that are more than next to nothing where they were."""
        if self.model.factor(name).lower != 0 or new.ndim != 2:
            return new
        vanish = new.sum(1, keepdim=True) < INSIDE * old.sum(1, keepdim=True)
        return torch.where(vanish, torch.maximum(new, INSIDE * old), new)
