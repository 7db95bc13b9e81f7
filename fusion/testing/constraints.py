"""What every `Constraint` keeps to."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import vmap
from torch.testing import assert_close

from fusion.constraints import Constraint
from fusion.testing.random_tensors import STARTS, generator, normal


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
