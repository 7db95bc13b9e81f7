"""Estimators for scikit-learn, and so for HyperSpy: `s.decomposition(algorithm=Unmixer(4))`."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`fusion.estimators` needs scikit-learn, which is not installed: "
        'pip install "sdfusion[hyperspy]", or pip install scikit-learn.'
    ) from error

from fusion.estimators.scaled_data import ScaledDataWarning
from fusion.estimators.unmixer import Unmixer

__all__ = ["ScaledDataWarning", "Unmixer"]
