"""How many components: planted ranks, every criterion against its formula, denoising, traces."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.completion import complete
from fusion.prepare.denoise import Estimated, KeenanKotula, Unscaled
from fusion.prepare.scree import _left, equaliser
from fusion.ranking import Criterion
from fusion.ranking.cross_validation import speckle
from fusion.ranking.singular_values import reduced_eigenvalues
from tests.helpers.paths import shared_file

PIXELS, CHANNELS = 300, 90
SIGNS = np.where(np.arange(CHANNELS) % 2, 1, -1)


def expected(rng: np.random.Generator, K: int) -> np.ndarray:
    """Mean of K components, of mean 1; without any, zero."""
    E = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((E - rng.random(K)) / (0.02 + 0.1 * rng.random(K))) ** 2)
    C = rng.dirichlet([0.5] * K, PIXELS) if K > 1 else 0.5 + rng.random((PIXELS, K))
    M = C @ (S + 0.1 * np.exp(-2 * E)).T
    return M / M.mean() if K else M


def correlated(rng) -> np.ndarray:
    kernel = np.array([1, 2, 3, 2, 1]) / np.sqrt(19)
    white = rng.standard_normal((PIXELS, CHANNELS + 4))
    return sum(k * white[:, i : CHANNELS + i] for i, k in enumerate(kernel))


def white(rng) -> np.ndarray:
    return rng.standard_normal((PIXELS, CHANNELS))


NOISES = {
    "many counts": lambda M, rng: rng.poisson(200 * M if M.any() else 200 + M).astype(float),
    "few counts": lambda M, rng: rng.poisson(2 * M if M.any() else 2 + M).astype(float),
    "Gaussian": lambda M, rng: M + 0.1 * white(rng),
    "uneven channels": lambda M, rng: M + 0.1 * white(rng) * (0.2 + 2 * rng.random(CHANNELS)),
    "noise grows with the signal": lambda M, rng: M * SIGNS + 0.1 * white(rng) * np.sqrt(M + 0.1),
    "clipped": lambda M, rng: np.maximum(M + 0.1 * white(rng), 0),
    "correlated": lambda M, rng: M + 0.1 * correlated(rng),
}


def data(kind: str, K: int, seed: int = 0) -> fu.Dataset:
    rng = np.random.default_rng(seed)
    return fu.Dataset("a", NOISES[kind](expected(rng, K), rng))


def quick(dataset: fu.Dataset, **options) -> fu.Ranking:
    return fu.rank(dataset, **{"ard": False, "stability": False, **options})


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("kind", NOISES)
def test_a_planted_number_is_recommended(kind, K):
    found = [data(kind, K, seed).noise().scree.rank for seed in range(2)]
    assert found == [K] * 2


@pytest.mark.parametrize("kind", ["Gaussian", "uneven channels", "correlated"])
def test_pure_noise_has_no_component(kind):
    assert [data(kind, 0, seed).noise().scree.rank for seed in range(3)] == [0] * 3


@pytest.mark.parametrize("kind", ["many counts", "few counts"])
def test_counts_of_one_rate_have_one_component(kind):
    assert [data(kind, 0, seed).noise().scree.rank for seed in range(3)] == [1] * 3


def test_what_was_clipped_at_zero_is_said_with_its_share():
    noise = data("clipped", 2).noise()
    zeros = (data("clipped", 2).numpy() == 0).mean()
    assert noise.clipped == pytest.approx(zeros)
    assert "clipped at zero" in str(noise)
    assert np.sqrt(noise.readout) == pytest.approx(0.1, rel=0.05)


def test_zeros_of_another_origin_are_not_taken_for_clipped():
    rng = np.random.default_rng(0)
    X = 4.5 * rng.poisson(expected(rng, 2))
    assert fu.Dataset("a", X).noise().clipped == 0


@pytest.fixture(scope="module")
def ranking() -> fu.Ranking:
    return quick(data("many counts", 3))


def test_criteria_agree_on_clear_data(ranking):
    assert ranking.recommended == 3
    for name in ("noise edge", "held-out entries", "RE", "IND", "REV"):
        assert ranking[name].chosen == 3


def test_real_error_is_malinowskis(ranking):
    """RE(K) = √(Σ_{j>K} λ_j / (n (m − K))), IND = RE / (m − K)²."""
    X = ranking.noise.scree.scaled
    n, m = X.shape
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    error = np.array([np.sqrt(sum(squares[K:]) / (n * (m - K))) for K in range(9)])
    noise = np.sqrt(ranking.noise.gain) * ranking.noise.scree.level
    np.testing.assert_allclose(ranking["RE"].curve[:9], error * noise, rtol=1e-6)
    indicator = [error[K] / (m - K) ** 2 for K in range(9)]
    np.testing.assert_allclose(ranking["IND"].curve[:9], indicator, rtol=1e-6)


def test_reduced_eigenvalues_are_malinowskis(ranking):
    """REV_k = λ_k / ((n − k + 1)(m − k + 1)); F-test against the later ones."""
    from scipy.stats import f

    X = ranking.noise.scree.scaled
    n, m = X.shape
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    curve = [squares[k - 1] / ((n - k + 1) * (m - k + 1)) for k in range(1, m + 1)]
    found = ranking["REV"]
    np.testing.assert_allclose(found.curve, curve[: len(found.curve)], rtol=1e-6)
    significant = []
    for k in range(1, 8):
        later = range(k + 1, m + 1)
        sizes = sum((n - j + 1) * (m - j + 1) for j in later)
        F = curve[k - 1] * sizes / sum(squares[j - 1] for j in later)
        significant.append(f.sf(F, 1, m - k) < 0.05)
    assert found.chosen == significant.index(False)


def test_reduced_eigenvalues_hold_behind_a_first_component_of_any_size(ranking):
    values = ranking.noise.scree.values.copy()
    values[0] *= 1e9
    noise = replace(ranking.noise, scree=replace(ranking.noise.scree, values=values))
    assert reduced_eigenvalues(noise, 8).chosen == ranking["REV"].chosen


def test_broken_stick_is_that_of_its_formula(ranking):
    squares = np.linalg.svd(ranking.noise.scree.scaled, compute_uv=False) ** 2
    s = len(squares)
    stick = [sum(1 / j for j in range(k, s + 1)) / s for k in range(1, s + 1)]
    share = squares / squares.sum() / stick
    found = ranking["broken stick"]
    np.testing.assert_allclose(found.curve, share[: len(found.curve)], rtol=1e-6)
    assert found.chosen == np.flatnonzero(share < 1)[0]


def test_held_out_runs_leave_no_seen_neighbour_within_reach():
    hidden, scored = speckle((40, 50), 3, np.random.default_rng(0))
    for i, j in np.argwhere(scored):
        assert hidden[i, max(j - 3, 0) : j + 4].all()
    assert 0.05 < hidden.mean() < 0.15


def test_hidden_entries_of_low_rank_are_found_exactly():
    rng = np.random.default_rng(0)
    X = rng.random((50, 2)) @ rng.random((2, 40))
    hidden = rng.random(X.shape) < 0.1
    filled, *_ = complete(np.where(hidden, 0, X), hidden, rng.random((40, 2)), 100)
    np.testing.assert_allclose(filled, X, atol=1e-6)


def test_costly_criteria_are_left_out_where_asked():
    found = quick(data("Gaussian", 2), held_out=False)
    names = [each.name for each in found.criteria]
    assert names == ["noise edge", "RE", "IND", "REV", "broken stick"]
    with pytest.raises(KeyError, match="noise edge"):
        found["ARD"]


def test_fits_agree_where_the_answer_is_unique():
    rng = np.random.default_rng(0)
    from tests.helpers.planted_factors import pure

    C, S = pure(rng, 50, 2), pure(rng, 20, 2)
    found = fu.rank(fu.Dataset("a", rng.poisson(300 * C @ S.T)))
    assert found["ARD"].chosen == found.recommended == 2
    assert found["stability"].curve[1] < 1


def test_the_answer_is_text_json_and_a_picture_without_an_open_figure(ranking, tmp_path):
    import matplotlib._pylab_helpers as helpers

    assert isinstance(ranking["RE"], Criterion)
    text = str(ranking)
    assert text.startswith("a: 3 components")
    assert max(map(len, text.splitlines())) <= 100
    told = json.loads(json.dumps(ranking.as_dict(), allow_nan=False))
    assert told["recommended"] == 3
    figure = ranking.plot()
    figure.savefig(tmp_path / "rank.png")
    assert next(panel.get_title() for panel in figure.axes) == "noise edge: 3"
    assert not helpers.Gcf.get_all_fig_managers()


def test_the_command_prints_a_table_and_draws(tmp_path, capsys):
    from fusion.cli import main

    file, picture = tmp_path / "a.npy", tmp_path / "rank.png"
    np.save(file, data("many counts", 2).numpy())
    assert main(["rank", str(file), "--quick", "-o", str(picture)]) == 0
    assert "2 components" in capsys.readouterr().out
    assert picture.stat().st_size > 1000
    assert main(["rank", str(file), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recommended"] == 2


def test_a_map_without_structure_is_told_as_the_error_of_a_background():
    from fusion.simulate import layers

    found = quick(layers(seed=0).datasets["net"], held_out=False)
    assert found.recommended == 4
    odd = [look for look in found.looks[:4] if look.said]
    assert [look.number for look in odd] == [4]
    assert "extrapolating" in odd[0].said
    assert str(found).splitlines()[0] == "net: 4 components, of which 1 looks like no phase"


def test_a_background_that_was_not_subtracted_is_said():
    from fusion.simulate import layers

    scene = layers(seed=0).datasets
    told = {name: quick(each, held_out=False).why for name, each in scene.items()}
    raw = next(name for name in told if name != "net")
    assert any("no background was subtracted" in text for text in told[raw])
    assert not any("no background was subtracted" in text for text in told["net"])


def test_a_criterion_that_differs_has_its_reason_for_fewer_or_more():
    from fusion.ranking.recommendation import REASONS, _others

    K = np.arange(5)
    for name, reasons in REASONS.items():
        for chosen, reason in zip((2, 4), reasons, strict=True):
            edge = Criterion("noise edge", "", K, 1.0 * K, 3, "")
            other = Criterion(name, "", K, 1.0 * K, chosen, "")
            assert list(_others([edge, other], 3)) == [f"{name}: {chosen}; {reason}"]


def test_correlated_noise_is_said():
    assert any("correlated" in text for text in quick(data("correlated", 2), held_out=False).why)


def test_without_a_component_there_is_an_answer_too(tmp_path):
    found = fu.rank(data("Gaussian", 0), stability=False)
    assert found.recommended == 0
    assert "no singular value" in found.why[0]
    found.plot().savefig(tmp_path / "none.png")


@pytest.mark.parametrize("shape", [(5, 6), (4, 40), (60, 4)])
def test_small_data_have_an_answer(shape):
    rng = np.random.default_rng(0)
    found = quick(fu.Dataset("a", rng.poisson(rng.gamma(1, 100, shape)).astype(float)))
    assert 0 <= found.recommended <= min(shape)
    assert str(found)


def test_the_covariance_of_a_residual_is_that_of_its_formula():
    """The lags of P T P, P = 1 − V Vᵀ, for T of channels some lag apart."""
    V = np.linalg.qr(np.random.default_rng(0).random((20, 3)))[0]
    P = np.eye(20) - V @ V.T
    for lag in (0, 2):
        T = (np.eye(20, k=lag) + np.eye(20, k=-lag)) / (1 if lag else 2)
        seen = [np.diag(P @ T @ P, a).mean() for a in range(6)]
        np.testing.assert_allclose(_left(lag, V.T, range(6)), seen, atol=1e-12)


def test_the_equaliser_finds_the_noise_beside_strong_components():
    rng = np.random.default_rng(0)
    rows, columns = 0.2 + 2 * rng.random(400), 0.2 + 2 * rng.random(200)
    noise = np.sqrt(np.outer(rows, columns)) * rng.standard_normal((400, 200))
    found = equaliser(noise + 5 * rng.random((400, 2)) @ rng.random((2, 200)))
    ratio = np.outer(*found) / np.outer(rows, columns)
    assert ratio.mean() == pytest.approx(1, abs=0.06)
    assert ratio.std() < 0.2


# denoising


@pytest.mark.parametrize("scaling", [None, KeenanKotula(), Estimated(), Unscaled()])
def test_denoised_data_are_nearer_to_the_truth(scaling):
    rng = np.random.default_rng(0)
    M = 20 * expected(rng, 3)
    noisy = fu.Dataset("a", rng.poisson(M).astype(float))
    clean = noisy.denoise(scaling=scaling)
    before, after = (((d.numpy() - M) ** 2).sum() for d in (noisy, clean))
    assert after < 0.1 * before
    assert "denoise(3" in clean.history[-1]


def test_scaling_by_the_noise_beats_none_where_it_is_uneven():
    rng = np.random.default_rng(1)
    M = 5 * expected(rng, 3) * np.exp(-4 * np.linspace(0, 1, CHANNELS)) + 0.05
    noisy = fu.Dataset("a", rng.poisson(M).astype(float))
    error = {
        scaling: (((noisy.denoise(3, scaling=scaling).numpy() - M) ** 2) / M).sum()
        for scaling in (KeenanKotula(), Unscaled())
    }
    assert error[KeenanKotula()] < 0.8 * error[Unscaled()]


def test_denoising_without_scaling_is_the_truncated_svd():
    X = data("Gaussian", 3).numpy()
    U, s, V = np.linalg.svd(X, full_matrices=False)
    found = fu.Dataset("a", X).denoise(2, scaling=Unscaled()).numpy()
    np.testing.assert_allclose(found, (U[:, :2] * s[:2]) @ V[:2], atol=1e-8)


def test_a_scaling_of_the_same_name_that_goes_there_and_back_is_told_apart():
    counts = data("many counts", 2)
    with pytest.raises(TypeError, match=r"fusion\.prepare\.denoise"):
        counts.denoise(2, scaling=fu.KeenanKotula(counts))


def test_masked_entries_stay_and_do_not_matter():
    rng = np.random.default_rng(0)
    X = rng.poisson(50 * expected(rng, 2)).astype(float)
    mask = rng.random(X.shape) < 0.02
    mask[4], mask[:, 7] = True, True
    found = [fu.Dataset("a", np.where(mask, bad, X), mask=mask).denoise(2) for bad in (7, 1e6)]
    left = ~mask
    np.testing.assert_allclose(found[0].numpy()[left], found[1].numpy()[left], rtol=1e-6)
    assert (found[1].numpy()[mask] == 1e6).all()


def test_nothing_to_keep_is_complained_of():
    with pytest.raises(ValueError, match="no component stands clearly out"):
        data("Gaussian", 0).denoise()
    with pytest.raises(ValueError, match="give 1 to 90"):
        data("Gaussian", 2).denoise(91)


# traces


def planted_trace(rng, amount: float, kind: str) -> tuple[fu.Dataset, np.ndarray]:
    """Two components and a third of this amount in 5 % of the pixels."""
    M = 100 * expected(np.random.default_rng(0), 2)
    s = np.exp(-0.5 * ((np.arange(CHANNELS) - 30) / 3.0) ** 2)
    held = rng.permutation(PIXELS) < 0.05 * PIXELS
    M = M + amount * np.outer(held, s / s.sum())
    X = rng.poisson(M) if kind == "counts" else M + 10 * correlated(rng)
    return fu.Dataset("a", X.astype(float)), s


@pytest.mark.parametrize("kind", ["counts", "correlated"])
def test_a_trace_is_counted_from_the_clear_amount_on(kind):
    rng = np.random.default_rng(1)
    least = fu.detectability(*planted_trace(rng, 0, kind), 0.05)
    amounts = {"hidden": 0.7 * least.amount, "counted": 1.3 * least.clear}
    found = {
        name: [planted_trace(rng, amount, kind)[0].noise().scree for _ in range(4)]
        for name, amount in amounts.items()
    }
    assert sum(scree.rank > 2 for scree in found["hidden"]) <= 1
    assert sum(scree.clear > 2 for scree in found["counted"]) >= 3


def test_white_noise_has_the_threshold_of_the_phase_transition():
    """z² = (θ² + n)(θ² + m) / θ² at the edge z; nothing shows below θ = (n m)^¼."""
    rng = np.random.default_rng(0)
    n, m = 600, 200
    blank = fu.Dataset("a", rng.standard_normal((n, m)))
    noise = blank.noise()
    found = fu.detectability(blank, np.ones(m), 1.0, noise=noise)
    z2 = noise.scree.edge**2 - n - m
    theta = np.sqrt((z2 + np.sqrt(z2**2 - 4 * n * m)) / 2)
    assert found.amount / found.limit == pytest.approx(theta / (n * m) ** 0.25, rel=0.03)
    assert found.limit == pytest.approx((n * m) ** 0.25 * np.sqrt(m / n), rel=0.05)


def test_what_is_wrong_with_a_trace_is_said():
    dataset = data("many counts", 2)
    for wrong, fraction in ((np.ones(3), 0.1), (np.zeros(CHANNELS), 0.1), (np.ones(CHANNELS), 0.0)):
        with pytest.raises(ValueError, match="give a"):
            fu.detectability(dataset, wrong, fraction)


# measured and simulated maps


def shared(name: str) -> fu.Dataset:
    if name.startswith("fig3"):
        file = np.load(shared_file("figure_cases", "fig3_sim.npz"))
        true = file["counts"] - file["background"]
        return fu.Dataset("a", true if name == "fig3" else file["bgsub"])
    if name == "mn3o4":
        return fu.Dataset("a", np.load(shared_file("mn3o4_phantom", "SI_data.npz"))["X"])
    file = np.load(shared_file("espm_simulated_edxs", "AlFeSi3N4_multilayer.npz"))
    return fu.Dataset("a", file["counts_dose1000"])


@pytest.mark.parametrize(
    ("name", "K"), [("fig3", 3), ("fig3 bgsub", 4), ("mn3o4", 2), ("AlFeSi3N4", 3)]
)
def test_the_number_of_the_reviews_cases_is_found(name, K):
    assert shared(name).noise().scree.clear == K
