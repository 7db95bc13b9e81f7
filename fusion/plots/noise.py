"""`plot_noise`: variance against mean, the photon transfer curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.prepare.noise import Noise

WIDTH, HEIGHT = 3.6, 3.0  # inches
ROOM = 2.0  # of the scale beyond the points on either side


@checked_call
@plain_names
def plot_noise(noise: Noise, *, panel: Panel | None = None) -> Figure:
    """Variance against mean of entries of one level each, with gain × mean + read-out.

    Both scales are logarithmic: counts lie on a line of slope 1, of which the height is the gain;
    read-out noise bends it to a level at the left. Variance = mean, counts', is drawn beside it.
    Points that leave the line say that the noise is of another kind than that.

    Args:
        noise: of data whose variance follows their mean, `data.noise()`.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if every channel has a variance of its own.

    References:
        Janesick, Photon Transfer (SPIE, 2007).
    """
    if noise.levels is None:
        raise ValueError(
            f"`plot_noise`: {noise}: there is no mean to draw it against: use data before the "
            "background is taken off."
        )
    import matplotlib

    from fusion.plots import drawing as draw

    level, variance = noise.levels[(noise.levels > 0).all(1)].T
    x = np.geomspace(level.min() / ROOM, level.max() * ROOM, 200)
    with matplotlib.rc_context(style.SCREEN):
        panel = draw.panel_or_new(panel, WIDTH, HEIGHT)
        panel.plot(x, noise.gain * x + noise.readout, color=style.VERMILLION, label=_label(noise))
        panel.plot(x, x, color=style.GREY, linestyle="--", label="variance = mean (counts)")
        panel.plot(level, variance, "o", color=style.BLUE, markersize=3, label="measured")
        panel.set(xscale="log", yscale="log", xlabel="mean of the entries", ylabel="variance")
        panel.set_xlim(x[0], x[-1])
        panel.set_title("photon transfer curve")
        panel.legend(loc="upper left")
    return panel.figure  # pyright: ignore[reportReturnType]


def _label(noise: Noise) -> str:
    """What the line is."""
    offset = f" + {noise.readout:.3g}" if noise.readout > 0 else ""
    return f"{noise.gain:.3g} × mean{offset}"
