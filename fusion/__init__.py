"""Write the equation, get the maps: structured data fusion of spectrum images in PyTorch."""

from fusion import constraints, elements, losses, models
from fusion._version import __version__
from fusion.ambiguity import Ambiguity, ambiguity
from fusion.axis import Axis
from fusion.compare import compare
from fusion.comparison import Comparison
from fusion.dataset import Dataset
from fusion.errors import standard_errors
from fusion.files import load
from fusion.fit import fit
from fusion.geometry import NFINDR, SPA, SSS, VCA, PureMaps
from fusion.init import NNDSVD, Current, Init, Random
from fusion.losses import Loss, Term, term
from fusion.mlls import mlls
from fusion.model import Factor, Model
from fusion.prediction import Prediction, cp, tucker
from fusion.prepare.pattern import separate_fixed_pattern, separate_moving_spectrum
from fusion.prepare.sample import fill_maps
from fusion.prepare.transforms import Anscombe, KeenanKotula
from fusion.ranking import Ranking, detectability, rank
from fusion.reference_fit import ReferenceFit
from fusion.report import Report, report
from fusion.resample import resample
from fusion.result import Result
from fusion.scan import Scan
from fusion.solvers import ALS, HALS, LBFGS, MALS, Adam, GaussNewton, RowNewton, Solver
from fusion.status import Status
from fusion.tensors import core_consistency, factor_match_score, split_half

__all__ = [
    "ALS",
    "HALS",
    "LBFGS",
    "MALS",
    "NFINDR",
    "NNDSVD",
    "SPA",
    "SSS",
    "Scan",
    "VCA",
    "Adam",
    "Anscombe",
    "Ambiguity",
    "Axis",
    "Comparison",
    "Current",
    "Dataset",
    "Factor",
    "GaussNewton",
    "Init",
    "KeenanKotula",
    "Loss",
    "Model",
    "Prediction",
    "PureMaps",
    "Random",
    "Ranking",
    "ReferenceFit",
    "Report",
    "Result",
    "RowNewton",
    "Solver",
    "Status",
    "Term",
    "__version__",
    "ambiguity",
    "compare",
    "constraints",
    "core_consistency",
    "cp",
    "detectability",
    "elements",
    "fill_maps",
    "factor_match_score",
    "fit",
    "load",
    "losses",
    "mlls",
    "models",
    "rank",
    "resample",
    "report",
    "separate_fixed_pattern",
    "separate_moving_spectrum",
    "split_half",
    "standard_errors",
    "term",
    "tucker",
]
