"""The figures of a page: a script fills them with what the reader points at."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    NumeralTickFormatter,
    Range1d,
)

from fusion.report.contents import Scene
from fusion.report.navigation import Group
from fusion.report.panels import (
    INK,
    LEFT,
    MARKED,
    MEASURED,
    calls,
    curves,
    empty,
    plain,
    span,
    tools,
)
from fusion.report.spectra import spectra


def figures(scene: Scene) -> dict[str, Any]:
    """All figures by name: "map0", "profile0" of groups, "spectrum0", "left0", "parts0" of data."""
    made: dict[str, Any] = {}
    for g, group in enumerate(scene.groups):
        if group.kind == "image":
            made[f"map{g}"] = _map(group, g)
        elif group.kind == "line":
            made |= _profiles(scene, group, g)
    for i, part in enumerate(scene.payload["parts"]):
        if part["signal"] == 1:
            made |= spectra(scene, i)
    made["starts"] = _starts(scene)
    return made


def _map(group: Group, g: int) -> Any:
    """One map, with pixels that are pointed at."""
    told = group.told()
    x, y = told["x"], told["y"]
    made = plain(
        f"map{g}",
        height=400,
        x_range=Range1d(x["first"], x["last"]),
        y_range=Range1d(y["last"], y["first"]),
    )
    if group.equal:
        size = abs((x["last"] - x["first"]) / (y["last"] - y["first"]))
        made.aspect_ratio, made.sizing_mode = size, "scale_width"
    made.grid.visible = False
    if group.length:
        made.axis.visible = False
        made.min_border = 0
    else:
        made.xaxis.axis_label, made.yaxis.axis_label = x["label"], y["label"]
        made.yaxis.formatter = NumeralTickFormatter(format="0[.]00")
    low, high = sorted((x["first"], x["last"]))
    bottom, top = sorted((y["first"], y["last"]))
    place = {"x": low, "y": bottom, "dw": high - low, "dh": top - bottom}
    blank = np.zeros((1, 1), dtype=np.uint32)
    source = ColumnDataSource({"image": [blank], **{k: [v] for k, v in place.items()}})
    source.name = f"map{g}-source"
    made.image_rgba("image", x="x", y="y", dw="dw", dh="dh", source=source)
    spot = ColumnDataSource({"x": [], "y": [], "w": [], "h": []}, name=f"map{g}-spot")
    box = {"x": "x", "y": "y", "width": "w", "height": "h", "source": spot, "fill_alpha": 0.0}
    made.rect(line_color="black", line_width=4, line_alpha=0.7, **box)
    made.rect(line_color="white", line_width=1.6, **box)
    tools(made, dimensions="both")
    made.toolbar_location = None
    zoomed = CustomJS(code=f"window.report && window.report.zoomed({g})")
    for along in (made.x_range, made.y_range):
        along.js_on_change("start", zoomed)
        along.js_on_change("end", zoomed)
    calls(made, f"pixel({g}")
    return made


def _profiles(scene: Scene, group: Group, g: int) -> dict[str, Any]:
    """Of a line scan: components along it, what a channel sees, and what is left."""
    told = group.told()["x"]
    along = Range1d(*sorted((told["first"], told["last"])))
    marks = group.grid[2] <= MARKED
    made: dict[str, Any] = {}
    for n, s in enumerate(scene.payload["groups"][g]["sets"]):
        name = f"profile{g}.{n}"
        panel = made[name] = plain(name, height=250, x_range=along)
        numbers = scene.payload["parts"][s["part"]]["numbers"]
        source = empty(f"{name}-source", [f"c{k}" for k in numbers])
        curves(panel, scene, source, numbers, marks)
    for i in group.parts:
        name = f"along{i}"
        panel = made[name] = plain(name, height=170, x_range=along)
        source = empty(f"{name}-source", ["measured", "fit"])
        panel.scatter("x", "measured", source=source, size=5, color=MEASURED)
        panel.line("x", "fit", source=source, color=INK, line_width=1.6)
        name = f"rms{i}"
        panel = made[name] = plain(name, height=130, x_range=along)
        source = empty(f"{name}-source", ["rms"])
        panel.line("x", "rms", source=source, color=LEFT, line_width=1.4)
        if marks:
            panel.scatter("x", "rms", source=source, size=4, color=LEFT)
    for name, panel in made.items():
        panel.xaxis.axis_label = told["label"]
        panel.y_range.start = 0
        panel.min_border_left = 64
        panel.add_layout(span("height", f"{name}-spot"))
        calls(panel, f"pixel({g}")
    return made


def _starts(scene: Scene) -> Any:
    """Loss of every start above the lowest of all, against the step."""
    history = np.asarray(scene.result.loss_history, dtype=float)
    seen = history[np.isfinite(history)]
    lowest, highest = (float(seen.min()), float(np.abs(seen).max())) if seen.size else (0.0, 0.0)
    above = (history - lowest) / max(abs(lowest), 1e-9 * highest, np.finfo(float).tiny)
    above = np.maximum(above, 1e-8)
    made = plain("starts", height=240, y_axis_type="log")
    best = int((scene.result.losses == scene.result.loss).argmax())
    steps = np.arange(history.shape[1])
    for i in [*(i for i in range(len(history)) if i != best), best]:
        mine = np.isfinite(above[i])
        style = ("#0072B2", 2.2) if i == best else ("#b8c0ca", 1.1)
        made.line(steps[mine], above[i][mine], color=style[0], line_width=style[1])
        if mine.sum() <= MARKED:
            made.scatter(steps[mine][-1:], above[i][mine][-1:], color=style[0], size=5)
    made.xaxis.axis_label, made.yaxis.axis_label = "step", "loss above the lowest, relative"
    made.yaxis.formatter = CustomJSTickFormatter(
        code="const e = Math.round(Math.log10(tick));"
        "return '10' + [...String(e)].map(c => c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]).join('')"
    )
    return made
