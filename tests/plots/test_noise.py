"""`plot_noise`: the photon transfer curve."""

from __future__ import annotations

from fusion.simulate import layers


def test_the_photon_transfer_curve_is_drawn_with_its_line():
    figure = layers(seed=0).datasets["counts"].noise().plot()
    (panel,) = figure.axes
    assert panel.get_xscale() == panel.get_yscale() == "log"
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert labels == ["1 × mean", "variance = mean (counts)", "measured"]
