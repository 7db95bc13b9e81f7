"""What an import of the package brings in, and what not: stage by stage in one process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "tensorly", "matplotlib", "scipy", "sklearn", "hyperspy", "exspy", "rsciio", "tqdm", "pandas",
    "sympy", "torch._dynamo",
)  # fmt: skip
SLOPES = """
from fusion.engine.directional import slopes_along
x = torch.ones(2)
slopes_along(lambda x: [2 * x - 1], [x], [x[None]])
"""
STAGES = {
    "torch": "import numpy, torch",
    "fusion": "import fusion as fu",
    "comparing": "import fusion.answers.compare",
    "fit": """
data = fu.Dataset('a', numpy.ones((2, 3)))
fu.fit(fu.models.NMF(data, 1), fu.losses.Frobenius(data), starts=1, progress=False)
""",
    "printed": """
data = fu.Dataset('a', numpy.random.default_rng(0).random((4, 5, 8)))
result = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), starts=1, max_steps=2)
print(result, data, result.model, file=sys.stderr)
""",
    "blocks": """
mask = numpy.arange(20).reshape(4, 5) == 7
masked = fu.Dataset('a', data.numpy(), mask=mask)
fu.fit(fu.models.NMF(masked, 2), fu.losses.Frobenius(masked), starts=1, max_steps=2,
       blocks=fu.Blocks(passes=3), progress=False)
""",
    "slopes": SLOPES,
    "tensorly": "import tensorly",
}


@pytest.fixture(scope="module")
def there() -> dict[str, set[str]]:
    """{stage: heavy packages that are loaded after it}, of a fresh interpreter."""
    look = f"there[stage] = [m for m in {HEAVY} if m in sys.modules]"
    lines = ["import sys, json", "there = {}"]
    for stage, code in STAGES.items():
        lines += [f"stage = {stage!r}", code, look]
    run = [sys.executable, "-W", "ignore", "-c", "\n".join([*lines, "print(json.dumps(there))"])]
    said = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout
    return {stage: set(modules) for stage, modules in json.loads(said.splitlines()[-1]).items()}


@pytest.mark.parametrize("stage", ["fusion", "comparing", "fit", "printed"])
def test_it_brings_in_no_heavy_package(stage, there):
    assert there[stage] <= there["torch"]
    assert "tensorly" in there["tensorly"]  # that would be seen


def test_torch_brings_in_none_of_those_that_pictures_and_files_need(there):
    """Else what the package brings in could not be told."""
    assert not there["torch"] & {"matplotlib", "sklearn", "hyperspy", "exspy", "rsciio", "scipy"}


def test_a_masked_fit_by_blocks_does_not_load_sympy(there):
    assert "sympy" not in there["blocks"]


def test_slopes_along_directions_do_not_load_what_compiles_models(there):
    assert "torch._dynamo" not in there["slopes"]
