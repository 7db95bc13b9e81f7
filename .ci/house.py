"""What the house is like: modules a room, longest way of imports, circles, imports that climb.

    python .ci/house.py SITE [--measure]

SITE holds the package as it is installed (`pip install --target SITE .`), models and losses inside:
in a checkout their imports would be invisible. Without `--measure` the floors of floors.ini are
held, too: exit status 1 where one is broken, or where an exception is more than a method that hands
on.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

FLOORS = Path(__file__).with_name("floors.ini")
MOST = 38
"""Methods that may hand on to a higher floor."""
WITNESS = "fusion.losses.poisson"
"""A module that the graph lacks where it is made of a checkout."""

Edge = tuple[str, str]


def graph_of(site: Path) -> grimp.ImportGraph:
    """All imports, those inside functions too, those for type checkers not."""
    sys.path.insert(0, str(site))
    graph = grimp.build_graph("fusion", exclude_type_checking_imports=True, cache_dir=None)
    assert WITNESS in graph.modules, f"{site}: no {WITNESS}: give the folder of an installed wheel"
    return graph


def edges_of(graph: grimp.ImportGraph) -> set[Edge]:
    """(importer, imported) of all modules."""
    return {(m, n) for m in graph.modules for n in graph.find_modules_directly_imported_by(m)}


def circles(edges: set[Edge]) -> list[set[str]]:
    """Modules that import each other, directly or not; Tarjan's strongly connected components."""
    after: dict[str, list[str]] = {}
    for importer, imported in edges:
        after.setdefault(importer, []).append(imported)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in after.get(module, ()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            components.append(set(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10_000)
    for module in sorted(after):
        if module not in index:
            visit(module)
    return [component for component in components if len(component) > 1]


def longest_way(edges: set[Edge]) -> list[str]:
    """The longest chain of imports; of modules in a circle one stands for all."""
    owner = {m: sorted(component)[0] for component in circles(edges) for m in component}
    after: dict[str, set[str]] = {}
    for a, b in edges:
        if (x := owner.get(a, a)) != (y := owner.get(b, b)):
            after.setdefault(x, set()).add(y)
    known: dict[str, list[str]] = {}

    def way(module: str) -> list[str]:
        if module not in known:
            known[module] = [module, *max(map(way, after.get(module, ())), key=len, default=[])]
        return known[module]

    return max(map(way, after), key=len)


def room(module: str) -> str:
    """The package below `fusion` in which a module lies; "" for what stands beside the rooms."""
    return [*module.split("."), ""][1]


def floors() -> dict[str, int]:
    """The floor of every room, the lowest 1."""
    config = configparser.ConfigParser()
    config.read(FLOORS)
    layers = config["importlinter:contract:floors"]["layers"].split("\n")
    rows = [line.replace("|", " ").split() for line in reversed(layers) if line.strip()]
    return {name: height for height, names in enumerate(rows, 1) for name in names}


def climbing(edges: set[Edge]) -> list[Edge]:
    """Imports of a higher floor."""
    height = floors()
    inside = [(a, b) for a, b in edges if room(a) in height and room(b) in height]
    return sorted((a, b) for a, b in inside if height[room(b)] > height[room(a)])


def exceptions() -> dict[Edge, list[str]]:
    """The imports that floors.ini lets climb, with the methods that make them."""
    listed, methods = {}, []
    for line in FLOORS.read_text(encoding="utf-8").splitlines():
        if named := re.match(r"    # (\w+\.\w+(?:, \w+\.\w+)*)$", line):
            methods = named[1].split(", ")
        elif arrow := re.match(r"    (\S+) -> (\S+)$", line):
            listed[arrow[1], arrow[2]] = methods
            methods = []
    return listed


def methods_with_imports(site: Path, module: str) -> Iterator[tuple[str, set[str], int]]:
    """(Class.method, what it imports, statements) of a module's methods that import something."""
    path = site.joinpath(*module.split(".")).with_suffix(".py")
    for owner in ast.parse(path.read_text(encoding="utf-8")).body:
        for method in getattr(owner, "body", ()):
            if not isinstance(method, ast.FunctionDef):
                continue
            body = method.body[1:] if ast.get_docstring(method) else method.body
            imported = {
                f"{line.module}.{alias.name}" for line in ast.walk(method)
                if isinstance(line, ast.ImportFrom) for alias in line.names
            }  # fmt: skip
            if imported:
                yield f"{owner.name}.{method.name}", imported, len(body)


def misused(site: Path) -> Iterator[str]:
    """What is wrong with the exceptions."""
    listed = exceptions()
    named = [method for methods in listed.values() for method in methods]
    for importer, imported in sorted(edges_of(graph_of(site))):
        if imported == "fusion" and room(importer):
            yield f"{importer} imports `fusion` itself, which hides what it needs: name the rooms"
    if len(named) > MOST:
        yield f"{len(named)} methods hand on to a higher floor: at most {MOST}"
    for (importer, imported), methods in listed.items():
        makers = {}
        for name, targets, statements in methods_with_imports(site, importer):
            if any(f"{target}.".startswith(f"{imported}.") for target in targets):
                makers[name] = statements
        if set(makers) != set(methods):
            yield f"{importer} -> {imported}: made by {sorted(makers)}, listed {sorted(methods)}"
        for name, statements in makers.items():
            if statements > 2:
                yield f"{name}: {statements} statements: an import and a call at most"


def report(graph: grimp.ImportGraph) -> None:
    """Print the numbers."""
    edges = edges_of(graph)
    rooms = Counter(
        room(module) for module in graph.modules if graph.find_children(module) == set()
    )
    print(f"{sum(rooms.values())} modules, {len(edges)} imports")
    print("  " + ", ".join(f"{name or 'beside'} {count}" for name, count in sorted(rooms.items())))
    way = [module.removeprefix("fusion.") for module in longest_way(edges)]
    print(f"longest way of imports: {len(way)} modules\n  {' > '.join(way)}")
    listed = exceptions()
    for title, chosen in (("all imports", edges), ("the exceptions left out", edges - set(listed))):
        groups = sorted(circles(chosen), key=len, reverse=True)
        print(f"circles, {title}: {len(groups)}, of {[len(group) for group in groups]} modules")
        print("".join(f"  {', '.join(sorted(g))}\n" for g in groups if len(g) < 5), end="")
    height = floors()
    unknown = sorted({room(m) for m in graph.modules} - set(height) - {""})
    if len(unknown) > 10:
        print("no floors: these are other rooms")
        return
    up = climbing(edges)
    print(f"imports that climb: {len(up)}, of which listed: {len(set(up) & set(listed))}")
    print("\n".join(f"  {a} -> {b}" for a, b in up if (a, b) not in listed))
    print(f"methods that hand on: {sum(map(len, listed.values()))} of at most {MOST}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--measure", action="store_true", help="print the numbers only")
    given = parser.parse_args()
    site = given.site.resolve()
    report(graph_of(site))
    if given.measure:
        return 0
    wrong = list(misused(site))
    print("\n".join(wrong))
    command = ["lint-imports", str(FLOORS), "--no-cache"]
    linted = subprocess.run(command, cwd=site, check=False).returncode
    return int(bool(wrong) or linted != 0)


if __name__ == "__main__":
    sys.exit(main())
