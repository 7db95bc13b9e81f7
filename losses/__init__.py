"""What makes a good fit: likelihoods of data, and penalties on factors."""

from fusion.fits import Fit
from fusion.loss import Loss, Term
from fusion.losses.amounts import Amounts, Exponential, HalfNormal
from fusion.losses.ard import ARD
from fusion.losses.frobenius import Frobenius
from fusion.losses.gaussian import Gaussian
from fusion.losses.norm import Norm, SquaredNorm
from fusion.losses.poisson import Poisson
from fusion.losses.smoothness import Smoothness, SpatialSmoothness
from fusion.losses.soft_orthogonality import SoftOrthogonality
from fusion.penalty import FactorTerm, term

__all__ = [
    "ARD",
    "Amounts",
    "Exponential",
    "FactorTerm",
    "Fit",
    "Frobenius",
    "Gaussian",
    "HalfNormal",
    "Loss",
    "Norm",
    "Poisson",
    "Smoothness",
    "SoftOrthogonality",
    "SpatialSmoothness",
    "SquaredNorm",
    "Term",
    "term",
]
