"""The rows of the benchmark of compositions, on a stand-in for the package that knows the truth."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

import fusion as fu
from benchmarks.science import edxs, edxs_other_rows, edxs_scenes, rows
from benchmarks.science import edxs_product as product
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.edxs_simulator import Instrument, Specimen
from benchmarks.science.line import Line, table
from tests.helpers.edxs_stand_in import Fault, StandIn, small_scene, write_cases
from tests.helpers.paths import shared_file

DRAWS = 60


@pytest.fixture(scope="module")
def scene():
    return small_scene()


@pytest.fixture(scope="module")
def data(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_cases(folder, scene)
    return folder


def measured(monkeypatch, data, scene, fault, names):
    """{row: whether it passed} of a stand-in with a fault."""
    package = StandIn(scene, fault)
    monkeypatch.setattr(fu.elements, "KFactors", package.k_factors, raising=False)
    monkeypatch.setattr(fu.models, "Compositions", package.compositions, raising=False)
    monkeypatch.setattr(fu, "fit", package.fit)
    monkeypatch.setattr(product, "chosen_neighbours", lambda *told: 0.05)
    runs = Runs(data, DRAWS)
    return {name: rows.measured(edxs.ROWS[name], runs) for name in names}, package


ON_SHARED = [
    "default", "draws", "coverage", "bias", "oxygen", "calibration", "detector", "thickness",
    "scale", "fused", "seconds",
]  # fmt: skip


def test_an_answer_with_honest_noise_passes_every_row(monkeypatch, data, scene):
    lines, _ = measured(monkeypatch, data, scene, Fault(), ON_SHARED)
    assert {name: line.measured for name, line in lines.items() if line.passed is not True} == {}


@pytest.mark.parametrize(
    ("fault", "missed"),
    [
        (Fault(oxygen=1.6), {"default", "draws", "coverage", "bias", "oxygen", "fused"}),
        (Fault(claimed=0.5), {"coverage", "oxygen", "calibration", "detector"}),
        (Fault(claimed=2.5), {"coverage"}),
        (Fault(offset=0.5e-3), {"calibration", "detector"}),
        (Fault(gain=3e-4), {"calibration", "detector"}),
        (Fault(thickness=0.2), {"thickness", "scale"}),
        (Fault(scale=0.4), {"scale"}),
        (Fault(oxygen=np.nan), {"default", "draws", "coverage", "bias", "oxygen", "fused"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_fault_is_seen_by_its_rows_and_by_no_other(monkeypatch, data, scene, fault, missed):
    lines, _ = measured(monkeypatch, data, scene, fault, ON_SHARED)
    assert {name for name, line in lines.items() if not line.passed} == missed


def test_a_bias_that_intervals_hide_is_seen(monkeypatch, data, scene):
    names = ["default", "draws", "coverage", "bias"]
    lines, _ = measured(monkeypatch, data, scene, Fault(oxygen=0.12), names)
    assert [name for name in names if not lines[name].passed] == ["bias"]
    assert "(O of phase" in lines["bias"].measured


def test_offsets_are_told_in_electronvolts(monkeypatch, data, scene):
    lines, _ = measured(monkeypatch, data, scene, Fault(offset=0.5e-3, gain=0), ["calibration"])
    assert 0.3 < float(lines["calibration"].measured.split()[0]) < 0.9


def test_oxygen_is_wrong_both_ways_and_its_error_said_and_nothing_else_changed(
    monkeypatch, data, scene
):
    _, package = measured(monkeypatch, data, scene, Fault(), ["oxygen"])
    true = scene.k_factors
    for number, given in enumerate(package.k[:2]):
        value, error = given["O K"]
        assert value == pytest.approx(true["O K"] * (1.05 if number == 0 else 0.95))
        assert error == pytest.approx(0.05 * value)
        assert {n: given[n] for n in true if not n.startswith("O ")} == {
            n: true[n] for n in true if not n.startswith("O ")
        }


def test_a_row_that_raises_is_missed_with_the_first_line_and_the_others_go_on(
    monkeypatch, data, scene, capsys
):
    lines, _ = measured(monkeypatch, data, scene, Fault(refuses="no k"), ["default", "simulator"])
    assert lines["default"].measured == "ValueError: no k ∣ first"
    assert lines["default"].passed is False
    assert "RuntimeError" not in lines["simulator"].measured
    assert table(lines.values()) >= 1
    assert "| ValueError: no k ∣ first | NO |" in capsys.readouterr().out


def test_the_status_is_one_where_a_bar_is_missed_and_zero_where_a_case_is_not_run(
    monkeypatch, data, scene, capsys
):
    monkeypatch.delenv(edxs_other_rows.ESPM_PYTHON, raising=False)
    assert edxs.CASE.main([str(data), "espm"]) == 0
    assert "not run: python -m venv ESPM" in capsys.readouterr().out
    measured(monkeypatch, data, scene, Fault(oxygen=3.0), [])
    assert edxs.CASE.main([str(data), "espm", "default"]) == 1


def test_the_table_counts_what_is_missed_alone():
    assert table([Line("a", "b", "c", p) for p in (None, True, False, False)]) == 2


def test_continua_are_simulated_as_they_are_called(monkeypatch):
    seen = {}

    def compositions(data, elements, components, k):
        seen["counts"] = float(data.numpy()[..., 10:40].sum() / data.numpy().sum())
        raise RuntimeError("seen")

    monkeypatch.setattr(product, "compositions", compositions)
    monkeypatch.setattr(product, "k_factors", lambda values: values)
    shares = []
    for name in ("absorbed", "unabsorbed"):
        assert rows.measured(edxs.ROWS[name], Runs("", 1)).measured == "RuntimeError: seen"
        shares.append(seen["counts"])
    assert shares[1] > 1.05 * shares[0]


@cache
def small_maps():
    """Ten maps of S and Pb with 3 at.% of Ti, six pixels each."""
    rng = np.random.default_rng(0)
    phases = {name: {"S": 0.57, "Pb": 0.4, "Ti": 0.03} for name in "AB"}
    return [
        edxs_scenes.simulated(rng, phases, (2, 3), 50.0, Instrument(), Specimen.escaping)
        for _ in range(10)
    ]


@pytest.mark.parametrize(
    ("named", "passed", "said"),
    [
        ("S Pb Ti", True, "0 of 170 absent named, 0 that are no candidates; missed: none"),
        ("S Pb", False, "missed: Ti 3.0 (map 0)"),
        ("S Pb Ti Mo", False, "10 of 170 absent named"),
        ("S Pb Ti Tb", False, "10 that are no candidates"),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else None,
)
def test_elements_named_are_counted(monkeypatch, named, passed, said):
    monkeypatch.setattr(edxs_other_rows, "candidate_maps", small_maps)
    monkeypatch.setattr(product, "present", lambda data: named.split())
    line = rows.measured(edxs.ROWS["present"], Runs("", 1))
    assert said in line.measured
    assert line.passed is passed


@pytest.mark.parametrize(
    ("at", "half", "passed"),
    [
        ([19.0, 21.0, 59.0, 0.8], 3.0, True),
        ([10.0, 30.0, 59.0, 0.8], 3.0, False),
        ([19.0, 21.0, 59.0, 0.8], 12.0, False),
    ],
)
def test_the_formula_is_asked_of_what_is_not_the_dopant(monkeypatch, at, half, passed):
    atomic = np.array([at])
    told = product.Found(
        ("Sr", "Ti", "O", "Nb"), atomic, atomic, np.stack([atomic - half, atomic + half], -1)
    )
    monkeypatch.setattr(edxs_other_rows, "_measured", lambda runs: told)
    assert rows.measured(edxs.ROWS["sto"], Runs("", 1)).passed is passed


def test_dirt_and_grid_are_no_part_of_the_crystal(monkeypatch):
    asked = {}

    def model(data, **told):
        asked.update(told)

    monkeypatch.setattr(product, "measured", lambda path, name, **told: "data")
    monkeypatch.setattr(
        fu.models, "Compositions", lambda *a, **told: asked.update(told), raising=False
    )
    monkeypatch.setattr(fu.losses, "Poisson", lambda data: None)
    monkeypatch.setattr(fu, "fit", lambda *a, **told: 1 / 0)
    line = rows.measured(edxs.ROWS["sto"], Runs(Path("nowhere"), 1))
    assert line.measured.startswith("ZeroDivisionError")
    assert asked == {"elements": ["Sr", "Ti", "O", "Nb"], "K": 1, "others": ["C", "Cu"]}


def test_the_measured_spectrum_is_that_of_the_file_above_the_peak_of_the_electronics():
    path = shared_file("vendor", "EDS-STO.emd")
    told = {"elevation": 18.0, "range_kev": (0.2, 20.0)}
    data = product.measured(path, "eds", **told)
    energy = data.channels[0].values
    assert energy[0] == pytest.approx(0.2)
    assert energy[-1] == pytest.approx(20.0)
    assert data.numpy().sum() == 183095
    metadata = data.metadata["Acquisition_instrument"]["TEM"]
    assert metadata["beam_energy"] == 200.0
    assert metadata["Detector"]["EDS"]["elevation_angle"] == 18.0


def test_an_answer_of_espm_is_the_best_of_its_settings(monkeypatch, data, scene):
    good = scene.atomic + np.where(np.array(scene.elements) == "O", 6.0, 0.0)
    runs = [{"atomic": (scene.atomic + 20).tolist()}, {"atomic": good.tolist()}]
    found = [edxs_other_rows._without_errors(list(scene.elements), r["atomic"]) for r in runs]
    monkeypatch.setattr(edxs_other_rows, "by_espm", lambda python, path: found)
    monkeypatch.setenv(edxs_other_rows.ESPM_PYTHON, "python")
    lines, _ = measured(monkeypatch, data, scene, Fault(), ["espm"])
    assert "espm 6.00 (as a rule 20)" in lines["espm"].measured
    assert lines["espm"].passed is True
    lines, _ = measured(monkeypatch, data, scene, Fault(oxygen=2.0), ["espm"])
    assert lines["espm"].passed is False


def test_the_prior_of_thickness_is_the_one_that_predicts_held_out_counts(monkeypatch):
    rng = np.random.default_rng(0)
    truth = rng.uniform(5, 20, (40, 1)) @ rng.uniform(1, 2, (1, 6))
    data = fu.Dataset("edxs", rng.poisson(truth).reshape(5, 8, 6))

    def fit(model, loss, **told):
        (_, (weight, _), *_) = loss.terms
        off = 1 + 30 * abs(weight**-0.5 - 0.07)  # right where neighbours are within 0.07
        sides = torch.from_numpy((1 - product.HELD_OUT) * truth * off), torch.eye(6).double()
        prediction = SimpleNamespace(two_way=lambda: sides)
        return SimpleNamespace(model=SimpleNamespace(predict=lambda: {"edxs": prediction}))

    monkeypatch.setattr(fu.models, "Compositions", lambda *_, **__: None)
    monkeypatch.setattr(fu, "fit", fit)
    assert product.chosen_neighbours(data, ["O"], 1, None) == 0.07
