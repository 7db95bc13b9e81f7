"""What makes a good fit: likelihoods of data, and penalties on factors."""

from typing import TYPE_CHECKING

from fusion.algebra.words import names_there
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.penalty import FactorTerm, term
from fusion.language.prior import Move, Prior
from fusion.language.surrogate import FitInformation, Surrogate
from fusion.language.term import State, Term
from fusion.losses.amount_prior import Amounts, Exponential, HalfNormal
from fusion.losses.ard import ARD
from fusion.losses.beta_divergence import BetaDivergence
from fusion.losses.dual_eels_loss import dual_eels_loss
from fusion.losses.frobenius import Frobenius
from fusion.losses.gaussian import Gaussian
from fusion.losses.l1 import L1
from fusion.losses.learned_smoothness import LearnedSmoothness
from fusion.losses.near_power_law import NearPowerLaw
from fusion.losses.norm import Norm, SquaredNorm
from fusion.losses.overlap import Overlap
from fusion.losses.poisson import Poisson
from fusion.losses.smoothness import Smoothness, SpatialSmoothness
from fusion.losses.soft_orthogonality import SoftOrthogonality
from fusion.losses.total_variation import TotalVariation

__all__ = [
    "ARD",
    "Amounts",
    "Exponential",
    "L1",
    "BetaDivergence",
    "FactorTerm",
    "Fit",
    "FitInformation",
    "Frobenius",
    "Gaussian",
    "HalfNormal",
    "Loss",
    "LearnedSmoothness",
    "Move",
    "NearPowerLaw",
    "Norm",
    "Overlap",
    "Poisson",
    "Prior",
    "Smoothness",
    "SoftOrthogonality",
    "SpatialSmoothness",
    "SquaredNorm",
    "State",
    "Surrogate",
    "Term",
    "TotalVariation",
    "dual_eels_loss",
    "term",
]

if not TYPE_CHECKING:  # a checker takes a module that has it for one that has every name
    __getattr__ = names_there(__name__, __all__)
