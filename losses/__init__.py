"""What makes a good fit: likelihoods of data, and penalties on factors."""

from fusion.fits import Fit
from fusion.loss import Loss, Term
from fusion.losses.amounts import Amounts, Exponential, HalfNormal
from fusion.losses.ard import ARD
from fusion.losses.beta_divergence import BetaDivergence
from fusion.losses.frobenius import Frobenius
from fusion.losses.gaussian import Gaussian
from fusion.losses.l1 import L1
from fusion.losses.norm import Norm, SquaredNorm
from fusion.losses.poisson import Poisson
from fusion.losses.power_law import NearPowerLaw
from fusion.losses.smoothness import Smoothness, SpatialSmoothness
from fusion.losses.soft_orthogonality import SoftOrthogonality
from fusion.losses.total_variation import TotalVariation
from fusion.penalty import FactorTerm, term

__all__ = [
    "ARD",
    "Amounts",
    "Exponential",
    "L1",
    "BetaDivergence",
    "FactorTerm",
    "Fit",
    "Frobenius",
    "Gaussian",
    "HalfNormal",
    "Loss",
    "NearPowerLaw",
    "Norm",
    "Poisson",
    "Smoothness",
    "SoftOrthogonality",
    "SpatialSmoothness",
    "SquaredNorm",
    "Term",
    "TotalVariation",
    "term",
]
