"""Where pages and notebooks show a public name at work."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from name_list import METHODS

DOCS = Path(__file__).resolve().parents[1]


@cache
def sources() -> dict[str, tuple[str, str]]:
    """Page → (title, text) of how-to pages, lessons and notebooks."""
    found = {}
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        if page.split("/")[0] in ("start", "how_to", "explain"):
            text = path.read_text(encoding="utf-8")
            found[page] = (
                _title(text) or page,
                "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.S)),
            )
    for path in sorted((DOCS / "gallery").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        words = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        found[f"gallery/{path.stem}"] = (_title(words) or path.stem, code)
    return found


def _title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1].strip() if found else ""


def uses(name: str, most: int = 8) -> list[tuple[str, str]]:
    """(title, page) where code calls the name; those that call few others first."""
    tail = name.split(".")[-1]
    pattern = re.compile(rf"(?<![\w\"']){re.escape(tail)}(?=\(|\[|\.)")
    if name.split(".")[-2] in METHODS:
        pattern = re.compile(rf"\.{re.escape(tail)}\b")
    found = [(len(code), title, page) for page, (title, code) in sources().items()
             if pattern.search(code)]  # fmt: skip
    return [(title, page) for _, title, page in sorted(found)][:most]


def uses_as_list(name: str) -> str:
    """The same as lines of reStructuredText; empty where there are none."""
    return "\n".join(f"* :doc:`{_plain(title)} </{page}>`" for title, page in uses(name))


def _plain(title: str) -> str:
    return re.sub(r"[`*<>]", "", title)
