"""`plot_relevance`: a line for every scale of `ARD`."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import ARD, Exponential, Frobenius, Gaussian, HalfNormal
from fusion.models import NMF
from fusion.plots import plot_relevance
from tests.helpers.planted_factors import noisy_map

PRIORS = (Exponential(), HalfNormal())
SCALES = "λ of ARD('C')"
TOLD = {"starts": 1, "progress": False}


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_the_picture_has_a_line_for_every_scale_with_the_numbers_of_the_answer(prior):
    data = noisy_map()
    result = fu.fit(NMF(data, 6), Gaussian(data) + ARD("C", prior=prior), **TOLD)
    panel = plot_relevance(result).axes[0]
    assert panel.get_yscale() == "log"
    assert [panel.get_xlabel(), bool(panel.get_ylabel())] == ["step", True]
    told = [text.get_text() for text in panel.get_legend().get_texts()]
    assert told == ["component 1", "component 2", "component 3", "3 switched off"]
    for line, path in zip(panel.lines, result.history[SCALES].T, strict=True):
        assert np.array_equal(line.get_ydata(), path)


def test_the_picture_of_a_loaded_result_is_the_same(tmp_path):
    data = noisy_map()
    result = fu.fit(NMF(data, 6), Gaussian(data) + ARD("C"), **TOLD)
    result.save(tmp_path / "fit.npz")
    lines = [
        plot_relevance(r).axes[0].lines for r in (result, fu.Result.load(tmp_path / "fit.npz"))
    ]
    for one, other in zip(*lines, strict=True):
        assert np.array_equal(one.get_ydata(), other.get_ydata())
        assert one.get_color() == pytest.approx(other.get_color())


def test_the_picture_needs_scales():
    data = noisy_map()
    result = fu.fit(NMF(data, 3), Frobenius(data), max_steps=3, **TOLD)
    with pytest.raises(ValueError, match="fit with `ARD`"):
        plot_relevance(result)
