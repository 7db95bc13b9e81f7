"""Terms and constraints of structure keep to their contracts."""

import numpy as np
import pytest
import torch

import fusion as fu
from fusion import losses
from fusion.constraints import Absent, Monotone, Simplex, Unimodal, UnitNorm
from fusion.losses.beta_divergence import _Beta
from fusion.testing import ConstraintContract, ElementwiseContract, TermContract, normal, uniform
from tests.test_contracts import COLUMNS, cube, mixed, scattered


class BetaContract(TermContract):
    beta = 1.5

    def data(self):
        return cube()

    def make(self):
        data = self.data()
        return mixed(data), losses.BetaDivergence(data, self.beta)


class TestBetaDivergence(BetaContract):
    pass


class TestBetaDivergenceOfTwo(BetaContract):
    beta = 2

    def data(self):
        return cube(variance=np.linspace(0.5, 2, COLUMNS))


class TestBetaDivergenceOfOneMasked(BetaContract):
    beta = 1

    def data(self):
        return cube(mask=scattered())


class TestItakuraSaito(BetaContract):
    beta = 0

    def data(self):
        return fu.Dataset("a", cube().numpy() + 0.5)


class TestBetaDivergenceOfThree(BetaContract):
    beta = 3


class TestL1(TermContract):
    def make(self):
        return mixed(cube()), losses.L1("C")

    def test_curvature_is_positive_semidefinite(self):
        """Linear: it has none."""
        model, term, state = self.parts()
        assert term.curvature(model, state) is None


class TestTotalVariation(TermContract):
    def make(self):
        return mixed(cube()), losses.TotalVariation("C")


class TestTotalVariationOfSpectra(TermContract):
    def make(self):
        return mixed(cube()), losses.TotalVariation("S")


def on_energies():
    """Columns that fall, on energies."""
    data = cube(axes=("y", "x", fu.Axis("energy loss", 20.0, 100.0, units="eV")))
    model = mixed(data)
    energy = data.channels[0].values
    laws = 3 * (energy[:, None] / 150.0) ** -np.array([2.0, 3.0, 4.5])
    model.S = laws * (1 + 0.1 * normal(COLUMNS, 3).numpy())
    return model


class TestNearPowerLaw(TermContract):
    def make(self):
        return on_energies(), losses.NearPowerLaw("S", 0.3)


# ---- constraints ---------------------------------------------------------------------------------


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
        return Absent({0: here > 4, 2: here < 2}).spread(self.shape)

    def member(self, value):
        return not bool(value[5:, 0].any() or value[:2, 2].any())

    def test_gradient_equals_finite_differences(self):
        """Known zeros have none, all others their own."""
        raw = normal(7, 3).requires_grad_()
        (gradient,) = torch.autograd.grad(self.make()(raw).sum(), raw)
        assert int(gradient.sum()) == 21 - 4


# ---- entry-wise losses ---------------------------------------------------------------------------


class BetaLoss(ElementwiseContract):
    beta = 1.5

    def make(self):
        return _Beta(self.beta, 1e-9), torch.arange(8).double() + 0.5, uniform(8) * 4


class TestBetaLoss(BetaLoss):
    pass


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.5, 1.0, 3.0])
class TestBetaLossOfOtherOrders:
    def test_slope_and_curvature_are_derivatives_of_the_value(self, beta):
        suite = BetaLoss()
        suite.beta = beta
        suite.test_slope_is_the_derivative_of_the_value()
        suite.test_curvature_is_the_second_derivative_where_that_is_positive()
