"""Write the equation, get the maps: structured data fusion of spectrum images in PyTorch."""

from fusion._version import __version__
from fusion.axis import Axis
from fusion.dataset import Dataset
from fusion.model import Factor, Model
from fusion.prediction import cp, tucker

__all__ = ["Axis", "Dataset", "Factor", "Model", "__version__", "cp", "tucker"]
