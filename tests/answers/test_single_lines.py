"""Components that lie in one row or column of the scan are told of, rare particles are not."""

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius

E = np.arange(40)
S = np.exp(-0.5 * ((E - np.array([[10], [28]])) / 4) ** 2)


def said(second):
    """What a fit says of two components, the second of this map."""
    maps = np.stack([np.random.default_rng(0).uniform(0.5, 1, (9, 10)), second], axis=-1)
    data = fu.Dataset("a", maps @ S, axes=["y", "x", "energy"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fu.ClaimWarning)
        result = fu.fit(fu.models.NMF(data, K=2), Frobenius(data), seed=0, progress=False)
    return [m for m in result.messages if "one line of the scan" in m]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ((0, slice(None)), "in y 0, the first: `crop(y=slice(1, None))`"),
        ((slice(None), 9), "in x 9, the last: `crop(x=slice(0, 9))`"),
        ((4, slice(2, 8)), "in y 4, of 9: `masked(…)`"),
    ],
)
def test_a_component_of_one_line_is_told_with_what_leaves_it_out(place, told):
    second = np.zeros((9, 10))
    second[place] = 2.0
    (message,) = said(second)
    assert told in message


@pytest.mark.parametrize("place", [(4, slice(4, 6)), (slice(2, 5), slice(None))])
def test_a_particle_of_two_pixels_and_a_layer_of_three_rows_are_none(place):
    second = np.zeros((9, 10))
    second[place] = 2.0
    assert said(second) == []
