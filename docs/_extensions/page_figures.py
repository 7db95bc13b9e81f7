"""Pictures of the explaining pages, drawn while the site is built by `docs/figures/NAME.py`."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]


def draw(_app: Any) -> None:
    """Every script whose picture is missing or older: it has `draw() -> Figure`."""
    import matplotlib.pyplot as plt

    from fusion import FusionWarning

    target = DOCS / "pictures"
    target.mkdir(exist_ok=True)
    for script in sorted((DOCS / "figures").glob("*.py")):
        picture = target / f"{script.stem}.png"
        if picture.exists() and picture.stat().st_mtime >= script.stat().st_mtime:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FusionWarning)  # of fits that show what goes wrong
            figure = runpy.run_path(str(script))["draw"]()
        figure.savefig(picture, dpi=150, facecolor="white")
        plt.close(figure)


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
