"""A browser, and one result of two detectors, for all pages of it."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.losses import Frobenius, Poisson
from fusion.models import SharedMaps
from tests.helpers.headless_browser import Browser, chromium
from tests.helpers.report_data import SHAPE, cube, dataset, quick
from tests.helpers.report_page import Opened


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if chromium() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def joint_report(joint):
    """Its page, made once for every test that changes nothing of it."""
    return joint.report(lines={"eels": [(120.0, "A")]})


@pytest.fixture(scope="module")
def page(browser, joint_report, tmp_path_factory):
    """The joint result, open for all tests of a file."""
    path = tmp_path_factory.mktemp("pages") / "joint.html"
    return Opened(browser, joint_report.save(path))


@pytest.fixture(scope="session")
def joint():
    """Two detectors, one pixel masked in both, one in one of them."""
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    eels = dataset("eels", cube().astype(float), mask=mask)
    mask[8, 2] = True
    edxs = dataset("edxs", cube(energies=20, seed=0), "keV", mask=mask)
    return quick(SharedMaps(eels, edxs, K=3), Frobenius(eels) + Poisson(edxs))
