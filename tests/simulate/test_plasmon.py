"""`plasmon`: its maximum and its width."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.simulate import plasmon


def test_a_plasmon_has_its_maximum_and_width_where_they_are_told():
    E = np.linspace(1, 60, 5901)
    s = plasmon(E, 25.0, 3.0)
    above = E[s > s.max() / 2]
    assert E[s.argmax()] == pytest.approx(25.0, abs=0.2)
    assert above[-1] - above[0] == pytest.approx(3.0, abs=0.05)
    with pytest.raises(ValueError, match="both are > 0"):
        plasmon(E, 25.0, 0.0)
