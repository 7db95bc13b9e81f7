"""docs/formats.md names every reader that is put right, every vendor's suffix, the version."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath

import pytest

from fusion.files.microscopes import OPTIONS
from fusion.files.reader_repairs import REPAIRS
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|")
][2:]
SUFFIXES = {suffix for row in ROWS for suffix in re.findall(r"\w+", row[1])}


def test_every_suffix_of_the_vendors_files_has_a_row():
    table = ROOT / "tests" / "files" / "vendor_files.toml"
    names = tomllib.loads(table.read_text(encoding="utf-8"))
    assert {PurePath(name).suffix[1:].lower() for name in names} <= SUFFIXES


@pytest.mark.parametrize("reader", [*REPAIRS, *OPTIONS])
def test_every_reader_that_is_put_right_has_a_row_that_says_what_is_done(reader):
    plugins = pytest.importorskip("rsciio").IO_PLUGINS
    (plugin,) = [each for each in plugins if each["name"] == reader]
    endings = {ending.lower() for ending in plugin["file_extensions"]}
    rows = [row for row in ROWS if endings & set(re.findall(r"\w+", row[1]))]
    assert any(row[3] and row[4] for row in rows)


def test_the_page_is_of_the_version_that_is_tested():
    try:
        installed = version("rosettasciio")
    except PackageNotFoundError:
        pytest.skip("RosettaSciIO is not installed")
    assert f"Checked with RosettaSciIO {installed}" in PAGE
