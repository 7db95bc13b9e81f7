"""`explain`: peaks and the lines or edges that explain them."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.elements import explain
from fusion.simulate.spectra import core_loss_edge
from tests.helpers.xray_phases import EDXS, EELS, planted


def test_every_planted_line_is_found_and_explained_and_a_missing_element_is_proposed():
    counts = np.random.default_rng(0).poisson(2e5 * planted()[:, 0])
    found = explain(counts, EDXS, ["O", "Mn"])
    assert [p.names[0] for p in found if p.names][-2:] == ["Mn Ka", "Mn Kb"]
    assert not found.unexplained
    less = explain(counts, EDXS, ["O", "Mn L"])
    assert [p.position for p in less.unexplained] == pytest.approx([5.9, 6.5], abs=0.03)
    assert less.unexplained[0].others[0] == "Mn Ka"
    assert "nothing; could be Mn Ka" in str(less)


def test_noise_alone_has_no_peaks():
    counts = np.random.default_rng(1).poisson(40.0, 500)
    assert len(explain(counts, EDXS, ["O"])) == 0


def test_near_edge_structure_is_explained_by_its_onset():
    x = EELS.values
    spectrum = 900 * core_loss_edge(x, 532.0, [(537.0, 2.0, 4.0)])
    spectrum += 900 * core_loss_edge(x, 640.0, [(642.0, 3.0, 3.0), (653.0, 1.5, 3.0)])
    found = explain(np.random.default_rng(0).poisson(spectrum), EELS, ["O", "Mn"])
    assert [p.names[0] for p in found] == ["O K", "Mn L3", "Mn L2"]
    with pytest.raises(ValueError, match="the axis has 1000 entries, the array 7"):
        explain(np.ones(7), EELS, ["O"])
