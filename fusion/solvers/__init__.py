"""How the loss is minimised."""

from typing import TYPE_CHECKING

from fusion.algebra.words import names_there
from fusion.engine.evaluation import evaluate
from fusion.solvers.als import ALS, MALS
from fusion.solvers.arrow_newton import ArrowNewton
from fusion.solvers.base import Solver
from fusion.solvers.first_order import LBFGS, Adam, TorchOptimizer
from fusion.solvers.gauss_newton import GaussNewton
from fusion.solvers.hals import HALS
from fusion.solvers.row_newton import RowNewton
from fusion.solvers.track import Outcome, Track
from fusion.solvers.watch import Watch

__all__ = [
    "ALS",
    "HALS",
    "LBFGS",
    "MALS",
    "Adam",
    "ArrowNewton",
    "GaussNewton",
    "Outcome",
    "RowNewton",
    "Solver",
    "TorchOptimizer",
    "Track",
    "Watch",
    "evaluate",
]

if not TYPE_CHECKING:  # a checker takes a module that has it for one that has every name
    __getattr__ = names_there(__name__, __all__)
