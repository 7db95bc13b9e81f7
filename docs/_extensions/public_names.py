"""Public names: their pages, the links that lead to them, and where their use is shown."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils import unescape
from sphinx.addnodes import pending_xref

DOCS = Path(__file__).resolve().parents[1]
ROOMS = (
    "models",
    "losses",
    "constraints",
    "solvers",
    "prepare",
    "simulate",
    "elements",
    "plots",
    "estimators",
    "testing",
)
"""Packages whose names are public beside those of `fusion` itself, in the order of the pages."""
METHODS = ("Dataset", "Scan", "Model", "Result")
"""Classes of `fusion` whose methods have entries of their own."""


@cache
def names() -> dict[str, Any]:
    """Every public name in full, "fusion.models.NMF", each object once: where it is first found."""
    import fusion

    found: dict[str, Any] = {}
    for name in fusion.__all__:
        if not name.startswith("__") and not inspect.ismodule(thing := getattr(fusion, name)):
            found[f"fusion.{name}"] = thing
    for room in ROOMS:
        module = importlib.import_module(f"fusion.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            if not any(thing is other for other in found.values()):
                found[f"fusion.{room}.{name}"] = thing
    return found


@cache
def homes() -> dict[str, str]:
    """The public name of a definition: "fusion.data.dataset.Dataset" → "fusion.Dataset"."""
    places = {}
    for name, thing in names().items():
        if hasattr(thing, "__qualname__"):
            places[f"{thing.__module__}.{thing.__qualname__}"] = name
    return places


@cache
def short() -> dict[str, str]:
    """What a docstring calls it: "NMF", "models.NMF", "fu.models.NMF" → the name in full."""
    called: dict[str, str] = {}
    for name in reversed(names()):
        tail = name.removeprefix("fusion.")
        called |= dict.fromkeys((tail.split(".")[-1], tail, f"fu.{tail}", name), name)
    for owner in METHODS:
        for method in methods(owner):
            full = f"fusion.{owner}.{method}"
            called |= {f"{owner}.{method}": full, full: full, f"fu.{owner}.{method}": full}
    return called


def methods(owner: str) -> list[str]:
    """Public methods and properties that the class itself brings, without torch's."""
    import fusion

    members = inspect.getmembers_static(getattr(fusion, owner))
    own = []
    for name, member in members:
        code = inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
        module = getattr(getattr(code, "func", code), "__module__", "") or ""
        if not name.startswith("_") and callable(code) and module.startswith("fusion"):
            own.append(name)
    return own


def filenames() -> dict[str, str]:
    """Names that differ in capitals alone need files that differ in more."""
    return {
        name: f"{name}_function"
        for name in names()
        if name.islower() and any(n != name and n.lower() == name for n in names())
    }


def with_methods(name: str) -> list[str]:
    """The methods to list where some come from classes that have no page."""
    owner = name.removeprefix("fusion.")
    return methods(owner) if owner in METHODS else []


# -- where a name is shown at work


@cache
def sources() -> dict[str, tuple[str, str]]:
    """Page → (title, text) of how-to pages, lessons and notebooks."""
    import json

    found = {}
    for path in sorted(DOCS.rglob("*.md")):
        page = path.relative_to(DOCS).with_suffix("").as_posix()
        if page.split("/")[0] in ("start", "how_to", "explain"):
            text = path.read_text(encoding="utf-8")
            found[page] = (_title(text) or page, "\n".join(re.findall(r"```.*?```", text, re.S)))
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


# -- links


def role(_role: str, raw: str, text: str, _line: int, _inliner: Any, *_: Any) -> tuple[list, list]:
    """`Name` in a docstring leads to its page; all else is code."""
    text = unescape(text, restore_backslashes=True)
    code = nodes.literal(raw, text, classes=["code"])
    target = short().get(re.sub(r"\(.*\)$", "", text.strip(), flags=re.S))
    if target is None:
        return [code], []
    where = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refexplicit": True}
    return [pending_xref(raw, code, refwarn=True, **where)], []


def resolve(app: Any, env: Any, link: Any, content: Any) -> Any:
    """A definition's own place stands for its public name; other packages are no links."""
    if link.get("refdomain") != "py":
        return None
    target = str(link.get("reftarget"))
    public = homes().get(target) or short().get(target)
    if public and public != target:
        domain = env.get_domain("py")
        return domain.resolve_xref(
            env, link["refdoc"], app.builder, "obj", public, link, content
        )  # fmt: skip
    return None if link.get("refwarn") else content


def skip(_app: Any, _what: str, name: str, thing: Any, _skip: bool, _options: Any) -> bool | None:
    """Private names, and those that torch's classes bring, have no entries."""
    module = getattr(inspect.unwrap(thing), "__module__", "") if callable(thing) else ""
    foreign = (module or "").startswith("torch") or re.fullmatch(r"set_\w+_request", name)
    return True if name.startswith("_") or foreign else None


# -- docstrings


MARKUP = re.compile(r"([|*]|(?<=\w)_(?=[^\w:]))")
"""What reStructuredText would take for its own in a formula or a pattern of files."""


def as_rst(_app: Any, what: str, name: str, thing: Any, _options: Any, lines: list[str]) -> None:
    """Formulas have | and * that mean what they say; a constant has the words below it."""
    if what in ("data", "class") and not getattr(thing, "__module__", "").startswith("fusion"):
        lines[:] = (words_below(name) or "").splitlines()
    shown = False
    for i, line in enumerate(lines):
        shown = bool(line.strip()) if shown else line.lstrip().startswith(">>>")
        if not shown:
            lines[i] = "".join(
                part
                if part.startswith("`")
                else re.sub(r"([|*]|(?<=\w)_(?=[^\w:]))", r"\\\1", part)
                for part in re.split(r"(`[^`]*`)", line)
            )


def words_below(name: str) -> str:
    """The docstring that stands below a constant where it is defined."""
    import sys

    from sphinx.pycode import ModuleAnalyzer

    tail = name.split(".")[-1]
    for module in [m for m in sys.modules if m.startswith("fusion.")]:
        if hasattr(sys.modules[module], tail):
            found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", tail))
            if found:
                return "\n".join(found)
    return ""


def setup(app: Any) -> dict[str, bool]:
    app.add_role("fu", role)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
    app.config.autosummary_filename_map = filenames()
    app.config.autosummary_context = {"uses_of": uses_as_list, "with_methods": with_methods}
    return {"parallel_read_safe": True, "parallel_write_safe": True}
