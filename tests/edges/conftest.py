"""One result that all tests of the room read."""

import pytest

from tests.edges import scene


@pytest.fixture(scope="session")
def fitted():
    return scene.result_of(scene.spectra((2.0, 1.5, 2.5)), noise=0.02)
