"""`Detectors`: segments with a gain each beside other detectors."""

from __future__ import annotations

import pickle
from functools import reduce
from operator import add

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.answers.matching import match, spectral_angle
from fusion.losses import Frobenius, Poisson, SoftOrthogonality
from fusion.simulate import detectors


@pytest.fixture(scope="module")
def scene():
    return detectors(shape=(12, 14), channels=60, dose=2, seed=0)


def scan_of(scene) -> fu.Scan:
    """The four detectors, without dust and dead pixels."""
    scan = fu.Scan(*scene.datasets.values()).masked(scene.truth["dust"])
    return scan.replaced(scan["edxs"].masked(scene.truth["dead"] > 0))


def test_the_model_predicts_every_segment_as_its_share_of_one_spectrum(scene):
    model = fu.models.Detectors(*scene.datasets.values(), K=4)
    model = pickle.loads(pickle.dumps(model))
    M = model.predict()
    C, S, g = (model.factors[name].detach() for name in ("C", "S_edxs", "g_edxs"))
    assert float(g.sum()) == pytest.approx(1)
    wanted = torch.stack([share * C @ S.T for share in g[:, 0]])
    torch.testing.assert_close(M["edxs"].dense().detach(), wanted)
    assert M["adf"].shape == (168, 1)
    assert model.gains == {"edxs": "g_edxs"}


def test_gains_and_all_four_phases_come_back_where_no_detector_alone_has_them():
    scene = detectors(shape=(18, 24), seed=0)
    scan, truth = scan_of(scene), scene.truth
    model = fu.models.Detectors(*scan.values(), K=4)
    eels = [Frobenius(scan[name].estimate_variance()) for name in ("low_loss", "core_loss")]
    fits = reduce(add, [*eels, Poisson(scan["edxs"]), Poisson(scan["adf"])])
    loss = fits + 0.003 * SoftOrthogonality("C")  # grains avoid each other
    quick = fu.GaussNewton(tolerance=1e-6)
    result = fu.fit(model, loss, solver=quick, starts=1, seed=0, progress=False)
    seen = ~truth["dust"].reshape(-1).astype(bool)
    order = match(truth["C"][seen], result["C"][seen])
    np.testing.assert_allclose(result["g_edxs"], truth["g_edxs"], rtol=0.01)
    for name in ("S_low_loss", "S_core_loss", "S_edxs"):
        assert spectral_angle(result[name][:, order], truth[name]).max() < 3, name
    assert np.isnan(result["C"][~seen]).all()


def test_counts_fit_as_counts_too(scene):
    scan = scan_of(scene)
    model = fu.models.Detectors(*scan.values(), K=4)
    loss = reduce(add, map(Poisson, scan.values()))
    result = fu.fit(model, loss, starts=1, seed=0, max_steps=10, progress=False)
    assert np.isfinite(result.loss)
    assert float(result["g_edxs"].sum()) == pytest.approx(1)
