"""Core consistency, factor match score and split halves; CPD where no pixel is pure."""

from __future__ import annotations

from functools import reduce
from itertools import permutations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import CPD, NMF, Tucker
from fusion.simulate import tilted_line
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import angles

K = 3


def random_cp(seed: int, shape=(6, 7, 8), rank: int = K) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((n, rank)) for n in shape]


def expand(factors) -> np.ndarray:
    letters = "abcd"[: len(factors)]
    return np.einsum(",".join(f"{x}k" for x in letters) + "->" + letters, *factors)


def noisy(factors, noise: float = 0.02, seed: int = 9) -> np.ndarray:
    X = expand(factors)
    return X + noise * X.std() * np.random.default_rng(seed).standard_normal(X.shape)


def fitted(data: fu.Dataset, rank: int = K, **options) -> fu.Result:
    told = {"starts": 2, "max_steps": 40, "progress": False} | options
    return fu.fit(CPD(data, rank), Frobenius(data), **told)


# ---- core consistency ----------------------------------------------------------------------------


def consistency(factors, X) -> float:
    """Bro & Kiers (2003), literally: vec G = (A ⊗ B ⊗ C)⁺ vec X, sizes spread evenly."""
    sizes = np.prod([np.linalg.norm(f, axis=0) for f in factors], axis=0)
    even = [f / np.linalg.norm(f, axis=0) * sizes ** (1 / len(factors)) for f in factors]
    G = np.linalg.lstsq(reduce(np.kron, even), X.reshape(-1), rcond=None)[0]
    rank = even[0].shape[1]
    ideal = np.zeros((rank,) * len(even))
    ideal[(np.arange(rank),) * len(even)] = 1
    return 100 * (1 - np.sum((G - ideal.reshape(-1)) ** 2) / rank)


@pytest.mark.parametrize("shape", [(6, 7, 8), (4, 5, 3, 6)])
def test_core_consistency_is_that_of_its_equation(shape):
    factors = random_cp(0, shape)
    X = noisy(random_cp(1, shape), 0.1)
    found = fu.core_consistency(factors, fu.Dataset("a", X))
    assert found == pytest.approx(consistency(factors, X), rel=1e-8)


def test_core_consistency_does_not_depend_on_scale_sign_order_or_form():
    from tensorly.cp_tensor import CPTensor

    factors, data = random_cp(0), fu.Dataset("a", noisy(random_cp(0), 0.3))
    found = fu.core_consistency(factors, data)
    a = np.array([2.0, -1e3, 1e-4])
    A, B, C = (f[:, [2, 0, 1]] for f in factors)
    moved = fu.core_consistency({"A": A * a, "B": B, "C": C / a}, data)
    weighted = fu.core_consistency(CPTensor((a, [A, B / a, torch.from_numpy(C)])), data)
    assert moved == pytest.approx(found, abs=1e-8)
    assert weighted == pytest.approx(found, abs=1e-8)
    larger = fu.core_consistency([1e6 * A, B, C], fu.Dataset("a", 1e6 * data.numpy()))
    assert larger == pytest.approx(found, abs=1e-8)


def test_core_consistency_is_100_for_exact_factors_and_falls_with_a_surplus_component():
    factors = random_cp(0, (8, 9, 10))
    exact = fu.core_consistency(factors, fu.Dataset("a", expand(factors)))
    assert exact == pytest.approx(100, abs=1e-8)
    data = fu.Dataset("a", noisy(factors))
    assert fu.core_consistency(fitted(data), data) > 90
    assert fu.core_consistency(fitted(data, 4), data) < 50


def test_a_masked_entry_counts_as_what_the_model_says_there():
    factors, X = random_cp(0), noisy(random_cp(1), 0.1)
    mask = np.random.default_rng(3).random(X.shape) < 0.2
    filled = np.where(mask, expand(factors), X)
    data = fu.Dataset("a", np.where(mask, np.nan, X), mask=mask)
    found = fu.core_consistency(factors, data)
    assert found == pytest.approx(consistency(factors, filled), rel=1e-8)


def test_core_consistency_leaves_out_rows_that_were_never_seen():
    factors = random_cp(0)
    X, mask = noisy(factors, 0.1), np.zeros((6, 7, 8), bool)
    mask[2] = True
    result = fitted(fu.Dataset("a", X, mask=mask), starts=1)
    assert np.isnan(result["A"][2]).all()
    seen = [np.delete(result["A"], 2, 0), result["B"], result["C"]]
    found = fu.core_consistency(result, fu.Dataset("a", X, mask=mask))
    assert found == pytest.approx(consistency(seen, np.delete(X, 2, 0)), rel=1e-8)


def test_core_consistency_reads_counts_and_a_component_that_is_off():
    factors = random_cp(0)
    factors[0][:, 1] = 0
    counts = np.random.default_rng(0).poisson(30 * expand(random_cp(0))).astype(np.uint16)
    assert np.isfinite(fu.core_consistency(factors, fu.Dataset("a", counts)))


def test_core_consistency_says_what_it_cannot_use():
    data = fu.Dataset("a", noisy(random_cp(0)))
    tucker = fu.fit(Tucker(data, (2, 2, 2)), Frobenius(data), starts=1, progress=False)
    with pytest.raises(ValueError, match="the result is tucker"):
        fu.core_consistency(tucker, data)
    with pytest.raises(ValueError, match=r"\(6, 7\) rows for data of shape \(6, 7, 8\)"):
        fu.core_consistency(random_cp(0)[:2], data)
    with pytest.raises(ValueError, match="two the core tells nothing"):
        fu.core_consistency(random_cp(0)[:2], fu.Dataset("a", np.ones((6, 7))))
    with pytest.raises(ValueError, match="of one K"):
        fu.core_consistency([*random_cp(0)[:2], np.ones((8, 2))], data)


# ---- factor match score --------------------------------------------------------------------------


def match_score(a, b) -> float:
    """Acar et al. (2011), literally: the best of all permutations."""
    norms = [np.prod([np.linalg.norm(f, axis=0) for f in side], axis=0) for side in (a, b)]
    scores = []
    for order in permutations(range(K)):
        terms = []
        for r, s in enumerate(order):
            x, y = norms[0][r], norms[1][s]
            cosines = [
                f[:, r] @ g[:, s] / np.linalg.norm(f[:, r]) / np.linalg.norm(g[:, s])
                for f, g in zip(a, b, strict=True)
            ]
            terms.append((1 - abs(x - y) / max(x, y)) * np.prod(np.abs(cosines)))
        scores.append(np.mean(terms))
    return max(scores)


@pytest.mark.parametrize("seed", range(5))
def test_factor_match_score_is_that_of_its_equation(seed):
    a, b = random_cp(seed), random_cp(seed + 50)
    b = [f - 0.5 for f in b]
    b[1] *= np.array([0.5, 3.0, 20.0])
    assert fu.factor_match_score(a, b) == pytest.approx(match_score(a, b), rel=1e-12)


def test_factor_match_score_is_one_for_the_same_in_another_order_and_scale():
    A, B, C = random_cp(0)
    order, s = [1, 2, 0], np.array([2.0, -3.0, 0.1])
    same = [(A * s)[:, order], (B / s)[:, order], C[:, order]]
    assert fu.factor_match_score([A, B, C], same) == pytest.approx(1)
    larger = [2 * A, B, C]
    assert fu.factor_match_score([A, B, C], larger) == pytest.approx(0.5)
    assert fu.factor_match_score([A, B, C], larger, weights=False) == pytest.approx(1)


def test_factor_match_score_pairs_factors_by_name():
    A, B, C = random_cp(0, (6, 6, 6))
    a, b = {"A": A, "B": B, "C": C}, {"C": C, "A": A, "B": B}
    assert fu.factor_match_score(a, b) == pytest.approx(1)
    assert fu.factor_match_score(a, list(b.values())) < 0.9


def test_a_component_without_partner_counts_as_nothing():
    a = random_cp(0)
    fewer = [f[:, :2] for f in a]
    assert fu.factor_match_score(a, fewer) == pytest.approx(2 / 3)
    assert fu.factor_match_score(fewer, a) == pytest.approx(2 / 3)
    off = [a[0] * [1, 1, 0], *a[1:]]
    assert fu.factor_match_score(a, off) == pytest.approx(2 / 3)


def test_factor_match_score_leaves_out_rows_that_were_never_seen():
    a, b = random_cp(0), random_cp(0)
    b[1][3] = np.nan
    a[1][3] = 1e3
    assert fu.factor_match_score(a, b) == pytest.approx(1)


def test_factor_match_score_reads_results_and_lists():
    truth = random_cp(0)
    data = fu.Dataset("a", noisy(truth))
    first, second = (fitted(data, starts=1, seed=seed) for seed in (0, 1))
    assert fu.factor_match_score(first, second) > 0.999
    assert fu.factor_match_score(first, truth) > 0.9


def test_factor_match_score_says_what_it_cannot_compare():
    a = random_cp(0)
    with pytest.raises(ValueError, match="3 and 2 modes"):
        fu.factor_match_score(a, a[:2])
    with pytest.raises(ValueError, match="6 and 7 rows"):
        fu.factor_match_score(a, [a[1], a[0], a[2]])


# ---- split halves --------------------------------------------------------------------------------


def test_halves_of_trilinear_data_agree_and_surplus_components_do_not():
    data = fu.Dataset("a", noisy(random_cp(0, (20, 9, 10))), axes=("sample", "x", "channel"))
    right = fu.split_half(data, lambda half: fitted(half, starts=1), "sample", splits=2)
    assert right.compared == ("B", "C")
    assert right.scores.shape == (2,)
    assert right.scores.min() > 0.99
    surplus = fu.split_half(data, lambda half: fitted(half, 5, starts=1), "sample")
    assert surplus.scores.max() < 0.95
    assert str(right).startswith(f"halves of sample: B, C match by {right.scores[0]:.4f}")


def test_the_halves_are_every_second_entry_with_its_mask_and_variance():
    X = np.arange(10 * 3 * 4.0).reshape(10, 3, 4) + 1
    mask, variance = np.zeros((10, 3, 4), bool), 1 + np.arange(10.0).reshape(10, 1, 1)
    mask[3, 1, 2] = True
    tilt = fu.Axis("tilt", scale=0.5, units="g")
    data = fu.Dataset("a", X, axes=(tilt, "x", "channel"), mask=mask, variance=variance)
    seen = []

    def look(half):
        seen.append(half)
        return fitted(half, 1, starts=1)

    fu.split_half(data, look, "tilt", splits=2, seed=1)
    for half, part in zip(seen, (slice(0, None, 2), slice(1, None, 2)), strict=False):
        assert np.array_equal(half.numpy(), X[part])
        assert np.array_equal(half.mask.numpy(), mask[part])
        assert np.array_equal(half.variance.numpy(), variance[part])
        assert np.array_equal(half.axes[0].values, tilt.sized(10).values[part])
        assert half.history[-1] == "5 of 10 entries along tilt"
    drawn = [half.axes[0].values for half in seen[2:]]
    assert np.array_equal(np.sort(np.concatenate(drawn)), tilt.sized(10).values)
    assert not np.array_equal(drawn[0], seen[0].axes[0].values)


def test_split_half_compares_the_spectra_of_a_matrix_model():
    data = fu.Dataset("a", noisy(random_cp(0, (20, 6, 12))), axes=("y", "x", "channel"))
    told = {"starts": 1, "progress": False}
    found = fu.split_half(data, lambda d: fu.fit(NMF(d, 1), Frobenius(d), **told), "y")
    assert found.compared == ("S",)
    assert found.scores[0] > 0.99


def test_split_half_says_what_it_cannot_split():
    data = fu.Dataset("a", noisy(random_cp(0, (3, 7, 8))), axes=("tilt", "x", "channel"))
    with pytest.raises(ValueError, match="3 entries along tilt"):
        fu.split_half(data, fitted, "tilt")
    with pytest.raises(ValueError, match="no axes are called 'z'"):
        fu.split_half(data, fitted, "z")
    whole = fitted(fu.Dataset("a", noisy(random_cp(0)), axes=("u", "v", "w")))
    with pytest.raises(ValueError, match="do not run along x"):
        fu.split_half(data, lambda half: whole, "x")


# ---- tilt × position × energy --------------------------------------------------------------------


def test_a_tilted_line_has_no_pure_pixel_tilt_or_channel_and_counts_of_its_mean():
    case = tilted_line(seed=3)
    T, C, S = (case.truth[name] for name in "TCS")
    eels = case.datasets["eels"]
    assert eels.shape == (len(T), len(C), len(S))
    assert C.sum(1) == pytest.approx(np.ones(len(C)))
    for factor in (T, C):
        share = factor / factor.sum(1, keepdims=True)
        assert share.min() > 0.09
        assert share.max() < 0.81
    mean = np.einsum("tk,pk,ek->tpe", T, C, S)
    z = (eels.numpy() - mean)[mean > 1] / np.sqrt(mean[mean > 1])
    assert np.mean(z**2) == pytest.approx(1, abs=0.02)


def test_a_cpd_finds_the_spectra_without_pure_pixels_where_nmf_has_many_answers():
    case = tilted_line(tilts=11, pixels=16, channels=50, dose=10)
    eels, S = case.datasets["eels"], case.truth["S"]
    model = CPD(eels, K, names="TCS")
    told = {"starts": 1, "max_steps": 80, "progress": False}
    cubes = [fu.fit(model, Frobenius(eels), seed=s, **told) for s in (0, 1)]
    assert max(angles(r["S"], S).max() for r in cubes) < 3
    assert angles(cubes[0]["S"], cubes[1]["S"]).max() < 0.1
    flat = [fu.fit(NMF(eels, K), Frobenius(eels), seed=s, **told) for s in (0, 1, 2)]
    assert min(angles(r["S"], S).max() for r in flat) > 5


# ---- real data -----------------------------------------------------------------------------------


def test_the_concentrations_of_amino_acids_are_found():
    file = np.load(shared_file("multiway", "aminoacids.npz"))
    data = fu.Dataset("eem", file["X"], axes=("sample", "emission", "excitation"))
    result = fitted(data)
    r = np.corrcoef(result["A"].T, file["conc"].T)[:K, K:]
    assert r.max(0).min() > 0.99
    assert fu.core_consistency(result, data) > 90
