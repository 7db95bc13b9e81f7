"""Each detector alone and both together, in angles to the truth: what fusion adds."""

import matplotlib.pyplot as plt
import numpy as np

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.simulate import concurrent


def draw():
    scene = concurrent(shape=(20, 24), channels=120, seed=0)
    eels, edxs = scene.datasets["eels"], scene.datasets["edxs"]
    options = {"starts": 5, "seed": 0, "progress": False}
    both = fu.fit(fu.models.SharedMaps(eels, edxs, K=4), Frobenius(eels) + Poisson(edxs), **options)
    answers = {
        "EELS alone": fu.fit(fu.models.NMF(eels, K=4), Frobenius(eels), **options),
        "EDXS alone": fu.fit(fu.models.NMF(edxs, K=4), Poisson(edxs), **options),
        "both": both,
    }
    figure, panel = plt.subplots(figsize=(7.5, 3), layout="constrained")
    for i, (name, result) in enumerate(answers.items()):
        angles = _angles(scene, result)
        panel.bar(np.arange(4) + 0.27 * (i - 1), angles, 0.25, label=name)
    panel.set_xticks(range(4), scene.components)
    panel.set_ylabel("map, degrees off the truth")
    panel.legend(frameon=False)
    return figure


def _angles(scene, result):
    truth, found = scene.truth["C"], result["C"]
    order = fu.match(truth, found)
    return fu.spectral_angle(truth, found[:, order])
