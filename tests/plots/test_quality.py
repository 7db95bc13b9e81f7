"""What a picture says of a fit: χ around 1, the mean with its fit, residual over σ."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF

AXES = [fu.Axis(name, 2.0, units="nm") for name in "yx"]
ENERGY = fu.Axis("energy", 0.02, 0.1, "keV", size=60)


def scene(shape=(8, 9), seed=0):
    """Counts of two components, the second in one corner alone."""
    rng = np.random.default_rng(seed)
    S = rng.random((60, 2)) * np.exp(-0.5 * ((np.arange(60)[:, None] - [15, 40]) / 8) ** 2)
    C = np.ones((*shape, 2)) * [40.0, 0.0]
    C[:3, :3, 1] = 60.0
    return rng.poisson(C @ S.T)


def fitted(K=2, variance=None, poisson=False, shape=(8, 9)):
    data = fu.Dataset("edxs", scene(shape), axes=[*AXES, ENERGY], variance=variance)
    loss = Poisson(data) if poisson else Frobenius(data)
    return fu.fit(NMF(data, K), loss, starts=2, progress=False)


def panel(figure, label):
    return next(a for a in figure.axes if a.get_ylabel() == label)


def chi_panel(figure):
    return next(a for a in figure.axes if a.get_title().startswith("edxs: ") and a.images)


@pytest.mark.parametrize("poisson", [True, False])
def test_the_chi_map_is_around_one_and_its_colours_diverge_from_it(poisson):
    result = fitted(poisson=poisson, variance=None if poisson else 1.0 + scene().mean((0, 1)))
    (image,) = chi_panel(result.plot()).images
    np.testing.assert_allclose(image.get_array(), result.data["edxs"].chi_map)
    assert image.norm.vmin * image.norm.vmax == pytest.approx(1.0)
    assert image.norm(1.0) == pytest.approx(0.5)
    assert image.colorbar.ax.get_ylabel() == "rms residual / noise (χ)"


def test_a_component_that_is_missing_is_red_where_it_is():
    chi = fitted(K=1, poisson=True).data["edxs"].chi_map
    assert chi[:3, :3].min() > 1.2 * np.median(chi)


def test_where_the_size_of_the_noise_is_not_known_residuals_are_over_their_mean():
    figure = fitted().plot()
    shown = chi_panel(figure)
    assert shown.get_title() == "edxs: residual of the pixels"
    assert shown.images[0].colorbar.ax.get_ylabel() == "rms residual / its mean"
    mean_square = np.mean(np.square(shown.images[0].get_array()))
    assert mean_square == pytest.approx(1.0, rel=1e-3)


def test_measured_and_fitted_mean_stand_over_each_other_and_their_difference_over_sigma():
    result = fitted(K=1, poisson=True)
    data, figure = result.data["edxs"], result.plot()
    measured, fit = panel(figure, "counts").lines[:2]
    np.testing.assert_allclose(measured.get_ydata(), scene().mean((0, 1)))
    np.testing.assert_allclose(fit.get_ydata(), (result["C"] @ result["S"].T).mean(0), atol=1e-9)
    below = panel(figure, "residual / σ")
    np.testing.assert_allclose(below.lines[0].get_ydata(), data.residual_over_sigma)
    (band,) = below.patches
    ends = band.get_extents().transformed(below.transData.inverted())
    assert (ends.y0, ends.y1) == pytest.approx((-2.0, 2.0))
    low, high = below.get_ylim()
    assert low <= min(-3, data.residual_over_sigma.min())
    assert high >= max(3, data.residual_over_sigma.max())


def test_an_answer_of_an_earlier_version_has_its_residuals_as_they_were():
    from tests.answers.test_earlier_results import WRITTEN

    result = fu.Result.load(WRITTEN)
    titles = [a.get_title() for a in result.plot().axes]
    assert any(title.endswith(": rms residual") for title in titles)


def test_a_map_of_one_row_is_a_curve_and_one_of_two_keeps_its_shape():
    line = fitted(shape=(1, 40), poisson=True).plot()
    assert not any(a.images for a in line.axes)
    assert "x (nm)" in [a.get_xlabel() for a in line.axes]
    for figure in (fitted(shape=(2, 21), poisson=True).plot(),):
        figure.draw_without_rendering()
        for each in (a for a in figure.axes if a.images):
            box = each.get_window_extent()
            assert box.height / box.width == pytest.approx(2 / 21, rel=0.02)


def test_one_scale_for_all_components_by_option():
    result = fitted(poisson=True)
    own = [a.images[0].get_clim() for a in result.plot(factors=["C"]).axes if a.images][:2]
    same = result.plot(factors=["C"], same_scale=True)
    both = [a.images[0].get_clim() for a in same.axes if a.images][:2]
    assert own[0] != own[1]
    assert both[0] == both[1] == pytest.approx((0.0, result["C"].max()))
    curves = result.plot(factors=["S"], same_scale=True).axes
    limits = {a.get_ylim() for a in curves if a.get_ylabel() == "intensity (norm.)"}
    assert len(limits) == 1


def test_colour_bars_and_axes_have_quantity_and_unit_and_titles_are_words():
    figure = fitted(poisson=True).plot()
    titles = {a.get_title() for a in figure.axes}
    assert {"maps (C)", "spectra (S)"} <= titles
    bars = [a.images[0].colorbar.ax.get_ylabel() for a in figure.axes if a.images]
    assert bars == ["intensity (counts)", "intensity (counts)", "rms residual / noise (χ)"]
    assert [a.get_ylabel() for a in figure.axes].count("intensity (norm.)") == 2
