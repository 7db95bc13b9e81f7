"""Figures of one data set's spectra: of a pixel, what is left of it, and of all components."""

from __future__ import annotations

from typing import Any

from bokeh.models import CustomJSTickFormatter, Range1d, Span

from fusion.report.contents import Scene
from fusion.report.panels import (
    BAND,
    INK,
    LEFT,
    MARKED,
    MEASURED,
    SECOND,
    SECOND_SOFT,
    SOFT,
    add_tools,
    dashed_span,
    draw_curves,
    empty_source,
    mark_energy,
    plain_figure,
    send_mouse,
)

HEIGHTS = ((360, 150, 290), (270, 120, 210))
"""CSS pixels of spectrum, residual and components, of a data set alone and beside others."""
BORDER = 72  # CSS pixels left of the frames, so that energies stand below each other


def spectrum_figures(scene: Scene, i: int) -> dict[str, Any]:
    """By name: "spectrum0", "log0", "left0", "apart0"; "parts0", "partslog0" of components."""
    part = scene.payload["parts"][i]
    high, low, middle = HEIGHTS[len(scene.groups[part["group"]].parts) > 1]
    along = Range1d(start=0, end=1, name=f"energies{i}")
    columns = ["measured", "fit", "left", "low", "high", *(f"c{k}" for k in part["numbers"])]
    columns += ["otherMeasured", "otherFit", "apart", "apartFit"]
    source = empty_source(f"spectrum{i}-source", columns)
    panels: dict[str, Any] = {}
    panels[f"spectrum{i}"] = _spectrum(scene, i, source, f"spectrum{i}", height=high, x_range=along)
    options: dict[str, Any] = {"height": high, "x_range": along, "y_axis_type": "log"}
    panels[f"log{i}"] = _log_scale(_spectrum(scene, i, source, f"log{i}", **options), f"logs{i}")
    left = panels[f"left{i}"] = _residual_figure(source, f"left{i}", height=low, x_range=along)
    left.yaxis.axis_label = "mean residual" if part["measured"] is None else "residual"
    panels[f"apart{i}"] = _difference_figure(source, f"apart{i}", height=low, x_range=along)
    if part["numbers"]:
        options = {"height": middle, "x_range": along}
        panels[f"parts{i}"] = _component_figure(scene, i, f"parts{i}", **options)
        logarithmic = _component_figure(scene, i, f"partslog{i}", y_axis_type="log", **options)
        panels[f"partslog{i}"] = _log_scale(logarithmic, f"partslogs{i}")
    for name, panel in panels.items():
        panel.min_border_left = BORDER
        panel.add_layout(dashed_span("height", f"{name}-spot"))
        for energy, text in part["lines"]:
            shown = "" if name.startswith(("left", "apart")) else text
            mark_energy(panel, energy, shown, f"mark of {name}")
        add_tools(panel)
        send_mouse(panel, f"channel({i}")
        if not name.startswith(("spectrum", "log")):
            panel.xaxis.axis_label = part["axes"][0]["label"]
    return panels


def _spectrum(scene: Scene, i: int, source: Any, name: str, **options: Any) -> Any:
    """Measured and fitted spectrum of a pixel, with its components."""
    part = scene.payload["parts"][i]
    panel = plain_figure(name, **options)
    panel.line("x", "measured", source=source, color=MEASURED, line_width=1.3)
    if part["channels"][0] <= MARKED:
        panel.scatter("x", "measured", source=source, color=MEASURED, size=4)
    panel.line("x", "otherMeasured", source=source, color=SECOND_SOFT, line_width=1.1)
    panel.line("x", "otherFit", source=source, color=SECOND, line_width=2.2, line_dash="dashed")
    panel.line("x", "fit", source=source, color=INK, line_width=2.6)
    for k in part["numbers"]:
        style: dict[str, Any] = {
            "line_dash": scene.dash(k),
            "name": f"component{k}",
            "color": scene.colour(k),
        }
        panel.line("x", f"c{k}", source=source, line_width=1.6, **style)
    panel.xaxis.major_label_text_font_size = "0px"
    panel.yaxis.axis_label = "counts" if part["noise"] == "poisson" else "intensity"
    return panel


def _log_scale(panel: Any, range_name: str) -> Any:
    """The same on a logarithmic scale, shown on request."""
    panel.visible = False
    panel.y_range = Range1d(start=0.1, end=1, name=range_name)
    panel.yaxis.formatter = CustomJSTickFormatter(code="return tick.toPrecision(1) * 1 + ''")
    return panel


def _residual_figure(source: Any, name: str, **options: Any) -> Any:
    """What the fit leaves."""
    panel = plain_figure(name, **options)
    panel.varea("x", "low", "high", source=source, fill_color=BAND)
    panel.line("x", "left", source=source, color=LEFT, line_width=1.0)
    panel.add_layout(Span(dimension="width", location=0, line_color=SOFT, line_width=1))
    panel.yaxis.ticker.desired_num_ticks = 3
    return panel


def _difference_figure(source: Any, name: str, **options: Any) -> Any:
    """One place less the other; shown when two are compared."""
    panel = plain_figure(name, **options)
    panel.line("x", "apart", source=source, color=SECOND_SOFT, line_width=1.0)
    panel.line("x", "apartFit", source=source, color=SECOND, line_width=2.0)
    panel.add_layout(Span(dimension="width", location=0, line_color=SOFT, line_width=1))
    panel.yaxis.ticker.desired_num_ticks = 3
    panel.yaxis.axis_label = "A − B"
    panel.visible = False
    return panel


def _component_figure(scene: Scene, i: int, name: str, **options: Any) -> Any:
    """Spectra of all components, with their bands."""
    part = scene.payload["parts"][i]
    numbers, panel = part["numbers"], plain_figure(name, **options)
    ends = [f"{kind}{k}{end}" for k in numbers for kind in "ab" for end in ("low", "high")]
    source = empty_source(f"{name}-source", ["mean", *(f"c{k}" for k in numbers), *ends])
    for kind, known, alpha in (("a", "low", 0.16), ("b", "errors", 0.34)):
        for k in numbers if part["bands"][known] is not None else ():
            ends_ = {"y1": f"{kind}{k}low", "y2": f"{kind}{k}high", "name": f"component{k}"}
            style = {"fill_color": scene.colour(k), "fill_alpha": alpha}
            panel.varea("x", source=source, **ends_, **style)
    panel.line("x", "mean", source=source, color=MEASURED, line_width=1.3)
    draw_curves(panel, scene, source, numbers, False)
    panel.yaxis.axis_label = "component"
    return panel
