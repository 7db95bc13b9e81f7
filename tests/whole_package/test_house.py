"""The rooms and their floors, on the package as the wheel installs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="import-linter is not installed")

ROOT = next(path for path in Path(__file__).parents if (path / "pyproject.toml").exists())
HOUSE = ROOT / ".ci" / "house.py"
NO_TYPE_NAMES = re.compile(r"__name__ *(==|!=|in|not in)|__name__ for")


@pytest.fixture
def site(tmp_path):
    """Models and losses inside the package, as they are installed."""
    ignore = shutil.ignore_patterns("__pycache__", "models", "losses")
    shutil.copytree(ROOT / "fusion", tmp_path / "fusion", ignore=ignore)
    for folder in ("models", "losses"):
        shutil.copytree(ROOT / folder, tmp_path / "fusion" / folder)
    return tmp_path


def house(site):
    """(exit status, what it prints)."""
    command = [sys.executable, str(HOUSE), str(site)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=site)
    return run.returncode, run.stdout + run.stderr


def test_every_room_knows_lower_floors_only_and_no_circle_is_left(site):
    status, said = house(site)
    assert status == 0, said
    assert "circles, the exceptions left out: 0" in said
    assert int(re.search(r"methods that hand on: (\d+)", said)[1]) <= 38


def added(site, lines):
    """What is said of the house, out of order with these lines at the ends of its modules."""
    for path, line in lines.items():
        with (site / path).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{line}\n")
    status, said = house(site)
    assert status == 1, said
    return said


def test_every_import_that_climbs_is_found(site):
    lines = {
        "fusion/algebra/axis.py": "from fusion.data.dataset import Dataset",
        "fusion/losses/l1.py": "from fusion.models.nmf import NMF",
        "fusion/engine/objective.py": "def late():\n    from fusion.search import fit",
    }
    said = added(site, lines)
    for climb in (
        "fusion.algebra.axis -> fusion.data.dataset",
        "fusion.losses.l1 -> fusion.models.nmf",
        "fusion.engine.objective -> fusion.search.fit",
    ):
        assert f"  {climb}\n" in said  # in the list of this house
        assert f"- {climb} (l." in said  # in what import-linter has against it


def test_an_import_of_the_package_itself_is_found(site):
    said = added(site, {"fusion/data/scan.py": "import fusion"})
    assert "fusion.data.scan imports `fusion` itself" in said


def test_a_method_that_does_more_than_hand_on_is_found(site):
    path = site / "fusion/answers/comparison.py"
    text = path.read_text(encoding="utf-8")
    call = "return plot_comparison("
    assert call in text
    path.write_text(text.replace(call, f"factors = list(factors or ())\n        {call}"))
    status, said = house(site)
    assert status == 1
    assert "Comparison.plot: 3 statements" in said


def test_a_checkout_is_refused_whose_losses_are_not_seen(tmp_path):
    shutil.copytree(ROOT / "fusion", tmp_path / "fusion", symlinks=True)
    for folder in ("models", "losses"):
        (tmp_path / "fusion" / folder).unlink(missing_ok=True)
    status, said = house(tmp_path)
    assert status != 0
    assert "no fusion.losses.poisson" in said


def test_the_graph_holds_the_losses(site):
    import grimp

    code = "import grimp; print(*grimp.build_graph('fusion', cache_dir=None).modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=site
    )
    assert {"fusion.losses.poisson", "fusion.models.nmf"} <= set(run.stdout.split())
    assert grimp


def test_no_code_is_chosen_by_the_name_of_a_class():
    for folder in ("fusion", "models", "losses"):
        for path in (ROOT / folder).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert not NO_TYPE_NAMES.search(line) or '"__main__"' in line, f"{path}: {line}"
