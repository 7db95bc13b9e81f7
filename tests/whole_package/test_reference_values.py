"""Against scikit-learn, tensorly, and the numbers known for real data (shared/data)."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import CPD, NMF, Tucker
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import K, angles, nmf

SLACK = 1 + 1e-6
"""A reference may be better by rounding, not by more."""


def known(*path):
    """A file of the shared data, as float64 arrays by name."""
    with np.load(shared_file(*path)) as arrays:
        return {n: arrays[n].astype(float) for n in arrays if arrays[n].dtype.kind in "iuf"}


def half_squares(X, M):
    return 0.5 * float(np.sum((X - M) ** 2))


@pytest.fixture(scope="module")
def counts():
    """Small Poisson counts of rank 3, (pixel, channel)."""
    case = nmf(0.0)
    return np.random.default_rng(0).poisson(20 * case.clean["a"].reshape(56, 30)).astype(float)


# ---- scikit-learn --------------------------------------------------------------------------------


def test_least_squares_nmf_is_not_beaten_by_scikit_learn(counts):
    from sklearn.decomposition import NMF as Reference

    reference = Reference(K, init="nndsvda", tol=1e-8, max_iter=5000, random_state=0)
    C = reference.fit_transform(counts)
    data = fu.Dataset("a", counts)
    result = fu.fit(NMF(data, K), Frobenius(data), starts=5, progress=False)
    assert result.loss <= SLACK * half_squares(counts, C @ reference.components_)


def test_poisson_nmf_is_not_beaten_by_scikit_learn(counts):
    from sklearn.decomposition import NMF as Reference

    options = {"solver": "mu", "beta_loss": "kullback-leibler", "init": "nndsvda"}
    reference = Reference(K, **options, tol=1e-8, max_iter=5000, random_state=0)
    M = reference.fit_transform(counts) @ reference.components_
    data = fu.Dataset("a", counts)
    result = fu.fit(NMF(data, K), Poisson(data), starts=5, progress=False)
    theirs = float(np.sum(M - counts * np.log(M, where=counts > 0, out=np.zeros_like(M))))
    assert result.loss <= theirs + 1e-6 * abs(theirs)


# ---- tensorly ------------------------------------------------------------------------------------


def test_cpd_is_not_beaten_by_tensorly():
    import tensorly as tl
    from tensorly.decomposition import non_negative_parafac_hals

    rng = np.random.default_rng(1)
    A, B, C = (rng.random((n, K)) for n in (6, 12, 20))
    X = np.einsum("ik,jk,lk->ijl", A, B, C)
    X = X + 0.1 * rng.standard_normal(X.shape)
    found = non_negative_parafac_hals(X, K, n_iter_max=1000, init="svd", tol=1e-12, random_state=0)
    data = fu.Dataset("a", X)
    result = fu.fit(CPD(data, K), Frobenius(data), starts=5, progress=False)
    assert result.loss <= SLACK * half_squares(X, tl.cp_to_tensor(found))


def test_tucker_is_not_beaten_by_tensorly():
    import tensorly as tl
    from tensorly.decomposition import non_negative_tucker_hals

    rng = np.random.default_rng(2)
    ranks = (2, 2, 2)
    factors = [rng.random((n, 2)) for n in (6, 8, 10)]
    X = np.einsum("pqr,ip,jq,lr->ijl", rng.random(ranks), *factors)
    X = X + 0.05 * rng.standard_normal(X.shape)
    found = non_negative_tucker_hals(X, ranks, n_iter_max=100, tol=1e-8, random_state=0)
    data = fu.Dataset("a", X)
    result = fu.fit(Tucker(data, ranks), Frobenius(data), starts=3, progress=False)
    assert result.loss <= SLACK * half_squares(X, tl.tucker_to_tensor(found))


def test_result_goes_to_tensorly_and_comes_back_as_a_start():
    import tensorly as tl

    rng = np.random.default_rng(3)
    data = fu.Dataset("a", rng.random((4, 5, 6)))
    loss = Frobenius(data)
    result = fu.fit(CPD(data, 2), loss, starts=3, progress=False)
    tensor = result.to_tensorly()
    assert half_squares(data.tensor.numpy(), tl.cp_to_tensor(tensor)) == pytest.approx(result.loss)
    again = fu.fit(CPD(data, 2), loss, init=[tensor], max_steps=0, progress=False)
    assert again.loss == pytest.approx(result.loss, rel=1e-9)


def test_a_tensorly_start_keeps_its_weights_and_norms():
    from tensorly.cp_tensor import CPTensor, cp_to_tensor

    rng = np.random.default_rng(4)
    data = fu.Dataset("a", rng.random((4, 5, 6)))
    tensor = CPTensor((np.array([3.0, 0.2]), [7 * rng.random((n, 2)) for n in data.shape]))
    start = fu.fit(
        CPD.from_tensorly(data, tensor), Frobenius(data), starts=1, max_steps=0, progress=False
    )
    assert start.loss == pytest.approx(half_squares(data.tensor.numpy(), cp_to_tensor(tensor)))


# ---- shared data ---------------------------------------------------------------------------------


def test_mn3o4_phantom_is_met_to_the_known_relative_error():
    X = known("mn3o4_phantom", "SI_data.npz")["X"]
    data = fu.Dataset("mn", X)
    result = fu.fit(NMF(data, 2), Frobenius(data), starts=10, race=False, progress=False)
    assert np.sqrt(2 * result.loss / np.sum(X**2)) <= 0.2650
    assert (result.losses <= result.loss * (1 + 1e-4)).all()


@pytest.mark.parametrize("make", [CPD, CPD.from_svd], ids=["random", "svd"])
def test_amino_acid_concentrations_come_back(make):
    amino = known("multiway", "aminoacids.npz")
    data = fu.Dataset("amino", amino["X"], axes=("sample", "emission", "excitation"))
    result = fu.fit(make(data, 3), Frobenius(data), starts=3, progress=False)
    found = np.corrcoef(result["A"].T, amino["conc"].T)[:3, 3:]
    i, j = linear_sum_assignment(-found)
    assert (found[i, j] >= 0.99).all(), found[i, j]


def test_clean_phantom_gives_spectra_between_the_known_bounds():
    truth = known("mn3o4_phantom", "mn3o4_truth.npz")
    data = fu.Dataset("mn", truth["clean"])
    result = fu.fit(NMF(data, 2), Frobenius(data), starts=5, progress=False)
    assert 2 * result.loss <= 1e-8 * np.sum(truth["clean"] ** 2)
    inner = np.stack([truth["inner_Mn2"].ravel(), truth["inner_Mn3"].ravel()], 1)
    outer = np.stack([truth["outer_Mn2"].ravel(), truth["outer_Mn3"].ravel()], 1)
    span = angles(inner, outer)  # every exact answer lies between the two
    assert (angles(result["S"], outer) <= span + 0.1).all()
