"""Where one peak hides all others the scale has two parts, and everything stays on it."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import drawing as draw
from fusion.plots.labels import mark
from fusion.plots.split_scale import height_of_the_rest, split

AXIS = fu.Axis("energy", 0.02, -0.2, "keV", size=400)
X = AXIS.values


def line(at: float, height: float, width: float = 0.03):
    return height * np.exp(-0.5 * ((X - at) / width) ** 2)


def drawn(*curves):
    panel = draw.panel_or_new(None, 3.0, 2.0)
    for values in curves:
        draw.curve(panel, values, AXIS, ends=True)
    return panel


def place(panel, value: float) -> float:
    """Where a value stands in a panel, from 0 at the foot to 1 at the top."""
    at = panel.transData.transform((X[0], value))[1]
    return float(panel.transAxes.inverted().transform((0, at))[1])


@pytest.mark.parametrize("at", [0.277, 1.74], ids=["C Kα", "Si Kα"])
def test_the_rest_has_most_of_the_panel_and_the_peak_stays_whole(at):
    panel = drawn(line(at, 1000.0) + line(5.9, 10.0) + 0.1)
    assert 0.5 < place(panel, 10.1) < 0.7
    assert 0.9 < place(panel, 1000.1) <= 1.0
    assert place(panel, 0.0) == pytest.approx(0.0, abs=1e-9)
    assert "smaller" in panel.texts[0].get_text()


def test_a_peak_at_zero_alone_is_cut_off_and_how_high_it_is_told():
    panel = drawn(line(0, 1000.0) + line(1.74, 10.0) + 0.1)
    assert panel.get_yscale() == "linear"
    assert 10 < panel.get_ylim()[1] < 13
    assert [text.get_text() for text in panel.texts] == ["peak at 0 up to 1e+03"]
    higher = drawn(line(0, 1000.0) + line(1.74, 10.0), line(0, 500.0) + line(3.0, 20.0))
    assert higher.get_ylim()[1] == pytest.approx(1.15 * 20, rel=0.05)
    both = line(0, 1000.0) + line(0.277, 900.0) + line(5.9, 9.0) + 0.1
    assert drawn(both).get_yscale() == "function"


def test_two_tall_peaks_stand_above_together():
    spectrum = line(0.277, 1000.0) + line(0.525, 700.0) + line(5.9, 10.0) + 0.1
    assert height_of_the_rest(spectrum) == pytest.approx(10.1, rel=0.01)


def test_counts_with_their_noise_are_split_where_the_mean_is():
    mean = line(0.277, 1000.0) + line(5.9, 20.0) + 0.1
    rest = height_of_the_rest(np.random.default_rng(0).poisson(mean))
    assert rest is not None
    assert 15 <= rest <= 40


@pytest.mark.parametrize(
    "values",
    [
        line(1.74, 1000.0),
        line(1.74, 1000.0) + 0.1,
        line(1.74, 70.0) + line(5.9, 10.0),
        1e5 * (X + 1.0) ** -3,
        np.zeros(400),
        np.full(400, np.nan),
        -line(1.74, 1000.0) + line(5.9, 10.0),
        1e-3 * np.random.default_rng(1).random(400) + line(1.74, 1.0),
        np.random.default_rng(2).poisson(1e4 * ((np.arange(400) + 200) / 200.0) ** -4),
    ],
    ids=[
        "alone",
        "on a level",
        "7 times",
        "power law",
        "zeros",
        "NaN",
        "negative",
        "noise",
        "background",
    ],
)
def test_one_scale_is_kept_where_nothing_is_hidden(values):
    assert height_of_the_rest(values) is None


def test_the_ticks_are_true_and_there_is_one_above_the_line():
    panel = drawn(line(0.277, 1000.0) + line(5.9, 10.0) + 0.1)
    ticks = panel.yaxis.get_major_locator()()
    told = [float(text) for text in panel.yaxis.get_major_formatter().format_ticks(ticks)]
    np.testing.assert_allclose(told, ticks, rtol=1e-3)
    assert ticks[0] == 0
    assert max(ticks) > 100


def test_a_second_curve_decides_with_the_first():
    tall, plain = line(0.277, 1000.0) + line(5.9, 10.0) + 0.1, line(3.0, 900.0)
    assert drawn(tall, plain).get_yscale() == "function"  # two tall peaks now
    full = drawn(tall, line(3.0, 300.0))
    assert full.get_yscale() == "function"
    assert drawn(tall, np.full(400, 500.0)).get_yscale() == "linear"
    assert not drawn(tall, np.full(400, 500.0)).texts


def test_names_find_room_above_on_a_split_scale():
    panel = drawn(line(0.277, 1000.0) + line(5.9, 10.0) + 0.1)
    panel.figure.draw_without_rendering()
    mark(panel, [(0.277, "C Kα"), (5.9, "Mn Kα")])
    panel.figure.draw_without_rendering()
    top = panel.transData.transform((0, 1000.1))[1]
    names = [text for text in panel.texts if text.get_text() in ("C Kα", "Mn Kα")]
    assert len(names) == 2
    assert min(text.get_window_extent().y0 for text in names) > top


def test_places_on_a_split_scale_grow_with_the_values():
    values = np.geomspace(1e-3, 2e3, 200)
    assert np.all(np.diff(split(values, 10.0, 1000.0)) > 0)


def test_another_scale_may_be_asked_for():
    axes = [fu.Axis("y", size=3), fu.Axis("x", size=4), AXIS]
    tall = line(0.277, 1000.0) + line(5.9, 10.0) + 0.1
    other = line(0.277, 1000.0) + line(3.0, 12.0) + 0.1
    mixed = np.random.default_rng(0).random((12, 2)) @ np.stack([tall, other])
    data = fu.Dataset("edxs", mixed.reshape(3, 4, 400), axes=axes)
    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), starts=1, progress=False)
    for scale, kind in (("auto", "function"), ("linear", "linear"), ("log", "log")):
        panels = [p for p in result.plot(scale=scale).axes if p.get_ylabel() == "intensity (norm.)"]
        assert {p.get_yscale() for p in panels} == {kind}
        assert panels[0].get_ylim()[1] >= np.max(result["S"])
        (panel,) = fu.plots.plot_spectra(result, scale=scale, offset=0.0).axes
        assert panel.get_yscale() == kind
    with pytest.raises(ValueError, match="no common logarithm"):
        fu.plots.plot_spectra(result, scale="log", offset=1.0)
