"""How often fits of counts read their data: ceilings of what was reached, and a tenth more."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import fusion as fu
from fusion.likelihood import count_kernels
from fusion.likelihood.count_rows import CountRows
from fusion.losses import L1, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.planted_factors import few_counts

pytestmark = pytest.mark.skipif(not count_kernels.installed(), reason="numba is not installed")


@pytest.fixture
def passes(monkeypatch):
    """Passes over all counts by name; a pass over one of two data sets counts as one."""
    made = {"bend": 0, "slopes": 0, "products": 0}
    for name in made:
        monkeypatch.setattr(CountRows, name, _counted(name, getattr(CountRows, name), made))
    return made


def _counted(name, method, made):
    def counted(self, *args, **kwargs):
        made[name] += 1
        return method(self, *args, **kwargs)

    return counted


def nmf(starts=1, **options):
    data = fu.Dataset("a", few_counts(14, 15, 400))
    return {"model": NMF(data, 3), "loss": Poisson(data), "starts": starts} | options


def sparse_prior():
    data = fu.Dataset("a", few_counts(14, 15, 400))
    return {"model": NMF(data, 3), "loss": Poisson(data) + 0.01 * L1("C"), "starts": 1}


def two_detectors():
    a, b = fu.Dataset("a", few_counts(14, 15, 400)), fu.Dataset("b", few_counts(14, 15, 360))
    return {"model": SharedMaps(a, b, K=3), "loss": Poisson(a) + 2 * Poisson(b), "starts": 1}


@pytest.mark.parametrize(
    ("case", "most"),
    [
        (nmf, {"bend": 95, "slopes": 0, "products": 0}),
        (lambda: nmf(solver=fu.GaussNewton()), {"bend": 35, "slopes": 28, "products": 67}),
        (lambda: nmf(10), {"bend": 237, "slopes": 0, "products": 0}),
        (sparse_prior, {"bend": 95, "slopes": 0, "products": 0}),
        (two_detectors, {"bend": 253, "slopes": 0, "products": 0}),
    ],
    ids=["nmf", "all at once", "ten starts", "sparse prior", "two detectors"],
)
def test_a_fit_reads_its_counts_no_more_often_than_it_did(case, most, passes):
    fu.fit(**case(), seed=0, progress=False)
    assert {name: passes[name] for name in most if passes[name] > most[name]} == {}


def test_counts_are_never_copied_in_double_precision():
    counts = scipy.sparse.csr_matrix(few_counts(14, 15, 400).reshape(210, 400).astype(np.float32))
    data = fu.Dataset("a", counts)
    fu.fit(NMF(data, 3), Poisson(data), starts=1, seed=0, progress=False)
    (form,) = data._forms.values()
    assert form.held.x.data_ptr() == data.entries.x.data_ptr()
    assert "turned" not in vars(form.held)
    assert "order" not in vars(form.held)
