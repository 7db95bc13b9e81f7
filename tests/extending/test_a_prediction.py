"""A structured prediction of one's own, from outside the package."""

import fusion as fu
from fusion.testing import PredictionContract, normal


class Constant(fu.Prediction):
    """One spectrum in all pixels, b 1ᵀ: shape (pixel, channel)."""

    def __init__(self, spectrum, pixels):
        self.spectrum, self.shape = spectrum, (pixels, len(spectrum))

    @property
    def like(self):
        return self.spectrum

    def two_way(self):
        return self.spectrum.new_ones(self.shape[0], 1), self.spectrum[:, None]

    def map(self, function):
        return Constant(function(self.spectrum), self.shape[0])


class TestConstant(PredictionContract):
    def make(self, seed):
        spectrum = normal(6, seed=seed)
        return Constant(spectrum, 4), spectrum.expand(4, 6).clone()
