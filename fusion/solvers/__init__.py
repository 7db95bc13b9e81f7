"""How the loss is minimised."""

from fusion.solvers.base import Outcome, Solver, Watch
from fusion.solvers.gauss_newton import GaussNewton

__all__ = ["GaussNewton", "Outcome", "Solver", "Watch"]
