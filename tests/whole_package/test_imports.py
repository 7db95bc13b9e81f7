"""What an import of the package brings in, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys


def test_importing_fusion_does_not_import_matplotlib():
    code = "import fusion, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_fusion_imports_neither_scikit_learn_nor_hyperspy():
    code = (
        "import sys, fusion; "
        "print([m for m in ('sklearn', 'hyperspy', 'exspy', 'rsciio') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


HEAVY = ("tensorly", "matplotlib", "scipy", "sklearn", "hyperspy", "rsciio", "tqdm", "pandas")


def brought_in(code):
    """Heavy packages that some code imports, beyond those that torch does."""
    code = (
        "import sys, torch, numpy; before = set(sys.modules); "
        f"{code}; print(*[m for m in {HEAVY} if m in sys.modules and m not in before])"
    )
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout


def test_import_brings_in_no_heavy_package():
    assert brought_in("import fusion").split() == []
    assert brought_in("import tensorly").split() != []  # that would be seen


def test_a_fit_brings_in_no_heavy_package():
    code = (
        "import fusion as fu; d = fu.Dataset('a', numpy.ones((2, 3))); "
        "fu.fit(fu.models.NMF(d, 1), fu.losses.Frobenius(d), starts=1, progress=False)"
    )
    assert brought_in(code).split() == []
