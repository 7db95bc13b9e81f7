"""Figures outside pyplot, and what stands above them. Imports matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from fusion.plots.style import ALARM, SCREEN

if TYPE_CHECKING:
    from fusion.answers.result import Result


class Picture(Figure):
    """A figure that a notebook shows without pyplot's help."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """Written when its parts have found their places: one layout does not settle them, two do.

        They find them at the resolution of the file, so that no text is measured twice, and are
        drawn once.
        """
        shown, written = self.dpi, options.get("dpi")
        engine = self.get_layout_engine()
        with warnings.catch_warnings():  # `families_for` has told of letters that no font has
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            if engine is None:
                super().savefig(*args, **options)
                return
            self.dpi = written if isinstance(written, int | float) else shown
            try:
                engine.execute(self)
                engine.execute(self)
                self.set_layout_engine("none")
                super().savefig(*args, **options)
            finally:
                self.dpi = shown
                self.set_layout_engine(engine)

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        return buffer.getvalue()


def figure_or_new(figure: Any, size: tuple[float, float]) -> Any:
    """The figure, or part of one, that was given; else a new one of this size, inches."""
    return Picture(figsize=size, layout="constrained") if figure is None else figure


def stamp(figure: Any, result: Result) -> None:
    """Say above all else where a fit was stopped before it converged."""
    if result.stamp:
        figure.suptitle(result.stamp, x=0.01, ha="left", fontsize=8, fontweight="bold", color=ALARM)


@contextmanager
def style(panel: Panel | None) -> Iterator[None]:
    """This software's style for a figure of its own; what is given keeps its owner's."""
    import matplotlib

    with matplotlib.rc_context({} if panel is not None else SCREEN):
        yield


def inches(figure: Any) -> float:
    """Width of a figure, or of a part of one."""
    return float(figure.bbox.width / figure.get_figure(root=True).dpi)


def panel_inches(panel: Panel) -> float:
    """Width of a panel as it stands."""
    return float(panel.get_window_extent().width / panel.get_figure(root=True).dpi)  # type: ignore[union-attr]


def panel_or_new(
    panel: Panel | None, width: float, height: float, shown: Result | None = None
) -> Panel:
    """The panel that was given; else one in a new figure of this size, inches, with its stamp."""
    if panel is not None:
        return panel
    figure = Picture(figsize=(width, height), layout="constrained")
    if shown is not None:
        stamp(figure, shown)
    return figure.add_subplot()
