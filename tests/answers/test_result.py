"""`Result`: history, summary, and tensorly's tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius, term
from fusion.models import NMF
from tests.helpers.small_results import QUICK, RESULTS, coupled, cpd, spectrum_image, tucker


@pytest.fixture(scope="module", params=RESULTS, ids=lambda make: make.__name__)
def result(request) -> fu.Result:
    return request.param()


def test_the_history_has_every_term_and_its_sum():
    outcome = coupled()
    total = sum(value for key, value in outcome.history.items() if key != "loss")
    np.testing.assert_allclose(outcome.history["loss"], total)
    assert len(outcome.history) == 4
    assert outcome.loss_history.shape[0] == len(outcome.losses) == len(outcome.statuses) == 2
    assert outcome.loss == outcome.losses.min()


def test_two_terms_of_one_name_both_have_a_history():
    data = spectrum_image()

    @term
    def small(model):
        return model.C.square().sum()

    outcome = fu.fit(NMF(data, 2), Frobenius(data) + 0.1 * small + 0.2 * small, **QUICK)
    assert len(outcome.history) == 4
    total = sum(value for key, value in outcome.history.items() if key != "loss")
    np.testing.assert_allclose(outcome.history["loss"], total)


def test_the_summary_tells_status_loss_factors_and_data(result):
    told = result.summary()
    assert told.startswith(result.status)
    assert f"loss {result.loss:.8g} = {result.formula}" in told
    assert all(f"{name} {value.shape}" in told for name, value in result.factors.items())
    assert all(f"{name}: explained variance" in told for name in result.data)


@pytest.mark.parametrize("make", [cpd, tucker])
def test_to_tensorly_gives_the_decomposition(make):
    import tensorly as tl

    outcome = make()
    tensor = outcome.to_tensorly()
    with torch.no_grad():
        expected = next(iter(outcome.model.predict().values())).dense().numpy()
    with tl.backend_context("numpy", local_threadsafe=True):
        np.testing.assert_allclose(tensor.to_tensor(), expected)


def test_to_tensorly_needs_names_where_the_model_is_no_single_decomposition():
    outcome = coupled()
    with pytest.raises(ValueError, match="name its factors, of C, N, S1, S2"):
        outcome.to_tensorly()
    with pytest.raises(ValueError, match="no such factor"):
        outcome.to_tensorly("C", "S")
    assert [f.shape for f in outcome.to_tensorly("C", "S2").factors] == [(30, 2), (9, 2)]


def test_a_fit_that_leaves_nothing_counts_its_best_start_and_has_no_negative_chi2(result):
    summary = next(iter(result.data.values()))
    nothing = replace(summary, chi2=-1e-9, explained_variance=1.0)
    exact = replace(
        result,
        loss=-5e-6,
        losses=np.array([-5e-6]),
        statuses=[result.status],
        data=dict.fromkeys(result.data, nothing),
    )
    assert exact.left_over() < 0
    assert exact.agreeing() == 1
    assert "χ² per value 0.000" in exact.summary()
    assert "χ² per value 0.000" in str(exact)
