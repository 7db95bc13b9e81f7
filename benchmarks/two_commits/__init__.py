"""Suites of asv: the same calls of two commits. See benchmarks/README.md.

asv imports this folder with `fusion` installed from one commit or the other. The generators are
those of this checkout in both; they draw the same data, bit for bit, from the package of either.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if "benchmarks" not in sys.modules:
    # not by sys.path, where the checkout's `fusion` would hide the installed one
    folder = ROOT / "benchmarks"
    spec = spec_from_file_location("benchmarks", folder / "__init__.py",
                                   submodule_search_locations=[str(folder)])  # fmt: skip
    assert spec is not None
    assert spec.loader is not None
    sys.modules["benchmarks"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["benchmarks"])
