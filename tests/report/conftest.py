"""One result of two detectors, for all pages of it."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.losses import Frobenius, Poisson
from fusion.models import SharedMaps
from tests.helpers.report_data import SHAPE, cube, dataset, quick


@pytest.fixture(scope="module")
def joint():
    """Two detectors, one pixel masked in both, one in one of them."""
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    eels = dataset("eels", cube().astype(float), mask=mask)
    mask[8, 2] = True
    edxs = dataset("edxs", cube(energies=20, seed=0), "keV", mask=mask)
    return quick(SharedMaps(eels, edxs, K=3), Frobenius(eels) + Poisson(edxs))
