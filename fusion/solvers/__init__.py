"""How the loss is minimised."""

from fusion.solvers.base import Outcome, Solver, Watch
from fusion.solvers.first_order import LBFGS, Adam, TorchOptimizer
from fusion.solvers.gauss_newton import GaussNewton

__all__ = ["LBFGS", "Adam", "GaussNewton", "Outcome", "Solver", "TorchOptimizer", "Watch"]
