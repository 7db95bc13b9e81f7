"""What every way to start keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch.testing import assert_close

from fusion.data.dataset import Dataset
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.search.fit import fit
from fusion.search.initialisation import Init
from fusion.testing.random_tensors import uniform


class InitContract(ABC):
    """What every `Init` keeps to, on a small matrix of rank 3."""

    @abstractmethod
    def make(self) -> Init:
        """The way to start."""

    def objective(self) -> Objective:
        """A factorisation of a positive matrix (12, 9)."""
        data = Dataset("data", uniform(12, 3) @ uniform(3, 9, seed=1))
        return Objective(NMF(data, 3), Loss([(1.0, Frobenius(data))]))

    def test_starts_are_finite_raw_variables_within_their_bounds(self) -> None:
        objective = self.objective()
        flat = self.make().starts(objective, 4, 0)
        assert flat.ndim == 2
        assert 1 <= len(flat) <= 4, f"{len(flat)} starts where 4 were asked for"
        assert flat.shape[1] == objective.size
        assert flat.dtype == objective.like.dtype
        assert bool(torch.isfinite(flat).all())
        assert bool((flat >= objective.lower()).all())

    def test_one_seed_gives_the_same_starts(self) -> None:
        first, second = (self.make().starts(self.objective(), 3, 7) for _ in range(2))
        assert_close(first, second, rtol=1e-9, atol=1e-12)  # LAPACK rounds by where arrays lie

    def test_the_model_stays_as_it_is(self) -> None:
        objective = self.objective()
        before = objective.current()
        self.make().starts(objective, 2, 0)
        assert torch.equal(objective.current(), before)

    def test_a_fit_goes_down_from_it(self) -> None:
        objective = self.objective()
        result = fit(objective.model, objective.loss, init=self.make(), starts=2, progress=False)
        assert result.loss <= float(result.history["loss"][0])
