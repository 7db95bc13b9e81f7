"""Pictures of components: overlays, maps, spectra with named lines, and figures for print."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import fusion as fu
from fusion import plots
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.plots import colours


@pytest.fixture(scope="module")
def result():
    """Two components: one left, one right, one pixel masked."""
    rng = np.random.default_rng(0)
    maps = np.zeros((8, 10, 2))
    maps[:, :5, 0], maps[:, 5:, 1] = 1.0, 2.0
    spectra = rng.random((2, 20)) + 0.1
    mask = np.zeros((8, 10), bool)
    mask[3, 3] = True
    axes = [fu.Axis("y", 2, units="nm"), fu.Axis("x", 2, units="nm"), fu.Axis("E", 5, 500, "eV")]
    data = fu.Dataset("eels", maps @ spectra, axes=axes, mask=mask)
    model = NMF(data, 2)
    model.C, model.S = maps.reshape(-1, 2), spectra.T
    given = {"starts": 1, "init": fu.Current(), "max_steps": 0, "progress": False}
    return fu.fit(model, Frobenius(data), **given)


def test_an_overlay_has_pure_pixels_in_their_colours_and_masked_ones_in_grey(result):
    figure = plots.plot_overlay(result)
    pixels = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(pixels[0, 0], colours.rgb(colours.colour(0)).clip(0.06), atol=0.03)
    np.testing.assert_allclose(pixels[0, 9], colours.rgb(colours.colour(1)).clip(0.06), atol=0.03)
    np.testing.assert_allclose(pixels[3, 3], 0.8)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["1", "2"]
    with pytest.raises(ValueError, match="1 colours for 2 components"):
        plots.plot_overlay(result, colours=["#ff0000"])
    with pytest.raises(ValueError, match=r"components=\[0\].*from 1 to 2"):
        plots.plot_overlay(result, components=[0])
    with pytest.raises(ValueError, match="runs along 1 axes"):
        plots.plot_overlay(result, factor="S")


def test_where_colours_add_up_beyond_white_the_hue_is_kept():
    mixed = colours.overlay(np.array([[[1.0, 1.0]], [[1.0, 0.0]]]), ["#ff8000", "#ff8000"])
    np.testing.assert_allclose(mixed[0, 0], mixed[1, 0], atol=0.01)
    assert mixed.max() <= 1.0


@pytest.mark.parametrize("k", range(6))
def test_a_components_colours_grow_lighter_all_the_way(k):
    shades = colours.ramp(colours.colour(k))(np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(shades @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_lines_are_named_where_they_are_and_only_inside_the_axis(result):
    lines = [(532.0, "O K"), (534.0, "V L"), (560.0, "Cr L"), (900.0, "La M")]
    figure = plots.plot_spectra(result, lines=lines)
    named = figure.axes[0].texts
    assert [t.get_text() for t in named] == ["O K", "V L", "Cr L"]
    left, right = figure.axes[0].get_xlim()
    feet = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert feet == pytest.approx([(e - left) / (right - left) for e in (532.0, 534.0, 560.0)])
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in named]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 20]
    assert [curve.get_ydata().max() for curve in curves] == [1.0, 1.0]


@pytest.mark.parametrize(
    "plot",
    [
        plots.plot_overlay,
        plots.plot_spectra,
        lambda result, panel: plots.plot_map(result, 1, panel=panel),
        lambda result, panel: plots.plot_overlay(result, components=[1], panel=panel),
    ],
)
def test_a_panel_that_is_given_is_drawn_into_and_its_figure_returned(result, plot):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot(result, panel=right) is figure
    assert right.has_data()
    assert not left.has_data()


@pytest.mark.parametrize("plot", [plots.plot_result, plots.plot_publication])
def test_a_part_of_a_figure_that_is_given_is_drawn_into(result, plot):
    figure = Figure(figsize=(12, 6), layout="constrained")
    _, right = figure.subfigures(1, 2)
    assert plot(result, figure=right) is right
    figure.draw_without_rendering()
    half = figure.bbox.width / 2
    assert len(figure.axes) > 3
    assert all(panel.get_window_extent().x0 >= half for panel in figure.axes)


def test_data_sets_and_comparisons_draw_into_parts_of_a_figure_too(result):
    figure = Figure(figsize=(14, 8), layout="constrained")
    parts = figure.subfigures(1, 3)
    data = result.minimised.datasets["eels"]
    assert data.plot(figure=parts[0]) is parts[0]
    compared = fu.compare(result, result, names=["a", "b"])
    assert compared.plot(figure=parts[1]) is parts[1]
    assert plots.plot_starts(compared, figure=parts[2]) is parts[2]
    figure.draw_without_rendering()
    third = figure.bbox.width / 3
    held = {int(p.get_window_extent().x0 // third) for p in figure.axes}
    assert held == {0, 1, 2}


@pytest.mark.parametrize("width", [85.0, 178.0])
def test_a_figure_for_print_has_its_width_and_letters(result, width, tmp_path):
    figure = plots.plot_publication(result, width=width, lines={"eels": [(532.0, "O K")]})
    assert figure.get_figwidth() * 25.4 == pytest.approx(width)
    letters = [panel.get_title(loc="left") for panel in figure.axes if panel.get_title(loc="left")]
    assert letters == ["a", "b", "c", "d"]
    figure.savefig(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").stat().st_size > 1000
