"""Names with "$", "_" and "^" are drawn as they stand."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import fusion as fu
from fusion import plots
from fusion.models import NMF
from fusion.plots.plain_names import _texts

NAME = "Fe_2O_3 $x^{ $"
ENERGY = fu.Axis("E_{loss $", units="eV")


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    counts = random.poisson(20 * random.random((42, 2)) @ random.random((2, 30)))
    return fu.Dataset(NAME, counts.reshape(6, 7, 30), axes=["y $a_", "x", ENERGY])


@pytest.fixture(scope="module")
def result(data):
    loss = fu.losses.Gaussian(data)
    return fu.fit(NMF(data, 2), loss, starts=1, max_steps=20, seed=0, progress=False)


def drawn(figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in _texts(figure)]


def mlls(data, result):
    return fu.mlls(data, {NAME: result["S"][:, 0], "\\bad{$ two_": result["S"][:, 1]}).plot()


PLOTS = {
    "result": lambda data, result: plots.plot_result(result),
    "elements": lambda data, result: plots.plot_result(result, elements=["Fe"]),
    "data": lambda data, result: plots.plot_dataset(data, elements=["Fe"]),
    "mlls": mlls,
    "compare": lambda data, result: fu.compare(result, result, names=[NAME, "b_$"]).plot(),
    "spectra": lambda data, result: plots.plot_spectra(result),
    "publication": lambda data, result: plots.plot_publication(result),
}


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_names_with_signs_of_mathematics_are_drawn_as_they_stand(name, data, result):
    texts = drawn(PLOTS[name](data, result))
    assert any("$" in text for text in texts)


def test_mathematics_of_the_users_own_figure_is_left(result):
    figure = Figure()
    own = figure.suptitle("$\\alpha$")
    plots.plot_result(result, figure=figure)
    assert own.get_parse_math()


def test_powers_of_ten_at_ticks_are_still_set(data):
    figure = fu.Dataset("a", 1e6 * data.numpy()).plot()
    figure.draw_without_rendering()
    offsets = [panel.yaxis.offsetText for panel in figure.axes]
    assert all(text.get_parse_math() for text in offsets)
