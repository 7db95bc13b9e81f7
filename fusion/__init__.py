"""Write the equation, get the maps: structured data fusion of spectrum images in PyTorch."""

from fusion import constraints, losses, models
from fusion._version import __version__
from fusion.axis import Axis
from fusion.compare import compare
from fusion.comparison import Comparison
from fusion.dataset import Dataset
from fusion.files import load
from fusion.fit import fit
from fusion.geometry import NFINDR, SPA, SSS, VCA, PureMaps
from fusion.init import NNDSVD, Current, Init, Random
from fusion.losses import Loss, Term, term
from fusion.model import Factor, Model
from fusion.prediction import Prediction, cp, tucker
from fusion.result import Result
from fusion.solvers import ALS, HALS, LBFGS, MALS, Adam, GaussNewton, RowNewton, Solver
from fusion.status import Status

__all__ = [
    "ALS",
    "HALS",
    "LBFGS",
    "MALS",
    "NFINDR",
    "NNDSVD",
    "SPA",
    "SSS",
    "VCA",
    "Adam",
    "Axis",
    "Comparison",
    "Current",
    "Dataset",
    "Factor",
    "GaussNewton",
    "Init",
    "Loss",
    "Model",
    "Prediction",
    "PureMaps",
    "Random",
    "Result",
    "RowNewton",
    "Solver",
    "Status",
    "Term",
    "__version__",
    "compare",
    "constraints",
    "cp",
    "fit",
    "load",
    "losses",
    "models",
    "term",
    "tucker",
]
