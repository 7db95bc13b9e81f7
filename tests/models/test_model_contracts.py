"""Every shipped model keeps to the contract."""

import numpy as np
import pytest

import fusion as fu
from fusion import models
from fusion.losses import Frobenius
from fusion.simulate import dual_eels
from fusion.testing import ModelContract, uniform

EELS = fu.Dataset("eels", uniform(4, 5, 7))
EDXS = fu.Dataset("edxs", uniform(4, 5, 6, seed=1))
TILTS = fu.Dataset("tilts", uniform(3, 4, 5, seed=2), axes=["tilt", "x", "energy"])
PAIR = dual_eels(shape=(4, 5), channels=60).datasets
BOTH = Frobenius(EELS) + Frobenius(EDXS)
CASES = {
    "NMF": (lambda: models.NMF(EELS, 2), Frobenius(EELS)),
    "CPD": (lambda: models.CPD(TILTS, 2), Frobenius(TILTS)),
    "Tucker": (lambda: models.Tucker(TILTS, (2, 2, 2)), Frobenius(TILTS)),
    "SharedMaps": (lambda: models.SharedMaps(EELS, EDXS, K=2), BOTH),
    "SharedSpectra": (
        lambda: models.SharedSpectra(EELS, EELS.renamed("again"), K=2),
        Frobenius(EELS) + Frobenius(EELS.renamed("again")),
    ),
    "SoftlyCoupled": (lambda: models.SoftlyCoupled(EELS, EDXS, 2), BOTH),
    "Detectors": (lambda: models.Detectors(EELS, EDXS, K=2), BOTH),
    "DualEELS": (lambda: models.DualEELS(PAIR["core"], PAIR["low"], 2), Frobenius(PAIR["core"])),
    "WithReferences": (
        lambda: models.WithReferences(EELS, {"known": np.ones(7)}, 1),
        Frobenius(EELS),
    ),
}


class TestModels(ModelContract):
    @pytest.fixture(autouse=True, params=list(CASES))
    def case(self, request):
        self.name = request.param

    def make(self):
        model, loss = CASES[self.name]
        return model(), loss
