"""What every `Term` keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.testing import assert_close

from fusion.engine.curvature import Curvature, states_at
from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.engine.variables import States, Values
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State, Term
from fusion.testing.random_tensors import STARTS, normal


class TermContract(ABC):
    """What every `Term` keeps to. The term under test is the last of the loss that `make` gives."""

    interchangeable: bool = True
    """Whether it treats all components alike."""

    @abstractmethod
    def make(self) -> tuple[Model, Loss | Term]:
        """A small model with generic values, float64, and the term; or a loss that ends with it."""

    def objective(self, dtype: torch.dtype = torch.float64) -> Objective:
        """Model and loss as the engine sees them."""
        model, loss = self.make()
        return Objective(model.to(dtype), loss if isinstance(loss, Loss) else 1.0 * loss)

    def parts(self, dtype: torch.dtype = torch.float64) -> tuple[Model, Surrogate, State]:
        """The model, the term and its lagged pieces there."""
        objective = self.objective(dtype)
        term = objective.loss.surrogates[-1][1]
        return objective.model, term, states_at(objective)[-1]

    def test_check_accepts_the_model(self) -> None:
        model, loss = self.make()
        loss.check(model)

    def test_value_is_one_finite_number(self) -> None:
        model, term, state = self.parts()
        value = term.value(model, state)
        assert value.shape == (), f"{term}: a value of shape {tuple(value.shape)}"
        assert bool(torch.isfinite(value)), f"{term}: {value}"

    def test_gradient_equals_finite_differences_with_lagged_pieces_held(self) -> None:
        model, term, state = self.parts()
        leaves = {k: v.detach().requires_grad_() for k, v in model.factors.items()}

        def value(*tensors: Tensor) -> Tensor:
            with model.once(dict(zip(leaves, tensors, strict=True))):
                return term.value(model, state)

        assert gradcheck(value, tuple(leaves.values()), atol=1e-5, rtol=1e-4)

    def test_precision_and_device_are_those_of_the_factors(self) -> None:
        model, term, state = self.parts()
        exact = float(term.value(model, state).detach())
        for dtype in (torch.float32, torch.float64):
            model, term, state = self.parts(dtype)
            value = term.value(model, state)
            assert value.device == next(model.parameters()).device
            assert_close(float(value.detach()), exact, rtol=1e-4, atol=1e-4)
            value.backward()
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            assert gradients, f"{term}: no gradient reaches the factors"
            assert all(g.dtype == dtype and bool(torch.isfinite(g).all()) for g in gradients)

    def test_order_of_components_does_not_matter(self) -> None:
        if not self.interchangeable:
            return
        model, loss = self.make()
        modules = {name: m for name, m in model.factor_modules().items() if len(m.shape) == 2}
        ranks = {m.shape[-1] for m in modules.values()}
        assert len(ranks) == 1, f"ranks {ranks}: give a model of one, or interchangeable = False"
        order = list(range(ranks.pop()))
        turned = model.select(list(modules), [*order[1:], order[0]])
        assert_close(loss(turned), loss(model), rtol=1e-10, atol=1e-10)

    def test_curvature_is_positive_semidefinite(self) -> None:
        objective = self.objective()
        values = objective.values(objective.current())
        states = states_at(objective, batched=True)
        term = objective.loss.surrogates[-1][1]
        with torch.enable_grad():
            leaves = {k: v.detach().requires_grad_() for k, v in values.items()}
            alone = Objective(objective.model, Loss([(1.0, term)]))
            curvatures = (alone.fit_curvature, alone.penalty_curvature)
            hessian = Hessian(torch.cat([c(leaves, states[-1:]) for c in curvatures], 1), leaves)
        for seed in range(5):
            v = {k: normal(*x.shape, seed=seed + 31 * i) for i, (k, x) in enumerate(leaves.items())}
            Hv = hessian(v)
            bend = sum(float((v[k] * Hv[k]).sum()) for k in v)
            size = sum(float((v[k] * Hv[k]).abs().sum()) for k in v)
            assert bend >= -1e-10 * size, f"{term}: vᵀHv = {bend}"

    def test_starts_together_equal_starts_one_by_one(self) -> None:
        objective, flat = self._starts()
        values, states = objective.values(flat), states_at(objective, batched=True)
        held = [{k: v.expand(STARTS, *v.shape[1:]) for k, v in s.items()} for s in states]
        together = torch.cat([objective.fits(values, held), objective.penalties(values, held)], 1)
        terms = objective.loss.surrogates
        each = [(i, terms[i][0], terms[i][1].value) for i in objective.order]
        one_by_one = torch.cat(
            [objective.each(each, objective.values(flat[s : s + 1]), states) for s in range(STARTS)]
        )
        assert_close(together, one_by_one, rtol=1e-10, atol=1e-10)

    def test_lagged_pieces_together_equal_those_one_by_one(self) -> None:
        objective, flat = self._starts()
        states = objective.no_states()
        for _ in range(2):  # the first pieces, and those after these
            before, values = states, objective.values(flat)
            states = self._refreshed(objective, values, before)
            for s in range(STARTS):
                here = {name: value[s : s + 1] for name, value in values.items()}
                own = [{k: v[s : s + 1] for k, v in state.items()} for state in before]
                for many, one in zip(states, self._refreshed(objective, here, own), strict=True):
                    assert many.keys() == one.keys()
                    for key in many:
                        assert_close(many[key][s : s + 1], one[key], rtol=1e-9, atol=1e-10)
            flat = flat + 0.01

    def _starts(self) -> tuple[Objective, Tensor]:
        """The objective, and some points near the model's own, (start, n)."""
        objective = self.objective()
        here = objective.current()
        return objective, torch.cat([here * (1 + 0.1 * s) + 0.05 * s for s in range(STARTS)])

    @staticmethod
    def _refreshed(objective: Objective, values: Values, states: States) -> States:
        """The lagged pieces of all terms taken anew."""
        with torch.no_grad():
            states = objective.refresh_fits(values, states)
        told = Curvature.fit_information(objective, values, states) if objective.wanted else {}
        if len(next(iter(values.values()))) == 1:  # as a term has it for one start
            made, pairs = list(states), {n: (i.gradient, i.curvature) for n, i in told.items()}
            for i, _, term in objective.loss.penalties:
                if term.lagged:
                    with torch.no_grad():
                        made[i] = objective.refreshed(term, values, states[i], pairs)
            return made
        return objective.refresh_penalties(values, states, told)

    def test_formula_is_plain_text_and_latex(self) -> None:
        term = self.parts()[1]
        text, latex = term.formula()
        assert text
        assert latex
        assert latex.count("{") == latex.count("}"), latex
