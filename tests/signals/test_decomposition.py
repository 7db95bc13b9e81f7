"""`Unmixer` inside HyperSpy's `decomposition`, eager and lazy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fusion.losses import ARD
from tests.helpers.hyperspy_signals import (
    CHANNELS,
    K,
    ScaledDataWarning,
    build,
    estimator,
    hs,
    options,
)
from tests.helpers.planted_factors import nearest_angles

pytestmark = pytest.mark.filterwarnings(
    "ignore:Glyph .* missing from font:UserWarning"
)  # of the title


def test_lazy_gives_what_eager_gives_whatever_the_chunks():
    s, _, _ = build("map", "EDS_TEM")
    est = estimator("EDS_TEM")
    s.decomposition(algorithm=est, **options("EDS_TEM"))
    lazy = s.as_lazy()
    lazy.data = lazy.data.rechunk((3, 4, -1))
    streamed = estimator("EDS_TEM")
    lazy.decomposition(algorithm=streamed, **options("EDS_TEM"))
    assert nearest_angles(streamed.components_.T, est.components_.T).max() < 0.05
    with pytest.raises(ValueError, match="no model that tells"):
        streamed.result_.write_to(s)  # its pixels came chunk by chunk
    model = lazy.get_decomposition_model()
    model.compute()
    whole = s.get_decomposition_model().data
    np.testing.assert_allclose(model.data, whole, atol=2e-3 * whole.max())


def test_components_switched_off_by_ard_are_left_out_eager_and_lazy():
    s, _, S = build("map", "EDS_TEM")
    for signal in (s, s.as_lazy()):
        est = estimator("EDS_TEM", 5, penalty=ARD("C"))
        if signal is not s:
            signal.data = signal.data.rechunk((3, 4, -1))
            expected = pytest.warns(UserWarning, match="3 of 5 components.*output_dimension")
        else:
            expected = warnings.catch_warnings()
        with expected:
            signal.decomposition(algorithm=est, **options("EDS_TEM"))
        assert est.n_components_ == K
        factors = signal.get_decomposition_factors()
        assert factors.data.shape == (K, CHANNELS)
        assert nearest_angles(np.asarray(factors.data).T, S).max() < 4


@pytest.mark.parametrize("lazy", [False, True])
def test_one_component_is_enough(lazy):
    s, _, _ = build("map")
    s = s.as_lazy() if lazy else s
    s.decomposition(algorithm=estimator("EELS", 1), print_info=False)
    assert s.get_decomposition_loadings().data.size == 8 * 7
    assert s.get_decomposition_model().data.shape == s.data.shape


def test_more_or_fewer_components_than_output_dimension_are_what_hyperspy_makes_of_them():
    s, _, _ = build("map")
    for asked, got in ((2, 2), (5, K)):
        s.decomposition(algorithm=estimator(), output_dimension=asked, print_info=False)
        assert s.get_decomposition_loadings().data.shape == (got, 8, 7)


def test_noise_in_which_ard_finds_nothing_is_said():
    noise = hs.signals.Signal1D(np.random.default_rng(0).normal(size=(6, 7, 20)))
    asked = estimator("EELS", 3, penalty=ARD("C"))
    noise.decomposition(algorithm=asked, print_info=False)
    assert asked.n_components_ == 1
    assert any("no component beyond" in text for text in asked.result_.messages)


def test_counts_that_hyperspy_scaled_in_secret_are_told_by_name():
    s, _, _ = build("map", "EDS_TEM")
    for signal in (s.deepcopy(), s.as_lazy()):
        with pytest.warns(ScaledDataWarning, match=r"decomposition\(False, None"):
            signal.decomposition(algorithm=estimator("EDS_TEM"), navigation_mask=None)
    with pytest.warns(ScaledDataWarning, match="turned back"):
        s.decomposition(True, None, algorithm=estimator("EELS"), print_info=False)
    with pytest.raises(
        ValueError, match="All the data are masked"
    ):  # HyperSpy's own, of few counts
        build("map", "EDS_TEM", counts=0.2)[0].decomposition(algorithm=estimator("EDS_TEM"))


def test_integers_are_refused_by_hyperspy_and_taken_by_the_estimator():
    s, _, _ = build("map", "EDS_TEM", dtype="uint16")
    with pytest.raises(TypeError, match="change_dtype"):
        s.decomposition(algorithm=estimator("EDS_TEM"), **options("EDS_TEM"))
    est = estimator("EDS_TEM").fit(s.data.reshape(-1, CHANNELS))
    s.change_dtype("float32")
    s.decomposition(algorithm=(other := estimator("EDS_TEM")), **options("EDS_TEM"))
    assert nearest_angles(est.components_.T, other.components_.T).max() < 0.05


@pytest.mark.parametrize("lazy", [False, True])
def test_masks_of_hyperspy_leave_pixels_and_channels_out(lazy):
    s, _, S = build("map")
    pixels = np.zeros(s.data.shape[:2], dtype=bool)
    pixels[1, 5] = pixels[6, 2] = True
    channels = np.zeros(CHANNELS, dtype=bool)
    channels[:3] = True
    s.data[pixels] = 1e6
    s = s.as_lazy() if lazy else s
    mask = hs.signals.BaseSignal(pixels).T
    s.decomposition(algorithm=estimator(), navigation_mask=mask, signal_mask=channels,
                    print_info=False)  # fmt: skip
    factors = np.asarray(s.get_decomposition_factors().data)
    assert np.isnan(factors[:, :3]).all()
    assert nearest_angles(factors[:, 3:].T, S[3:]).max() < 4
    maps = np.asarray(s.get_decomposition_loadings().data)
    np.testing.assert_array_equal(np.isnan(maps[0]), pixels)
