"""What the sections of a page say, as plain values for its template."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

from fusion.language.model import Model
from fusion.report.contents import Scene
from fusion.report.navigation import Group
from fusion.report.sentences import fit_text

TALLEST = 560  # CSS pixels of the large map
MOST = 12  # steps of the preparation that are listed


def model_equation(model: Model | None) -> str:
    """What the model says it is: the first line of its description."""
    if model is None or type(model).__doc__ is None:
        return ""
    first = (getdoc(type(model)) or "").split("\n\n")[0]
    return " ".join(first.split()).split(" Review, ")[0]


def group_section(scene: Scene, g: int) -> dict[str, Any]:
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


def part_section(scene: Scene, i: int) -> dict[str, Any]:
    part, entry = scene.parts[i], scene.payload["parts"][i]
    sizes = " × ".join(f"{axis.name} {axis.size}" for axis in part.summary.axes)
    return {
        "name": part.name,
        "signal": entry["signal"],
        "numbers": entry["numbers"],
        "shape": f"{sizes}; {fit_text(part.summary)}",
        "bands": scene.bands[i],
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


def details(scene: Scene) -> list[tuple[str, list[str]]]:
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
