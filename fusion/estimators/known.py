"""Spectra that are known so far, against which new pixels are held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.answers.result import Result
from fusion.blocks.descent import bare
from fusion.blocks.first_look import first_problem
from fusion.blocks.held import is_of_squares
from fusion.blocks.on_rows import scans_of
from fusion.blocks.standouts import scores
from fusion.blocks.work import Problem, settle
from fusion.data.dataset import Dataset
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE
from fusion.losses import Frobenius

Array = NDArray[Any]
Likelihood = Callable[[Dataset], Fit]
FEW = 32
"""Pixels, about, up to which a component is one of a few: (Σ c³)² / Σ c⁶."""


@dataclass
class Known:
    """Spectra that are known.

    Attributes:
        problem: model and fit without rows, the noise as it was found; shared: the spectra.
        likelihood: makes the fit of a data set; company: rows beside which others are held.
    """

    problem: Problem
    shared: dict[str, Tensor]
    likelihood: Likelihood
    company: Array

    @classmethod
    def of(cls, found: Result, likelihood: Likelihood, company: Array) -> Known:
        """What a fit has found."""
        model, loss = fitted(found)
        fits = Loss([(w, term) for _, w, term in loss.fits])
        problem = first_problem(model, fits, scans_of(model, fits))
        noises = _noises(fits, model)
        held = Loss([(w / v, bare(fit)) for (w, fit), v in zip(_plain(fits), noises, strict=True)])
        shared = {n: v.detach() for n, v in model.factors.items() if n not in problem.names}
        return cls(replace(problem, loss=held), shared, likelihood, company)

    def met(self, rows: Array) -> tuple[Objective, Values]:
        """Rows under the spectra, their amounts found."""
        data = self.likelihood(Dataset("data", rows)).dataset
        found = settle(self.problem, self.shared, {"data": data}, {}).rows
        objective = self.problem.on({"data": data})
        values = self.shared | {n: torch.from_numpy(v) for n, v in found.items()}
        return objective, {n: v.to(objective.like)[None] for n, v in values.items()}

    def scores(self, rows: Array) -> Tensor:
        """By how much rows stand out of the company and of each other, (row,)."""
        here = np.concatenate([self.company, rows])
        return scores(*self.met(here))[len(self.company) :]


def fitted(found: Result) -> tuple[Model, Loss]:
    """(model, loss) of a fit, where batches are."""
    assert found.model is not None
    assert found.minimised is not None
    return found.model.to("cpu"), found.minimised


def common(found: Result) -> Result:
    """A fit without its components of a few pixels, as long as others are left.

    The sample has them by chance, and may have lost them when it is learned from again: they are
    to stand out.
    """
    model, _ = fitted(found)
    cubes = model.factor("C")().detach() ** 3
    spread = cubes.sum(0).square() / cubes.square().sum(0).clamp_min(1e-300)
    common = (spread > FEW).nonzero()[:, 0].tolist()
    if not 0 < len(common) < len(spread):
        return found
    return replace(found, model=model.select(["C", "S"], common))


def of_known_noise(loss: Loss) -> bool:
    """Whether the noise of the sample has an edge that is known: of squares, and of counts."""
    return all(fit.entrywise is SQUARE or fit.noise == "poisson" for _, _, fit in loss.fits)


def _plain(loss: Loss) -> list[tuple[float, Fit]]:
    """The fits, those of squares as these alone."""
    fits = [(1.0, fit) for _, _, fit in loss.fits]
    return [(w, Frobenius(fit.dataset) if is_of_squares(fit) else fit) for w, fit in fits]


def _noises(loss: Loss, model: Model) -> list[float]:
    """Variances of squares, as the fit leaves them beside its unknowns; 1 for others."""
    made = []
    with torch.no_grad(), model.once():
        for _, _, fit in loss.fits:
            made.append(1.0)
            if fit.entrywise is SQUARE:
                form, M = fit.pair(model)
                K, (n, m) = M.two_way()[0].shape[1], form.shape
                free = form.count() * max(1 - K / n, 1 / n) * max(1 - K / m, 1 / m)
                made[-1] = float(2 * fit.half_squares(model) / free) or 1.0
    return made
