"""`plot_ambiguity`: lowest, answer and highest, and the band shaded."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import plot_ambiguity
from tests.helpers.mixtures import band_of_a_map


@pytest.fixture(scope="module")
def cube() -> fu.Ambiguity:
    return band_of_a_map()


def test_the_picture_shows_lowest_answer_highest_and_the_shaded_band(cube):
    figure = cube.plot()
    titles = [panel.get_title() for panel in figure.axes]
    assert [t for t in titles if t.startswith("C:")] == ["C: lowest", "C: answer", "C: highest"]
    curves = [panel for panel in figure.axes if panel.collections and panel.lines]
    assert len(curves) == 2
    assert curves[-1].get_xlabel() == "energy (eV)"
    low, high = cube.spectra["S"]
    drawn = curves[0].collections[0].get_paths()[0].vertices[:, 1]
    assert drawn.max() == pytest.approx(high[:, 0].max())
    assert drawn.min() == pytest.approx(low[:, 0].min())


def test_one_band_can_be_drawn_into_a_panel_of_ones_own(cube):
    from matplotlib.figure import Figure

    figure = Figure()
    panel = figure.add_subplot()
    assert plot_ambiguity(cube, factors=["S"], components=[2], panel=panel) is figure
    answer, *edges = (line.get_ydata() for line in panel.lines)
    np.testing.assert_array_equal(answer, cube.factors["S"][:, 1])
    for edge, band in zip(edges, cube.spectra["S"], strict=True):
        np.testing.assert_array_equal(edge, band[:, 1])
    with pytest.raises(ValueError, match="one panel takes one curve"):
        plot_ambiguity(cube, panel=panel)


def test_a_peak_at_energy_zero_stays_cut_off_in_a_band():
    from dataclasses import replace

    from matplotlib.figure import Figure

    energy = fu.Axis("energy loss", 1.0, -10.0, "eV", size=80)
    S = 0.1 + np.exp(-0.5 * ((energy.values[:, None] - [20, 50]) / 4) ** 2)
    S += 500 * np.exp(-0.5 * (energy.values[:, None] / 1.5) ** 2)
    C = np.random.default_rng(0).random((12, 2))
    data = fu.Dataset("eels", C @ S.T, axes=["x", energy], variance=np.full(80, 1e-4))
    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), starts=1, progress=False)
    found = fu.ambiguity(result, progress=False)
    band = replace(found, factors={**found.factors, "S": S})  # whatever the fit made of it
    band = replace(band, bands={**found.bands, "S": type(found.bands["S"])(0.9 * S, 1.1 * S)})
    panel = Figure().add_subplot()
    plot_ambiguity(band, factors=["S"], components=[1], panel=panel)
    assert panel.get_ylim()[1] < 3
    assert [text.get_text()[:9] for text in panel.texts] == ["peak at 0"]
