"""χ² per value: against literal sums, near 1 where noise and model are right."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Gaussian, Poisson

RANDOM = np.random.default_rng(0)
MAPS, SPECTRA = RANDOM.random((20, 15, 2)), RANDOM.random((2, 60))
MEAN = 5 * MAPS @ SPECTRA
MASK = RANDOM.random(MEAN.shape) < 0.1


def fit(data, loss):
    return fu.fit(fu.models.NMF(data, 2), loss, starts=2, seed=0, progress=False)


def literal(result, variance, x, mask):
    m = (result["C"] @ result["S"].T).reshape(x.shape)
    x, m = x[~mask], m[~mask]
    variance = np.maximum(m, 1e-300) if variance is None else variance
    return float(((x - m) ** 2 / variance).mean())


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("dose", [0.02, 1.0, 100.0])
def test_of_counts_it_is_pearsons(dose, mask):
    counts = np.random.default_rng(1).poisson(dose * MEAN)
    data = fu.Dataset("a", counts, mask=mask)
    result = fit(data, Poisson(data))
    chi2 = result.data["a"].chi2
    assert chi2 == pytest.approx(
        literal(result, None, counts, np.zeros_like(MASK) if mask is None else mask), rel=1e-6
    )
    if dose >= 1:  # below, two components follow single counts
        assert chi2 == pytest.approx(1, abs=0.2)
    assert f"χ² per value {chi2:.3f}" in str(result)


@pytest.mark.parametrize("kind", [Frobenius, Gaussian])
@pytest.mark.parametrize("size", [1.0, 2.0])
def test_with_a_variance_it_tells_noise_that_is_larger(kind, size):
    x = MEAN + size * np.random.default_rng(1).normal(0, 0.3, MEAN.shape)
    data = fu.Dataset("a", x, variance=0.09, mask=MASK)
    result = fit(data, kind(data))
    assert result.data["a"].chi2 == pytest.approx(literal(result, 0.09, x, MASK), rel=1e-6)
    assert result.data["a"].chi2 == pytest.approx(size**2, rel=0.1)


def test_without_a_variance_there_is_none(tmp_path):
    data = fu.Dataset("a", MEAN)
    result = fit(data, Frobenius(data))
    assert result.data["a"].chi2 is None
    assert "χ²" not in str(result)
    result.save(tmp_path / "a.npz")
    assert fu.Result.load(tmp_path / "a.npz").data["a"].chi2 is None


def test_counts_read_as_they_came_have_the_chi2_of_their_means(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr("fusion.data.usable_form.RESIDENT", 0)
    monkeypatch.setattr("fusion.forms.compiled_reading.MANY", 1)
    rng = np.random.default_rng(8)
    x = rng.poisson(3.0, (30, 20)).astype("u2")
    data = fu.Dataset("counts", x, mask=np.arange(20) == 4)
    model = fu.models.NMF(data, K=2)
    made = fu.losses.Poisson(data).chi2_per_value(model)
    m = model.predict()["counts"].dense().detach().numpy()
    seen = np.arange(20) != 4
    assert float(made) == pytest.approx(((x - m) ** 2 / m)[:, seen].mean(), rel=1e-5)
