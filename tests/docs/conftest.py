"""A browser without a network, and the site if it has been built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.headless_browser import Browser, chromium
from tests.helpers.paths import ROOT


@pytest.fixture(scope="session")
def site():
    """Folder of the built pages: that of `SITE`, as CI says, or where CONTRIBUTING has it built."""
    folder = Path(os.environ.get("SITE", ROOT / "docs" / "_build" / "html"))
    if not (folder / "search.html").exists():
        pytest.skip("the site is not built: python -m sphinx docs docs/_build/html")
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if chromium() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    made = Browser(tmp_path_factory.mktemp("profile"))
    slow = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    made.call("Network.emulateNetworkConditions", offline=True, **slow)
    yield made
    made.close()
