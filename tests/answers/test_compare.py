"""`compare`: partners, angles, correlations, the table, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion as fu
from fusion.answers.compare import compare
from fusion.answers.matching import match, spectral_angle
from fusion.losses import Frobenius
from fusion.models import SoftlyCoupled, Tucker
from fusion.simulate import concurrent, layers
from tests.helpers.compared_answers import CHANNELS, QUICK, SHAPE, data, factors, fitted


def shuffled(truth, order, seed: int = 1):
    rng = np.random.default_rng(seed)
    return {f: x[:, order] * rng.uniform(0.1, 10, len(order)) for f, x in truth.items()}


def degrees(x, y) -> float:
    """Literally, from the cosine."""
    return np.degrees(np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y)))


# ---- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 0, 2]])
def test_permuted_and_scaled_copies_have_angle_0_correlation_1_and_the_permutation(order):
    truth = factors()
    found = compare(truth, shuffled(truth, order))
    assert found.partners["answer 2"].tolist() == np.argsort(order).tolist()
    assert found.worst < 1e-6
    for f in "CS":
        np.testing.assert_allclose(found.correlations["answer 2"][f], 1)
        np.testing.assert_allclose(found.factors["answer 2"][f], truth[f])
    assert found.unmatched == {"answer 2": ()}
    assert found.messages == []


@pytest.mark.parametrize("angle", [1e-7, 1e-3, 0.3, 17.0, 60.0])
def test_a_planted_angle_comes_back(angle):
    u, v = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 2)))[0].T
    turned = 5 * (np.cos(np.radians(angle)) * u + np.sin(np.radians(angle)) * v)
    assert spectral_angle(u, turned)[0] == pytest.approx(angle, rel=1e-6, abs=1e-9)
    found = compare(u, turned)
    assert found.angles["answer 2"]["factor"][0] == pytest.approx(angle, rel=1e-6, abs=1e-9)


def test_angles_and_correlations_equal_numpys():
    a, b = factors(seed=1), factors(seed=2)
    found = compare(a, b, names="ab")
    j = found.partners["b"]
    for f in "CS":
        for k in range(3):
            x, y = a[f][:, k], b[f][:, j[k]]
            assert found.angles["b"][f][k] == pytest.approx(degrees(x, y))
            assert found.correlations["b"][f][k] == pytest.approx(np.corrcoef(x, y)[0, 1])
            np.testing.assert_allclose(found.factors["b"][f][:, k], y * (x @ y) / (y @ y))
    assert found.worst == max(found.angles["b"][f].max() for f in "CS")


def test_the_partner_is_the_same_in_all_factors_where_one_factor_alone_would_mislead():
    truth = factors()
    other = shuffled(truth, [1, 2, 0])
    other["S"] = truth["S"].mean(1, keepdims=True) + 1e-3 * truth["S"]  # in the wrong order
    assert match(truth["S"], other["S"]).tolist() == [0, 1, 2]
    assert match(truth, other).tolist() == [2, 0, 1]
    assert compare(truth, other).partners["answer 2"].tolist() == [2, 0, 1]


@settings(max_examples=25, deadline=None)
@given(
    st.permutations(range(4)),
    st.lists(st.floats(1e-150, 1e150), min_size=4, max_size=4),
    st.integers(0, 100),
)
def test_order_and_scale_do_not_matter(order, scales, seed):
    a, b = factors(4, seed), factors(4, seed + 1)
    plain, other = compare(a, b), compare(a, {f: x[:, order] * scales for f, x in b.items()})
    for f in "CS":
        np.testing.assert_allclose(
            other.angles["answer 2"][f], plain.angles["answer 2"][f], atol=1e-5
        )


def test_a_component_turned_in_all_its_factors_is_the_same_component():
    rng = np.random.default_rng(0)
    truth = {f: rng.standard_normal((n, 3)) for f, n in (("C", 42), ("S", 20))}
    signs = np.array([1, -1, -1])
    found = compare(truth, {f: x * signs for f, x in truth.items()})
    assert found.worst < 1e-6
    np.testing.assert_allclose(found.factors["answer 2"]["S"], truth["S"])
    turned = compare(truth, {"C": truth["C"] * signs, "S": truth["S"]})
    np.testing.assert_allclose(
        turned.angles["answer 2"]["C"] + turned.angles["answer 2"]["S"], [0, 180, 180], atol=1e-6
    )


@pytest.mark.parametrize(("first", "second"), [(5, 3), (3, 5)])
def test_with_another_number_of_components_the_rest_has_no_partner_and_is_named(first, second):
    truth = factors(5)
    a, b = ({f: x[:, :K] for f, x in truth.items()} for K in (first, second))
    found = compare(a, b, names=["a", "b"])
    assert found.partners["b"].tolist() == [0, 1, 2, -1, -1][:first]
    assert found.unmatched["b"] == (() if first > second else (3, 4))
    assert np.isnan(found.angles["b"]["S"]).sum() == max(0, first - second)
    assert found.worst < 1e-6
    assert ("b: nothing in a is left for component 4, 5" in found.messages) == (first < second)


def test_rows_that_are_not_finite_in_one_of_both_are_left_out_with_a_message():
    truth = factors()
    other = shuffled(truth, [2, 1, 0])
    other["C"][[3, 5]] = np.nan
    truth["C"][7, 1] = np.inf
    found = compare(truth, other, names=["a", "b"])
    assert found.worst < 1e-6
    assert found.messages == ["C: 3 of 42 rows are not finite in a or b: left out"]
    assert np.isnan(found.factors["b"]["C"][[3, 5]]).all()


def test_a_zero_component_has_no_angle_and_a_constant_one_no_correlation():
    truth = factors()
    other = shuffled(truth, [0, 1, 2])
    other["C"][:, 1] = 0
    other["S"][:, 2] = 4.0
    found = compare(truth, other)
    assert found.partners["answer 2"].tolist() == [0, 1, 2]
    assert np.isnan(found.angles["answer 2"]["C"]).tolist() == [False, True, False]
    assert np.isnan(found.correlations["answer 2"]["S"]).tolist() == [False, False, True]
    assert compare(truth["S"], np.zeros((CHANNELS, 2))).partners["answer 2"].tolist() == [-1] * 3
    assert np.isnan(compare(truth["S"], np.zeros((CHANNELS, 2))).worst)


def test_spectral_angle_takes_one_spectrum_against_many():
    S = factors()["S"]
    expected = [degrees(S[:, k], S[:, 0]) for k in range(3)]
    np.testing.assert_allclose(spectral_angle(S, S[:, 0]), expected, atol=1e-5)


# ---- answers -------------------------------------------------------------------------------------


def test_results_of_two_models_are_named_by_their_solvers_and_compared_by_factor_name():
    dataset = data()
    found = compare(fitted(dataset), fitted(dataset, 2), fitted(dataset))
    assert found.names == ("GaussNewton", "GaussNewton #2", "GaussNewton #3")
    assert list(found.axes) == ["C", "S"]
    assert found.axes["S"] == dataset.channels
    assert (found.partners["GaussNewton #2"] < 0).sum() == 1
    assert max(x.max() for x in found.angles["GaussNewton #3"].values()) < 1e-6


def test_masked_pixels_of_a_result_are_left_out():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1, 2:4] = True
    found = compare(factors(), fitted(data(mask=mask)))
    assert "C: 2 of 42 rows are not finite in answer 1 or GaussNewton: left out" in found.messages
    assert np.isfinite(found.worst)


def test_a_simulation_is_its_truth_with_axes_and_names_of_components():
    scene = layers(shape=(8, 9), channels=30)
    found = compare(scene, fitted(scene.datasets["net"]))
    assert found.components == scene.components == ("silicon", "nitride", "silica")
    assert found.names == ("truth", "GaussNewton")
    assert list(found.axes) == ["C", "S"]  # not the background, which has no components
    assert found.axes["C"] == scene.datasets["net"].pixels
    assert found.axes["S"] == scene.datasets["net"].channels


def test_softly_coupled_results_meet_the_truth_and_fits_of_one_detector_theirs():
    scene = concurrent(shape=(8, 9), channels=30, dose=4)
    eels, edxs = scene.datasets["eels"], scene.datasets["edxs"]
    model = SoftlyCoupled(eels, edxs, 4)
    both = fu.fit(model, Frobenius(eels) + Frobenius(edxs), **QUICK)
    alone = [fitted(dataset, 4) for dataset in (eels, edxs)]
    found = compare(scene, both, *alone, names=["truth", "both", "eels", "edxs"])
    assert list(found.angles["both"]) == ["C", "N", "S_eels", "S_edxs"]
    # equal in length: told apart by their axes
    assert list(found.angles["eels"]) == ["C", "S_eels"]
    assert list(found.angles["edxs"]) == ["C", "S_edxs"]
    assert list(compare(alone[0], alone[1]).axes) == ["C"]


def test_scikit_learns_components_are_spectra():
    from sklearn.decomposition import NMF as Sklearn

    dataset = data()
    theirs = Sklearn(3, init="nndsvda", random_state=0, max_iter=2000, tol=1e-6)
    theirs.fit(dataset.matrix.numpy())
    found = compare(fitted(dataset), theirs)
    assert found.names == ("GaussNewton", "NMF")
    np.testing.assert_array_equal(
        found.angles["NMF"]["S"],
        compare(fitted(dataset), {"S": theirs.components_.T}).angles["answer 2"]["S"],
    )
    assert "GaussNewton: not compared: C (42, 3)" in found.messages


def test_other_names_are_told_by_their_length():
    truth = factors()
    found = compare(truth, {"abundances": truth["C"], "endmembers": truth["S"]})
    assert list(found.angles["answer 2"]) == ["C", "S"]
    assert found.worst < 1e-6


def test_tensors_lists_integers_and_one_spectrum_are_arrays():
    S = factors()["S"]
    assert compare(torch.tensor(S, requires_grad=True), S).worst < 1e-6
    assert compare([1, 2, 3], [2.0, 4.0, 6.0]).worst < 1e-6
    found = compare({"S": S}, S[:, 1])
    assert found.partners["answer 2"].tolist() == [-1, 0, -1]


def test_a_data_set_of_reference_spectra_lends_its_axis_and_its_mask():
    S = factors()["S"]
    mask = np.zeros(CHANNELS, dtype=bool)
    mask[4] = True
    axes = ("phase", fu.Axis("energy loss", 0.5, 100, units="eV"))
    references = fu.Dataset("EELS atlas", S.T, axes=axes, mask=mask)
    found = compare(references, S[:, ::-1])
    assert found.names == ("EELS atlas", "answer 2")
    assert found.partners["answer 2"].tolist() == [2, 1, 0]
    assert found.worst < 1e-6
    assert found.axes["S"] == references.channels
    assert "1 of 20 rows" in found.messages[0]


def test_an_image_is_one_map():
    truth = factors()
    adf = fu.Dataset("adf", truth["C"][:, 1].reshape(SHAPE), axes=data().pixels, signal=0)
    assert compare(truth, adf).partners["adf"].tolist() == [-1, 0, -1]


def test_axes_come_from_whoever_knows_them():
    dataset = data()
    found = compare(factors(), fitted(dataset))
    assert found.axes == {"C": dataset.pixels, "S": dataset.channels}


def test_factors_can_be_chosen():
    truth = factors()
    assert list(compare(truth, truth, factors=["S"]).axes) == ["S"]


def test_ranks_that_differ_within_an_answer_need_a_choice():
    dataset = data()
    tucker = fu.fit(Tucker(dataset, (2, 3, 2)), 1.0 * Frobenius(dataset), **QUICK)
    with pytest.raises(ValueError, match=r"different numbers of components \(A 2, B 3, C 2\)"):
        compare(tucker, tucker)
    assert compare(tucker, tucker, factors=["C"]).worst < 1e-6


# ---- what is refused -----------------------------------------------------------------------------

TRUTH = factors()
REFUSED = {
    "none": ((), {}, "0 of at least two answers"),
    "one": ((TRUTH,), {}, "1 of at least two answers"),
    "nothing in common": (
        (TRUTH, np.ones((7, 2))),
        {},
        r"answer 1 has C \(42, 3\), S \(20, 3\); answer 2 has factor \(7, 2\): nothing in common",
    ),
    "transposed": ((TRUTH, TRUTH["S"].T), {}, "components in columns"),
    "fits two": (
        ({"S_a": TRUTH["S"], "S_b": TRUTH["S"]}, TRUTH["S"]),
        {},
        "factor of answer 2 fits S_a and S_b of answer 1: give a mapping",
    ),
    "two fit": (
        (TRUTH["S"], {"S_a": TRUTH["S"], "S_b": TRUTH["S"]}),
        {},
        "S_a and S_b of answer 2 both fit factor of answer 1",
    ),
    "unknown factor": ((TRUTH, TRUTH), {"factors": ["D"]}, "no factor 'D': choose of C, S"),
    "too few names": ((TRUTH, TRUTH), {"names": ["a"]}, "1 different names for 2 answers"),
    "names that are equal": ((TRUTH, TRUTH), {"names": ["a", "a"]}, "1 different names for 2"),
    "K = 0": ((TRUTH, np.ones((20, 0))), {}, r"answer 2 is float64 of shape \(20, 0\)"),
    "three axes": ((TRUTH, np.ones((2, 3, 4))), {}, r"shape \(2, 3, 4\): give real numbers"),
    "complex": ((TRUTH, {"S": TRUTH["S"] * 1j}), {}, "S of answer 2 is complex128"),
    "a path": ((TRUTH, "fit.npz"), {}, "factor of answer 2 is str"),
    "nothing": ((TRUTH, None), {}, "factor of answer 2 is NoneType"),
    "an empty mapping": ((TRUTH, {}), {}, "answer 2 has no factor of two or more rows"),
    "one row": ((TRUTH, np.ones((1, 3))), {}, "answer 2 has no factor of two or more rows"),
    "all NaN": ((TRUTH, {"S": TRUTH["S"] * np.nan}), {}, "none of 20 rows is finite in both"),
}


@pytest.mark.parametrize(("answers", "options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compared_is_refused_with_what_to_do(answers, options, said):
    with pytest.raises(ValueError, match=said) as caught:
        compare(*answers, **options)
    assert str(caught.value).startswith("`compare")
    assert "\n" not in str(caught.value)


def test_match_and_spectral_angle_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="7 and 8 rows"):
        spectral_angle(np.ones(7), np.ones(8))
    with pytest.raises(ValueError, match="2 and 3 columns"):
        spectral_angle(np.ones((7, 2)), np.ones((7, 3)))
    with pytest.raises(ValueError, match="`match`: factor: 7 and 8 rows"):
        match(np.ones((7, 2)), np.ones((8, 2)))
    with pytest.raises(ValueError, match="`match`: factors C and S"):
        match({"C": np.ones((7, 2))}, {"S": np.ones((7, 2))})


# ---- table and picture ---------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_component_and_answer_as_text_and_as_html():
    truth = factors()
    found = compare(truth, shuffled(truth, [2, 0, 1]), truth["S"][:, :2], names=["<a>", "b", "c"])
    lines = str(found).splitlines()
    assert lines[0] == "components of <a> and their partners in b, c"
    assert lines[1].startswith("  verdict  largest angle ")
    assert " ".join(lines[2].split()) == "component answer partner C angle C r S angle S r"
    assert lines[3].split() == ["1", "b", "2", "0.00°", "1.0000", "0.00°", "1.0000"]
    assert lines[8].split() == ["3", "c", "–", "–", "–", "–", "–"]
    html = found._repr_html_()
    assert html.count("<tr>") == 8  # the verdict, the head, and every component of two answers
    assert "&lt;a&gt;" in html
