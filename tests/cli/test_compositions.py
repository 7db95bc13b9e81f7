"""`sdfusion compositions`: tables and maps in at.%, k factors, and what is wrong with a call."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from fusion.cli.composing import _take_off
from fusion.cli.k_factor_options import k_factors_of
from fusion.xrays.zeta_factors import ZetaFactors
from tests.elements.two_oxides import ELEMENTS, TRUTH, dataset, k_factors
from tests.helpers.commands import fails, run
from tests.helpers.undrawn import draw_as_they_stand

FILES = {"result.npz", "summary.txt", "figure.png", "report.html", "composition.csv"}
FILES |= {"element_maps.npz", "element_maps.tif"}
HOW = ("--beam-energy", 200, "--elevation", 22)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A map of MgO and Al2O3 that says neither beam energy nor elevation."""
    path = tmp_path_factory.mktemp("data") / "map.npz"
    data = dataset(300)
    energy = data.axes[-1].values
    np.savez(path, edxs=data.numpy(), edxs_energy=energy, edxs_energy_units="keV")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The k factors of the map as a csv file, with heads and a note."""
    path = tmp_path_factory.mktemp("k") / "k.csv"
    rows = [f"{name},{k[0]},{k[1]}" for name, k in k_factors().pairs.items()]
    path.write_text("\n".join(["# of a simulated detector", "line,k,error", *rows, ""]))
    return path


@pytest.fixture(scope="module")
def answer(file, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answer")
    how = (*HOW, "--k-factors", table, "--k-kind", "atomic", "--starts", 1, "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        draw_as_they_stand(patch)
        assert run("compositions", file, "-e", ",".join(ELEMENTS), "-k", 2, "-o", folder, *how) == 0
    return folder


def test_it_writes_tables_maps_picture_page_and_answer(answer):
    assert {p.name for p in answer.iterdir()} == FILES
    with (answer / "composition.csv").open(newline="") as file:
        found = np.array([float(row["atomic %"]) for row in csv.DictReader(file)]).reshape(2, 3)
    found = found[np.argsort(-found[:, 1])]  # MgO first
    assert (np.abs(found - TRUTH) < 4).all()
    with np.load(answer / "element_maps.npz") as maps:
        assert list(maps["elements"]) == list(ELEMENTS)
        assert maps["atomic"].shape == (8, 12, 3)
    assert (answer / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert 'id="composition"' in (answer / "report.html").read_text(encoding="utf-8")
    text = (answer / "summary.txt").read_text(encoding="utf-8")
    assert "Al₂O₃" in text
    assert "composition of 8 × 12 pixels" in text
    assert "of the components" not in text  # shares of a hundred lines, which nobody reads
    assert fu.Result.load(answer / "result.npz")["A"].shape == (3, 2)


def test_the_tif_has_an_image_of_every_element_named_for_imagej(answer):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffFile(answer / "element_maps.tif") as file:
        assert file.asarray().shape == (3, 8, 12)
        assert file.imagej_metadata["Labels"] == [f"{e} (at.%)" for e in ELEMENTS]
        with np.load(answer / "element_maps.npz") as maps:
            expected = np.moveaxis(maps["atomic"], -1, 0)
        np.testing.assert_allclose(file.asarray(), expected, rtol=1e-5)


def test_json_has_the_composition_and_another_command_takes_its_files_away(
    file, table, tmp_path, capsys, monkeypatch
):
    pages = []

    def write(result, path, **options):  # pages take their time
        pages.append(options["composition"])
        path.write_text("page")

    monkeypatch.setattr(fu.Result, "report", write)
    how = (*HOW, "--k-factors", table, "--k-kind", "atomic", "--starts", 1, "-o", tmp_path)
    how = (*how, "--oxygen", "stoichiometry", "--valence", "Al=3+-0.1")
    assert run("compositions", file, "-e", "O,Mg,Al", "--json", *how) == 0
    told = json.loads(capsys.readouterr().out)["composition"]
    assert told["elements"] == list(ELEMENTS)
    (whole,) = told["components"]
    assert whole["name"] == "whole map"
    assert sum(whole["atomic"]) == pytest.approx(100)
    assert np.shape(whole["weight_intervals"]) == (3, 2)
    assert 2 * whole["atomic"][0] == pytest.approx(np.dot([2, 3], whole["atomic"][1:]))
    assert told["oxygen"]["by"] == "stoichiometry"
    assert told["oxygen"]["valences"] == {"Mg": [2.0, 0.0], "Al": [3.0, 0.1]}
    assert told["missing"] == []
    (page,) = pages
    assert page.oxygen.by_line.tolist() == told["oxygen"]["by_line"]
    monkeypatch.setattr("fusion.cli.output.find_spec", lambda name: None)
    tail = ("-k", 2, "--starts", 1, "--quiet", "-o", tmp_path)
    assert run("unmix", file, *tail) == 0
    assert not (tmp_path / "composition.csv").exists()
    assert not (tmp_path / "element_maps.npz").exists()


# ---- k factors ---------------------------------------------------------------------------------


def test_k_factors_come_from_a_file_and_from_names(table):
    found = k_factors_of([str(table), "Si_K=1.5+-0.1", "Fe Ka=2"], "atomic", 0.05)
    assert found.values["Si K"] == (1.5, 0.1)
    assert found.values["Fe Ka"] == 2.0
    assert found.pairs["O K"] == pytest.approx(k_factors().pairs["O K"])
    assert found.error == 0.05
    assert k_factors_of([], None, 0.0) is None


def test_zeta_factors_come_with_the_dose():
    found = k_factors_of(["O_K=900+-30", "Mg K=400"], "zeta", 0.02, 6e8, 0.03)
    assert isinstance(found, ZetaFactors)
    assert (found.dose, found.dose_error, found.error) == (6e8, 0.03, 0.02)
    assert found.values == {"O K": (900.0, 30.0), "Mg K": 400.0}
    assert k_factors_of(["O_K=900"], "zeta", 0.0, 6e8).dose_error == 0.05


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--k-factors", "O_K=1.9"], 2, "--k-kind weight"),
        (["--k-factors", "O_K=x", "--k-kind", "weight"], 2, "'x' is no number"),
        (["--k-factors", "O_K=1", "--k-factors", "O K=2", "--k-kind", "weight"], 2, "already"),
        (["--k-factors", "none.csv", "--k-kind", "weight"], 1, "no such file"),
        (["--k-factors", "Xx_K=1", "--k-kind", "weight"], 1, "no element 'Xx'"),
        (["--k-factors", "O_Kz=1", "--k-kind", "weight"], 1, "name a family"),
        (["--k-kind", "weight"], 2, "there are no k factors"),
        (["--k-factors", "O_K=900", "--k-kind", "zeta"], 2, "--dose and --k-kind zeta"),
        (["--k-factors", "O_K=2", "--k-kind", "weight", "--dose", "9"], 2, "--dose and --k-kind"),
        (["--k-error", "0.1"], 2, "there are no k factors"),
        (["--valence", "Fe=3"], 2, "give --oxygen stoichiometry"),
        (["--oxygen", "stoichiometry", "--valence", "Fe"], 2, "--valence Fe: no valence"),
        (["--oxygen", "stoichiometry", *["--valence", "Fe=3"] * 2], 2, "Fe has a valence already"),
        (["--oxygen", "stoichiometry", *map(str, HOW), "-e", "O,Mg,Si,Fe"], 1, "--valence Fe=3:"),
        (["--tilt", "10"], 2, "give --azimuth"),
        (["--azimuth", "10"], 2, "give --tilt"),
        (["--tilt", "10", "--azimuth", "0"], 2, "give --elevation DEG"),
        (["--others", "Cu"], 2, "without -k"),
        ([], 1, "--beam-energy 200"),
        (["--beam-energy", "200"], 1, "--elevation 22"),
        (["--beam-energy", "200000", "--elevation", "22"], 1, "--beam-energy 200000"),
        ([*map(str, HOW), "--energy", "1:2.4"], 1, "O: no X-ray line between"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_with_a_call_is_told_with_a_way_out(
    file, tmp_path, monkeypatch, capsys, options, status, said
):
    monkeypatch.chdir(tmp_path)
    told = fails(capsys, "compositions", file, "-e", "O,Mg", *options, status=status)
    assert said in told
    assert not (tmp_path / "sdfusion-result").exists()


def test_a_table_of_k_factors_with_other_columns_is_told_by_its_line(tmp_path):
    (tmp_path / "k.csv").write_text("name,k\nO K,1.9\n\nMg K,1,2,3\n")
    with pytest.raises(ValueError, match="line 4 has 4 columns"):
        k_factors_of([str(tmp_path / "k.csv")], "weight", 0.0)


def test_a_tilt_towards_the_detector_lifts_it_above_the_specimen():
    data = dataset(300)  # elevation 22° in its metadata
    assert _take_off(data, None, 10.0, 0.0) == pytest.approx(32.0)
    assert _take_off(data, None, 10.0, 180.0) == pytest.approx(12.0)
    assert _take_off(data, 30.0, 0.0, 77.0) == pytest.approx(30.0)
    sine = np.sin(np.radians(10)) * np.cos(np.radians(60)) * np.cos(np.radians(22))
    sine += np.cos(np.radians(10)) * np.sin(np.radians(22))
    assert _take_off(data, None, 10.0, 60.0) == pytest.approx(np.degrees(np.arcsin(sine)))
    assert _take_off(data, None, None, None) is None
