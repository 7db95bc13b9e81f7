"""A model of one's own, from outside the package."""

import fusion as fu
from fusion.losses import Frobenius
from fusion.testing import ModelContract, uniform


class OnPedestal(fu.Model):
    """Maps and spectra on one spectrum that all pixels share."""

    def __init__(self, data, K):
        super().__init__()
        self.C = fu.Factor((data.pixels, K))
        self.S = fu.Factor((data.channels, K))
        self.b = fu.Factor((data.channels, 1))

    def forward(self):
        everywhere = self.C.new_ones(len(self.C), 1)
        return {"eels": fu.cp(self.C, self.S) + fu.cp(everywhere, self.b)}


class TestOnPedestal(ModelContract):
    def make(self):
        data = fu.Dataset("eels", uniform(4, 5, 6))
        return OnPedestal(data, 2), Frobenius(data)
