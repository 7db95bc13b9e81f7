"""Every structured prediction keeps to its contract: it equals the expanded tensor."""

import torch

import fusion as fu
from fusion.algebra.prediction import as_prediction
from fusion.testing import PredictionContract, normal


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
