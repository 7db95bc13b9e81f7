"""Contracts as test suites: inherit one, say what to test, run pytest. Shipped pieces pass them.

class TestClosure(TermContract):
    def make(self):
        data = Dataset("eels", numpy.random.default_rng(0).random((4, 5, 6)))
        return NMF(data, 2), Frobenius(data) + Closure("C")
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import vmap
from torch.testing import assert_close

from fusion.algebra.prediction import CP, Expanded, Prediction, as_prediction
from fusion.constraints import Constraint
from fusion.engine.curvature import states_at
from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.forms.dense import Dense
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State, Term
from fusion.likelihood import elementwise
from fusion.likelihood.elementwise import Elementwise

STARTS = 3
"""Starts in a batch that is held against a loop."""


def generator(seed: int = 0) -> torch.Generator:
    """A seeded source of random numbers, on the CPU."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers from 0.1 to 1.1, float64."""
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64) + 0.1


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
        objective = self.objective()
        here = objective.current()
        flat = torch.cat([here * (1 + 0.1 * s) + 0.05 * s for s in range(STARTS)])

        def columns(flat: Tensor) -> Tensor:
            values = objective.values(flat)
            states = states_at(objective, batched=True)
            held = [{k: v.expand(len(flat), *v.shape[1:]) for k, v in s.items()} for s in states]
            return torch.cat([objective.fits(values, held), objective.penalties(values, held)], 1)

        together = columns(flat)
        one_by_one = torch.cat([columns(flat[s : s + 1]) for s in range(STARTS)])
        assert_close(together, one_by_one, rtol=1e-10, atol=1e-10)

    def test_formula_is_plain_text_and_latex(self) -> None:
        term = self.parts()[1]
        text, latex = term.formula()
        assert text
        assert latex
        assert latex.count("{") == latex.count("}"), latex


class ConstraintContract(ABC):
    """What every `Constraint` keeps to."""

    shape: tuple[int, ...] = (7, 3)
    """Shape of the value."""

    @abstractmethod
    def make(self) -> Constraint:
        """The constraint."""

    @abstractmethod
    def member(self, value: Tensor) -> bool:
        """Whether a value keeps to the constraint, to rounding."""

    def test_samples_are_members(self) -> None:
        for seed in range(3):
            value = self.make().sample(self.shape, generator(seed))
            assert value.shape == self.shape
            assert value.dtype == torch.float64
            assert self.member(value)

    def test_forward_of_any_raw_variable_is_a_member(self) -> None:
        constraint = self.make()
        value = constraint(normal(*constraint.raw_shape(self.shape)))
        assert value.shape == self.shape
        assert self.member(value)

    def test_forward_of_right_inverse_is_the_value(self) -> None:
        constraint = self.make()
        for seed in range(3):
            value = constraint.sample(self.shape, generator(seed))
            raw = constraint.right_inverse(value)
            assert raw.shape == constraint.raw_shape(self.shape)
            assert_close(constraint(raw), value, rtol=1e-9, atol=1e-9)

    def test_right_inverse_of_any_value_is_finite_and_above_the_bound(self) -> None:
        constraint = self.make()
        for value in (normal(*self.shape), torch.zeros(self.shape, dtype=torch.float64)):
            raw = constraint.right_inverse(value)
            assert bool(torch.isfinite(raw).all())
            assert constraint.lower is None or float(raw.min()) >= constraint.lower

    def test_gradient_equals_finite_differences(self) -> None:
        constraint = self.make()
        raw = constraint.right_inverse(constraint.sample(self.shape, generator()))
        assert gradcheck(constraint, (raw.detach().requires_grad_(),))

    def test_starts_together_equal_starts_one_by_one(self) -> None:
        constraint = self.make()
        samples = [constraint.sample(self.shape, generator(s)) for s in range(STARTS)]
        raw = vmap(constraint.right_inverse)(torch.stack(samples))
        assert_close(raw, torch.stack([constraint.right_inverse(v) for v in samples]))
        assert_close(vmap(constraint)(raw), torch.stack([constraint(r) for r in raw]))

    def test_float32_stays_float32(self) -> None:
        constraint = self.make().to(torch.float32)
        exact = constraint.sample(self.shape, generator())
        value = exact.to(torch.float32)
        raw = constraint.right_inverse(value)
        assert raw.dtype == torch.float32
        assert constraint(raw).dtype == torch.float32
        assert_close(constraint(raw), value, rtol=1e-4, atol=1e-5)

    def test_copies_and_pickles_are_equal(self) -> None:
        constraint = self.make()
        raw = normal(*constraint.raw_shape(self.shape))
        for other in (deepcopy(constraint), pickle.loads(pickle.dumps(constraint))):
            assert_close(other(raw), constraint(raw))


class PredictionContract(ABC):
    """What every structured prediction keeps to."""

    @abstractmethod
    def make(self, seed: int) -> tuple[Prediction, Tensor]:
        """A prediction with float64 tensors, and the same computed in full by other means."""

    def test_dense_and_two_way_are_the_expanded_tensor(self) -> None:
        M, expanded = self.make(0)
        assert M.shape == tuple(expanded.shape)
        assert_close(M.dense(), expanded)
        L, R = M.two_way()
        assert_close((L @ R.T).reshape(M.shape), expanded)

    def test_inner_product_is_the_expanded_one(self) -> None:
        (M, expanded), (other, other_expanded) = self.make(0), self.make(1)
        for N, full in ((other, other_expanded), (Expanded(other_expanded), other_expanded)):
            assert_close(M.inner(N), (expanded * full).sum())
            assert_close(N.inner(M), (expanded * full).sum())
        factors = [normal(n, 2, seed=i) for i, n in enumerate(M.shape)]
        if len(factors) > 1:
            rank_two = CP(*factors)
            assert_close(M.inner(rank_two), (expanded * rank_two.dense()).sum())

    def test_sums_are_the_expanded_ones(self) -> None:
        (M, a), (N, b) = self.make(0), self.make(1)
        for made, full in ((M + N, a + b), (M + b, a + b), (a + M, a + a), (M + N + M, a + b + a)):
            made = as_prediction(made)
            assert made.shape == M.shape
            assert_close(made.dense(), full)
            L, R = made.two_way()
            assert_close((L @ R.T).reshape(M.shape), full)

    def test_map_acts_on_every_tensor(self) -> None:
        M, expanded = self.make(0)
        single = M.map(lambda t: t.to(torch.float32))
        assert type(single) is type(M)
        assert single.like.dtype == torch.float32
        assert single.dense().dtype == torch.float32
        assert_close(single.dense().double(), expanded, rtol=1e-4, atol=1e-5)

    def test_inner_product_is_taken_in_float64(self) -> None:
        M, _ = self.make(0)
        assert M.map(lambda t: t.to(torch.float32)).inner(M).dtype == torch.float64


class FormContract(ABC):
    """What every form of data keeps to: ‖X‖², ⟨X, M⟩ with its gradient, sums over entries."""

    rank = 3
    losses: tuple[Elementwise, ...] = ()
    """Entry-wise losses that are held against autograd; the data must suit them."""

    @abstractmethod
    def make(self, dtype: torch.dtype) -> tuple[Dense, Tensor, Tensor]:
        """The form, and its values and weights in full, float64 (row, column)."""

    def factors(
        self, shape: tuple[int, int], dtype: torch.dtype, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """L (row, r) and R (column, r), positive."""
        L, R = (uniform(n, self.rank, seed=seed + 7 * i) for i, n in enumerate(shape))
        return L.to(dtype).requires_grad_(), R.to(dtype).requires_grad_()

    def test_norm_is_the_expanded_one_in_float64(self) -> None:
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
            form, X, W = self.make(dtype)
            assert form.norm2().dtype == torch.float64
            assert_close(form.norm2(), (W * X.square()).sum(), rtol=tolerance, atol=0)

    def test_count_is_the_number_of_entries_with_weight(self) -> None:
        form, _, W = self.make(torch.float64)
        assert form.count() == int((W > 0).sum())

    def test_inner_product_and_its_gradient_are_the_expanded_ones(self) -> None:
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            form, X, W = self.make(dtype)
            if not form.rank_one:
                return
            L, R = self.factors(form.shape, dtype)
            inner = form.inner(L, R)
            expected = (W * X * (L.double() @ R.double().T)).sum()
            assert inner.dtype == torch.float64
            assert_close(inner, expected, rtol=tolerance, atol=tolerance)
            made, wanted = (torch.autograd.grad(v, (L, R)) for v in (inner, expected))
            assert_close(made, wanted, rtol=tolerance, atol=tolerance * float(X.abs().max()))

    def test_inner_product_over_starts_equals_a_loop(self) -> None:
        form, _, _ = self.make(torch.float64)
        if not form.rank_one:
            return
        pairs = [self.factors(form.shape, torch.float64, seed) for seed in range(STARTS)]
        L, R = (torch.stack(p).detach().requires_grad_() for p in zip(*pairs, strict=True))
        together = vmap(form.inner)(L, R)
        assert_close(together, torch.stack([form.inner(a, b) for a, b in pairs]))
        loop = [torch.autograd.grad(form.inner(a, b), (a, b)) for a, b in pairs]
        gL, gR = torch.autograd.grad(together.sum(), (L, R))
        assert_close(gL, torch.stack([a for a, _ in loop]))
        assert_close(gR, torch.stack([b for _, b in loop]))

    def test_entrywise_value_and_gradient_are_those_of_autograd(self) -> None:
        for loss in self.losses:
            form, X, W = self.make(torch.float64)
            L, R = self.factors(form.shape, torch.float64)
            made = elementwise.value(form, loss, CP(L, R))
            expected = (_masked(W, loss.value(X, L @ R.T)) + loss.linear * W * (L @ R.T)).sum()
            assert_close(made, expected, rtol=1e-10, atol=1e-10)
            both = (torch.autograd.grad(v, (L, R)) for v in (made, expected))
            assert_close(*both, rtol=1e-9, atol=1e-9)

    def test_entrywise_curvature_is_the_gauss_newton_product(self) -> None:
        for loss in self.losses:
            form, X, W = self.make(torch.float64)
            L, R = self.factors(form.shape, torch.float64)
            dL, dR = normal(*L.shape, seed=3), normal(*R.shape, seed=4)
            scalar = elementwise.curvature(form, loss, CP(L, R))
            gradient = torch.autograd.grad(scalar, (L, R), create_graph=True)
            made = torch.autograd.grad(gradient, (L, R), (dL, dR))
            D = _masked(W, loss.curvature(X, L @ R.T)).detach()
            h = D * (dL @ R.T + L @ dR.T)
            assert_close(made, (h @ R, h.T @ L), rtol=1e-9, atol=1e-9)

    def test_entrywise_value_over_starts_equals_a_loop(self) -> None:
        for loss in self.losses:
            form, _, _ = self.make(torch.float64)
            pairs = [self.factors(form.shape, torch.float64, seed) for seed in range(STARTS)]

            def value(L: Tensor, R: Tensor, form: Dense = form, loss: Elementwise = loss) -> Tensor:
                return elementwise.value(form, loss, CP(L, R))

            L, R = (torch.stack(p).detach() for p in zip(*pairs, strict=True))
            assert_close(vmap(value)(L, R), torch.stack([value(*pair) for pair in pairs]))


class ElementwiseContract(ABC):
    """What every entry-wise loss ℓ(x, m) keeps to."""

    @abstractmethod
    def make(self) -> tuple[Elementwise, Tensor, Tensor]:
        """The loss, and values x and m, float64, at which it is smooth."""

    def test_slope_is_the_derivative_of_the_value(self) -> None:
        loss, x, m = self.make()
        m = m.clone().requires_grad_()
        (made,) = torch.autograd.grad(loss.value(x, m).sum(), m)
        assert_close(loss.slope(x, m.detach()), made)

    def test_curvature_is_the_second_derivative_where_that_is_positive(self) -> None:
        loss, x, m = self.make()
        m = m.clone().requires_grad_()
        (made,) = torch.autograd.grad(loss.slope(x, m).sum(), m)
        curvature = loss.curvature(x, m.detach())
        assert bool((curvature >= 0).all())
        convex = made > 0
        assert_close(curvature[convex], made[convex])

    def test_vanishes_at_zero_only_if_it_does(self) -> None:
        loss, x, m = self.make()
        if loss.vanishes_at_zero:
            zero = torch.zeros_like(x)
            for part in (loss.value, loss.slope, loss.curvature):
                assert not bool(part(zero, m).any())


def _masked(weight: Tensor, value: Tensor) -> Tensor:
    """weight · value with 0·∞ = 0."""
    return torch.where(weight > 0, weight * value, 0)
