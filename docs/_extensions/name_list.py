"""Which names are public, and what each is called where; needs no Sphinx, so that tests ask it."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

ROOMS = (
    "models",
    "losses",
    "constraints",
    "solvers",
    "prepare",
    "simulate",
    "elements",
    "edges",
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
        if getattr(thing, "__module__", "").startswith("fusion") and hasattr(thing, "__qualname__"):
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


def bases(name: str) -> list[type]:
    """Public classes that a class stands on: what is internal, and `object`, says nothing."""
    found = getattr(names().get(name), "__bases__", ())
    return [base for base in found if f"{base.__module__}.{base.__qualname__}" in homes()]


def asked_by(name: str) -> dict[str, str]:
    """Members that a base class asks for, and solvers call: member → public class that asks.

    Where an internal class asks first, or one of torch's, that is the public one on which this
    stands.
    """
    thing = names().get(name)
    asked: dict[str, str] = {}
    for member in vars(thing) if inspect.isclass(thing) else ():
        asking = [base for base in thing.__mro__[1:] if member in vars(base)]
        public = (_homes_of(asking[-1]) or _homes_of(thing)[:0:-1]) if asking else []
        if public and not member.startswith("_"):
            asked[member] = public[0]
    return asked


def _homes_of(thing: type) -> list[str]:
    """Public names of a class and of those that it stands on."""
    places = [f"{base.__module__}.{base.__qualname__}" for base in thing.__mro__]
    return [homes()[place] for place in places if place in homes()]


def with_methods(name: str) -> list[str]:
    """The methods to list where some come from classes that have no page."""
    owner = name.removeprefix("fusion.")
    return methods(owner) if owner in METHODS else []
