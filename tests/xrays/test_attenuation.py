"""Attenuation from xraydb's tables."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.xrays.attenuation import mass_attenuation

xraydb = pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')


def test_what_was_looked_up_is_nobodys_to_change():
    first = mass_attenuation("O", [0.5, 1.0])
    first[:] = 0
    again = mass_attenuation("O", np.array([[0.5], [1.0]]))
    assert again.shape == (2, 1)
    np.testing.assert_allclose(again[:, 0], [xraydb.mu_elam("O", e) for e in (500.0, 1000.0)])
