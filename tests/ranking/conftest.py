"""One ranking of clear data, for all that read it."""

from __future__ import annotations

import pytest

import fusion as fu
from tests.helpers.planted_ranks import data, quick


@pytest.fixture(scope="module")
def ranking() -> fu.Ranking:
    return quick(data("many counts", 3))
