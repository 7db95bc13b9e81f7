"""The figures of a page: a script fills them with what the reader points at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from bokeh.events import DoubleTap, MouseLeave, MouseMove, Tap
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    Label,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    SaveTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from fusion.report.scan import Group
from fusion.report.scene import Scene

INK, SOFT, LINE, FONT = "#1c2430", "#66707d", "#e6e9ee", "system-ui, 'Segoe UI', sans-serif"
MEASURED, LEFT = "#9aa3af", "#7c3f00"
NOTHING = "#c9ced6"
HEIGHTS = (
    (360, 150, 290),
    (270, 120, 210),
)  # of spectrum, residual, components: alone, with others
MARKED = 120  # points up to which a curve has marks
MATHS = """
const e = Math.max(...ticks.map(Math.abs)), unit = Math.floor(Math.log10(e || 1));
const small = unit > 4 || unit < -2;
const value = small ? tick / 10 ** unit : tick;
const text = parseFloat(value.toPrecision(6)).toString().replace("-", "−");
const raised = [...String(unit)].map(c => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("");
const last = index === ticks.length - 1;
return small && tick !== 0 ? (last ? text + "·10" + raised : text) : text;
"""


def _empty(name: str, columns: Iterable[str]) -> ColumnDataSource:
    """A source that the page's script fills; two points, so that a first range can be told."""
    return ColumnDataSource({column: [0.0, 1.0] for column in ["x", *columns]}, name=name)


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
            made |= _spectra(scene, i)
    made["starts"] = _starts(scene)
    return made


def _calls(figure_: Any, call: str) -> None:
    """The page's script hears where the mouse is."""
    told = {"js": f"window.report && window.report.{call}"}
    figure_.js_on_event(MouseMove, CustomJS(code=f"{told['js']}, cb_obj.x, cb_obj.y, false)"))
    figure_.js_on_event(Tap, CustomJS(code=f"{told['js']}, cb_obj.x, cb_obj.y, true)"))
    figure_.js_on_event(MouseLeave, CustomJS(code=f"{told['js']}, null, null, false)"))


def _plain(name: str, *, height: int, **options: Any) -> Any:
    """A quiet figure as wide as its place."""
    made = figure(
        name=name,
        height=height,
        sizing_mode="stretch_width",
        tools=[],
        toolbar_location=None,
        min_border=4,
        output_backend="canvas",
        **options,
    )
    made.outline_line_color = None
    made.background_fill_color = made.border_fill_color = None
    for axis in made.axis:
        axis.axis_line_color = axis.major_tick_line_color = "#b6bdc7"
        axis.minor_tick_line_color = None
        axis.major_label_text_color = SOFT
        axis.major_label_text_font = axis.axis_label_text_font = FONT
        axis.major_label_text_font_size = "11px"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = INK
        axis.axis_label_standoff = 6
    for lines in made.grid:
        lines.grid_line_color = LINE
    made.xgrid.grid_line_color = None
    made.yaxis.formatter = CustomJSTickFormatter(code=MATHS)
    return made


def _tools(made: Any, *, dimensions: str = "width") -> None:
    """Drag to zoom, wheel on request, reset: with a toolbar that appears when it is needed."""
    zoom = BoxZoomTool(dimensions=dimensions)  # type: ignore[arg-type]
    made.add_tools(zoom, PanTool(dimensions=dimensions), WheelZoomTool(dimensions=dimensions))
    made.add_tools(ResetTool(), SaveTool())
    made.js_on_event(DoubleTap, CustomJS(args={"made": made}, code="made.reset.emit()"))
    made.toolbar.active_drag = zoom
    made.toolbar.active_scroll = None
    made.toolbar.autohide = True
    made.toolbar.logo = None
    made.toolbar_location, made.toolbar_inner = "above", True


def _map(group: Group, g: int) -> Any:
    """One map, with pixels that are pointed at."""
    told = group.told()
    x, y = told["x"], told["y"]
    made = _plain(
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
    _tools(made, dimensions="both")
    made.toolbar_location = None
    zoomed = CustomJS(code=f"window.report && window.report.zoomed({g})")
    for along in (made.x_range, made.y_range):
        along.js_on_change("start", zoomed)
        along.js_on_change("end", zoomed)
    _calls(made, f"pixel({g}")
    return made


def _profiles(scene: Scene, group: Group, g: int) -> dict[str, Any]:
    """Of a line scan: components along it, what a channel sees, and what is left."""
    told = group.told()["x"]
    along = Range1d(*sorted((told["first"], told["last"])))
    marks = group.grid[2] <= MARKED
    made: dict[str, Any] = {}
    for n, s in enumerate(scene.payload["groups"][g]["sets"]):
        name = f"profile{g}.{n}"
        panel = made[name] = _plain(name, height=250, x_range=along)
        numbers = scene.payload["parts"][s["part"]]["numbers"]
        source = _empty(f"{name}-source", [f"c{k}" for k in numbers])
        _curves(panel, scene, source, numbers, marks)
    for i in group.parts:
        name = f"along{i}"
        panel = made[name] = _plain(name, height=170, x_range=along)
        source = _empty(f"{name}-source", ["measured", "fit"])
        panel.scatter("x", "measured", source=source, size=5, color=MEASURED)
        panel.line("x", "fit", source=source, color=INK, line_width=1.6)
        name = f"rms{i}"
        panel = made[name] = _plain(name, height=130, x_range=along)
        source = _empty(f"{name}-source", ["rms"])
        panel.line("x", "rms", source=source, color=LEFT, line_width=1.4)
        if marks:
            panel.scatter("x", "rms", source=source, size=4, color=LEFT)
    for name, panel in made.items():
        panel.xaxis.axis_label = told["label"]
        panel.y_range.start = 0
        panel.min_border_left = 64
        panel.add_layout(_span("height", f"{name}-spot"))
        _calls(panel, f"pixel({g}")
    return made


def _span(dimension: str, name: str) -> Span:
    return Span(
        dimension=dimension,  # type: ignore[arg-type]
        name=name,
        location=None,
        line_color="#111827",
        line_width=1,
        line_alpha=0.55,
        line_dash=[4, 3],
    )


def _curves(panel: Any, scene: Scene, source: Any, numbers: Any, marks: bool) -> None:
    """A curve of every component, in its colour."""
    for k in numbers:
        style = {"color": scene.colour(k), "name": f"component{k}"}
        panel.line("x", f"c{k}", source=source, line_width=1.8, line_dash=scene.dash(k), **style)
        if marks:
            panel.scatter("x", f"c{k}", source=source, size=4, **style)


def _spectra(scene: Scene, i: int) -> dict[str, Any]:
    """Of one data set: a pixel's spectrum with its components, what is left, all components."""
    part = scene.payload["parts"][i]
    label, numbers = part["axes"][0]["label"], part["numbers"]
    few = part["channels"][0] <= MARKED
    along = Range1d(0, 1, name=f"energies{i}")
    columns = [f"c{k}" for k in numbers]
    source = _empty(f"spectrum{i}-source", ["measured", "fit", "left", *columns])
    made: dict[str, Any] = {}
    high, low, middle = HEIGHTS[len(scene.groups[part["group"]].parts) > 1]
    for kind in ("spectrum", "log"):
        scale = {"y_axis_type": "log"} if kind == "log" else {}
        panel = made[f"{kind}{i}"] = _plain(f"{kind}{i}", height=high, x_range=along, **scale)
        panel.line("x", "measured", source=source, color=MEASURED, line_width=1.3)
        if few:
            panel.scatter("x", "measured", source=source, color=MEASURED, size=4)
        panel.line("x", "fit", source=source, color=INK, line_width=2.6)
        for k in numbers:
            style = {"line_dash": scene.dash(k), "name": f"component{k}"}
            panel.line("x", f"c{k}", source=source, color=scene.colour(k), line_width=1.6, **style)
        panel.xaxis.major_label_text_font_size = "0px"
        panel.yaxis.axis_label = "counts" if part["noise"] == "poisson" else "intensity"
        if kind == "log":
            panel.visible = False
            panel.y_range = Range1d(0.1, 1, name=f"logs{i}")
            panel.yaxis.formatter = CustomJSTickFormatter(
                code="return tick.toPrecision(1) * 1 + ''"
            )
    left = made[f"left{i}"] = _plain(f"left{i}", height=low, x_range=along)
    left.line("x", "left", source=source, color=LEFT, line_width=1.0)
    left.add_layout(Span(dimension="width", location=0, line_color=SOFT, line_width=1))
    left.yaxis.axis_label = "residual"
    left.yaxis.ticker.desired_num_ticks = 3  # type: ignore[attr-defined]
    whole = _empty(f"parts{i}-source", columns)
    parts = made[f"parts{i}"] = _plain(f"parts{i}", height=middle, x_range=along)
    _curves(parts, scene, whole, numbers, marks=False)
    parts.yaxis.axis_label = "component"
    left.xaxis.axis_label = parts.xaxis.axis_label = label.replace("um", "µm")
    for name, panel in made.items():
        panel.min_border_left = 72
        panel.add_layout(_span("height", f"{name}-spot"))
        for energy, text in part["lines"]:
            _mark(panel, energy, "" if panel is left else text, f"mark of {name}")
        _tools(panel)
        _calls(panel, f"channel({i}")
    return made


def _mark(panel: Any, energy: float, text: str, name: str) -> None:
    """A dotted line with a name, of an edge or an X-ray line."""
    style = {"line_color": "#8b95a3", "line_width": 1, "line_dash": [1, 3]}
    panel.add_layout(Span(dimension="height", location=energy, **style))  # type: ignore[arg-type]
    if text:
        said = Label(
            x=energy,
            y=0,
            y_units="screen",
            text=text,
            name=name,
            x_offset=3,
            text_baseline="top",
            text_font=FONT,
            text_font_size="11px",
            text_color=SOFT,
            background_fill_color="white",
            background_fill_alpha=0.75,
        )
        panel.add_layout(said)


def _starts(scene: Scene) -> Any:
    """Loss of every start above the lowest of all, against the step."""
    history = np.asarray(scene.result.loss_history, dtype=float)
    seen = history[np.isfinite(history)]
    lowest, highest = (float(seen.min()), float(np.abs(seen).max())) if seen.size else (0.0, 0.0)
    above = (history - lowest) / max(abs(lowest), 1e-9 * highest, np.finfo(float).tiny)
    above = np.maximum(above, 1e-8)
    made = _plain("starts", height=240, y_axis_type="log")
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
