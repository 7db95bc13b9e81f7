"""Mixtures of two spectra on two channels: between which ends the pure spectra may lie."""

import matplotlib.pyplot as plt
import numpy as np

CASES = {
    "mixed pixels, shared channels:\na band of answers": ([[0.85, 0.15], [0.2, 0.8]], (0.3, 0.75)),
    "pure pixels, and a channel of its own\nfor each: one answer": ([[1, 0], [0, 1]], (0, 1)),
}


def draw():
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
    for panel, (title, (pure, reach)) in zip(panels, CASES.items(), strict=True):
        pure = np.array(pure, float)
        share = np.linspace(*reach, 25)[:, None]
        points = share * pure[0] + (1 - share) * pure[1]
        panel.plot([0, 1], [1, 0], color="0.6", lw=1)
        for end, last in (((1, 0), points[-1]), ((0, 1), points[0])):
            label = "pure spectra that fit as well" if end == (1, 0) else None
            line = np.array([end, last], float)
            panel.plot(*line.T, color="tab:orange", lw=7, alpha=0.4, label=label)
        panel.scatter(*points.T, s=14, color="0.2", zorder=3, label="measured spectra")
        panel.scatter(*pure.T, s=60, marker="D", color="tab:blue", zorder=4, label="the true ones")
        panel.set(xlabel="share in channel 1", ylabel="share in channel 2")
        panel.set_title(title, fontsize=10)
        panel.set_aspect("equal")
    panels[0].legend(frameon=False, loc="upper right", fontsize=8)
    return figure
