"""Pictures of pages, drawn while the site is built.

Of explaining pages by `docs/figures/NAME.py`; of pages that show what their own code gives by that
code, so that the two cannot differ.
"""

from __future__ import annotations

import contextlib
import re
import runpy
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
BY_CODE = {"front": ("index", "answer.png"), "first_map": ("start/index", "answer.png")}
"""Picture → (page, the file that the page's code saves it to)."""


def draw(_app: Any) -> None:
    """Every picture that is missing, or older than what it is made of."""
    target = DOCS / "pictures"
    target.mkdir(exist_ok=True)
    for script in sorted((DOCS / "figures").glob("*.py")):
        if is_older(target / f"{script.stem}.png", [script]):
            by_script(script, target / f"{script.stem}.png")
    for name, (page, saved) in BY_CODE.items():
        sources = [DOCS / f"{page}.md", DOCS / "example_files.py"]
        if is_older(target / f"{name}.png", sources):
            by_code(sources[0], saved, target / f"{name}.png")


def is_older(picture: Path, sources: Iterable[Path]) -> bool:
    """Whether it has to be drawn."""
    newest = max(source.stat().st_mtime for source in sources)
    return not picture.exists() or picture.stat().st_mtime < newest


def by_script(script: Path, picture: Path) -> None:
    """By a script that has `draw() -> Figure`."""
    import matplotlib.pyplot as plt

    with quiet():
        figure = runpy.run_path(str(script))["draw"]()
    figure.savefig(picture, dpi=150, facecolor="white")
    plt.close(figure)


def by_code(page: Path, saved: str, picture: Path) -> None:
    """By the page's own blocks, as a reader runs them: beside the files of `example_files.py`."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    here: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), quiet():
        runpy.run_path(str(DOCS / "example_files.py"), run_name="__main__")
        with mpl.rc_context({"savefig.dpi": 150, "savefig.facecolor": "white"}):
            for block in blocks:
                exec(compile(block, str(page), "exec"), here)
                if Path(saved).exists():
                    break
        shutil.copy(saved, picture)
    plt.close("all")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing printed, and no caution of fits that show what goes wrong."""
    from fusion import FusionWarning

    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore", FusionWarning)
        yield


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
