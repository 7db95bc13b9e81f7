"""X-ray lines and EELS edges: named on spectra, and turned into compositions.

Energies, yields and weights are those of the package xraydb (`pip install "sdfusion[elements]"`),
which is imported when they are first asked for.
"""

from fusion.elements.composition import Composition, composition
from fusion.elements.intensities import Fitted, Intensities, Windows
from fusion.elements.peaks import Peak, Peaks, explain
from fusion.elements.table import Edge, Line, edges, labels, lines
from fusion.elements.xray_detector import Detector

__all__ = [
    "Composition",
    "Detector",
    "Edge",
    "Fitted",
    "Intensities",
    "Line",
    "Peak",
    "Peaks",
    "Windows",
    "composition",
    "edges",
    "explain",
    "labels",
    "lines",
]
