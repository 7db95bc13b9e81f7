"""Pages whose text stands elsewhere in the repository, and the notebooks as they are stored."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "errors": "ERRORS.md",
    "changes": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "benchmarks": "benchmarks/README.md",
    "gallery": "notebooks/README.md",
}
"""Page of the site → file of the repository; the page itself is a stub that says so."""

PATHS = {
    "notebooks/README.md": [
        (r"\]\((?=\w+\.ipynb)", "](gallery/"),
        (r'src="images/', 'src="gallery/images/'),
    ]
}
"""What leads elsewhere from the page than from the file."""

KEYWORDS = {
    "errors": "error, error message, exception, ValueError, warning, caution, shapes do not match",
    "benchmarks": "benchmark, speed, how fast, compared with scikit-learn, time, memory",
    "changes": "what is new, release notes, versions, changelog, breaking, deprecated, upgrade",
    "contributing": "contribute, develop, tests, architecture, rooms",
    "gallery": "gallery, lessons, notebooks, examples, tutorials",
}
"""What readers call a page whose text has other words."""

UNSEARCHED = ("changes", "contributing")
"""Pages that name everything, and would stand before those that answer: found by their keywords."""

HOMES = {path: f"{page}.md" for page, path in PAGES.items()}
OTHERS = {"docs/formats.md": "formats.md", "docs/hyperspy.md": "hyperspy.md"}


def copy_notebooks(source: Path, target: Path) -> None:
    """Notebooks and their pictures under the pages; what has gone there goes here."""
    target.mkdir(exist_ok=True)
    for stale in target.glob("*.ipynb"):
        if not (source / stale.name).exists():
            stale.unlink()
    for path in source.glob("*.ipynb"):
        if not (copy := target / path.name).exists() or copy.read_bytes() != path.read_bytes():
            shutil.copy2(path, copy)
    shutil.copytree(ROOT / "notebooks" / "images", target / "images", dirs_exist_ok=True)


def text_of(path: str) -> str:
    """The file's text with its links as they lead from a page of the site."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for pattern, instead in PATHS.get(path, ()):
        text = re.sub(pattern, instead, text)
    return re.sub(r"\]\(([\w./]+\.md)\)", lambda found: f"]({_home(path, found[1])})", text)


def _home(path: str, link: str) -> str:
    there = ((ROOT / path).parent / link).resolve()
    name = there.relative_to(ROOT).as_posix() if there.is_relative_to(ROOT) else link
    return (HOMES | OTHERS).get(name, link)


def _borrow(app: Any, page: str, source: list[str]) -> None:
    if page in PAGES:
        app.env.note_dependency(str(ROOT / PAGES[page]))
        source[0] = _front(page) + text_of(PAGES[page]) + _behind(source[0])


def _front(page: str) -> str:
    """What the search is told of the page."""
    told = ["nosearch: true"] if page in UNSEARCHED else []
    if page in KEYWORDS:
        told += ["myst:", "  html_meta:", f"    keywords: {KEYWORDS[page]}"]
    return "\n".join(["---", *told, "---", "", ""]) if told else ""


def _behind(stub: str) -> str:
    """What the stub adds below its first comment, such as the table of contents."""
    return "\n" + stub.split("-->", 1)[-1]


def setup(app: Any) -> dict[str, bool]:
    from pygments.lexers.special import TextLexer

    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _borrow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
