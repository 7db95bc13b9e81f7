"""Check the installed wheel: python check_wheel.py SITE CHECKOUT, from another folder."""

import importlib
import sys
from pathlib import Path

KINDS = (".py", ".html", ".css", ".js")  # what a package holds
site, checkout = (Path(argument).resolve() for argument in sys.argv[1:])

top = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
top -= {"bin"}  # the command `sdfusion`
assert top == {"fusion"}, f"installed at the top: {sorted(top)}, only fusion is expected"
assert (site / "fusion" / "py.typed").exists(), "py.typed is missing: add it to the package data"

folders = {"fusion": "fusion", "models": "fusion/models", "losses": "fusion/losses"}
source = {
    (Path(target) / path.relative_to(checkout / folder)).as_posix()
    for folder, target in folders.items()
    for path in (checkout / folder).rglob("*")
    if path.suffix in KINDS
}
installed = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.suffix in KINDS}
assert installed == source, (
    f"differ: {sorted(installed ^ source)}; is a package missing in pyproject.toml?"
)

for name in sorted(name for name in source if name.endswith(".py")):
    module = ".".join(Path(name).with_suffix("").parts).removesuffix(".__init__")
    if not module.endswith("__main__"):
        origin = importlib.import_module(module).__file__
        assert origin is not None, f"{module} has no __init__.py"
        assert site in Path(origin).resolve().parents, f"{module} comes from {origin}"
print(f"{len(source)} modules and parts of pages, all from the wheel")
