"""Whole sentences in the search box: keywords and first words of every page, for the browser.

Sphinx's index has neither the words of `keywords` one by one nor what a page begins with. Both go
into `_static/page_words.js`, which `_static/sentence_search.js` reads beside that index.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

MOST = 180
"""Letters of a page's first words."""


def note(app: Any, doctree: nodes.document) -> None:
    """What a page says of itself, kept with what Sphinx keeps of it."""
    told = app.env.metadata[app.env.docname]
    told["keywords"] = ", ".join(
        meta["content"] for meta in doctree.findall(nodes.meta) if meta.get("name") == "keywords"
    )
    told["lead"] = lead(doctree)


def lead(doctree: nodes.document) -> str:
    """The first paragraph of a page or of what it documents that is words: no table, no formula."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        told = isinstance(paragraph.parent, nodes.section | addnodes.desc_content)
        formula = next(iter(paragraph.findall(nodes.math)), None)
        if told and formula is None and not text.startswith("Bases:"):
            return text if len(text) <= MOST else text[:MOST].rsplit(" ", 1)[0] + " …"
    return ""


def write(app: Any, failed: Exception | None) -> None:
    """The words of all pages, as a script: a page that is a file may fetch no JSON."""
    if failed or app.builder.format != "html":
        return
    kept = {
        page: {key: told[key] for key in ("keywords", "lead") if told.get(key)}
        for page, told in app.env.metadata.items()
    }
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True)
    target = Path(app.outdir) / "_static" / "page_words.js"
    target.write_text(f"const pageWords = {text};\n", encoding="utf-8")


def load(app: Any, page: str, _template: str, _context: Any, _doctree: Any) -> None:
    """On the page of the search alone; after Sphinx's own scripts, before it searches."""
    if page == "search":
        app.add_js_file("page_words.js", loading_method="defer")
        app.add_js_file("sentence_search.js", loading_method="defer", priority=900)


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-read", note)
    app.connect("html-page-context", load)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
