"""What the data are made of."""

from typing import TYPE_CHECKING

from fusion.algebra.words import names_there
from fusion.models.background import WithBackground
from fusion.models.compositions import Compositions, ElementMaps
from fusion.models.cpd import CPD
from fusion.models.detectors import Detectors
from fusion.models.dual_eels import DualEELS
from fusion.models.nmf import NMF
from fusion.models.shared import SharedMaps, SharedSpectra
from fusion.models.softly_coupled import SoftlyCoupled
from fusion.models.tucker import Tucker
from fusion.models.with_references import WithReferences

__all__ = [
    "CPD",
    "Compositions",
    "Detectors",
    "DualEELS",
    "ElementMaps",
    "NMF",
    "SharedMaps",
    "SharedSpectra",
    "SoftlyCoupled",
    "Tucker",
    "WithBackground",
    "WithReferences",
]

if not TYPE_CHECKING:  # a checker takes a module that has it for one that has every name
    __getattr__ = names_there(__name__, __all__)
