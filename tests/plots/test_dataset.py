"""`plot_dataset`: total map, mean spectrum and singular values, for every kind of data."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import plot_comparison, plot_dataset, plot_result
from fusion.simulate import layers
from tests.helpers.inspected_data import EVERY, expected, spectra


@pytest.fixture(params=EVERY, ids=lambda name: name.replace(" ", "-"))
def data(request) -> fu.Dataset:
    return EVERY[request.param]()


def test_every_kind_of_data_is_drawn_and_leaves_no_open_figure(data, tmp_path):
    import matplotlib._pylab_helpers as helpers

    data.plot().savefig(tmp_path / "data.png", dpi=50)
    assert (tmp_path / "data.png").stat().st_size > 1000
    assert not helpers.Gcf.get_all_fig_managers()


def titles(figure) -> list[str]:
    return [panel.get_title() for panel in figure.axes]


def test_the_picture_has_map_spectrum_and_scree_with_units():
    figure = plot_dataset(spectra())
    assert titles(figure) == ["sum over energy loss", "mean over y, x", "singular values"]
    assert figure.axes[0].images[0].colorbar.ax.get_ylabel() == "counts"
    assert figure.axes[1].get_xlabel() == "energy loss (eV)"
    assert "eels: y 15 × x 16" in figure.get_suptitle()
    assert "noise: Poisson counts" in figure.get_suptitle()


def test_the_scree_marks_what_stands_out():
    data = layers().datasets["counts"]
    marked, rest, edge = plot_dataset(data).axes[-1].lines
    assert marked.get_label() == "3 clearly above the noise"
    assert len(marked.get_xdata()) == 3
    assert min(marked.get_ydata()) > 1 > max(rest.get_ydata())
    assert set(edge.get_ydata()) == {1.0}


def test_a_noise_that_is_known_is_not_measured_again(monkeypatch):
    data = spectra()
    noise = data.noise()
    monkeypatch.setattr(fu.Dataset, "noise", None)
    assert "singular values" in titles(plot_dataset(data, noise=noise))


def test_steep_spectra_are_drawn_on_a_log_scale_as_well():
    steep = expected() * np.where(np.arange(40) == 7, 4000, 1)
    scales = [panel.get_yscale() for panel in plot_dataset(spectra(steep + 1)).axes]
    assert scales == ["linear", "linear", "log"]
    assert plot_dataset(spectra()).axes[1].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("kind", "panels"),
    [
        ("image", ["intensity"]),
        ("one spectrum", ["spectrum"]),
        ("line scan", ["sum over energy loss", "mean over x", "singular values"]),
        ("tilt series", ["sum over energy loss, mean over tilt", "mean over tilt, y, x"]),
        ("patterns", ["sum over channel 0, channel 1", "mean over y, x", "singular values"]),
    ],
)
def test_every_kind_has_its_panels(kind, panels):
    assert titles(plot_dataset(EVERY[kind]()))[: len(panels)] == panels


def test_what_is_masked_is_grey():
    image = plot_dataset(EVERY["masked pixels"]()).axes[0].images[0].get_array()
    assert np.isnan(np.ma.filled(image, np.nan)).sum() == 40


def test_all_pictures_are_exported():
    assert all(map(callable, (plot_result, plot_dataset, plot_comparison)))
