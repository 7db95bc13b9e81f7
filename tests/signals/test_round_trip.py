"""From signals to an answer and back: built, saved, unmixed, plotted, saved again."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Gaussian, Poisson
from tests.helpers.hyperspy_signals import CHANNELS, K, build, estimator, hs, options
from tests.helpers.paths import ROOT
from tests.helpers.planted_factors import nearest_angles

pytestmark = pytest.mark.filterwarnings(
    "ignore:Glyph .* missing from font:UserWarning"
)  # of the title


@pytest.mark.parametrize("kind", ["EELS", "EDS_TEM"])
@pytest.mark.parametrize("scan", ["map", "line", "tilt"])
def test_build_save_load_decompose_plot_model_save_reload(tmp_path, scan, kind):
    signal, C, S = build(scan, kind)
    signal.save(tmp_path / "measured.hspy")
    s = hs.load(tmp_path / "measured.hspy")
    assert type(s) is type(signal)
    est = estimator(kind)
    s.decomposition(algorithm=est, **options(kind))

    assert nearest_angles(s.get_decomposition_factors().data.T, S).max() < 4
    pixels = signal.data.shape[:-1]
    assert s.get_decomposition_loadings().data.shape == (K, *pixels)
    model = s.get_decomposition_model()
    assert type(model) is type(s)
    expected = (C @ S.T).reshape(s.data.shape)
    noise = np.linalg.norm(s.data - expected)
    assert np.linalg.norm(model.data - expected) < 0.6 * noise
    s.plot_scree_plot()
    s.plot_decomposition_factors(K)
    s.plot_decomposition_loadings(K) if len(pixels) < 3 else None
    s.plot_decomposition_results()

    s.learning_results.decomposition_algorithm = str(est)
    s.save(tmp_path / "unmixed.hspy")
    again = hs.load(tmp_path / "unmixed.hspy")
    assert again.learning_results.decomposition_algorithm == str(est)
    np.testing.assert_allclose(again.get_decomposition_model().data, model.data)
    assert again.metadata.General.title == "Grün 粒 α"


@pytest.mark.parametrize("kind", ["EELS", "EDS_TEM"])
@pytest.mark.parametrize("scan", ["map", "line", "tilt"])
def test_results_are_signals_with_axes_kind_and_metadata(scan, kind):
    s, _, S = build(scan, kind)
    data = fu.Dataset.from_hyperspy(s)
    fit = Gaussian(data) if kind == "EELS" else Poisson(data)
    result = fu.fit(fu.models.NMF(data, K), fit, starts=2, progress=False)
    made = result.to_hyperspy()

    assert type(made["S"]) is type(s)
    assert made["S"].data.shape == (K, CHANNELS)
    assert nearest_angles(made["S"].data.T, S).max() < 4
    energy = made["S"].axes_manager.signal_axes[0]
    was = s.axes_manager.signal_axes[0]
    np.testing.assert_allclose(energy.axis, was.axis)
    assert (energy.units, energy.name) == (was.units, was.name)
    assert made["S"].metadata.General.title == "S of Grün 粒 α"
    assert made["S"].metadata.get_item("Acquisition_instrument.TEM.beam_energy") == 200

    maps = made["C"]
    assert isinstance(maps, hs.signals.Signal1D if scan == "line" else hs.signals.Signal2D)
    assert maps.data.shape == (K, *s.data.shape[:-1])
    before = {axis.name: (axis.scale, axis.offset, axis.units, axis.size)
              for axis in s.axes_manager.navigation_axes}  # fmt: skip
    after = {axis.name: (axis.scale, axis.offset, axis.units, axis.size)
             for axis in maps.axes_manager._axes if axis.name != "Component"}  # fmt: skip
    assert after == before


@pytest.mark.parametrize("scan", ["map", "line", "tilt"])
def test_a_result_written_to_a_signal_is_plotted_modelled_saved_and_read(tmp_path, scan):
    s, _, _ = build(scan)
    s.learning_results.mean = np.ones(3)  # of an earlier decomposition
    data = fu.Dataset.from_hyperspy(s)
    result = fu.fit(fu.models.NMF(data, K), Gaussian(data), starts=1, progress=False)
    result.write_to(s)
    model = s.get_decomposition_model()
    np.testing.assert_allclose(
        model.data.reshape(-1, CHANNELS), result["C"] @ result["S"].T, rtol=1e-6
    )
    assert s.learning_results.mean is None
    s.plot_scree_plot()
    s.plot_decomposition_results()
    s.save(tmp_path / "written.hspy")
    again = hs.load(tmp_path / "written.hspy")
    np.testing.assert_allclose(again.get_decomposition_model().data, model.data)
    assert again.learning_results.decomposition_algorithm == f"sdfusion: {result.formula}"

    result.save(tmp_path / "result.npz")
    loaded = fu.Result.load(tmp_path / "result.npz")
    fresh, _, _ = build(scan)
    loaded.write_to(fresh)
    np.testing.assert_allclose(fresh.get_decomposition_model().data, model.data, rtol=1e-6)
    assert loaded.to_hyperspy()["S"].metadata.General.title == "S of Grün 粒 α"


def lines_of(page, section):
    """The blocks of Python of a section of a page."""
    part = (ROOT / page).read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    return "\n".join(block.split("```")[0] for block in part.split("```python")[1:])


def test_the_lines_of_the_page_on_hyperspy_run():
    hole = np.zeros((8, 7), dtype=bool)
    hole[3, 2] = True
    here = {"s": build("map")[0], "e": build("map", "EDS_TEM")[0], "fu": fu, "hole": hole}
    exec(lines_of("docs/hyperspy.md", "From HyperSpy and back"), here)
    maps = here["e"].get_decomposition_loadings().data
    np.testing.assert_array_equal(np.isnan(maps[0]), hole)


def test_the_lines_of_the_readme_run_on_counts_and_leave_the_answer_in_the_signal():
    s, _, S = build("map", "EDS_TEM")
    here = {"s": s, "fu": fu}
    exec(lines_of("README.md", "From HyperSpy"), here)
    assert nearest_angles(s.get_decomposition_factors().data.T, S).max() < 4
    np.testing.assert_allclose(s.get_decomposition_factors().data.T, here["result"]["S"])
