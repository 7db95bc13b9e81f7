"""Compositions by Cliff and Lorimer, with errors."""

from __future__ import annotations

import csv
import re
import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.elements import Detector, Fitted, Windows
from fusion.elements.xray_detector import linear_background
from fusion.files.calibration import axis_at as calibrated_axis
from fusion.xrays.table import atomic_mass
from tests.helpers.paths import shared_file
from tests.helpers.xray_phases import EDXS, K, fitted, planted, truth


@pytest.mark.parametrize("by", [Fitted(), Fitted(detector=Detector())], ids=["found", "known"])
def test_planted_compositions_come_back_from_exact_spectra(by):
    data = fu.Dataset("edxs", 1e6 * planted().T, axes=["phase", EDXS])
    made = fu.elements.composition(data, K, by=by)
    np.testing.assert_allclose(made.atomic, truth(), atol=1.0)  # the continuum is not straight
    masses = np.array([atomic_mass(e) for e in ("O", "Mn", "Ni")])
    weight = truth() * masses
    np.testing.assert_allclose(made.weight, 100 * weight / weight.sum(1, keepdims=True), atol=1.0)


def test_windows_measure_lines_that_stand_alone_and_name_those_that_do_not():
    data = fu.Dataset("edxs", 1e6 * planted().T, axes=["phase", EDXS])
    alone = {"Mn Ka": K["Mn Ka"], "Ni Ka": K["Ni Ka"]}
    made = fu.elements.composition(data, alone, by=Windows())
    np.testing.assert_allclose(made.atomic, [[100, 0], [30, 70]], atol=0.6)
    assert not made.messages
    crowded = fu.elements.composition(data, K, by=Windows())
    assert any("in the windows of O Ka" in said for said in crowded.messages)


def test_errors_of_counts_cover_the_truth_as_often_as_they_say():
    counts = np.random.default_rng(3).poisson(4e4 * planted().T, (60, 2, 500)).reshape(120, 500)
    made = fu.elements.composition(
        fu.Dataset("edxs", counts, axes=["pixel", EDXS]), K, by=Fitted(detector=Detector())
    )
    z = ((made.atomic - np.tile(truth(), (60, 1))) / made.atomic_errors).reshape(60, 2, 3)
    z = z[:, truth() > 0]
    assert 0.75 < np.sqrt((z**2).mean()) < 1.25  # √(2·240) degrees of freedom: ± 5 %; bias beside
    assert (np.abs(z) < 2).mean() > 0.9


def test_a_results_composition_agrees_with_the_truth_within_the_errors_of_the_fit(tmp_path):
    result = fitted()
    made = result.composition(K)
    z = (made.atomic - truth()) / made.atomic_errors
    assert np.abs(z[truth() > 0]).max() < 4
    assert np.abs(made.atomic - truth()).max() < 6
    assert any("fusion.ambiguity" in said for said in made.messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fu.Result, "errors", lambda self, **told: _too_large())
        refused = result.composition(K)
    np.testing.assert_allclose(refused.atomic, made.atomic, atol=3)
    assert any("too large: bin the spectra. Those here" in said for said in refused.messages)
    result.save(tmp_path / "r.npz")
    loaded = fu.Result.load(tmp_path / "r.npz").composition(K)
    np.testing.assert_allclose(loaded.atomic, made.atomic, atol=3)
    assert any("loaded result" in said for said in loaded.messages)


def _too_large():
    raise ValueError("`standard_errors`: too large: bin the spectra.")


def test_errors_of_k_factors_add_to_those_of_the_intensities():
    data = fu.Dataset("edxs", 1e9 * planted().T, axes=["phase", EDXS], variance=1e6)
    by = Fitted(detector=Detector())
    exact = fu.elements.composition(data, K, by=by)
    told = {line: (k, 0.1 * k if line == "Ni Ka" else 0.0) for line, k in K.items()}
    unsure = fu.elements.composition(data, told, by=by)
    w = made = exact.weight[1, 2] / 100
    assert exact.weight_errors[1, 2] < 0.05
    assert unsure.weight_errors[1, 2] == pytest.approx(100 * 0.1 * w * (1 - made), rel=0.02)


def test_a_table_prints_with_errors_and_is_written_with_all_columns(tmp_path):
    counts = np.random.default_rng(0).poisson(1e5 * planted().T)
    made = fu.elements.composition(fu.Dataset("edxs", counts, axes=["phase", EDXS]), K)
    assert "O (Ka)" in str(made)
    assert str(made).count("±") >= 12
    made.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert float(rows[1]["atomic %"]) == pytest.approx(made.atomic[0, 1], rel=1e-5)
    assert float(rows[1]["± intensity"]) == pytest.approx(made.intensities.errors[0, 1], rel=1e-5)


@pytest.mark.parametrize(
    ("k", "said"),
    [
        ({"Mn Ka": 1.0}, "two elements or more"),
        ({"Mn Ka": 1.0, "Mn Kb": 1.0}, "one line of every element"),
        ({"Mn Ka": 1.0, "O Ka": -1.0}, "every k must be > 0"),
        ({"Mn Ka": 1.0, "O Kb": 1.0}, "no O Kb; there are O Ka"),
        ({"Mn Ka": 1.0, "Zr Ka": 1.0}, "lies at 15.775 keV, the axis goes from 0.200 to 10.180"),
    ],
)
def test_k_factors_that_make_no_composition_are_said(k, said):
    data = fu.Dataset("edxs", 1e6 * planted().T, axes=["phase", EDXS])
    with pytest.raises(ValueError, match=said):
        fu.elements.composition(data, k)


def test_a_component_without_any_of_the_lines_has_no_composition():
    continuum = 1e5 * np.sum(list(linear_background(EDXS).values()), 0)
    data = fu.Dataset("edxs", np.stack([1e6 * planted()[:, 0], continuum]), axes=["phase", EDXS])
    made = fu.elements.composition(data, K, by=Fitted(detector=Detector()))
    assert np.isnan(made.atomic[1]).all()
    assert np.isfinite(made.atomic[0]).all()
    assert str(made).count("–") == 6
    said = [text for text in made.messages if text.startswith("pixel 1: none of the lines")]
    assert len(said) == 1
    # either nothing is there, or by so many standard errors
    assert re.search(r"is there$|all together are [\d.e-]+ times their standard error", said[0])


@pytest.fixture(scope="module")
def errors():
    """Of the phases' answer: all, and those of its spectra with maps held."""
    result = fitted()
    return result.errors(progress=False), result.errors(held=["C"], progress=False)


@pytest.fixture
def errors_times(errors, monkeypatch):
    """The phases' answer, the errors of its spectra a number of times what they are."""
    result = fitted()
    real, alone = ({name: np.array(v) for name, v in each.items()} for each in errors)

    def composition(times):
        scaled = real | {"S": real["S"] * np.asarray(times)}
        finite = np.where(np.isfinite(times), times, 1)
        own = {"S": alone["S"] * finite}
        monkeypatch.setattr(
            fu.Result, "errors", lambda self, held=(), progress=True: own if held else scaled
        )
        return result.composition(K)

    return composition


def test_a_component_whose_errors_are_infinite_has_its_per_cents_without_errors(errors_times):
    plain, made = errors_times(1), errors_times([[1, np.inf]])
    assert any("component 2: no errors, as those of the spectrum are infinite, or" in m
               for m in made.messages)  # fmt: skip
    assert not any("stands out" in text for text in made.messages)
    np.testing.assert_allclose(made.atomic, plain.atomic, atol=3)
    np.testing.assert_allclose(made.atomic_errors[0], plain.atomic_errors[0], rtol=0.2, atol=0.05)
    assert np.isinf(made.atomic_errors[1]).all()
    assert str(made)
    assert str(made.intensities)


def test_where_all_errors_are_infinite_what_the_lines_leave_tells_them(errors_times):
    made = errors_times(np.inf)
    assert any("the errors of S are infinite: those here come from" in m for m in made.messages)
    assert not any("stands out" in text for text in made.messages)
    assert np.isfinite(made.atomic_errors).all()


def test_large_errors_are_told_in_standard_errors(errors_times):
    made = errors_times(1e3)
    assert any("stands out of the noise: all together are 0.1" in text for text in made.messages)
    assert np.isnan(made.atomic).all()


def test_a_result_without_x_ray_spectra_is_said():
    data = fu.Dataset("eels", np.random.default_rng(0).random((9, 30)), axes=["x", "e"])
    result = fu.fit(fu.models.NMF(data, 1), fu.losses.Frobenius(data), max_steps=2, progress=False)
    with pytest.raises(ValueError, match="of X-ray energies are none, of C, S"):
        result.composition(K)


def test_the_nitride_of_a_simulated_multilayer_has_its_formula():
    with np.load(shared_file("espm_simulated_edxs", "AlFeSi3N4_multilayer.npz")) as file:
        axis = calibrated_axis("energy", file["energy_keV"], "keV")
        phases, abundance = file["phases"], file["abundance"].reshape(3, -1)
        counts = file["counts_dose1000"].reshape(64 * 64, -1)
    k = {"Si Ka": 1.0, "N Ka": 1.0, "Al Ka": 1.0, "Fe Ka": 1.2}
    exact = fu.Dataset("exact", 1e6 * phases, axes=["phase", axis])
    standard = fu.elements.composition(exact, k).intensities.values[2]  # Si3N4 is the standard
    w = {"Si": 3 * atomic_mass("Si"), "N": 4 * atomic_mass("N")}
    k["N Ka"] = (w["N"] / standard[1]) / (w["Si"] / standard[0])
    # counts unmixed with the true maps, so that the composition alone is tested
    C = abundance.T.astype(float)
    unmixed = np.linalg.lstsq(C, counts, rcond=None)[0]
    variance = (np.linalg.pinv(C) ** 2 @ counts).clip(1e-9)
    spectra = fu.Dataset("edxs", unmixed, axes=["phase", axis], variance=variance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = fu.elements.composition(spectra, k)
    wanted = np.array([[0, 0, 100, 0], [0, 0, 0, 100], [300 / 7, 400 / 7, 0, 0]])
    off = made.atomic - wanted
    assert np.abs(off[2]).max() < 0.8  # 0.1 as measured, its error 0.3
    assert np.abs(off / made.atomic_errors).max() < 4


def test_soft_lines_are_cautioned_of_and_hard_ones_are_not():
    E = 0.2 + 0.01 * np.arange(1200)
    peak = lambda at: np.exp(-0.5 * ((E - at) / 0.06) ** 2)  # noqa: E731
    spectrum = peak(0.525) + peak(6.404) + peak(5.899) + 0.01
    counts = np.random.default_rng(0).poisson(2000 * spectrum)[None]
    data = fu.Dataset("eds", counts, axes=["p", fu.Axis("energy", 0.01, 0.2, "keV")])
    with pytest.warns(fu.ClaimWarning, match="O Ka: below 1 keV"):
        soft = fu.elements.composition(data, {"O Ka": 1.9, "Fe Ka": 1.0})
    assert any("absorbed" in message for message in soft.messages)
    hard = fu.elements.composition(data, {"Mn Ka": 1.0, "Fe Ka": 1.0})
    assert not any("absorbed" in message for message in hard.messages)


def test_a_known_spectrum_has_its_composition_and_the_unknown_beside_it_too():
    rng = np.random.default_rng(0)
    C = 2000 * rng.dirichlet([0.7, 0.7], 200)
    counts = rng.poisson(C @ planted().T)
    data = fu.Dataset("edxs", counts.reshape(10, 20, -1), axes=["y", "x", EDXS])
    model = fu.models.WithReferences(data, {"oxide": planted()[:, 0]}, 1)
    result = fu.fit(model, fu.losses.Poisson(data), starts=1, seed=0, progress=False)
    made = result.composition(K)
    np.testing.assert_allclose(made.atomic[0], truth()[0], atol=2)
    assert np.all(made.atomic_errors[0] < 0.01)  # it was given, and is not in doubt
    assert np.isinf(made.atomic_errors[1]).all()  # how much of the oxide is in it is left open:
    np.testing.assert_allclose(made.atomic[1], truth()[1], atol=8)  # by so little, as maps reach 0
    assert any("unknown 1: no errors" in text for text in made.messages)
