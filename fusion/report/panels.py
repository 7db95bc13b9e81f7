"""Figures in one quiet style, and how they tell the page's script where the mouse is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from bokeh.events import DoubleTap, MouseLeave, MouseMove, Pan, PanEnd, PanStart, Tap
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    Label,
    PanTool,
    ResetTool,
    SaveTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from fusion.report.contents import Scene

FONT = "system-ui, 'Segoe UI', sans-serif"
INK, SOFT, RULE, AXIS, CARD = "#1c2430", "#5b6572", "#e6e9ee", "#818b98", "#ffffff"
MEASURED, LEFT, BAND = "#7d8794", "#7c3f00", "#dde3ea"
SECOND, SECOND_SOFT = "#6a3fc4", "#9a83cf"  # of what is compared: fit and measured
ROLES = {
    INK: "ink",
    SOFT: "soft",
    RULE: "rule",
    AXIS: "axis",
    CARD: "card",
    MEASURED: "measured",
    LEFT: "left",
    BAND: "band",
    SECOND: "second",
    SECOND_SOFT: "second-soft",
}
"""Variables of the style sheet, which gives colours of light and dark pages."""
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


def empty_source(name: str, columns: Iterable[str]) -> ColumnDataSource:
    """A source that the page's script fills; two points, so that a first range can be told."""
    return ColumnDataSource({column: [0.0, 1.0] for column in ["x", *columns]}, name=name)


def plain_figure(name: str, *, height: int, **options: Any) -> Any:
    """A quiet figure as wide as its place."""
    panel = figure(
        name=name,
        height=height,
        sizing_mode="stretch_width",
        tools=[],
        toolbar_location=None,
        min_border=4,
        output_backend="canvas",
        **options,
    )
    panel.outline_line_color = None
    panel.background_fill_color = panel.border_fill_color = None
    for axis in panel.axis:
        axis.axis_line_color = axis.major_tick_line_color = AXIS
        axis.minor_tick_line_color = None
        axis.major_label_text_color = SOFT
        axis.major_label_text_font = axis.axis_label_text_font = FONT
        axis.major_label_text_font_size = "11px"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = INK
        axis.axis_label_standoff = 6
    for lines in panel.grid:
        lines.grid_line_color = RULE
    panel.xgrid.grid_line_color = None
    panel.yaxis.formatter = CustomJSTickFormatter(code=MATHS)
    return panel


def send_mouse(figure_: Any, call: str) -> None:
    """The page's script hears where the mouse is."""
    target = f"window.report && window.report.{call}"
    for event, arguments in (
        (MouseMove, "cb_obj.x, cb_obj.y, false"),
        (Tap, "cb_obj.x, cb_obj.y, true, cb_obj.modifiers?.shift"),
        (DoubleTap, "cb_obj.x, cb_obj.y, true"),  # two quick ones, if at two places
        (MouseLeave, "null, null, false"),
    ):
        figure_.js_on_event(event, CustomJS(code=f"{target}, {arguments})"))


def send_drag(figure_: Any, call: str) -> None:
    """The page's script hears of a drag: where it begins, goes on, and ends."""
    for event in (PanStart, Pan, PanEnd):
        told = f"window.report && window.report.{call}, {event.event_name!r}, cb_obj.x, cb_obj.y)"
        figure_.js_on_event(event, CustomJS(code=told))


def add_tools(panel: Any, *, dimensions: Literal["width", "both"] = "width") -> None:
    """Drag to zoom, wheel on request, reset: with a toolbar that appears when it is needed."""
    zoom = BoxZoomTool(dimensions=dimensions, name=f"{panel.name}-zoom")
    panel.add_tools(zoom, PanTool(dimensions=dimensions), WheelZoomTool(dimensions=dimensions))
    panel.add_tools(ResetTool(), SaveTool())
    panel.js_on_event(DoubleTap, CustomJS(args={"made": panel}, code="made.reset.emit()"))
    panel.toolbar.active_drag = zoom
    panel.toolbar.active_scroll = None
    panel.toolbar.autohide = True
    panel.toolbar.logo = None
    panel.toolbar_location, panel.toolbar_inner = "above", True


def dashed_span(dimension: str, name: str) -> Span:
    return Span(
        dimension=dimension,  # type: ignore[arg-type]
        name=name,
        location=None,
        line_color=INK,
        line_width=1,
        line_alpha=0.7,
        line_dash=[4, 3],
    )


def mark_energy(panel: Any, energy: float, text: str, name: str) -> None:
    """A dotted line with a name, of an edge or an X-ray line."""
    style = {"line_color": AXIS, "line_width": 1, "line_dash": [1, 3]}
    panel.add_layout(Span(dimension="height", location=energy, **style))  # type: ignore[arg-type]
    if text:
        label = Label(
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
            background_fill_color=CARD,
            background_fill_alpha=0.75,
        )
        panel.add_layout(label)


def draw_curves(panel: Any, scene: Scene, source: Any, numbers: Sequence[int], marks: bool) -> None:
    """A curve of every component, in its colour."""
    for k in numbers:
        style = {"color": scene.colour(k), "name": f"component{k}"}
        panel.line("x", f"c{k}", source=source, line_width=1.8, line_dash=scene.dash(k), **style)
        if marks:
            panel.scatter("x", f"c{k}", source=source, size=4, **style)
