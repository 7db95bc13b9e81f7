"""Spectra of answers beside each other, each component to its own maximum."""

from __future__ import annotations

from typing import Any

from fusion.report.contents import Scene
from fusion.report.panels import plain_figure

HEIGHT = 170


def figures_beside(scene: Scene) -> dict[str, Any]:
    """By the keys of what is compared; of data along one signal axis."""
    panels = {}
    for answer in scene.beside:
        for entry in answer["sets"]:
            if entry["signal"] == 1:
                panels[entry["key"]] = _spectra(scene, entry)
    return panels


def _spectra(scene: Scene, entry: dict[str, Any]) -> Any:
    """Spectra of one answer in one data set."""
    panel = plain_figure(f"of {entry['key']}", height=HEIGHT)
    for j, k in enumerate(entry["numbers"]):
        style = {"color": scene.colour(k), "line_dash": scene.dash(k), "line_width": 1.6}
        panel.line(entry["x"], entry["spectra"][:, j], **style)
    panel.yaxis.major_label_text_font_size = "0px"
    panel.yaxis.major_tick_line_color = panel.yaxis.axis_line_color = None
    panel.min_border_left = panel.min_border_right = 18
    return panel
