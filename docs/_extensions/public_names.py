"""Links that lead to public names, and their docstrings as reStructuredText."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from docutils import nodes
from docutils.utils import unescape
from name_list import asked_by, bases, filenames, homes, names, short, with_methods
from shown_at_work import uses_as_list
from sphinx.addnodes import pending_xref


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
        return domain.resolve_xref(env, link["refdoc"], app.builder, "obj", public, link, content)
    return None if link.get("refwarn") else content


def skip(_app: Any, _what: str, name: str, thing: Any, _skip: bool, options: Any) -> bool | None:
    """Private names, and those that torch's classes bring, have no entries."""
    module = getattr(inspect.unwrap(thing), "__module__", "") if callable(thing) else ""
    foreign = (module or "").startswith("torch") or re.fullmatch(r"set_\w+_request", name)
    listed = options.get("members")
    unlisted = isinstance(listed, list | set | tuple) and name not in listed
    return True if name.startswith("_") or foreign or unlisted else None


# -- docstrings


MARKUP = re.compile(r"([|*]|(?<=\w)_(?=[^\w:]))")
"""What reStructuredText would take for its own in a formula or a pattern of files."""


def as_rst(_app: Any, what: str, name: str, thing: Any, _options: Any, lines: list[str]) -> None:
    """Formulas have | and * that mean what they say; a constant has the words below it."""
    if what in ("data", "class") and not getattr(thing, "__module__", "").startswith("fusion"):
        lines[:] = words_below(name, thing).splitlines()
    if what in ("attribute", "data", "property") and lines and ":" in lines[0]:
        lines[:0] = ["..", ""]  # else napoleon takes what stands before the colon for a type
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


def plain_defaults(
    _app: Any, _what: str, _name: str, _thing: Any, _options: Any, signature: Any, returned: Any
) -> tuple[Any, Any]:
    """A default that is made anew is no Python, and would leave the whole signature unread."""
    return signature and signature.replace("<factory>", "..."), returned


def public_bases(_app: Any, name: str, _thing: Any, _options: Any, found: list[Any]) -> None:
    """Internal classes are none that a reader could look up."""
    if shown := bases(name):
        found[:] = shown


def for_solvers(name: str) -> list[tuple[str, str]]:
    """(directive, member) of what solvers call of a class, as far as there are words about it."""
    thing = names()[name]
    shown = []
    for member in asked_by(name):
        value = inspect.getattr_static(thing, member)
        kind = "property" if isinstance(value, property) else "method"
        if not callable(getattr(value, "__func__", value)) and kind == "method":
            kind = "attribute"
        if _has_words(thing, member, kind):
            shown.append((f"auto{kind}", f"{thing.__qualname__}.{member}"))
    return shown


def asking(name: str) -> str:
    """The classes that ask for these members, as links."""
    return ", ".join(f":py:obj:`{base}`" for base in dict.fromkeys(asked_by(name).values()))


def _has_words(thing: type, member: str, kind: str) -> bool:
    """Whether the class or one that it stands on says what the member is."""
    from sphinx.pycode import ModuleAnalyzer

    if kind != "attribute":
        return _inherited(thing, member)
    ours = [base for base in thing.__mro__ if base.__module__.startswith("fusion")]
    told = [(b, ModuleAnalyzer.for_module(b.__module__).find_attr_docs()) for b in ours]
    return any((base.__qualname__, member) in words for base, words in told)


def _inherited(thing: type, member: str) -> bool:
    return any(inspect.getdoc(vars(base)[member]) for base in thing.__mro__ if member in vars(base))


def words_below(name: str, thing: Any) -> str:
    """The docstring that stands below a constant where it is defined."""
    from sphinx.pycode import ModuleAnalyzer

    tail = name.split(".")[-1]
    for module in [m for m in sys.modules if m.startswith("fusion.")]:
        if getattr(sys.modules[module], tail, None) is thing:
            found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", tail))
            if found:
                return "\n".join(found)
    return ""


def setup(app: Any) -> dict[str, bool]:
    app.add_role("fu", role)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-signature", plain_defaults)
    app.config.autosummary_filename_map = filenames()
    app.config.autosummary_context = {
        "uses_of": uses_as_list,
        "with_methods": with_methods,
        "bases_of": bases,
        "for_solvers": for_solvers,
        "asking": asking,
    }
    return {"parallel_read_safe": True, "parallel_write_safe": True}
