"""The band of answers that fit as well, as `fu.ambiguity` draws it."""

import fusion as fu
from fusion.losses import Frobenius
from fusion.simulate import layers


def draw():
    scene = layers(shape=(10, 12), channels=60, seed=0)
    counts = scene.datasets["net"].estimate_variance()
    result = fu.fit(fu.models.NMF(counts, K=2), Frobenius(counts), starts=3, progress=False)
    return fu.ambiguity(result, progress=False).plot(factors=["S"])
