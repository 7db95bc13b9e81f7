"""Masks in HyperSpy's `decomposition`, eager and lazy, whatever the chunks and the kind of mask."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.hyperspy_signals import CHANNELS, build, estimator, hs
from tests.helpers.planted_factors import nearest_angles

CHUNKS = [None, (3, 4, -1), (8, 7, 9), (1, 7, 40)]
"""None: not lazy; the third are chunks along the energies, too."""


def masked(shape):
    """Two pixels and five channels to leave out."""
    pixels = np.zeros(shape[:2], dtype=bool)
    pixels[0, 1] = pixels[5, 2] = True
    return pixels, np.arange(CHANNELS) < 5


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("kind", ["arrays", "signals"])
def test_pixels_and_channels_are_left_out_as_arrays_and_as_signals(chunks, kind):
    s, _, S = build("map")
    pixels, channels = masked(s.data.shape)
    s.data[pixels] = 1e6
    s.data[..., channels] = 1e6
    if chunks is not None:
        s = s.as_lazy()
        s.data = s.data.rechunk(chunks)
    options = {"navigation_mask": pixels.T, "signal_mask": channels}  # (x, y), as HyperSpy has it
    if kind == "signals":
        options["navigation_mask"] = hs.signals.BaseSignal(pixels).T
        options["signal_mask"] = hs.signals.Signal1D(channels)
    s.decomposition(algorithm=estimator(), print_info=False, **options)
    spectra = np.asarray(s.get_decomposition_factors().data)
    maps = np.asarray(s.get_decomposition_loadings().data)
    np.testing.assert_array_equal(np.isnan(spectra).any(0), channels)
    np.testing.assert_array_equal(np.isnan(maps).any(0), pixels)
    assert nearest_angles(spectra[:, ~channels].T, S[~channels]).max() < 4


@pytest.mark.parametrize("chunks", CHUNKS)
def test_what_was_masked_is_mapped_again_where_it_is_asked_for(chunks):
    s, C, _ = build("map")
    pixels, _ = masked(s.data.shape)
    if chunks is not None:
        s = s.as_lazy()
        s.data = s.data.rechunk(chunks)
    mask = hs.signals.BaseSignal(pixels).T
    s.decomposition(
        algorithm=estimator(), navigation_mask=mask, reproject="navigation", print_info=False
    )
    maps = np.asarray(s.get_decomposition_loadings().data).reshape(len(C[0]), -1).T
    assert np.isfinite(maps).all()
    assert nearest_angles(maps, C).max() < 6


def test_an_array_in_the_order_of_the_data_is_refused_but_of_a_square_map():
    s, _, _ = build("map")
    with pytest.raises(ValueError, match="navigation mask array must match"):
        s.decomposition(algorithm=estimator(), navigation_mask=masked(s.data.shape)[0])
    square, _, _ = build(y=(6, 1.0, "nm"), x=(6, 1.0, "nm"))
    pixels = np.zeros((6, 6), dtype=bool)
    pixels[1, 4] = True
    square.decomposition(algorithm=estimator(), navigation_mask=pixels, print_info=False)
    maps = np.asarray(square.get_decomposition_loadings().data)
    np.testing.assert_array_equal(np.isnan(maps[0]), pixels.T)  # `docs/hyperspy.md`
