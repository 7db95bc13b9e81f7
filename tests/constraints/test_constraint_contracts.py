"""Every shipped constraint keeps to the contract of constraints."""

import numpy as np
import pytest
import torch

from fusion.constraints import (
    Absent,
    Exp,
    Fixed,
    Free,
    Monotone,
    NonNegative,
    PowerLaw,
    Simplex,
    Softplus,
    Square,
    Standardised,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.testing import ConstraintContract, normal


class TestNonNegative(ConstraintContract):
    def make(self):
        return NonNegative()

    def member(self, value):
        return bool((value >= 0).all())


class TestFree(ConstraintContract):
    def make(self):
        return Free()

    def member(self, value):
        return bool(torch.isfinite(value).all())


class TestStandardised(TestFree):
    def make(self):
        return Standardised()


class TestStandardisedWithABound(ConstraintContract):
    def make(self):
        return Standardised(least=-1.0)

    def member(self, value):
        return bool((value >= -1).all())

    def test_what_is_expected_lies_above_the_bound(self):
        with pytest.raises(ValueError, match="give one of 0 or less"):
            Standardised(least=0.5)


class TestSoftplus(TestNonNegative):
    def make(self):
        return Softplus()


class TestSquare(TestNonNegative):
    def make(self):
        return Square()


class TestExp(TestNonNegative):
    def make(self):
        return Exp()


class TestUnitColumns(ConstraintContract):
    def make(self):
        return UnitColumns()

    def member(self, value):
        return torch.allclose(value.square().sum(0), torch.ones(value.shape[1]).double())


class TestPowerLaw(ConstraintContract):
    energy = np.linspace(100, 220, 7)

    def make(self):
        return PowerLaw(self.energy)

    def member(self, value):
        """A straight line, falling or flat, on logarithmic axes; or zero."""
        slopes = torch.diff(value.clamp_min(1e-300).log(), dim=0) / torch.diff(
            torch.as_tensor(self.energy).log()
        ).unsqueeze(1)
        straight = torch.allclose(slopes, slopes.mean(0), atol=1e-6)
        return bool((value >= 0).all()) and straight and bool((slopes <= 1e-9).all())


class TestFixedEntries(ConstraintContract):
    where = np.arange(21).reshape(7, 3) % 4 == 0
    known = 1.0 + np.arange(21.0).reshape(7, 3)

    def make(self):
        return Fixed(self.known, where=self.where)

    def member(self, value):
        known = torch.as_tensor(self.where)
        return torch.equal(value[known], torch.as_tensor(self.known).to(value)[known])

    def test_gradient_equals_finite_differences(self):
        """Known entries have none, all others their own."""
        raw = normal(7, 3).requires_grad_()
        (gradient,) = torch.autograd.grad(self.make()(raw).sum(), raw)
        assert torch.equal(gradient, torch.as_tensor(~self.where).double())


class TestFixedComponents(TestFixedEntries):
    where = np.arange(21).reshape(7, 3) % 3 == 1

    def make(self):
        return Fixed(self.known[:, 1:2], components=[1]).for_shape((7, 3))


class TestSimplex(ConstraintContract):
    def make(self):
        return Simplex()

    def member(self, value):
        one = torch.ones(len(value), dtype=value.dtype)
        return bool((value >= 0).all()) and torch.allclose(value.sum(1), one)

    def test_a_row_without_anything_has_equal_shares(self):
        assert torch.equal(self.make()(torch.zeros(2, 4)), torch.full((2, 4), 0.25))


class TestUnitNorm(ConstraintContract):
    p = 1.0

    def make(self):
        return UnitNorm(self.p)

    def member(self, value):
        norms = np.linalg.norm(value.numpy(), self.p, axis=0)
        return np.allclose(norms, 1)


class TestUnitNormOfThree(TestUnitNorm):
    p = 3.0


class TestMonotone(ConstraintContract):
    def make(self):
        return Monotone()

    def member(self, value):
        return bool((torch.diff(value, dim=0) >= -1e-12).all() and (value >= 0).all())


class TestMonotoneDecreasing(TestMonotone):
    def make(self):
        return Monotone(decreasing=True)

    def member(self, value):
        return super().member(value.flip(0))


class TestUnimodal(ConstraintContract):
    def make(self):
        return Unimodal()

    def member(self, value):
        """No rise after a fall."""
        signs = np.sign(np.round(np.diff(value.numpy(), axis=0), 12))
        falls = np.cumsum(signs < 0, axis=0) > 0
        return bool((value >= 0).all()) and not (falls & (signs > 0)).any()


class TestUnimodalOfKnownPeaks(TestUnimodal):
    def make(self):
        return Unimodal([0, 3, 6])

    def member(self, value):
        steps = torch.diff(value, dim=0)
        turned = all(
            bool((steps[:p, k] >= 0).all() and (steps[p + 1 :, k] <= 0).all())
            for k, p in enumerate([0, 3, 6])
        )
        return super().member(value) and turned


class TestAbsent(ConstraintContract):
    def make(self):
        here = np.arange(7)
        return Absent({0: here > 4, 2: here < 2}).for_shape(self.shape)

    def member(self, value):
        return not bool(value[5:, 0].any() or value[:2, 2].any())

    def test_gradient_equals_finite_differences(self):
        """Known zeros have none, all others their own."""
        raw = normal(7, 3).requires_grad_()
        (gradient,) = torch.autograd.grad(self.make()(raw).sum(), raw)
        assert int(gradient.sum()) == 21 - 4
