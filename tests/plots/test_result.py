"""`plot_result`: every result is drawn, with names, units and scale bars."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF, SharedSpectra
from fusion.plots.images import colour_range
from tests.helpers.small_results import QUICK, RESULTS, coupled, nmf, spectrum_image


@pytest.fixture(scope="module", params=RESULTS, ids=lambda make: make.__name__)
def result(request) -> fu.Result:
    return request.param()


def titles(figure) -> list[str]:
    return [ax.get_title() or ax.get_title(loc="left") for ax in figure.axes]


def test_a_factor_that_is_named_after_its_data_set_has_no_second_name():
    rng = np.random.default_rng(0)
    a, b = (fu.Dataset(name, rng.random((4, 5, 12))) for name in ("one", "two"))
    result = fu.fit(SharedSpectra(a, b, K=2), Frobenius(a) + Frobenius(b), **QUICK)
    shown = titles(result.plot())
    assert {"maps of one (C_one)", "maps of two (C_two)"} <= set(shown)


def test_every_result_can_be_drawn_also_when_loaded(result, tmp_path):
    result.save(tmp_path / "fit")
    figure = fu.Result.load(tmp_path / "fit").plot()
    figure.savefig(tmp_path / "fit.png", dpi=40)
    shown = " ".join(titles(figure))
    assert all(name in shown for name in result.factors if result.factors[name].size > 1)
    assert all(f"{name}: " in shown for name in result.data)


def test_a_figure_is_outside_pyplot_and_shows_itself_as_png():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = nmf(max_steps=1).plot()
    assert plt.get_fignums() == before
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_axes_have_names_and_units_and_maps_a_scale_bar(monkeypatch):
    figure = nmf(max_steps=1).plot()
    assert "energy loss (eV)" in [ax.get_xlabel() for ax in figure.axes]
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    bars = [a for ax in figure.axes for a in ax.artists if isinstance(a, AnchoredSizeBar)]
    assert len(bars) == 3
    assert bars[0].txt_label.get_text() == "1 nm"


def test_values_of_both_signs_have_colours_that_are_symmetric_about_zero():
    figure = coupled().plot(factors=["N"])
    maps = [ax for part in figure.subfigs[:1] for ax in part.axes]
    drawn = [image for ax in maps for image in ax.images if image.cmap.name == "RdBu_r"]
    assert len(drawn) == 2
    assert all(image.norm.vmin == -image.norm.vmax for image in drawn)


@pytest.mark.parametrize("K", [1, 5, 12])
def test_no_two_panels_overlap(K):
    data = spectrum_image(shape=(6, 7, 14))
    figure = fu.fit(NMF(data, K), Frobenius(data), **{**QUICK, "max_steps": 1}).plot()
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes if ax.axison]
    boxes = [box.padded(-1) for box in boxes]
    hits = [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)]
    assert hits == []


def test_factors_and_components_can_be_chosen_and_wrong_ones_are_named():
    outcome = nmf(max_steps=1)
    assert "spectra (S)" not in titles(outcome.plot(factors=["C"]))
    outcome.plot(components=[1])
    with pytest.raises(ValueError, match="no factor 'D'; the result has C, S"):
        outcome.plot(factors=["D"])
    with pytest.raises(ValueError, match=r"components=\[0\].*from 1 to 2"):
        outcome.plot(components=[0])


def test_one_hot_pixel_does_not_set_the_colours():
    values = np.full((40, 40), 1.0)
    values[3, 3] = 1e6
    assert colour_range(values, False) == (0.0, 1.0, "max")


def test_pixels_that_are_met_exactly_do_not_set_the_colours_of_the_residual():
    from fusion.plots.quality import _end

    chi = np.random.default_rng(0).uniform(0.5, 2.0, 200)
    assert _end(np.concatenate([chi, np.full(200, 1e-72)])) == pytest.approx(_end(chi), rel=0.02)
