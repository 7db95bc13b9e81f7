"""X-ray lines and EELS edges: named on spectra, and turned into compositions.

Energies, yields and weights are those of the package xraydb (`pip install "sdfusion[elements]"`),
which is imported when they are first asked for.
"""

from fusion.elements.composition import Composition, composition
from fusion.elements.composition_maps import CompositionMaps
from fusion.elements.found import present
from fusion.elements.found_told import Finding, Present
from fusion.elements.intensities import Fitted, Intensities, Windows
from fusion.elements.modelled_composition import FoundDetector, ModelledComposition
from fusion.elements.peaks import Peak, Peaks, explain
from fusion.elements.stoichiometry import FoundOxygen, Stoichiometry
from fusion.elements.xray_detector import Detector
from fusion.xrays.line_model import LineModel
from fusion.xrays.response import Response
from fusion.xrays.sensitivities import KFactors
from fusion.xrays.table import Edge, Line, edges, labels, lines
from fusion.xrays.zeta_factors import ZetaFactors

__all__ = [
    "Composition",
    "CompositionMaps",
    "Detector",
    "Edge",
    "Finding",
    "Fitted",
    "FoundDetector",
    "FoundOxygen",
    "Intensities",
    "KFactors",
    "Line",
    "LineModel",
    "ModelledComposition",
    "Peak",
    "Peaks",
    "Present",
    "Response",
    "Stoichiometry",
    "Windows",
    "ZetaFactors",
    "composition",
    "edges",
    "explain",
    "labels",
    "lines",
    "present",
]
