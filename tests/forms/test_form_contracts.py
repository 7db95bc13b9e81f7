"""Dense forms keep to the contract of forms, whatever their weights and chunks."""

import numpy as np
import torch

from fusion.forms import dense
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.language.fit_term import SQUARE
from fusion.losses.poisson import LOG
from fusion.testing import FormContract, uniform


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
