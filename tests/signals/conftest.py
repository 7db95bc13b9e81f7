"""HyperSpy draws with pyplot."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def closed():
    """Every figure is closed afterwards."""
    yield
    plt.close("all")
