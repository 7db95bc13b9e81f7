"""Why weights: the same fit of counts with and without the noise that they have."""

import matplotlib.pyplot as plt
import numpy as np

import fusion as fu
from fusion.losses import Frobenius, Poisson


def draw():
    rng = np.random.default_rng(0)
    energy = np.arange(0.2, 4, 0.02)

    def line(position, height):
        return height * np.exp(-0.5 * ((energy - position) / 0.05) ** 2)

    strong, faint = line(1.0, 40) + line(3.2, 0.2), line(1.0, 40) + line(2.4, 2.0)
    share = np.linspace(0, 1, 400)[:, None]
    counts = rng.poisson(share * strong + (1 - share) * faint)
    axes = ["x", fu.Axis("energy", 0.02, 0.2, "keV")]
    data = fu.Dataset("edxs", counts, axes=axes)
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 2.8), sharey=True, layout="constrained")
    fits = {"least squares without variance": Frobenius(data), "counts: Poisson": Poisson(data)}
    for panel, (title, loss) in zip(panels, fits.items(), strict=True):
        result = fu.fit(fu.models.NMF(data, K=2), loss, starts=3, seed=0, progress=False)
        truth = np.stack([strong, faint], 1)
        found = result["S"][:, fu.match(truth, result["S"])]
        for k, colour in enumerate(("tab:blue", "tab:orange")):
            panel.plot(energy, truth[:, k] / np.linalg.norm(truth[:, k]), color="0.7", lw=3)
            panel.plot(energy, found[:, k], color=colour, lw=1)
        panel.set(title=title, xlabel="energy (keV)", ylim=(0, 0.6))
        panel.set_yscale("symlog", linthresh=1e-3)
    panels[0].set_ylabel("spectrum (grey: truth)")
    return figure
