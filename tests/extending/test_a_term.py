"""A term of one's own, from outside the package."""

import numpy as np

import fusion as fu
from fusion.losses import FactorTerm, Frobenius
from fusion.testing import TermContract


class Closure(FactorTerm):
    """½ ‖C 1 − 1‖²: the maps sum to one in every pixel."""

    def value(self, model, state):
        return 0.5 * (self.of(model).sum(-1) - 1).square().sum()


class TestClosure(TermContract):
    def make(self):
        data = fu.Dataset("eels", np.random.default_rng(0).random((4, 5, 6)))
        return fu.models.NMF(data, 2), Frobenius(data) + 10 * Closure("C")
