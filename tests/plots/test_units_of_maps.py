"""Square pixels are drawn square, whatever unit each axis has; scale bars say readable lengths."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

import fusion as fu
from fusion.losses import Frobenius
from fusion.plots.publication import _aspect

ENERGY = fu.Axis("energy", 2.0, 400.0, "eV")


def scan(y: fu.Axis, x: fu.Axis, name: str = "a") -> fu.Dataset:
    counts = np.random.default_rng(0).poisson(5, (12, 20, 30))
    return fu.Dataset(name, counts, axes=[y, x, ENERGY])


def fitted(*sets: fu.Dataset) -> fu.Result:
    loss = sum((Frobenius(data) for data in sets[1:]), Frobenius(sets[0]))
    model = fu.models.SharedMaps(*sets, K=2)
    return fu.fit(model, loss, starts=1, max_steps=2, progress=False)


UNITS = [("µm", 0.0051, "nm", 5.1), ("nm", 5.1, "µm", 0.0051), ("Å", 51.0, "nm", 5.1)]


@pytest.mark.parametrize(("one", "step", "other", "same"), UNITS)
def test_pixels_of_one_size_in_two_units_are_square_in_every_picture(one, step, other, same):
    data = scan(fu.Axis("y", step, units=one), fu.Axis("x", same, units=other))
    result = fitted(data)
    figures = [
        (data.plot(), 1),
        (result.plot(), 3),  # two components and the residual
        (fu.plots.plot_map(result, 1), 1),
        (fu.plots.plot_overlay(result), 1),
        (fu.plots.plot_publication(result), 3),
    ]
    for figure, count in figures:
        panels = [p for p in figure.findobj() if getattr(p, "images", None) and p.get_xlim()[1] > 9]
        assert len(panels) == count
        for panel in panels:
            assert panel.get_aspect() == 1.0
            width, height = (
                abs(np.diff(limits()))[0] for limits in (panel.get_xlim, panel.get_ylim)
            )
            assert width / height == pytest.approx(20 / 12)
    assert _aspect(data.pixels) == pytest.approx(12 / 20)


@pytest.mark.parametrize(
    ("step", "units", "said"),
    [(0.002, "µm", "10 nm"), (2.0, "nm", "10 nm"), (2e-9, "m", "10 nm"), (200.0, "nm", "1 µm"),
     (0.1, "nm", "500 pm"), (1.0, "Å", "5 Å"), (1e-3, "mm", "5 µm"), (2.0, "mrad", None)],
)  # fmt: skip
def test_a_scale_bar_says_a_number_from_1_to_1000(step, units, said):
    figure = scan(fu.Axis("y", step, units=units), fu.Axis("x", step, units=units)).plot()
    figure.draw_without_rendering()
    texts = [t.get_text() for t in figure.findobj(Text)]
    bars = [t for t in texts if t.endswith((" m", " nm", " pm", " Å", " µm", " mm"))]
    assert bars == ([] if said is None else [said])


def test_units_of_unlike_kinds_are_left_as_they_are():
    panel = scan(fu.Axis("time", 1.0, units="s"), fu.Axis("x", 5.1, units="nm")).plot().axes[0]
    assert panel.get_aspect() == "auto"
    assert panel.get_ylabel() == "time (s)"
    assert panel.get_xlabel() == "x (nm)"


def test_the_report_shows_scans_in_nm_and_in_µm_as_one_scan_of_square_pixels():
    from fusion.report.contents import Scene

    one = scan(fu.Axis("y", 0.0051, units="µm"), fu.Axis("x", 5.1, units="nm"), "a")
    two = scan(fu.Axis("y", 5.1, units="nm"), fu.Axis("x", 5.1, units="nm"), "b")
    assert fu.Scan(one, two).shape == (12, 20)
    scene = Scene(fitted(one, two), None, {})
    assert len(scene.groups) == 1
    group = scene.groups[0]
    assert group.equal
    assert group.length
    entry = group.entry()
    assert entry["y"]["units"] == entry["x"]["units"] == "nm"
    assert entry["y"]["last"] - entry["y"]["first"] == pytest.approx(12 * 5.1)
