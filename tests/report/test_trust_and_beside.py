"""Bands, other answers beside, sums that fall below zero, the foot, and where a page is written."""

from __future__ import annotations

import errno
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson, SquaredNorm
from fusion.models import NMF, SoftlyCoupled
from fusion.report.bands import Trust
from fusion.report.contents import Scene
from fusion.report.deviations import negative_sums
from fusion.uncertainty.error_table import StandardErrors
from tests.helpers.report_data import cube, dataset, quick, unpacked
from tests.helpers.report_page import Shown


@pytest.fixture(scope="module")
def phases():
    """Two components of counts, in a dense scan."""
    data = dataset("edxs", cube((8, 9), 24, 2), "keV")
    return quick(NMF(data, 2), Poisson(data)), data


@pytest.fixture(scope="module")
def known(phases):
    return phases[0].errors(progress=False), fu.ambiguity(phases[0], progress=False)


def test_bands_are_two_errors_and_the_ends_of_the_ambiguity_in_the_scale_of_the_curves(
    browser, phases, known, tmp_path
):
    result, (errors, ambiguity) = phases[0], known
    page = Shown(browser, result, tmp_path / "r.html", errors=errors, ambiguity=ambiguity)
    S, high = result["S"], 1.5  # of what is drawn, where bands are cut
    for k in range(2):
        names = [f"c{k}", *(f"{kind}{k}{end}" for kind in "ba" for end in ("low", "high"))]
        curve, *ends = page.values("parts0-source", *names)
        scale = S[:, k].max()
        np.testing.assert_allclose(curve, S[:, k] / scale, rtol=1e-5)
        error = np.where(np.isfinite(errors["S"][:, k]), errors["S"][:, k], 0.0)
        bands = [S[:, k] - 2 * error, S[:, k] + 2 * error, *(b[:, k] for b in ambiguity.bands["S"])]
        for got, band in zip(ends, bands, strict=True):
            expected = np.clip(np.where(np.isfinite(band), band, S[:, k]) / scale, -0.5, high)
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    notes = browser.ask("[...document.querySelectorAll('.part .note')].map(e => e.textContent)")
    assert notes[0].startswith("Inner bands: ± 2 standard errors")
    assert ambiguity.unique.rstrip(".")[1:] in notes[1]
    page.click("[data-layer=s0c0]")
    browser.ask("report.scans[0].point({row: 3, column: 4}, true)")
    browser.frames()
    value, error = page.text("#scan0 .readout").splitlines()[1].replace("−", "-").split(" ± ")
    p = 3 * 9 + 4
    np.testing.assert_allclose(float(value), result["C"][p, 0], rtol=1e-3)
    np.testing.assert_allclose(float(error), errors["C"][p, 0], rtol=0.05)
    page.is_calm()


def test_true_computes_what_was_not_given(phases, known):
    result, (errors, ambiguity) = phases[0], known
    given = Scene(result, trust=Trust(errors, ambiguity))
    page = result.report(errors=True, ambiguity=True, progress=False).html
    for name in ("errors0", "mapErrors0", "low0", "high0"):
        assert given.arrays[name]["text"] in page


def test_errors_of_another_result_are_refused_with_both_shapes(phases, known):
    data = phases[1]
    other = quick(NMF(data, 3), Poisson(data))
    with pytest.raises(ValueError, match=r"C is of shape \(72, 2\), of this result there it is"):
        other.report(errors=known[0])
    with pytest.raises(ValueError, match=r"report\(ambiguity=…\)`: C is of shape"):
        other.report(ambiguity=known[1])


def test_a_loaded_result_takes_errors_that_were_kept_and_cannot_compute_them(
    phases, known, tmp_path
):
    phases[0].save(tmp_path / "r.npz")
    loaded = fu.Result.load(tmp_path / "r.npz")
    assert "Inner bands" in loaded.report(errors=known[0]).html
    with pytest.raises(ValueError, match="loaded result has neither model nor loss"):
        loaded.report(tmp_path / "r.html", errors=True)
    assert not (tmp_path / "r.html").exists()


def test_maps_that_are_sums_have_no_band_of_one_factor_and_that_is_said():
    eels, edxs = dataset("eels", cube() * 1.0), dataset("edxs", cube(energies=20), "keV")
    loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.1)
    result = quick(SoftlyCoupled(eels, edxs, K=2), loss)
    made = StandardErrors({n: 0 * F + 0.1 for n, F in result.factors.items()}, result.factors)
    parts = Scene(result, trust=Trust(made)).payload["parts"]
    assert [p["bands"]["mapErrors"] for p in parts] == [None, "mapErrors1"]  # C + N, and C
    assert [p["bands"]["errors"] for p in parts] == ["errors0", "errors1"]


def test_how_far_a_sum_of_a_map_and_a_deviation_falls_below_zero_is_told():
    eels, edxs = dataset("eels", cube() * 1.0), dataset("edxs", cube(energies=20), "keV")
    loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.1)
    result = quick(SoftlyCoupled(eels, edxs, K=2), loss)
    scene = Scene(result)
    left = result["C"] + result["N"]
    told = negative_sums(result, scene.parts, scene.numbers, scene.names)
    lowest, below = left.min(0), (left < -1e-6 * np.abs(left).max(0)).mean(0)
    assert below.max() > 0.01
    for k in np.flatnonzero(below):
        share = f"component {k + 1} in {100 * below[k]:.2g} % of the pixels"
        deep = f"−{-100 * lowest[k] / np.abs(left[:, k]).max():.2g} % of its largest value"
        assert f"{share}, down to {deep}" in told[0]
    assert "Maps of eels are C + N" in told[0]
    assert len(told) == 1  # edxs sees C alone, which is not below zero


def test_nothing_is_told_of_factors_that_are_free_by_themselves(phases):
    scene = Scene(phases[0])
    assert negative_sums(phases[0], scene.parts, scene.numbers, scene.names) == []


def test_other_answers_stand_beside_with_their_own_numbers_maps_and_colours(
    browser, phases, tmp_path
):
    result, data = phases
    others = [quick(NMF(data, K), Poisson(data)) for K in (1, 3)]
    scene = Scene(result, beside=others)
    for answer, made in zip(scene.beside, [result, *others], strict=True):
        np.testing.assert_allclose(
            unpacked(scene.arrays[answer["sets"][0]["maps"]]), made["C"].T, rtol=1e-6
        )
        np.testing.assert_allclose(
            answer["sets"][0]["spectra"], made["S"] / made["S"].max(0), rtol=1e-6
        )
        assert answer["fits"] == [
            f"χ² {made.data['edxs'].chi2:.3g}, "
            f"{100 * made.data['edxs'].explained_variance:.2f} % explained"
        ]
    assert scene.beside[0]["sets"][0]["numbers"] == [0, 1]
    most_alike = np.corrcoef(others[1]["C"].T, result["C"].T)[:3, 3:].argmax(0)
    assert [scene.beside[2]["sets"][0]["numbers"][j] for j in most_alike] == [0, 1]
    page = Shown(browser, result, tmp_path / "r.html", beside=others)
    maps = browser.ask(
        "[...document.querySelectorAll('canvas[data-beside]')].map(c => [c.width, c.height])"
    )
    assert maps == [[9, 8]] * 6
    head = browser.ask("[...document.querySelectorAll('.answers h3')].map(e => e.textContent)")
    assert head == ["This page", "1 component", "3 components"]
    page.is_calm()


def test_answers_of_other_data_are_refused(phases, joint):
    with pytest.raises(ValueError, match=r"answer 1 is of \{'eels': \(10, 12, 30\)"):
        phases[0].report(beside=[joint])


def test_chi_squared_comes_before_per_cent(phases):
    page = phases[0].report().html
    assert page.index("χ² per value of edxs") < page.index("of edxs explained")


def test_the_foot_names_files_versions_and_what_to_cite(phases):
    result, _ = phases
    general = {"General": {"original_filename": "<a>map 1.dm4", "date": "2024-05-06"}}
    held = replace(result, data={"edxs": replace(result.data["edxs"], metadata=general)})
    page = held.report().html
    assert "edxs: &lt;a&gt;map 1.dm4, measured 2024-05-06" in page
    assert f"sdfusion {fu.__version__}, Python 3" in page
    assert "Microscopy 69 (2020) 110–122" in page
    assert "<dt>files</dt>" not in result.report().html


def test_a_page_of_a_small_map_is_below_eight_hundred_kilobytes(tmp_path):
    data = dataset("edxs", cube((24, 24), 128), "keV")
    result = quick(NMF(data, 3), Poisson(data))
    path = result.report(tmp_path / "r.html").save(tmp_path / "s.html")
    assert path.stat().st_size < 800_000


@pytest.mark.parametrize("where", ["no such folder/r.html", "file/r.html", "folder.html"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_computed(
    phases, tmp_path, monkeypatch, where
):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    monkeypatch.setattr(fu.Result, "errors", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(OSError, match=r"cannot be written .*Nothing was computed") as told:
        phases[0].report(tmp_path / where, errors=True)
    assert told.value.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def test_a_folder_without_permission_is_told_as_such(phases, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(sys.modules["fusion.report.report"], "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=r"r.html'\)`: cannot be written \(Permission denied"):
        phases[0].report(Path(tmp_path) / "r.html")
