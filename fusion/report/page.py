"""One file of HTML with all that it shows: no network, no other file."""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.resources import files
from inspect import getdoc
from typing import Any

import numpy as np

from fusion._version import __version__
from fusion.language.model import Model
from fusion.report import sentences as words
from fusion.report.contents import Scene
from fusion.report.navigation import Group

TALLEST = 560  # CSS pixels of the large map
MOST = 12  # steps of the preparation that are listed


def page(scene: Scene, title: str | None = None) -> str:
    """The page as text.

    Raises:
        ImportError: if bokeh is not installed.
    """
    from bokeh.embed import components
    from bokeh.resources import Resources
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from fusion.report.figures import figures

    result = scene.result
    script, divs = components(figures(scene))
    assets = files("fusion.report") / "assets"
    scripts = sorted(f.name for f in assets.iterdir() if f.name.endswith(".js"))
    payload = {**scene.payload, "palettes": _palettes()}
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string((assets / "page.html").read_text("utf-8"))
    return template.render(
        title=title or words.title(result, scene.names),
        result=result,
        status=words.verdict(result),
        facts=words.facts(result),
        equation=model_equation(result.model),
        cautions=[
            _code_html(text)
            for text in words.cautions(result, scene.parts, scene.table, scene.numbers, scene.names)
        ],
        names=scene.names,
        colours=scene.payload["colours"],
        groups=[_group_entry(scene, g) for g in range(len(scene.groups))],
        parts=[_part_entry(scene, i) for i in range(len(scene.parts))],
        table=scene.table,
        starts=words.start_rows(result),
        details=_details(scene),
        light=scene.light,
        version=__version__,
        css=Markup((assets / "page.css").read_text("utf-8")),
        library=Markup(
            Resources(
                mode="inline",
                components=["bokeh"],
                log_level="error",  # a masked pixel has no range: that is no warning
            ).render()
        ),
        divs={name: Markup(div) for name, div in divs.items()},
        data=Markup(_json(payload)),
        script=Markup(script),
        js=Markup("\n".join((assets / name).read_text("utf-8") for name in scripts)),
    )


def _code_html(text: str) -> Any:
    """Text with `code` in it as HTML."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    pairs = (f"<code>{p}</code>" if i % 2 else str(p) for i, p in enumerate(parts))
    return Markup("".join(pairs))


def _json(value: Any) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _palettes() -> dict[str, str]:
    """256 colours of residuals, and of values of both signs."""
    import matplotlib

    def of(name: str) -> str:
        colours = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
        return b64encode(np.rint(255 * colours).astype(np.uint8).tobytes()).decode()

    return {"left": of("magma"), "both": of("RdBu_r")}


def model_equation(model: Model | None) -> str:
    """What the model says it is: the first line of its description."""
    if model is None or type(model).__doc__ is None:
        return ""
    first = (getdoc(type(model)) or "").split("\n\n")[0]
    return " ".join(first.split()).split(" Review, ")[0]


def _group_entry(scene: Scene, g: int) -> dict[str, Any]:
    group, entry = scene.groups[g], scene.payload["groups"][g]
    return {**entry, "index": g, "fit": _style(group), "reaches": _neighbourhoods(scene, group)}


def _neighbourhoods(scene: Scene, group: Group) -> list[tuple[int, str]]:
    """Neighbourhoods whose mean spectrum can be looked at: (averages on either side, in words)."""
    rows, columns = (max(scene.payload["parts"][i]["bin"][n] for i in group.parts) for n in (0, 1))
    choices = []
    for reach in (0, 1, 2):
        n = 1 + 2 * reach
        text = (
            f"{n * rows} × {n * columns} pixels"
            if group.kind == "image"
            else f"{n * columns} pixels"
        )
        choices.append((reach, "one pixel" if n * rows * columns == 1 else text))
    return choices


def _style(group: Group) -> str:
    """Style of the large map: no taller than fits beside its spectra."""
    if not group.equal:
        return "width: 100%"
    entry = group.entry()
    (x, y) = (abs(entry[a]["last"] - entry[a]["first"]) for a in ("x", "y"))
    return f"width: min(100%, {TALLEST * x / y:.0f}px); aspect-ratio: {x / y:.5f}"


def _part_entry(scene: Scene, i: int) -> dict[str, Any]:
    part, entry = scene.parts[i], scene.payload["parts"][i]
    sizes = " × ".join(f"{axis.name} {axis.size}" for axis in part.summary.axes)
    return {
        "name": part.name,
        "signal": entry["signal"],
        "numbers": entry["numbers"],
        "shape": f"{sizes}; {100 * part.summary.explained_variance:.2f} % explained",
        "widths": _windows(entry, scene) if entry["signal"] == 1 else [],
    }


def _windows(entry: dict[str, Any], scene: Scene) -> list[tuple[int, str]]:
    """Windows of energies for maps: numbers of channels, with their width in the unit."""
    n, axis, b = entry["channels"][0], entry["axes"][0], entry["channelBin"]
    place = scene.parts[scene.payload["parts"].index(entry)].channels[0].values
    step = abs(place[-1] - place[0]) / max(len(place) - 1, 1)
    widths = [w for w in (1, 3, 5, 9, 15, 31, 61, 121) if w == 1 or w <= n // 3]
    unit = axis["units"]
    return [
        (w, "one channel" if w * b == 1 else f"{w * b} channels, {w * b * step:.3g} {unit}".strip())
        for w in widths
    ]


def _details(scene: Scene) -> list[tuple[str, list[str]]]:
    """How the answer was found."""
    result = scene.result
    details = [("loss", [f"{result.loss:.8g}".replace("-", "−") + f" = {result.formula}"])]
    if result.model is not None:
        details.append(("model", [type(result.model).__name__]))
        details.append(
            (
                "factors",
                [
                    f"{name} {' × '.join(map(str, m.shape))}: {', '.join(map(str, m.chain))}"
                    for name, m in result.model.factor_modules().items()
                ],
            )
        )
    else:
        shapes = [f"{n} {' × '.join(map(str, v.shape))}" for n, v in result.factors.items()]
        details.append(("factors", shapes))
    details.append(("solver", [result.solver]))
    details.append(("noise assumed", [f"{n}: {d.noise or '–'}" for n, d in result.data.items()]))
    for name, data in result.data.items():
        if data.history:
            steps = list(data.history)
            more = [f"… and {len(steps) - MOST} more"] if len(steps) > MOST else []
            details.append((f"{name}, prepared", [*steps[:MOST], *more]))
    return details
