"""`plot_plural_scattering`, and how results with backgrounds beside the components are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.plots import plot_plural_scattering, thumbnails
from tests.helpers.dual_eels_fit import few_steps

pytestmark = pytest.mark.filterwarnings("ignore::fusion.CutWarning")  # of the dark pixel


@pytest.fixture(scope="module")
def result():
    return few_steps()


@pytest.fixture(scope="module")
def panels(result):
    """{title: panel}."""
    return titled(plot_plural_scattering(result))


def titled(figure):
    return {p.get_title(): p for part in figure.subfigs for p in part.axes if p.get_title()}


def lines(panel):
    """{label: values}, and of curves without one by their number."""
    return {line.get_label(): np.asarray(line.get_ydata()) for line in panel.lines}


def mean_kernel(result):
    model = result.model
    return (model.D @ model.B[torch.from_numpy(model.used)].mean(0)).numpy()


def test_the_low_loss_is_that_of_the_mean_of_thin_and_of_thick_pixels(result, panels):
    drawn = lines(panels["low loss"])
    np.testing.assert_allclose(drawn["mean"], mean_kernel(result))
    assert drawn["thinnest tenth"][0] > drawn["mean"][0] > drawn["thickest tenth"][0]  # zero loss
    assert panels["low loss"].get_yscale() == "log"
    assert panels["low loss"].get_xlabel() == "energy loss (eV)"
    assert "zero loss" in [text.get_text() for text in panels["low loss"].texts]


def test_kernels_are_positive_in_the_mean_and_add_up_to_it(result, panels):
    count = result.model.D.shape[1]
    (kernels,) = (p for title, p in panels.items() if "kernel" in title)
    drawn = np.array([lines(kernels)[str(r + 1)] for r in range(count)]).T
    B = result.model.B[torch.from_numpy(result.model.used)].numpy()
    share = np.abs(B.mean(0)) / np.sqrt((B**2).mean(0))
    np.testing.assert_allclose(drawn @ share, mean_kernel(result)[1:], atol=1e-12)


def test_the_map_of_t_over_lambda_has_its_mean_and_dark_pixels_are_grey(result, panels):
    expected = result.model.relative_thickness().values
    (title,) = (title for title in panels if title.startswith("t/λ"))
    assert title == f"t/λ: {np.nanmean(expected):.2f} ± {np.nanstd(expected):.2f}"
    shown = panels[title].images[0].get_array()
    assert shown.mask[2, 3]
    np.testing.assert_allclose(shown.filled(np.nan), expected)


def test_the_mean_core_loss_stands_on_its_background(result, panels):
    drawn = lines(panels["mean core loss"])
    with torch.no_grad():
        fit = result.model.predict()["core"].dense().mean(0).numpy()
        background = result.model.background().mean(0).numpy()
    np.testing.assert_allclose(drawn["measured"], result.data["core"].mean_spectrum)
    np.testing.assert_allclose(drawn["fit"], fit, rtol=1e-6)
    np.testing.assert_allclose(drawn["background"], background, rtol=1e-6)


def test_components_are_drawn_as_found_and_as_the_mean_pixel_shows_them(result, panels):
    kernel = mean_kernel(result)
    for k in range(3):
        once, often = lines(panels[f"component {k + 1}"]).values()
        np.testing.assert_allclose(once, result["S"][:, k])
        np.testing.assert_allclose(often, np.convolve(kernel, once)[:80], atol=1e-12)


def test_results_without_a_low_loss_are_refused(result, tmp_path):
    result.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="was loaded, without its model"):
        plot_plural_scattering(fu.Result.load(tmp_path / "a.npz"))
    data = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 6)))
    plain = fu.fit(fu.models.NMF(data, 2), fu.losses.Frobenius(data), max_steps=1, progress=False)
    with pytest.raises(ValueError, match=r"has no low loss.*DualEELS"):
        plot_plural_scattering(plain)


def test_as_many_components_as_backgrounds_are_told_apart():
    result = few_steps(2)
    np.testing.assert_allclose(result.maps.reshape(80, 2), result["C"])
    once, often = lines(titled(plot_plural_scattering(result))["component 2"]).values()
    np.testing.assert_allclose(once, result["S"][:, 1])
    np.testing.assert_allclose(often, np.convolve(mean_kernel(result), once)[:80], atol=1e-12)


# ---- parts beside the components -----------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3])  # as many components as backgrounds, and more
def test_backgrounds_have_rows_of_their_own_and_are_no_components(K):
    result = few_steps(K)
    figure = result.plot()
    first, beside, _ = figure.subfigs
    assert "N" not in titled(figure)
    said = [text.get_text() for panel in first.axes for text in panel.texts]
    assert [text for text in said if text.isdecimal()] == [str(k + 1) for k in range(K)]
    said = [text.get_text() for panel in beside.axes for text in panel.texts]
    assert [text for text in said if "background" in text] == ["background\n1", "background\n2"]
    maps = [np.asarray(p.images[0].get_array()).ravel() for p in beside.axes if p.images]
    spectra = [p.lines[0].get_ydata() for p in beside.axes if len(p.lines) and not p.images]
    spectra = [s for s in spectra if len(s) == 80]
    with torch.no_grad():
        expected = result.model.background().numpy()
    np.testing.assert_allclose(np.array(maps).T @ np.array(spectra), expected, rtol=1e-6)


def test_a_factor_that_is_asked_for_is_drawn_as_it_is(result):
    assert "N" in titled(result.plot(factors=["N"]))
    figure = result.plot(components=[2])
    said = [t.get_text() for part in figure.subfigs for p in part.axes for t in p.texts]
    assert "2" in said
    assert not [text for text in said if "background" in text]


def test_the_small_picture_has_the_components_alone(result, monkeypatch):
    drawn = []
    monkeypatch.setattr(thumbnails, "_draw", lambda panel, result, name, k: drawn.append(name))
    thumbnails.small_picture(result)
    assert set(drawn) == {"C", "S"}
