"""Facts about a factor, always true: small parametrisations that stack.

A factor's raw variable goes through its constraints in order; `right_inverse` goes back. A
constraint of one's own needs `forward` and `right_inverse`, on tensors (n, K).
"""

from typing import TYPE_CHECKING

from fusion.algebra.words import names_there
from fusion.constraints.chain import check_chain
from fusion.constraints.contract import Constraint
from fusion.constraints.known import Absent, Fixed
from fusion.constraints.monotone import Monotone, Unimodal
from fusion.constraints.power_law import PowerLaw
from fusion.constraints.sign import Exp, Free, NonNegative, Softplus, Square, Standardised
from fusion.constraints.simplex import Simplex
from fusion.constraints.unit_norm import UnitColumns, UnitNorm

__all__ = [
    "Absent",
    "Constraint",
    "Exp",
    "Fixed",
    "Free",
    "Monotone",
    "NonNegative",
    "PowerLaw",
    "Simplex",
    "Softplus",
    "Square",
    "Standardised",
    "Unimodal",
    "UnitColumns",
    "UnitNorm",
    "check_chain",
]

if not TYPE_CHECKING:  # a checker takes a module that has it for one that has every name
    __getattr__ = names_there(__name__, __all__)
