"""What a page says of plural scattering: thickness, low loss, spectra with and without it."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np

from fusion.answers.result import Result
from fusion.plots.plural_parts import PluralParts, plural_parts
from fusion.plots.plural_scattering import plot_plural_scattering

DPI = 110


def plural_section(result: Result) -> dict[str, Any] | None:
    """Of a result whose model has the low loss of every pixel; None of any other."""
    found = plural_parts(result)
    if found is None:
        return None
    written = BytesIO()
    plot_plural_scattering(result).savefig(written, format="png", dpi=DPI)
    return {
        "facts": _facts(result, found),
        "picture": f"data:image/png;base64,{b64encode(written.getvalue()).decode()}",
    }


def _facts(result: Result, found: PluralParts) -> list[tuple[str, str]]:
    t, errors = found.thickness.values, found.thickness.errors
    first, last = found.thickness.zero_loss
    out = int(np.isnan(t).sum())
    count = found.kernels.shape[1]
    facts = [
        ("t/λ", f"{np.nanmean(t):.3g} ± {np.nanstd(t):.2g}, mean and standard deviation of pixels"),
        ("its range", f"{np.nanmin(t):.3g} to {np.nanmax(t):.3g}"),
        ("error of a pixel", f"{np.nanmedian(errors):.1g}"),
        ("zero loss", f"{first:.3g} to {last:.3g} eV".replace("-", "−")),
        ("low loss", f"{count} kernel{'s' * (count > 1)}"),
    ]
    if (onset := getattr(result.model, "onset", None)) is not None:
        facts.append(("edges from", f"{onset:.5g} eV"))
    return facts + ([("left out", f"{out} pixels, without thickness and amounts")] if out else [])
