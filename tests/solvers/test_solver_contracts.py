"""Every solver keeps to the contract."""

import pytest
import torch

import fusion as fu
from fusion.solvers import TorchOptimizer
from fusion.testing import SolverContract

SOLVERS = [fu.GaussNewton(), fu.HALS(), fu.ALS(), fu.MALS(), fu.LBFGS(), fu.Adam()]
SOLVERS += [TorchOptimizer(torch.optim.SGD, {"lr": 0.01, "momentum": 0.5})]


class TestSolvers(SolverContract):
    @pytest.fixture(autouse=True, params=SOLVERS, ids=lambda solver: type(solver).__name__)
    def solver(self, request):
        self.tested = request.param

    def make(self):
        return self.tested
