"""`plot_relevance`: how components switch off. Review, fig. 5c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.answers.components import in_words, names_of
from fusion.plots import style
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

PREFIX = "λ of "


@checked_call
@plain_names
def plot_relevance(result: Result, *, panel: Panel | None = None) -> Figure:
    """The scales λ_k of `ARD` at every step of the answer's start, on a logarithmic axis.

    Components that are kept have the numbers and the order of the answer, the others are grey.

    Args:
        result: of a fit with `ARD`.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if no term of the loss was an `ARD`.
    """
    import matplotlib
    from matplotlib.ticker import MaxNLocator

    from fusion.plots import drawing as draw

    paths = {k: v for k, v in result.history.items() if k.startswith(PREFIX) and v.ndim == 2}
    if not paths:
        raise ValueError(
            f"`plot_relevance`: no scales in the history of {result.formula}: fit with `ARD`."
        )
    with matplotlib.rc_context(style.SCREEN):
        panel = draw.panel_or_new(panel, 5.0, 3.2, result)
        for name, path in paths.items():
            kept = min(result.n_components or path.shape[1], path.shape[1])
            of = "" if len(paths) == 1 else f" ({name.removeprefix(PREFIX)})"
            _paths(panel, path, names_of(result, kept), of)
        panel.set(yscale="log", xlabel="step", ylabel="scale λ of a component")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return panel.figure  # pyright: ignore[reportReturnType]


def _paths(panel: Panel, path: np.ndarray, called: Sequence[str], more: str) -> None:
    """The scales (step, K) of one term, those that are kept first."""
    import matplotlib

    kept = len(called)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, kept))
    for k, colour in enumerate(colours):
        panel.plot(path[:, k], color=colour, linewidth=1.4, label=f"{in_words(called[k])}{more}")
    for number, scales in enumerate(path[:, kept:].T):
        label = None if number else f"{path.shape[1] - kept} switched off{more}"
        panel.plot(scales, color="0.65", linewidth=0.8, label=label, zorder=1)
