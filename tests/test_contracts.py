"""Every shipped term, constraint, prediction, form and entry-wise loss keeps to its contract."""

import numpy as np
import torch

import fusion as fu
from fusion import losses, models
from fusion.algebra.prediction import as_prediction
from fusion.constraints import (
    Exp,
    Fixed,
    Free,
    NonNegative,
    PowerLaw,
    Softplus,
    Square,
    UnitColumns,
)
from fusion.forms import dense
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.language.fit_term import SQUARE
from fusion.losses.poisson import LOG
from fusion.testing import (
    ConstraintContract,
    ElementwiseContract,
    FormContract,
    PredictionContract,
    TermContract,
    normal,
    uniform,
)

SHAPE = (3, 4, 6)
ROWS, COLUMNS = 12, 6


def cube(seed=0, **options):
    """A small cube of counts, some of them zero."""
    counts = np.random.default_rng(seed).poisson(1.5, SHAPE)
    return fu.Dataset("a", counts.astype(float), **options)


def mixed(data, K=3):
    """An NMF with generic values, none at its bound."""
    model = models.NMF(data, K)
    model.C, model.S = uniform(ROWS, K), uniform(COLUMNS, K, seed=1)
    return model


def scattered(share=0.2):
    """A mask of single entries."""
    return np.random.default_rng(9).random(SHAPE) < share


class Coupled(fu.Model):
    """Eq. (14): a factor of any sign beside others."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, 2))
        self.N = fu.Factor((data.pixels, 2), Free())
        self.S = fu.Factor((data.channels, 2))
        self.C, self.N = uniform(ROWS, 2), normal(ROWS, 2, seed=2)
        self.S = uniform(COLUMNS, 2, seed=3)

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}


class Expanded(fu.Model):
    """The escape: a dense prediction of a nonlinear model."""

    def __init__(self, data):
        super().__init__()
        self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))
        self.C, self.S = uniform(ROWS, 2), uniform(COLUMNS, 2, seed=3)

    def forward(self):
        return {"a": torch.log1p(self.C @ self.S.T)}


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


# ---- constraints ---------------------------------------------------------------------------------


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


# ---- predictions ---------------------------------------------------------------------------------


class TestCPMatrix(PredictionContract):
    def make(self, seed):
        A, B = normal(5, 3, seed=seed), normal(4, 3, seed=seed + 10)
        return fu.cp(A, B), torch.stack([torch.outer(A[:, k], B[:, k]) for k in range(3)]).sum(0)


class TestCPOfFourModes(PredictionContract):
    def make(self, seed):
        A, B, C, D = (normal(n, 3, seed=seed + 10 * n) for n in (5, 4, 3, 6))
        return fu.cp(A, B, C, D), torch.einsum("ak,bk,ck,dk->abcd", A, B, C, D)


class TestTuckerMatrix(PredictionContract):
    def make(self, seed):
        core, A, B = normal(2, 3, seed=seed), normal(5, 2, seed=seed + 1), normal(4, 3, seed=seed)
        return fu.tucker(core, A, B), A @ core @ B.T


class TestTuckerOfFourModes(PredictionContract):
    def make(self, seed):
        core = normal(2, 3, 2, 4, seed=seed)
        A, B, C, D = (normal(*s, seed=seed + 1) for s in ((5, 2), (4, 3), (3, 2), (6, 4)))
        return fu.tucker(core, A, B, C, D), torch.einsum("pqrs,ap,bq,cr,ds->abcd", core, A, B, C, D)


class TestSumOfUnlikeParts(PredictionContract):
    def make(self, seed):
        A, B, C = (normal(n, 2, seed=seed + n) for n in (5, 4, 3))
        core, U, V, W = normal(2, 2, 2, seed=seed), *(normal(n, 2, seed=n) for n in (5, 4, 3))
        expanded = torch.einsum("ak,bk,ck->abc", A, B, C)
        expanded = expanded + torch.einsum("pqr,ap,bq,cr->abc", core, U, V, W)
        return fu.cp(A, B, C) + fu.tucker(core, U, V, W), expanded


class TestDensePrediction(PredictionContract):
    def make(self, seed):
        tensor = normal(5, 4, 3, seed=seed)
        return as_prediction(tensor), tensor.clone()


# ---- forms ---------------------------------------------------------------------------------------


class DenseContract(FormContract):
    """A dense array; its weights are what the classes below differ in."""

    losses = (SQUARE, LOG)
    array = torch.as_tensor(np.random.default_rng(0).poisson(1.5, (9, 5)))

    def weights(self):
        return Weights(), torch.ones(9, 5, dtype=torch.float64)

    def make(self, dtype):
        weights, W = self.weights()
        form = Dense(self.array, weights.to(torch.device("cpu"), dtype), dtype)
        return form, self.array.double(), W


class TestDense(DenseContract):
    pass


class TestSparseCounts(DenseContract):
    array = torch.as_tensor(np.random.default_rng(0).poisson(0.15, (9, 5)))

    def test_only_the_counts_are_visited(self):
        form, X, _ = self.make(torch.float64)
        assert len(form.entries().x) == int((X > 0).sum())


class TestRowWeights(DenseContract):
    def weights(self):
        rows = uniform(9)
        rows[3] = 0
        return Weights(rows=rows), rows[:, None].expand(9, 5)


class TestColumnWeights(DenseContract):
    def weights(self):
        columns = uniform(5)
        columns[0] = 0
        return Weights(cols=columns), columns.expand(9, 5)


class TestRankOneWeights(DenseContract):
    def weights(self):
        rows, columns = uniform(9), uniform(5, seed=1)
        return Weights(rows=rows, cols=columns), rows[:, None] * columns


class TestRankOneWeightsOnSparseCounts(TestRankOneWeights):
    array = torch.as_tensor(np.random.default_rng(0).poisson(0.15, (9, 5)))


class TestFullWeights(DenseContract):
    def weights(self):
        full = uniform(9, 5)
        full[2, 1] = full[4] = 0
        return Weights(full=full), full


class TestDataReadInChunks(TestRankOneWeights):
    """Counts that are converted chunk by chunk, two rows at a time."""

    def make(self, dtype):
        form, X, W = super().make(dtype)
        form.array = self.array.to(torch.uint8)
        return form, X, W

    def setup_method(self):
        self.before = dense.CHUNK
        dense.CHUNK = 10

    def teardown_method(self):
        dense.CHUNK = self.before


class TestChunksReadByTwoThreads(TestDataReadInChunks):
    """A row a thread, the last one alone."""

    def setup_method(self):
        super().setup_method()
        self.threads = torch.get_num_threads()
        torch.set_num_threads(2)

    def teardown_method(self):
        super().teardown_method()
        torch.set_num_threads(self.threads)


# ---- entry-wise losses ---------------------------------------------------------------------------


class TestSquareOfADifference(ElementwiseContract):
    def make(self):
        return SQUARE, normal(8), normal(8, seed=1)


class TestLogarithm(ElementwiseContract):
    def make(self):
        return LOG, torch.arange(8).double(), uniform(8)

    def test_a_count_predicted_as_zero_is_infinitely_bad(self):
        x, m = torch.tensor([2.0, 0.0]), torch.zeros(2)
        assert LOG.value(x, m).tolist() == [np.inf, 0.0]
