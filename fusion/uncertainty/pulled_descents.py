"""Descents under pulls, and all answers that they found within the noise."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.engine.variables import Values
from fusion.solvers import GaussNewton, Watch
from fusion.solvers.track import Outcome
from fusion.uncertainty.mixing_pull import MixingPull
from fusion.uncertainty.standard_errors import FittedPoint

SETTLED = 1e-4
"""How far a component has mixed with another one when a round ends, to so much."""
STEPS = 8
"""Outer steps of one round."""
NEAR = (0.8, 1.02)
"""Share of the allowed loss at which a pull is not weighed any more."""
EVEN = 5e-3
"""Change of the loss that counts as none, a share of what is allowed."""
WINDOW = 3
"""Outer steps over which it is taken."""
FORCING = 0.1
"""How far the linear system of a step is solved: a proposal is near its end."""
PRODUCTS = 40
"""Curvature products within a step, at most."""


class PulledDescents:
    """A model with its loss and pulls: descents of many starts, each by pulls of its own.

    Attributes:
        term: the pulls; pull: the variable of the model that weighs them, held.
        objective: the loss, of compressed data where that is the whole, and the pulls.
        allowed: by how much the loss may rise; size: half the data's squares.
        lowest: loss that was found; start_loss: that of the fit's own answer.
        settled: which of the last descents came to their end, (start, 1).
        cost: of zeros that are kept, which is no pull's.
    """

    def __init__(
        self, point: FittedPoint, names: Sequence[str], allowed: float, size: float
    ) -> None:
        self.allowed, self.size, self.cost = allowed, size, 0.0
        self.lowest = self.start_loss = size  # for the tolerance of the first descent
        model = deepcopy(point.model)
        mixes, duals = [], {}
        for name in names:
            value = model.factor(name)().detach()
            scale = value.norm(dim=0)
            alive = [k for k in range(value.shape[1]) if float(scale[k]) > 0]
            duals[name] = torch.linalg.pinv(value)
            mixes += [(name, j, k) for k in alive for j in alive if j != k]
        self.term = MixingPull(mixes, duals)
        model.pull = nn.Parameter(point.flat.new_zeros(len(mixes)))
        with torch.no_grad():
            quick = point.loss.compressed(model)
        loss = point.loss if quick is None else quick
        self.objective = Objective(model, loss + self.term)
        self.objective.held.add("pull")
        self.pull = next(s for s in self.objective.slots if s.name == "pull")
        self.columns = [i for i, n in enumerate(self.objective.order) if n < len(loss.terms)]
        self.flats: list[Tensor] = []
        self.losses: list[Tensor] = []

    def share(self, loss: Tensor) -> Tensor:
        """By how much losses have risen, over what is allowed, (start, 1)."""
        return (loss[:, None].to(self.objective.like) - self.lowest) / self.allowed

    def descend(
        self,
        flat: Tensor,
        pull: Tensor,
        weight: Tensor,
        *,
        steps: int = STEPS,
        products: int = PRODUCTS,
    ) -> tuple[Tensor, Tensor]:
        """Down under these pulls; where that ends, and the loss there without them."""
        outcome = self._outcome(flat, pull, weight, steps, products)
        loss = outcome.terms[:, self.columns].sum(1)
        self.lowest = min(self.lowest, float(loss.min()))
        good = loss - self.cost - self.lowest <= NEAR[1] * self.allowed
        ended = [status in (Status.CONVERGED, Status.STALLED) for status in outcome.status]
        self.settled = torch.tensor(ended, device=flat.device)[:, None]
        self.flats.append(outcome.flat[good])
        self.losses.append(loss[good] - self.cost)
        return outcome.flat, loss - self.cost

    def total(self, flat: Tensor, pull: Tensor) -> Tensor:
        """The loss with these pulls."""
        total = self._outcome(flat, pull, flat.new_full((1, 1), self.allowed), 0, 0).loss
        return torch.nan_to_num(total, nan=torch.inf)

    def _outcome(
        self, flat: Tensor, pull: Tensor, weight: Tensor, steps: int, products: int
    ) -> Outcome:
        flat = flat.clone()
        flat[:, self.pull.part] = pull
        most, least = float(weight.max()), float(weight.min())
        tolerance = max(SETTLED * least, EVEN * self.allowed) / (abs(self.lowest) + most)
        solver = GaussNewton(
            tolerance=max(tolerance, 1e-15),
            window=WINDOW,
            damping=1e-4,
            forcing=FORCING,
            max_products=products,
        )
        return solver.minimise(self.objective, flat, Watch(), steps)

    @property
    def beaten(self) -> bool:
        """Whether a pull ended below the fit's own minimum by more than the noise."""
        return self.start_loss - self.lowest > self.allowed

    def solutions(self) -> tuple[Values, Tensor]:
        """Values of all answers within the noise, (answer, …), and by how much the loss rises."""
        flat, rises = torch.cat(self.flats), torch.cat(self.losses) - self.lowest
        good = rises <= NEAR[1] * self.allowed
        return self.objective.values(flat[good]), rises[good]
