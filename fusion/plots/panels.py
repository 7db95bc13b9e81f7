"""Panels beside the components: bars, a core, the losses. Imports matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.ticker import MaxNLocator

from fusion.algebra.axis import Axis
from fusion.plots.curves import Array, ticks
from fusion.plots.images import image
from fusion.plots.style import BLUE, FEW, GREY, VERMILLION

FLOOR = 1e-8  # relative differences of the loss below this are not shown


def bars(panel: Panel, values: Array, label: str) -> None:
    """One value of every component."""
    numbers = np.arange(1, len(values) + 1)
    panel.bar(numbers, values, color=BLUE, width=0.7)
    panel.axhline(0.0, color=GREY, linewidth=0.6)
    ticks(panel)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panel.set_title(label)
    panel.set_xlabel("component")


def core(panel: Panel, values: Array, label: str) -> None:
    """A Tucker core, its last mode against the others."""
    axes = tuple(
        Axis(name, offset=1, size=n)
        for name, n in zip(
            ("other modes", "last mode"), (values[..., 0].size, values.shape[-1]), strict=True
        )
    )
    image(panel, values.reshape(axes[0].size or 1, -1), axes, ends=True)
    panel.set_title(label)


def losses(panel: Panel, history: Array, best: int) -> None:
    """Loss of every start above the lowest of all, relative to it, against the step."""
    seen = history[np.isfinite(history)]
    lowest, highest = (float(seen.min()), float(np.abs(seen).max())) if seen.size else (0.0, 0.0)
    above = (history - lowest) / max(abs(lowest), 1e-9 * highest, np.finfo(float).tiny)
    above = np.maximum(above, FLOOR)  # NaN stays NaN
    dots = {"marker": "o", "markersize": 2.5} if history.shape[1] <= FEW else {}
    others = [i for i in range(len(history)) if i != best]
    for i in [*others, best]:
        style = (
            {"color": VERMILLION, "linewidth": 1.6}
            if i == best
            else {"color": "0.6", "linewidth": 0.8}
        )
        label = "best start" if i == best else "other starts" if i == others[0] else None
        panel.plot(np.arange(history.shape[1]), above[i], label=label, **style, **dots)
    panel.set_yscale("log")
    panel.set_ylim(bottom=FLOOR / 2)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    panel.set(title=f"loss of {len(history)} start{'s' * (len(history) > 1)}", xlabel="step")
    panel.set_ylabel("(loss − lowest) / |lowest|")
    if others:
        panel.legend()
