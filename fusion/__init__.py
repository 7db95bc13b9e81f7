"""Write the equation, get the maps: structured data fusion of spectrum images in PyTorch.

Names are imported when they are first asked for (PEP 562), so that `import fusion` costs next to
nothing and PyTorch is loaded at its first use.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fusion._version import __version__

if TYPE_CHECKING:  # what type checkers read; a test holds it against the table below
    from fusion import (
        constraints,
        edges,
        elements,
        estimators,  # noqa: F401, not in __all__: it needs scikit-learn
        losses,
        models,
        plots,
        prepare,
        simulate,
        solvers,
    )
    from fusion.algebra.axis import Axis
    from fusion.algebra.cautions import (
        ClaimWarning,
        CutWarning,
        FileWarning,
        FusionWarning,
        MemoryWarning,
        NoiseWarning,
        ScaleWarning,
    )
    from fusion.algebra.prediction import Prediction, cp, tucker
    from fusion.algebra.versions import show_versions
    from fusion.answers.compare import compare
    from fusion.answers.comparison import Comparison
    from fusion.answers.cpd_validation import core_consistency, factor_match_score, split_half
    from fusion.answers.matching import match, spectral_angle
    from fusion.answers.result import Result
    from fusion.blocks import Blocks
    from fusion.data.dataset import Dataset
    from fusion.data.scan import Scan
    from fusion.engine.status import Status
    from fusion.files import load
    from fusion.language.convolve import convolve, shift
    from fusion.language.factor import Factor
    from fusion.language.loss import Loss
    from fusion.language.model import Model
    from fusion.language.penalty import term
    from fusion.language.resample import resample
    from fusion.language.term import Term
    from fusion.prepare.fixed_pattern import separate_fixed_pattern, separate_moving_spectrum
    from fusion.prepare.mean_free_path import Thickness, mean_free_path
    from fusion.prepare.relative_thickness import RelativeThickness, relative_thickness
    from fusion.prepare.sample import fill_maps
    from fusion.prepare.transforms import Anscombe, KeenanKotula
    from fusion.prepare.zero_loss_peak import ZeroLossPeak, zero_loss_peak
    from fusion.ranking import Ranking, detectability, rank
    from fusion.references.mlls import mlls
    from fusion.references.reference_fit import ReferenceFit
    from fusion.report import Report, report
    from fusion.search.endmembers import NFINDR, SPA, SSS, VCA, Pixels, PureMaps
    from fusion.search.fit import fit
    from fusion.search.from_data import NNDSVD
    from fusion.search.initialisation import Current, Init, Random
    from fusion.solvers import (
        ALS,
        HALS,
        LBFGS,
        MALS,
        Adam,
        ArrowNewton,
        GaussNewton,
        RowNewton,
        Solver,
    )
    from fusion.uncertainty.ambiguity import Ambiguity, ambiguity
    from fusion.uncertainty.standard_errors import standard_errors

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
    "Blocks",
    "ClaimWarning",
    "Comparison",
    "Current",
    "CutWarning",
    "FileWarning",
    "Dataset",
    "Factor",
    "FusionWarning",
    "ArrowNewton",
    "GaussNewton",
    "Init",
    "KeenanKotula",
    "MemoryWarning",
    "Loss",
    "Model",
    "NoiseWarning",
    "Pixels",
    "Prediction",
    "PureMaps",
    "Random",
    "Ranking",
    "ReferenceFit",
    "RelativeThickness",
    "Report",
    "Result",
    "RowNewton",
    "ScaleWarning",
    "Solver",
    "Status",
    "Term",
    "Thickness",
    "ZeroLossPeak",
    "__version__",
    "ambiguity",
    "compare",
    "constraints",
    "convolve",
    "core_consistency",
    "cp",
    "detectability",
    "edges",
    "elements",
    "factor_match_score",
    "fill_maps",
    "fit",
    "load",
    "losses",
    "match",
    "mean_free_path",
    "mlls",
    "models",
    "plots",
    "prepare",
    "rank",
    "relative_thickness",
    "report",
    "resample",
    "separate_fixed_pattern",
    "separate_moving_spectrum",
    "shift",
    "show_versions",
    "simulate",
    "solvers",
    "spectral_angle",
    "split_half",
    "standard_errors",
    "term",
    "tucker",
    "zero_loss_peak",
]

_ROOMS = (
    "constraints",
    "edges",
    "elements",
    "estimators",
    "losses",
    "models",
    "plots",
    "prepare",
    "simulate",
    "solvers",
)
"""Packages that are attributes; `estimators` needs scikit-learn, so `import *` leaves it out."""

_PLACES = {
    "Axis": "fusion.algebra.axis",
    "ClaimWarning": "fusion.algebra.cautions",
    "CutWarning": "fusion.algebra.cautions",
    "FileWarning": "fusion.algebra.cautions",
    "FusionWarning": "fusion.algebra.cautions",
    "MemoryWarning": "fusion.algebra.cautions",
    "NoiseWarning": "fusion.algebra.cautions",
    "ScaleWarning": "fusion.algebra.cautions",
    "Prediction": "fusion.algebra.prediction",
    "cp": "fusion.algebra.prediction",
    "tucker": "fusion.algebra.prediction",
    "show_versions": "fusion.algebra.versions",
    "compare": "fusion.answers.compare",
    "Comparison": "fusion.answers.comparison",
    "core_consistency": "fusion.answers.cpd_validation",
    "factor_match_score": "fusion.answers.cpd_validation",
    "split_half": "fusion.answers.cpd_validation",
    "match": "fusion.answers.matching",
    "spectral_angle": "fusion.answers.matching",
    "Result": "fusion.answers.result",
    "Dataset": "fusion.data.dataset",
    "Scan": "fusion.data.scan",
    "Status": "fusion.engine.status",
    "load": "fusion.files",
    "convolve": "fusion.language.convolve",
    "shift": "fusion.language.convolve",
    "Factor": "fusion.language.factor",
    "Loss": "fusion.language.loss",
    "Model": "fusion.language.model",
    "term": "fusion.language.penalty",
    "resample": "fusion.language.resample",
    "Term": "fusion.language.term",
    "separate_fixed_pattern": "fusion.prepare.fixed_pattern",
    "separate_moving_spectrum": "fusion.prepare.fixed_pattern",
    "RelativeThickness": "fusion.prepare.relative_thickness",
    "relative_thickness": "fusion.prepare.relative_thickness",
    "Thickness": "fusion.prepare.mean_free_path",
    "mean_free_path": "fusion.prepare.mean_free_path",
    "ZeroLossPeak": "fusion.prepare.zero_loss_peak",
    "zero_loss_peak": "fusion.prepare.zero_loss_peak",
    "fill_maps": "fusion.prepare.sample",
    "Anscombe": "fusion.prepare.transforms",
    "KeenanKotula": "fusion.prepare.transforms",
    "Ranking": "fusion.ranking",
    "detectability": "fusion.ranking",
    "rank": "fusion.ranking",
    "mlls": "fusion.references.mlls",
    "ReferenceFit": "fusion.references.reference_fit",
    "Report": "fusion.report",
    "report": "fusion.report",
    "NFINDR": "fusion.search.endmembers",
    "Blocks": "fusion.blocks",
    "Pixels": "fusion.search.endmembers",
    "PureMaps": "fusion.search.endmembers",
    "SPA": "fusion.search.endmembers",
    "SSS": "fusion.search.endmembers",
    "VCA": "fusion.search.endmembers",
    "fit": "fusion.search.fit",
    "NNDSVD": "fusion.search.from_data",
    "Current": "fusion.search.initialisation",
    "Init": "fusion.search.initialisation",
    "Random": "fusion.search.initialisation",
    "ALS": "fusion.solvers",
    "Adam": "fusion.solvers",
    "ArrowNewton": "fusion.solvers",
    "GaussNewton": "fusion.solvers",
    "HALS": "fusion.solvers",
    "LBFGS": "fusion.solvers",
    "MALS": "fusion.solvers",
    "RowNewton": "fusion.solvers",
    "Solver": "fusion.solvers",
    "Ambiguity": "fusion.uncertainty.ambiguity",
    "ambiguity": "fusion.uncertainty.ambiguity",
    "standard_errors": "fusion.uncertainty.standard_errors",
}
"""The module in which every other name is defined, or from which its room hands it out."""


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"fusion.{name}")
    if name not in _PLACES:
        from fusion.algebra.words import meant

        raise AttributeError(f"module 'fusion' has no attribute {name!r}{meant(name, __all__)}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})


class _Package(ModuleType):
    """Keeps `fusion.report` the function where an import would put the room of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PLACES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
