"""What an import of the package brings in, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys


def test_importing_fusion_does_not_import_matplotlib():
    code = "import fusion, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
