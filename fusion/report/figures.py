"""The figures of a page: a script fills them with what the reader points at."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    NumeralTickFormatter,
    Range1d,
)

from fusion.report.contents import Scene
from fusion.report.figures_beside import figures_beside
from fusion.report.navigation import Group
from fusion.report.panels import (
    AXIS,
    FONT,
    INK,
    LEFT,
    MARKED,
    MEASURED,
    add_tools,
    dashed_span,
    draw_curves,
    empty_source,
    plain_figure,
    send_drag,
    send_mouse,
)
from fusion.report.spectra import spectrum_figures


def figures(scene: Scene) -> dict[str, Any]:
    """All figures by name: "map0", "profile0" of groups, "spectrum0", "left0", "parts0" of data."""
    panels: dict[str, Any] = {}
    for g, group in enumerate(scene.groups):
        if group.kind == "image":
            panels[f"map{g}"] = _map_figure(group, g)
            panels |= _profile_across(scene, g)
        elif group.kind == "line":
            panels |= _profile_figures(scene, group, g)
    for i, part in enumerate(scene.payload["parts"]):
        if part["signal"] == 1:
            panels |= spectrum_figures(scene, i)
    panels["starts"] = _starts_figure(scene)
    return panels | figures_beside(scene)


def _map_figure(group: Group, g: int) -> Any:
    """One map, with pixels that are pointed at."""
    entry = group.entry()
    x, y = entry["x"], entry["y"]
    panel = plain_figure(
        f"map{g}",
        height=400,
        x_range=Range1d(x["first"], x["last"]),
        y_range=Range1d(y["last"], y["first"]),
    )
    if group.equal:
        size = abs((x["last"] - x["first"]) / (y["last"] - y["first"]))
        panel.aspect_ratio, panel.sizing_mode = size, "scale_width"
    panel.grid.visible = False
    if group.length:
        panel.axis.visible = False
        panel.min_border = 0
    else:
        panel.xaxis.axis_label, panel.yaxis.axis_label = x["label"], y["label"]
        panel.yaxis.formatter = NumeralTickFormatter(format="0[.]00")
    low, high = sorted((x["first"], x["last"]))
    bottom, top = sorted((y["first"], y["last"]))
    place = {"x": low, "y": bottom, "dw": high - low, "dh": top - bottom}
    blank = np.zeros((1, 1), dtype=np.uint32)
    source = ColumnDataSource({"image": [blank], **{k: [v] for k, v in place.items()}})
    source.name = f"map{g}-source"
    panel.image_rgba("image", x="x", y="y", dw="dw", dh="dh", source=source)
    for which, dash in (("second", "dashed"), ("spot", "solid")):
        _draw_box(panel, f"map{g}-{which}", dash)
    line = ColumnDataSource({"x": [], "y": []}, name=f"map{g}-line")
    panel.line("x", "y", source=line, line_color="black", line_width=5, line_alpha=0.7)
    panel.line("x", "y", source=line, line_color="white", line_width=2)
    add_tools(panel, dimensions="both")
    panel.toolbar_location = None
    zoomed = CustomJS(code=f"window.report && window.report.zoomed({g})")
    for along in (panel.x_range, panel.y_range):
        along.js_on_change("start", zoomed)
        along.js_on_change("end", zoomed)
    send_mouse(panel, f"pixel({g}")
    send_drag(panel, f"drag({g}")
    return panel


def _draw_box(panel: Any, name: str, dash: str) -> None:
    """A pixel or an area that is pointed at, seen on dark and on light; with its letter."""
    box = ColumnDataSource({key: [] for key in ("x", "y", "w", "h", "left", "top", "text")})
    box.name = name
    place = {"x": "x", "y": "y", "width": "w", "height": "h", "source": box, "fill_alpha": 0.0}
    panel.rect(line_color="black", line_width=4, line_alpha=0.7, **place)
    panel.rect(line_color="white", line_width=1.6, line_dash=dash, **place)
    letter = {"x": "left", "y": "top", "text": "text", "source": box, "y_offset": -3}
    letter |= {"text_font": value(FONT), "text_font_size": "13px", "text_font_style": "bold"}
    panel.text(text_color="white", text_outline_color="black", **letter)


def _profile_across(scene: Scene, g: int) -> dict[str, Any]:
    """Components along a line that is drawn on a map; shown when there is one."""
    panels = {}
    for n, s in enumerate(scene.payload["groups"][g]["sets"]):
        name = f"across{g}.{n}"
        panel = panels[name] = plain_figure(name, height=210)
        numbers = scene.payload["parts"][s["part"]]["numbers"]
        source = empty_source(f"{name}-source", [f"c{k}" for k in numbers])
        draw_curves(panel, scene, source, numbers, False)
        panel.xaxis.axis_label = "distance"
        panel.min_border_left = 64
        panel.visible = False
    return panels


def _profile_figures(scene: Scene, group: Group, g: int) -> dict[str, Any]:
    """Of a line scan: components along it, what a channel sees, and what is left."""
    axis = group.entry()["x"]
    along = Range1d(*sorted((axis["first"], axis["last"])))
    marks = group.grid[2] <= MARKED
    panels: dict[str, Any] = {}
    for n, s in enumerate(scene.payload["groups"][g]["sets"]):
        name = f"profile{g}.{n}"
        panel = panels[name] = plain_figure(name, height=250, x_range=along)
        numbers = scene.payload["parts"][s["part"]]["numbers"]
        source = empty_source(f"{name}-source", [f"c{k}" for k in numbers])
        draw_curves(panel, scene, source, numbers, marks)
    for i in group.parts:
        name = f"along{i}"
        panel = panels[name] = plain_figure(name, height=170, x_range=along)
        source = empty_source(f"{name}-source", ["measured", "fit"])
        panel.scatter("x", "measured", source=source, size=5, color=MEASURED)
        panel.line("x", "fit", source=source, color=INK, line_width=1.6)
        name = f"rms{i}"
        panel = panels[name] = plain_figure(name, height=130, x_range=along)
        source = empty_source(f"{name}-source", ["rms"])
        panel.line("x", "rms", source=source, color=LEFT, line_width=1.4)
        if marks:
            panel.scatter("x", "rms", source=source, size=4, color=LEFT)
    for name, panel in panels.items():
        panel.xaxis.axis_label = axis["label"]
        panel.y_range.start = 0
        panel.min_border_left = 64
        panel.add_layout(dashed_span("height", f"{name}-spot"))
        area = BoxAnnotation(name=f"{name}-area", fill_color=AXIS, fill_alpha=0.25)
        area.line_color, area.visible = None, False
        panel.add_layout(area)
        send_mouse(panel, f"pixel({g}")
        send_drag(panel, f"drag({g}")
    return panels


def _starts_figure(scene: Scene) -> Any:
    """Loss of every start above the lowest of all, against the step."""
    history = np.asarray(scene.result.loss_history, dtype=float)
    seen = history[np.isfinite(history)]
    lowest, highest = (float(seen.min()), float(np.abs(seen).max())) if seen.size else (0.0, 0.0)
    above = (history - lowest) / max(abs(lowest), 1e-9 * highest, np.finfo(float).tiny)
    above = np.maximum(above, 1e-8)
    panel = plain_figure("starts", height=240, y_axis_type="log")
    best = int((scene.result.losses == scene.result.loss).argmax())
    steps = np.arange(history.shape[1])
    for i in [*(i for i in range(len(history)) if i != best), best]:
        mine = np.isfinite(above[i])
        style = ("#0072B2", 2.2) if i == best else (AXIS, 1.1)
        panel.line(steps[mine], above[i][mine], color=style[0], line_width=style[1])
        if mine.sum() <= MARKED:
            panel.scatter(steps[mine][-1:], above[i][mine][-1:], color=style[0], size=5)
    panel.xaxis.axis_label, panel.yaxis.axis_label = "step", "loss above the lowest, relative"
    panel.yaxis.formatter = CustomJSTickFormatter(
        code="const e = Math.round(Math.log10(tick));"
        "return '10' + [...String(e)].map(c => c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]).join('')"
    )
    return panel
