"""Elements: lines and edges as the field names them, peaks explained, compositions with errors."""

from __future__ import annotations

import csv
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Fixed
from fusion.elements import Detector, Fitted, Windows, edges, explain, labels, lines
from fusion.elements.table import atomic_mass
from fusion.elements.xray_detector import linear_background, shell_spectra
from fusion.files.calibration import axis_at as calibrated_axis
from fusion.losses import Poisson
from fusion.simulate.xrays import bremsstrahlung

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
EDXS = fu.Axis("energy", 0.02, 0.2, "keV", size=500)
EELS = fu.Axis("energy loss", 0.5, 380.0, "eV", size=1000)
K = {"O Ka": 1.9, "Mn Ka": 1.25, "Ni Ka": 1.4}
PHASES = {"oxide": {"O": 50, "Mn": 50}, "alloy": {"Mn": 30, "Ni": 70}}  # atomic %


def planted(axis: fu.Axis = EDXS) -> np.ndarray:
    """Spectra (channel, phase) of the phases, on a continuum, K and L lines; sum 1."""
    shown, made = shell_spectra(axis, ["O", "Mn", "Ni"], Detector()), []
    for atoms in PHASES.values():
        s = np.zeros(axis.size or 0)
        for line, k in K.items():
            element = line.split()[0]
            amount = atoms.get(element, 0) * atomic_mass(element) / k
            s += amount * (shown[f"{element} K"] + 0.5 * shown.get(f"{element} L", 0.0))
        made.append(0.8 * s / s.sum() + 0.2 * bremsstrahlung(axis.values))
    return np.stack(made, 1)


def truth() -> np.ndarray:
    """Atomic % (phase, element)."""
    return np.array([[atoms.get(e, 0) for e in ("O", "Mn", "Ni")] for atoms in PHASES.values()])


# --- names and energies ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "energy", "weight"),
    [
        ("Mn Ka", 5.8988, 1.0),  # X-Ray Data Booklet, table 1-2
        ("Mn Kb", 6.4905, 0.13),
        ("O Ka", 0.5249, 1.0),
        ("Si Ka", 1.7400, 1.0),
        ("Si Kb", 1.8359, 0.03),
        ("Al Kb", 1.5575, 0.013),
        ("Pt La", 9.4423, 1.0),
        ("Pt Ma", 2.0505, 1.0),
        ("Ag La", 2.9843, 1.0),
    ],
)
def test_lines_have_the_booklets_energy_and_about_the_weight_that_is_measured(name, energy, weight):
    (line,) = lines(name)
    assert line.name == name
    assert line.energy == pytest.approx(energy, abs=0.004)
    assert line.weight == pytest.approx(weight, rel=0.2, abs=0.015)
    assert sum(share for _, share in line.parts) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "onset"),
    [("C K", 284), ("N K", 401), ("O K", 532), ("Mn L3", 640), ("Mn L2", 651), ("Ni L3", 855)],
)
def test_edges_lie_where_the_eels_atlas_has_them(name, onset):
    (edge,) = edges(name)
    assert edge.energy == pytest.approx(onset, abs=3.5)


def test_lines_and_edges_are_those_on_the_axis_by_energy():
    assert [line.name for line in lines(["Si", "Al"], (1.0, 2.0), least=0.5)] == ["Al Ka", "Si Ka"]
    names = [edge.name for edge in edges(["Mn", "O"], EELS)]
    assert names == ["O K", "Mn L3", "Mn L2", "Mn L1"]
    keV = fu.Axis("energy loss", 5e-4, 0.38, "keV", size=1000)
    assert [edge.name for edge in edges(["Mn", "O"], keV)] == names


def test_one_line_may_be_written_in_three_ways_and_shells_are_groups_of_lines():
    assert lines("Mn_Ka") == lines("Mn Ka") == lines(["Mn Ka", "Mn_Ka"])
    assert [line.name for line in lines("Mn K")] == ["Mn Ka", "Mn Kb"]


def test_labels_take_lines_or_edges_from_the_axis_and_positions_in_its_unit():
    assert labels(EELS, ["O", "Mn"])[0] == (532.0, "O K")
    assert "Mn L1" not in [name for _, name in labels(EELS, ["Mn"])]
    found = {name: at for at, name in labels(EDXS, ["O", "Mn"])}
    assert found["Mn Ka"] == pytest.approx(5.9, abs=0.005)
    eV = fu.Axis("energy loss", 1.0, 50.0, "eV", size=200)
    assert labels(eV, "Si") == [(99.2, "Si L2,3")]
    low = fu.Axis("energy loss", 0.5, 5.0, "eV", size=200)
    assert [name for _, name in labels(low, ["O", "N", "Al"])] == ["Al L2,3"]


def test_what_is_no_element_no_line_or_no_energy_is_said(monkeypatch):
    with pytest.raises(ValueError, match="no element 'Mm': give symbols"):
        lines(["Mn", "Mm"])
    with pytest.raises(ValueError, match="there is no O La; there are O Ka"):
        lines("O La")
    with pytest.raises(ValueError, match="an axis in eV or keV"):
        labels(fu.Axis("x", units="nm", size=4), "O")
    with pytest.raises(ValueError, match=r"name one element or more"):
        edges([])
    monkeypatch.setitem(sys.modules, "xraydb", None)
    with pytest.raises(ValueError, match=r"pip install \"sdfusion\[elements\]\""):
        atomic_mass("O")


# --- peaks -----------------------------------------------------------------------------------


def test_every_planted_line_is_found_and_explained_and_a_missing_element_is_proposed():
    counts = np.random.default_rng(0).poisson(2e5 * planted()[:, 0])
    found = explain(counts, EDXS, ["O", "Mn"])
    assert [p.names[0] for p in found if p.names][-2:] == ["Mn Ka", "Mn Kb"]
    assert not found.unexplained
    less = explain(counts, EDXS, ["O", "Mn L"])
    assert [p.position for p in less.unexplained] == pytest.approx([5.9, 6.5], abs=0.03)
    assert less.unexplained[0].others[0] == "Mn Ka"
    assert "nothing; could be Mn Ka" in str(less)


def test_noise_alone_has_no_peaks():
    counts = np.random.default_rng(1).poisson(40.0, 500)
    assert len(explain(counts, EDXS, ["O"])) == 0


def test_near_edge_structure_is_explained_by_its_onset():
    from fusion.simulate.spectra import core_loss_edge

    x = EELS.values
    spectrum = 900 * core_loss_edge(x, 532.0, [(537.0, 2.0, 4.0)])
    spectrum += 900 * core_loss_edge(x, 640.0, [(642.0, 3.0, 3.0), (653.0, 1.5, 3.0)])
    found = explain(np.random.default_rng(0).poisson(spectrum), EELS, ["O", "Mn"])
    assert [p.names[0] for p in found] == ["O K", "Mn L3", "Mn L2"]
    with pytest.raises(ValueError, match="the axis has 1000 entries, the array 7"):
        explain(np.ones(7), EELS, ["O"])


# --- compositions ----------------------------------------------------------------------------


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


class Known(fu.Model):
    """Maps that are known, spectra that are not."""

    def __init__(self, data: fu.Dataset, C: np.ndarray) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, C.shape[1]), Fixed(torch.from_numpy(C)))
        self.S = fu.Factor((data.channels, C.shape[1]))

    def forward(self):
        return {"edxs": fu.cp(self.C, self.S)}


def fitted() -> fu.Result:
    """A fit of both phases, 60 pixels of 2000 counts."""
    rng = np.random.default_rng(0)
    C = 2000 * rng.dirichlet([0.7, 0.7], 60)
    data = fu.Dataset("edxs", rng.poisson(C @ planted().T), axes=["x", EDXS])
    return fu.fit(Known(data, C), Poisson(data), starts=1, progress=False)


def test_a_results_composition_agrees_with_the_truth_within_the_errors_of_the_fit(tmp_path):
    result = fitted()
    made = result.composition(K)
    z = (made.atomic - truth()) / made.atomic_errors
    assert np.abs(z[truth() > 0]).max() < 4
    assert np.abs(made.atomic - truth()).max() < 6
    assert any("fusion.ambiguity" in said for said in made.messages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fu.Result, "errors", lambda self: _too_large())
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
    assert any("pixel 1: none of the lines stands out" in said for said in made.messages)


def test_a_result_without_x_ray_spectra_is_said():
    data = fu.Dataset("eels", np.random.default_rng(0).random((9, 30)), axes=["x", "e"])
    result = fu.fit(fu.models.NMF(data, 1), fu.losses.Frobenius(data), max_steps=2, progress=False)
    with pytest.raises(ValueError, match="in keV are none, of C, S"):
        result.composition(K)


def test_the_nitride_of_a_simulated_multilayer_has_its_formula():
    path = SHARED / "espm_simulated_edxs" / "AlFeSi3N4_multilayer.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with np.load(path) as file:
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


# --- pictures --------------------------------------------------------------------------------


def test_labels_on_a_curve_do_not_overlap_and_stay_in_the_panel():
    result = fitted()
    figure = result.plot(elements=["O", "Mn", "Ni", "Si", "Al", "Mg", "Na", "F"])
    figure.draw_without_rendering()
    panel = next(a for part in figure.subfigs for a in part.axes if len(a.texts) > 4)
    boxes = sorted((t.get_window_extent() for t in panel.texts), key=lambda box: box.x0)
    assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))
    room = panel.get_window_extent()
    assert min(box.x0 for box in boxes) >= room.x0 - 1
    assert max(box.x1 for box in boxes) <= room.x1 + 1
    assert max(box.y1 for box in boxes) <= room.y1 + 1
    curve = panel.lines[0]
    top = panel.transData.transform((0, curve.get_ydata().max()))[1]
    assert top < min(box.y0 for box in boxes)


def test_places_of_labels_are_a_step_apart_and_move_no_more_than_they_must():
    from fusion.plots.labels import spread_out

    at = np.array([0.1, 0.11, 0.12, 0.5, 0.99])
    placed = spread_out(at, 0.05)
    assert np.diff(placed).min() >= 0.05 - 1e-12
    np.testing.assert_allclose(placed[:3].mean(), at[:3].mean())
    assert placed[3] == 0.5
    assert placed[-1] <= 0.975 + 1e-12
