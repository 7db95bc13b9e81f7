"""How the loss is minimised."""

from fusion.engine.evaluation import evaluate
from fusion.solvers.als import ALS, MALS
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
    "GaussNewton",
    "Outcome",
    "RowNewton",
    "Solver",
    "TorchOptimizer",
    "Track",
    "Watch",
    "evaluate",
]
