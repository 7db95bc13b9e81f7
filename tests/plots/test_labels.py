"""Names of lines on curves: beside each other, inside the panel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fusion.plots.labels import spread_out
from tests.helpers.xray_phases import fitted


def test_labels_on_a_curve_do_not_overlap_and_stay_in_the_panel():
    result = fitted()
    figure = result.plot(elements=["O", "Mn", "Ni", "Si", "Al", "Mg", "Na", "F"])
    figure.draw_without_rendering()
    panel = next(a for part in figure.subfigs for a in part.axes if len(a.texts) > 5)
    names = [t for t in panel.texts if t.get_rotation() == 90]
    boxes = sorted((t.get_window_extent() for t in names), key=lambda box: box.x0)
    assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))
    room = panel.get_window_extent()
    assert min(box.x0 for box in boxes) >= room.x0 - 1
    assert max(box.x1 for box in boxes) <= room.x1 + 1
    assert max(box.y1 for box in boxes) <= room.y1 + 1
    curve = panel.lines[0]
    top = panel.transData.transform((0, curve.get_ydata().max()))[1]
    assert top < min(box.y0 for box in boxes)


def test_elements_are_named_where_they_are_and_others_are_told_once():
    result = fitted()
    figure = result.plot(elements=["O", "Mn", "Ni", "Si", "P"])
    texts = [t.get_text() for panel in figure.axes for t in panel.texts]
    assert [t for t in texts if t.startswith("not seen")] == ["not seen: Si, P"]
    assert not any(name.startswith(("Si", "P")) for name in texts)
    named = [[t.get_text() for t in p.texts if t.get_rotation() == 90] for p in figure.axes]
    first, second, _ = ({name.split()[0] for name in names} for names in named if names)
    assert {"O", "Mn"} <= first
    assert "Ni" not in first
    assert {"Mn", "Ni"} <= second


def test_places_of_labels_are_a_step_apart_and_move_no_more_than_they_must():
    at = np.array([0.1, 0.11, 0.12, 0.5, 0.99])
    placed = spread_out(at, 0.05)
    assert np.diff(placed).min() >= 0.05 - 1e-12
    np.testing.assert_allclose(placed[:3].mean(), at[:3].mean())
    assert placed[3] == 0.5
    assert placed[-1] <= 0.975 + 1e-12
