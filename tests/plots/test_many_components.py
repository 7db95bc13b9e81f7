"""Pictures of one, two, eight and twenty components, with names of forty letters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.plots import plot_overlay, plot_publication, plot_spectra, style

FORTY = "a shell of forty letters around the core"
ENERGY = fu.Axis("energy loss", 1.0, 100.0, "eV", size=60)


def fitted(K, alike=False, names=()):
    rng = np.random.default_rng(K)
    at = np.linspace(5, 55, K)[None]
    S = np.exp(-0.5 * ((np.arange(60)[:, None] - at) / 1.5) ** 2) + 0.01
    if alike:
        S = 0.05 * S + np.exp(-0.5 * ((np.arange(60)[:, None] - 20) / 9) ** 2)
    C = rng.random((6 * 7, K)) * np.arange(K, 0, -1)
    axes = [*(fu.Axis(name, 0.5, units="nm") for name in "yx"), ENERGY]
    data = fu.Dataset("eels", (C @ S.T).reshape(6, 7, 60), axes=axes)
    truth = {"C": C * np.linalg.norm(S, axis=0), "S": S / np.linalg.norm(S, axis=0)}
    result = fu.fit(NMF(data, K), Frobenius(data), init=truth, max_steps=1, progress=False)
    return result.renamed({k + 1: name for k, name in enumerate(names)}) if names else result


@pytest.mark.parametrize("names", [(), (FORTY, "b")], ids=["numbers", "forty letters"])
@pytest.mark.parametrize("K", [1, 2, 6, 8, 20])
def test_every_name_is_inside_its_panel(K, names):
    figure = plot_spectra(fitted(K, names=names[:K]))
    figure.draw_without_rendering()
    (panel,) = figure.axes
    room = panel.get_window_extent().padded(1)
    legend = panel.get_legend()
    boxes = (
        [legend.get_window_extent()]
        if legend
        else [t.get_window_extent() for t in panel.texts if " × smaller" not in t.get_text()]
    )
    assert len(boxes) == (1 if legend else K)
    for box in boxes:
        assert room.x0 <= box.x0 < box.x1 <= room.x1
        assert room.y0 <= box.y0 < box.y1 <= room.y1


def test_more_than_six_curves_stand_one_above_the_other_in_the_order_of_their_names():
    result = fitted(8)
    (panel,) = plot_spectra(result).axes
    curves = [line for line in panel.lines if len(line.get_xdata()) == 60]
    assert [line.get_label() for line in curves] == result.components
    assert all(
        low.get_ydata().max() < high.get_ydata().min() + 1.2 for high, low in pairwise(curves)
    )
    assert all(
        high.get_ydata().min() > low.get_ydata().min() + 0.9 for high, low in pairwise(curves)
    )


def test_two_spectra_that_agree_are_not_drawn_over_each_other():
    assert max(feet(plot_spectra(fitted(2, alike=True)))) > 0.9
    assert max(feet(plot_spectra(fitted(2)))) < 0.1
    assert max(feet(plot_spectra(fitted(2, alike=True), offset=0.0))) < 0.5


def feet(figure):
    """Lowest value of every drawn spectrum."""
    lines = figure.axes[0].lines
    return [line.get_ydata().min() for line in lines if len(line.get_xdata()) == 60]


def test_an_overlay_has_six_at_most_and_says_of_how_many():
    result = fitted(8)
    (panel,) = plot_overlay(result).axes
    names = [text.get_text() for text in panel.get_legend().get_texts()]
    shares = result.data["eels"].component_variance
    assert names == [str(k + 1) for k in sorted(np.argsort(-shares)[:6])]
    assert [t.get_text() for t in panel.texts] == ["the strongest 6 of 8"]
    with pytest.raises(ValueError, match="7 components, more than the 6 colours"):
        plot_overlay(result, components=range(1, 8))


@pytest.mark.parametrize("chosen", [[1, 7], [7, 8], [1, 2, 3, 4, 5, 8], [7, 1, 2]])
def test_no_colour_comes_twice_in_an_overlay(chosen):
    (panel,) = plot_overlay(fitted(8), components=chosen).axes
    used = [handle.get_facecolor() for handle in panel.get_legend().legend_handles]
    assert len(set(used)) == len(chosen)


def test_a_component_keeps_its_colour_where_it_can():
    (panel,) = plot_overlay(fitted(8), components=[2, 8]).axes
    first = panel.get_legend().legend_handles[0].get_facecolor()
    (other,) = plot_overlay(fitted(8), components=[2, 3]).axes
    assert other.get_legend().legend_handles[0].get_facecolor() == first


def test_shares_stand_on_the_maps_for_print():
    result = fitted(8)
    shares = 100 * result.data["eels"].component_variance
    texts = [t.get_text() for p in plot_publication(result).axes for t in p.texts]
    assert [t for t in texts if t.endswith(" %")] == [f"{share:.3g} %" for share in shares]


def test_colours_of_pictures_are_told_in_one_module():
    from pathlib import Path

    own = [
        path.name
        for path in Path(style.__file__).parent.glob("*.py")
        if path.name != "style.py"
        and "#" in path.read_text(encoding="utf-8").replace("# ", "")
        and any(c in path.read_text(encoding="utf-8") for c in (*style.COMPONENTS, style.ALARM))
    ]
    assert own == []
