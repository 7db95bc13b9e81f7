"""Contracts as test suites: inherit one, say what to test, run pytest. Shipped pieces pass them.

class TestClosure(TermContract):
    def make(self):
        data = Dataset("eels", numpy.random.default_rng(0).random((4, 5, 6)))
        return NMF(data, 2), Frobenius(data) + Closure("C")
"""

from fusion.testing.constraints import ConstraintContract
from fusion.testing.elementwise import ElementwiseContract
from fusion.testing.forms import FormContract
from fusion.testing.linear_maps import LinearMapContract
from fusion.testing.models import ModelContract
from fusion.testing.predictions import PredictionContract
from fusion.testing.random_tensors import generator, normal, uniform
from fusion.testing.solvers import SolverContract
from fusion.testing.starts import InitContract
from fusion.testing.terms import TermContract

__all__ = [
    "ConstraintContract",
    "ElementwiseContract",
    "FormContract",
    "InitContract",
    "LinearMapContract",
    "ModelContract",
    "PredictionContract",
    "SolverContract",
    "TermContract",
    "generator",
    "normal",
    "uniform",
]
