"""What every solver keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from fusion.constraints import Constraint, Fixed, NonNegative
from fusion.data.dataset import Dataset
from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.language.factor import Factor
from fusion.language.loss import Loss
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.solvers.base import Solver
from fusion.solvers.track import Outcome
from fusion.solvers.watch import Watch
from fusion.testing.random_tensors import uniform

STEPS = 20


class SolverContract(ABC):
    """What every `Solver` keeps to, on a small matrix of rank 2, three starts at once."""

    @abstractmethod
    def make(self) -> Solver:
        """The solver."""

    def objective(self, *constraints: Constraint) -> Objective:
        """A factorisation of a positive matrix (10, 8), the spectra under these constraints."""
        data = Dataset("data", uniform(10, 2) @ uniform(2, 8, seed=1))
        model = NMF(data, 2)
        if constraints:
            model.S = Factor((data.channels, 2), *constraints)
        return Objective(model, Loss([(1.0, Frobenius(data))]))

    def starts(self, objective: Objective) -> Tensor:
        """(start, n)."""
        flat = torch.cat([uniform(1, objective.size, seed=s) for s in range(3)])
        return objective.retract(flat)

    def run(self, objective: Objective, watch: Watch | None = None, steps: int = STEPS) -> Outcome:
        """So many steps from all starts."""
        watch = watch or Watch()
        return self.make().minimise(objective, self.starts(objective), watch, steps)

    def losses(self, objective: Objective, flat: Tensor) -> Tensor:
        """(start,)."""
        return objective.fits(objective.values(flat), objective.no_states()).sum(1)

    def test_every_start_goes_down_and_keeps_its_best_point(self) -> None:
        objective = self.objective()
        outcome = self.run(objective)
        begun = self.losses(objective, self.starts(objective))
        assert bool((outcome.loss < begun).all()), f"{outcome.loss} from {begun}"
        assert torch.allclose(self.losses(objective, outcome.flat), outcome.loss, rtol=1e-6)
        assert torch.allclose(
            outcome.loss,
            torch.stack(outcome.history).sum(2).nan_to_num(nan=torch.inf).amin(0),
            rtol=1e-6,
        )

    def test_bounds_are_kept(self) -> None:
        objective = self.objective()
        values = objective.values(self.run(objective).flat)
        assert all(bool((value >= 0).all()) for value in values.values())

    def test_known_entries_stay(self) -> None:
        known = torch.full((8, 2), torch.nan, dtype=torch.float64)
        known[2, 1] = 0.25
        objective = self.objective(NonNegative(), Fixed(known))
        spectra = objective.values(self.run(objective).flat)["S"]
        assert bool((spectra[:, 2, 1] == 0.25).all())

    def test_a_start_alone_goes_where_it_goes_among_others(self) -> None:
        objective = self.objective()
        together = self.run(objective, steps=3)
        alone = self.make().minimise(objective, self.starts(objective)[1:2], Watch(), 3)
        assert torch.allclose(alone.loss, together.loss[1:2], rtol=1e-6)

    def test_no_more_steps_are_made_than_allowed(self) -> None:
        outcome = self.run(self.objective(), steps=2)
        assert len(outcome.history) <= 3, f"{len(outcome.history)} records of 2 steps"

    def test_it_stops_when_the_clock_or_the_user_says_so(self) -> None:
        late = self.run(self.objective(), Watch(deadline=0.0))
        assert len(late.history) == 1
        assert set(late.status) == {Status.MAX_SECONDS}
        asked = self.run(self.objective(), Watch(report=lambda step, loss: step >= 1))
        assert len(asked.history) == 2
        assert set(asked.status) == {Status.INTERRUPTED}
