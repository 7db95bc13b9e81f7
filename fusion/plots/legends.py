"""Names of components in lines that fit. Imports matplotlib: import it where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from unicodedata import east_asian_width

from matplotlib.axes import Axes as Panel

from fusion.plots.figures import panel_inches


def beside_each_other(panel: Panel, names: Sequence[str]) -> int:
    """How many entries of a legend fit into a row above a panel."""
    widest = max(len(line) for name in names for line in name.split("\n"))
    return int(panel_inches(panel) / (0.25 + 0.055 * widest))


def cut_short(name: str, width: float, most: int = 1) -> str:
    """A name in so many lines, at most, of about so many inches, the rest of it as "…"."""
    lines = folded(name, width).split("\n")
    return "\n".join(lines[:most]) + "…" * (len(lines) > most)


def folded(name: str, width: float) -> str:
    """A name in lines of about so many inches; letters as wide as high count for two."""
    wide = any(east_asian_width(letter) in "WF" for letter in name)
    return fill(name, max(int((7 if wide else 14) * width), 4), break_on_hyphens=False)


def name_legend(panel: Panel, names: Sequence[str], colours: Sequence[str]) -> None:
    """Names in their colours above the right end of a panel, as many beside each other as fit."""
    from matplotlib.patches import Patch

    room = panel_inches(panel)
    folds = [folded(name, 1.35 * room) for name in names]  # of the legend's smaller letters
    handles = [Patch(color=c, label=n) for n, c in zip(folds, colours, strict=True)]
    panel.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=min(len(handles), max(1, beside_each_other(panel, folds))),
        handlelength=0.8,
        handleheight=0.8,
        columnspacing=0.8,
        handletextpad=0.3,
        borderpad=0.1,
    )


def name_inside(panel: Panel, title: str | None = None) -> None:
    """A legend inside its panel, where curves are least: names in lines that fit."""
    handles, labels = panel.get_legend_handles_labels()
    room = panel_inches(panel)
    columns = 1 if len(labels) <= 4 or max(map(len, labels)) > 12 else 2
    folds = [folded(label, 0.75 * room / columns) for label in labels]
    legend = panel.legend(handles, folds, title=title, loc="best", ncols=columns, handlelength=1.4)
    legend.set_zorder(5)
    legend.set_frame_on(True)
    legend.get_frame().set(facecolor="white", alpha=0.75, linewidth=0)
