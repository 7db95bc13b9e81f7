"""`plot_comparison`: no panel covers another, and colours are shared."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.answers.compare import compare
from fusion.simulate import tilt_series
from tests.helpers.compared_answers import SHAPE, data, factors, fitted


def overlaps(figure, path) -> list[tuple[int, int]]:
    """Pairs of panels, and of the legend with one, that overlap where the picture was written."""
    figure.savefig(path / "comparison.png", dpi=figure.dpi)
    renderer = figure._get_renderer()
    boxes = [ax.get_tightbbox(renderer).padded(-1) for ax in figure.axes]
    legend = figure.legends[0].get_window_extent(renderer)
    boxes.append(legend)
    return [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)]


@pytest.mark.parametrize("K", [1, 12])
@pytest.mark.parametrize("mapped", [False, True], ids=["curves", "maps and curves"])
def test_no_two_panels_overlap(K, mapped, tmp_path):
    truth = factors(K)
    first = fitted(data(truth), K) if mapped else truth["S"]
    few = {f: x[:, : max(1, K - 2)] for f, x in truth.items()}
    found = compare(first, truth, few, names=["reference", "a longer name of a method", "few"])
    assert overlaps(found.plot(), tmp_path) == []


def test_line_scans_are_curves_with_their_axis(tmp_path):
    scene = tilt_series(tilts=20, channels=30)
    figure = compare(scene, fitted(scene.datasets["eels"], 2)).plot()
    assert not any(ax.images for ax in figure.axes)
    assert [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()] == [
        "tilt (g)",
        "energy loss (eV)",
    ]
    assert overlaps(figure, tmp_path) == []


def test_maps_of_one_component_share_their_colours_and_one_bar():
    figure = compare(fitted(data()), factors()).plot(components=[1])
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert len(images) == 2
    assert images[0].get_clim() == images[1].get_clim()
    assert [image.colorbar is None for image in images] == [True, False]


def test_maps_on_axes_that_are_not_uniform_can_be_drawn(tmp_path):
    truth = factors()
    axes = (fu.Axis("y", values=np.arange(6) ** 1.2, units="nm"), "x", "channel")
    dataset = fu.Dataset("a", (truth["C"] @ truth["S"].T).reshape(*SHAPE, -1), axes=axes)
    compare(truth, fitted(dataset)).plot().savefig(tmp_path / "comparison.png", dpi=40)


def test_signed_curves_are_drawn_whole():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((30, 2))
    panel = next(ax for ax in compare(np.abs(a), a).plot().axes if ax.lines)
    low, high = panel.get_ylim()
    values = np.concatenate([line.get_ydata() for line in panel.lines if len(line.get_xdata()) > 2])
    assert low < values.min() < 0 < values.max() < high


def test_factors_and_components_of_a_picture_can_be_chosen_and_wrong_ones_are_named():
    found = compare(factors(), factors())
    assert {ax.get_title() for ax in found.plot(factors=["S"]).axes} == {"", "S"}
    with pytest.raises(ValueError, match="'D' was not compared: choose of C, S"):
        found.plot(factors=["D"])
    with pytest.raises(ValueError, match=r"components=\[4\].*from 1 to 3"):
        found.plot(components=[4])
