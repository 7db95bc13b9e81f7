"""Every shipped term, and one made of a function, keeps to the contract of terms."""

import numpy as np

import fusion as fu
from fusion import losses, models
from fusion.testing import TermContract, normal
from tests.helpers.contract_data import COLUMNS, SHAPE, Coupled, Expanded, cube, mixed, scattered

# ---- fits ----------------------------------------------------------------------------------------


class TestFrobenius(TermContract):
    def make(self):
        data = cube()
        return mixed(data), losses.Frobenius(data)


class TestFrobeniusVariancePerChannel(TermContract):
    def make(self):
        data = cube(variance=np.linspace(0.5, 2, COLUMNS))
        return mixed(data), losses.Frobenius(data)


class TestFrobeniusVarianceOfEveryEntryMasked(TermContract):
    def make(self):
        variance = np.random.default_rng(1).random(SHAPE) + 0.5
        data = cube(variance=variance, mask=scattered())
        return mixed(data), losses.Frobenius(data)


class TestFrobeniusOfCPD(TermContract):
    def make(self):
        data = cube()
        return models.CPD(data, 2), losses.Frobenius(data)


class TestFrobeniusOfTucker(TermContract):
    interchangeable = False  # a core has no components

    def make(self):
        data = cube()
        return models.Tucker(data, (2, 2, 2)), losses.Frobenius(data)


class TestFrobeniusOfADenseTensor(TermContract):
    def make(self):
        data = cube(mask=scattered())
        return Expanded(data), losses.Frobenius(data)


class TestGaussian(TermContract):
    def make(self):
        data = cube()
        return mixed(data), losses.Gaussian(data)


class TestGaussianMasked(TermContract):
    def make(self):
        data = cube(mask=scattered())
        return mixed(data), losses.Gaussian(data)


class TestPoisson(TermContract):
    def make(self):
        data = cube()
        return mixed(data), losses.Poisson(data)


class TestPoissonSparse(TermContract):
    def make(self):
        counts = np.random.default_rng(0).poisson(0.1, SHAPE)
        data = fu.Dataset("a", counts, mask=np.arange(COLUMNS) == 2)
        return mixed(data), losses.Poisson(data)


class TestPoissonMasked(TermContract):
    def make(self):
        data = cube(mask=scattered())
        return mixed(data), losses.Poisson(data)


class TestPoissonOfADenseTensor(TermContract):
    def make(self):
        data = cube()
        return Expanded(data), losses.Poisson(data)


# ---- penalties -----------------------------------------------------------------------------------


class TestSquaredNorm(TermContract):
    def make(self):
        return Coupled(cube()), losses.SquaredNorm("N", 0.3)


class TestSquaredNormOfAFunction(TermContract):
    interchangeable = False

    def make(self):
        return Coupled(cube()), losses.SquaredNorm(lambda m: m.N[:, :1])


class TestNorm(TermContract):
    def make(self):
        return Coupled(cube()), losses.Norm("N")


class TestNormOfAFunction(TermContract):
    def make(self):
        return Coupled(cube()), losses.Norm(lambda m: m.N * m.C)

    def test_curvature_is_positive_semidefinite(self):
        """The product of two factors is not convex: only the norm of a factor is."""


class TestSmoothness(TermContract):
    def make(self):
        return mixed(cube()), losses.Smoothness("S")


class TestSmoothnessOfSecondOrder(TermContract):
    def make(self):
        return mixed(cube()), losses.Smoothness("S", order=2)


class TestSpatialSmoothness(TermContract):
    def make(self):
        return mixed(cube()), losses.SpatialSmoothness("C")


class TestSoftOrthogonality(TermContract):
    def make(self):
        data = cube()
        return mixed(data), losses.Frobenius(data) + losses.SoftOrthogonality("C")


class TestSoftOrthogonalityOfSpectra(TermContract):
    def make(self):
        data = cube()
        return mixed(data), losses.Poisson(data) + losses.SoftOrthogonality("S")


class TestARD(TermContract):
    def make(self):
        return mixed(cube()), losses.ARD("C", a=2.0, b=0.1)

    def test_curvature_is_positive_semidefinite(self):
        """Linear with its scales held: it has none."""
        model, term, state = self.parts()
        assert term.curvature(model, state) is None


class TestARDHalfNormal(TermContract):
    def make(self):
        return mixed(cube()), losses.ARD("C", a=2.0, b=0.1, prior=losses.HalfNormal())


@fu.term
def closure(m):
    """Amounts add up to one."""
    return ((m.C.sum(1) - 1) ** 2).sum()


@fu.term
def near(m, reference, *, weight=1.0):
    """Spectra are near a reference."""
    return weight * ((m.S - reference) ** 2).sum()


class TestFunctionTerm(TermContract):
    def make(self):
        return mixed(cube()), closure


class TestFunctionTermWithArguments(TermContract):
    interchangeable = False

    def make(self):
        return mixed(cube()), near(0.3, weight=2.0)


# ---- β-divergences -------------------------------------------------------------------------------


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


# ---- penalties on structure ----------------------------------------------------------------------


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
