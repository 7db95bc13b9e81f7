"""What the site is built with, and that nothing of it is fetched or kept in the repository."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

import fusion as fu
from tests.helpers.paths import ROOT

EXTRA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = {
    re.split(r"[>=\[]", each)[0]
    for each in EXTRA["project"]["optional-dependencies"]["docs"]
    if not each.startswith("sdfusion")
}


def test_ci_installs_what_the_extra_names():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    step = text[text.index("tools() {") : text.index("tools_pid")]
    assert set(step.split()) >= PACKAGES


def test_all_of_it_is_pinned():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not {name for name in PACKAGES if f"\n{name}==" not in pinned}


def test_pages_and_styles_name_no_file_of_a_network():
    for path in [*(ROOT / "docs").glob("_static/*"), *(ROOT / "docs").glob("_templates/**/*.*")]:
        assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout of git")
def test_what_the_build_makes_is_not_kept():
    made = ("docs/_build/", "docs/gallery/", "docs/pictures/", "docs/reference/pages/")
    kept = subprocess.run(["git", "ls-files", *made], cwd=ROOT, capture_output=True, text=True)
    assert kept.returncode == 0
    assert not kept.stdout


PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.relative_to(ROOT / "docs").parts[0] not in ("_build", "gallery")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_names_on_a_page_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"\bfu\.((?:[a-z]+\.)?[A-Za-z]\w*)", text)):
        owner = fu
        for part in name.split("."):
            assert hasattr(owner, part), f"fu.{name}"
            owner = getattr(owner, part)


@pytest.mark.parametrize("number", range(1, 41))
def test_every_question_leads_to_a_page_that_is_there(number):
    text = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"{number}. "))
    pages = re.findall(r"\]\(([\w/]+\.md)\)", line)
    assert pages
    assert all((ROOT / "docs" / page).exists() for page in pages)
