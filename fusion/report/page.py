"""One file of HTML with all that it shows: no network, no other file."""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.report import sentences as words
from fusion.report.components import of_the_model
from fusion.report.composition import composition_section
from fusion.report.contents import Scene
from fusion.report.origin import origin
from fusion.report.packing import packed_text
from fusion.report.page_sections import details, group_section, model_equation, part_section
from fusion.report.panels import ROLES
from fusion.report.plural_scattering import plural_section

if TYPE_CHECKING:
    from fusion.elements.modelled_composition import ModelledComposition

OPEN, CLOSE = "\ue000", "\ue001"  # around the number of a component, where its name will stand


def page(
    scene: Scene, title: str | None = None, composition: ModelledComposition | None = None
) -> str:
    """The page as text.

    Raises:
        ImportError: if bokeh is not installed.
    """
    from bokeh.document import Document
    from bokeh.embed import components
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from fusion.report.figures import figures

    result = scene.result
    drawn, document = figures(scene), Document()
    with document.models.freeze():  # else all models are gone through for every figure
        for figure in drawn.values():
            document.add_root(figure)
    script, divs = components(drawn, wrap_script=False)
    assets = files("fusion.report") / "assets"
    scripts = sorted(f.name for f in assets.iterdir() if f.name.endswith(".js"))
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string((assets / "page.html").read_text("utf-8"))
    return template.render(
        title=title or words.title(result, of_the_model(scene.parts, scene.names)),
        result=result,
        status=words.verdict(result),
        facts=words.facts(result),
        equation=model_equation(result.model),
        cautions=[_html(text, scene.names) for text in _cautions(scene)],
        names=scene.names,
        groups=[group_section(scene, g) for g in range(len(scene.groups))],
        parts=[part_section(scene, i) for i in range(len(scene.parts))],
        table=scene.table,
        beside=scene.beside,
        composition=composition_section(result, composition),
        plural=plural_section(result),
        starts=words.start_rows(result),
        details=details(scene),
        light=scene.light,
        origin=origin(result),
        css=Markup((assets / "page.css").read_text("utf-8")),
        library=Markup(packed_text(_library())),
        figures=Markup(packed_text(script)),
        divs={name: Markup(div) for name, div in divs.items()},
        data=Markup(_json(_payload(scene))),
        named=Markup(_json(scene.names)),
        js=Markup("\n".join((assets / name).read_text("utf-8") for name in scripts)),
    )


def _payload(scene: Scene) -> dict[str, Any]:
    """What the page's script reads."""
    kept = ("key", "rows", "columns", "maps")
    beside = [
        {**{key: e[key] for key in kept}, "colours": [scene.colour(k) for k in e["numbers"]]}
        for answer in scene.beside
        for e in answer["sets"]
    ]
    return {**scene.payload, "palettes": _palettes(), "roles": ROLES, "beside": beside}


def _cautions(scene: Scene) -> list[str]:
    """With the numbers of components where their names will stand, as these may be changed."""
    numbered = [f"{OPEN}{k}{CLOSE}" for k in range(len(scene.names))]
    return words.cautions(scene.result, scene.parts, scene.table, scene.numbers, numbered)


def _library() -> str:
    """What draws the figures."""
    from bokeh.resources import Resources

    # a masked pixel has no range: that is no warning
    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="error").js_raw)


def _html(text: str, names: list[str]) -> Any:
    """Text with `code` and names of components in it as HTML."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    shown = "".join(f"<code>{p}</code>" if i % 2 else str(p) for i, p in enumerate(parts))
    for k, name in enumerate(names):
        shown = shown.replace(f"{OPEN}{k}{CLOSE}", f'<span data-name="{k}">{escape(name)}</span>')
    return Markup(shown)


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
