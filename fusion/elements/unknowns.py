"""Unknowns of a line model that ended far from what was expected of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusion.elements.common_errors import CommonErrors
from fusion.elements.doubts import TOLD, in_a_row
from fusion.elements.found_told import Finding
from fusion.xrays.line_model import LineModel

FAR = 3.0
"""Standard deviations of what was expected, from which an unknown is told to be far off."""


def unknowns_far_off(
    common: CommonErrors,
    path: str,
    lines: LineModel,
    told: tuple[float, float] | None,
    beside: Sequence[Finding],
) -> Iterator[str]:
    """Unknowns that ended far from what was expected of them, with what may be why.

    Args:
        common: values of what all pixels have in common.
        path: of the line model in the model; lines: itself.
        told: (pull, relative error) of a mass thickness that was given.
        beside: elements that counts show and that are not in the list, the clearest first.
    """
    prefix = f"{path}." if path else ""
    found: list[tuple[str, float]] = []
    for name in lines.factor_modules():
        values = common.few[common.place(prefix + name)].tolist()
        if name == "absorption" and told is not None:
            values = [told[0]]
        found += zip(_names_of(name, lines), values, strict=True)
    if far := [f"{name} {value:+.1f} σ" for name, value in found if abs(value) > FAR]:
        missing = in_a_row([one.element for one in beside[:TOLD]], "or") or "an element"
        yield (
            f"far from what was expected: {', '.join(far)}: {missing} may be missing, the "
            "background be of another kind, or the axis or the k factors be wrong; the intervals "
            "take what was expected of them for that much less certain"
        )


def _names_of(name: str, lines: LineModel) -> Sequence[str]:
    return {
        "calibration": ("offset", "gain", "noise", "Fano factor"),
        "absorption": ("mass thickness",),
        "path": ("path of the continuum through matter",),
        "subshells": [f"share {i + 1} of L lines" for i in range(len(lines.of_L))],
        "continuum": ("height of the continuum", "slope of the continuum"),
        "heaviness": ("continuum by atomic number",),
        "absorbers": ("window", "dead layer"),
        "origin": ("share of the continuum that is absorbed",),
        "ends": ("continuum below the axis", "continuum above the axis"),
        "sensitivity": tuple(f"k of {shell}" for shell in lines.unsure_shells),
    }[name]
