"""What every structured prediction keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.testing import assert_close

from fusion.algebra.prediction import CP, Expanded, Prediction, as_prediction
from fusion.testing.random_tensors import normal


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
