"""What every `Model` keeps to."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch.testing import assert_close

from fusion.engine.curvature import states_at
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import Term
from fusion.testing.random_tensors import STARTS


class ModelContract(ABC):
    """What every `Model` keeps to; pickling needs a class that stands in a module."""

    @abstractmethod
    def make(self) -> tuple[Model, Loss | Term]:
        """A small model with generic values, float64, and a loss that reads its predictions."""

    def objective(self) -> Objective:
        """Model and loss as the engine sees them."""
        model, loss = self.make()
        return Objective(model, loss if isinstance(loss, Loss) else 1.0 * loss)

    def test_it_fits_its_loss(self) -> None:
        objective = self.objective()
        objective.loss.check(objective.model)
        assert bool(torch.isfinite(objective.loss(objective.model)))

    def test_gradient_reaches_every_factor(self) -> None:
        objective = self.objective()
        objective.loss(objective.model).backward()
        for name, module in objective.model.factor_modules().items():
            assert module.raw.grad is not None, f"{name}: no data set sees it"
            assert bool(torch.isfinite(module.raw.grad).all()), name

    def test_starts_together_equal_starts_one_by_one(self) -> None:
        objective = self.objective()
        point = objective.current()
        flat = torch.cat([point * (1 + 0.1 * s) + 0.05 * s for s in range(STARTS)])
        states = states_at(objective, batched=True)

        def fits(flat: torch.Tensor) -> torch.Tensor:
            held = [{k: v.expand(len(flat), *v.shape[1:]) for k, v in s.items()} for s in states]
            return objective.fits(objective.values(flat), held)

        one_by_one = torch.cat([fits(flat[s : s + 1]) for s in range(STARTS)])
        assert_close(fits(flat), one_by_one, rtol=1e-10, atol=1e-10)

    def test_copies_and_pickles_predict_the_same(self) -> None:
        model, _ = self.make()
        for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
            for name, prediction in model.predict().items():
                assert_close(other.predict()[name].dense(), prediction.dense())

    def test_float32_stays_float32(self) -> None:
        model, _ = self.make()
        exact = {name: prediction.dense() for name, prediction in model.predict().items()}
        for name, prediction in model.to(torch.float32).predict().items():
            assert prediction.like.dtype == torch.float32, f"{name}: made in another precision"
            assert_close(prediction.dense().double(), exact[name], rtol=1e-4, atol=1e-4)

    def test_interchangeable_components_may_change_places(self) -> None:
        model, _ = self.make()
        if not model.interchangeable:
            return
        K = model.factor(model.interchangeable[0]).shape[-1]
        turned = model.select(model.interchangeable, [*range(1, K), 0])
        for name, prediction in model.predict().items():
            assert_close(turned.predict()[name].dense(), prediction.dense())
