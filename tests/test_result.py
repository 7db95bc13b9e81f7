"""What a fit gives back: numbers against NumPy, files, tensorly, pictures."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import nn

import fusion as fu
from fusion.constraints import Free, NonNegative
from fusion.losses import Frobenius, Poisson, SquaredNorm, term
from fusion.models import CPD, NMF, SharedMaps, SharedSpectra, Tucker

QUICK = {"starts": 2, "seed": 0, "max_steps": 12, "progress": False}


def array(*shape: int, rank: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    modes = [rng.gamma(1.0, 1.0, (n, rank)) for n in shape]
    letters = "abcd"[: len(shape)]
    cube = np.einsum(",".join(f"{c}k" for c in letters) + "->" + letters, *modes)
    return cube + 0.1 * rng.random(shape)


def spectrum_image(name: str = "eels", shape=(5, 6, 12), **options) -> fu.Dataset:
    axes = (
        fu.Axis("y", 0.5, units="nm"),
        fu.Axis("x", 0.5, units="nm"),
        fu.Axis("energy loss", values=np.linspace(90, 120, shape[-1]) ** 1.01, units="eV"),
    )
    return fu.Dataset(name, array(*shape), axes=axes, **options)


def dense(result: fu.Result) -> np.ndarray:
    return np.asarray(result["C"] @ result["S"].T)


class Coupled(fu.Model):
    """Eq. (14), with a plain parameter beside."""

    def __init__(self, a: fu.Dataset, b: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((a.pixels, K))
        self.N = fu.Factor((a.pixels, K), Free())
        self.S1 = fu.Factor((a.channels, K))
        self.S2 = fu.Factor((b.channels, K), NonNegative())
        self.gain = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.names = (a.name, b.name)

    def forward(self):
        first = fu.cp((self.C + self.N) * self.gain.mean(), self.S1)
        return dict(zip(self.names, (first, fu.cp(self.C, self.S2)), strict=True))


def coupled() -> fu.Result:
    a, b = spectrum_image("a"), spectrum_image("b", (5, 6, 9))
    return fu.fit(Coupled(a, b, 2), Frobenius(a) + Frobenius(b) + SquaredNorm("N", 0.1), **QUICK)


def nmf(data: fu.Dataset | None = None, **options) -> fu.Result:
    data = data or spectrum_image()
    return fu.fit(NMF(data, 2), Frobenius(data), **{**QUICK, **options})


def cpd() -> fu.Result:
    data = fu.Dataset("x", array(4, 5, 6))
    return fu.fit(CPD(data, 2), Frobenius(data), **QUICK)


def tucker() -> fu.Result:
    data = fu.Dataset("x", array(4, 5, 6))
    return fu.fit(Tucker(data, (2, 3, 2)), Frobenius(data), **QUICK)


def one_pixel() -> fu.Result:
    data = fu.Dataset("one", array(9, 1)[:, 0])
    return fu.fit(NMF(data, 1), Frobenius(data), **QUICK)


def image() -> fu.Result:
    eels, adf = (
        spectrum_image(),
        fu.Dataset("adf", array(5, 6), axes=spectrum_image().pixels, signal=0),
    )
    return fu.fit(SharedMaps(eels, adf, K=2), Frobenius(eels) + Frobenius(adf), **QUICK)


def two_maps() -> fu.Result:
    a, b = spectrum_image("a"), spectrum_image("b", (3, 4, 12))
    return fu.fit(SharedSpectra(a, b, K=2), Frobenius(a) + Frobenius(b), **QUICK)


def diffraction() -> fu.Result:
    data = fu.Dataset("patterns", array(4, 3, 6, 5), signal=2)
    return fu.fit(NMF(data, 2), Frobenius(data), **QUICK)


def series() -> fu.Result:
    data = fu.Dataset("series", array(3, 4, 5, 6))
    return fu.fit(NMF(data, 2), Poisson(data), **QUICK)


def masked() -> fu.Result:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1, 2:4] = True
    return nmf(spectrum_image(mask=mask))


RESULTS = [
    nmf,
    coupled,
    cpd,
    tucker,
    one_pixel,
    image,
    two_maps,
    diffraction,
    series,
    masked,
]


@pytest.fixture(scope="module", params=RESULTS, ids=lambda make: make.__name__)
def result(request) -> fu.Result:
    return request.param()


def assert_same(a, b) -> None:
    """Equal all through, NaN equal to NaN."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif hasattr(a, "__dataclass_fields__"):
        for f in fields(a):
            if f.name == "minimised":  # a loss has no equality: its formula stands for it
                assert str(a.minimised) == str(b.minimised)
            elif f.name != "model":
                assert_same(getattr(a, f.name), getattr(b, f.name))
    else:
        assert a == b


# ---- files ---------------------------------------------------------------------------------------


def test_a_saved_result_loads_equal(result, tmp_path):
    result.save(tmp_path / "fit.npz")
    loaded = fu.Result.load(tmp_path / "fit.npz")
    assert loaded.model is None
    assert_same(loaded, replace(result, model=None, minimised=None))
    assert loaded.summary() == result.summary()


def test_a_result_survives_pickle_and_deepcopy(result):
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert_same(other, result)
        for name, value in result.model.factors.items():
            assert torch.equal(other.model.factors[name], value)


def test_the_file_holds_no_pickle_and_opens_without_the_models_class(tmp_path):
    coupled().save(tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file.files)
    code = "import fusion as fu, sys; print(fu.Result.load(sys.argv[1])['gain'].shape)"
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "fit.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "(3,)"


@pytest.mark.parametrize("name", ["fit", "fit.v2", "fit.npz"])
def test_a_name_without_the_ending_gets_it_when_saved_and_when_loaded(name, tmp_path):
    nmf(max_steps=1).save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name.removesuffix(".npz") + ".npz"]
    assert fu.Result.load(str(tmp_path / name)).factors.keys() == {"C", "S"}


def test_names_with_slashes_spaces_and_dots_survive(tmp_path):
    data = spectrum_image("EELS low/loss 1.5")
    outcome = nmf(data, max_steps=2)
    outcome.save(tmp_path / "fit")
    assert_same(fu.Result.load(tmp_path / "fit"), replace(outcome, model=None, minimised=None))


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    outcome = nmf(max_steps=1)
    outcome.save(tmp_path / "fit.npz")
    before = (tmp_path / "fit.npz").read_bytes()

    def broken(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        outcome.save(tmp_path / "fit.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]
    assert (tmp_path / "fit.npz").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_saved_file_has_the_mode_of_any_new_file(tmp_path):
    nmf(max_steps=1).save(tmp_path / "fit.npz")
    (tmp_path / "other").touch()
    assert (tmp_path / "fit.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_files_that_hold_no_result_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "data.npz", data=np.ones(3))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"no result in this file \(it holds data\)"):
        fu.Result.load(tmp_path / "data.npz")
    with pytest.raises(ValueError, match="not an npz file"):
        fu.Result.load(tmp_path / "text.npz")
    with pytest.raises(FileNotFoundError):
        fu.Result.load(tmp_path / "none.npz")


# ---- numbers -------------------------------------------------------------------------------------


def test_explained_variance_and_residuals_equal_numpys():
    data = spectrum_image()
    outcome = nmf(data)
    x, r = data.matrix.numpy(), data.matrix.numpy() - dense(outcome)
    found = outcome.data["eels"]
    assert found.explained_variance == pytest.approx(1 - (r**2).sum() / (x**2).sum(), abs=1e-12)
    np.testing.assert_allclose(found.residual_map, np.sqrt((r**2).mean(1)).reshape(5, 6))
    np.testing.assert_allclose(found.residual_spectrum, r.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.mean_spectrum, x.mean(0))
    assert outcome.explained_variance == {"eels": found.explained_variance}


def test_component_variances_add_up_to_the_explained_variance_at_a_minimum():
    found = nmf(max_steps=200).data["eels"]
    assert found.component_variance is not None
    assert found.component_variance.sum() == pytest.approx(found.explained_variance, abs=1e-5)
    assert np.all(np.diff(found.component_variance) <= 0)


@pytest.mark.parametrize("general", [False, True], ids=["rank-one variance", "general variance"])
def test_explained_variance_is_weighted_and_leaves_out_what_is_masked(general):
    rng = np.random.default_rng(1)
    variance = rng.uniform(1, 3, (5, 6, 12) if general else 12)
    mask = np.zeros((5, 6, 12), dtype=bool)
    mask[0, 0, :] = mask[..., 3] = True
    mask[2, 2, 5] = True
    data = spectrum_image(mask=mask, variance=variance)
    outcome = nmf(data)
    w = (~mask / np.broadcast_to(variance, mask.shape)).reshape(30, 12)
    x = data.matrix.numpy()
    # masked rows of the factors are NaN, and do not count
    r = np.where(w > 0, x - np.nan_to_num(dense(outcome)), 0)
    found = outcome.data["eels"]
    explained = 1 - (w * r**2).sum() / (w * x**2).sum()
    assert found.explained_variance == pytest.approx(explained, abs=1e-10)
    seen = w > 0
    assert np.isnan(found.residual_map[0, 0])
    assert np.isnan(found.residual_spectrum[3])
    np.testing.assert_allclose(
        found.residual_spectrum[5], (r * seen)[:, 5].sum() / seen[:, 5].sum(), atol=1e-12
    )
    rms = np.sqrt((r[20] ** 2).sum() / seen[20].sum())
    assert found.residual_map[3, 2] == pytest.approx(rms)


def test_poisson_residuals_are_unweighted():
    counts = np.random.default_rng(0).poisson(5 * array(4, 5, 6))
    data = fu.Dataset("counts", counts, variance=np.full(6, 2.0))
    outcome = fu.fit(NMF(data, 2), Poisson(data), **QUICK)
    x = counts.reshape(20, 6)
    explained = 1 - ((x - dense(outcome)) ** 2).sum() / (x**2).sum()
    assert outcome.explained_variance["counts"] == pytest.approx(explained, abs=1e-10)


def test_rows_that_every_data_set_masks_are_nan_with_a_message():
    outcome = masked()
    hidden = np.isnan(outcome["C"]).all(1).reshape(5, 6)
    assert hidden.sum() == 2
    assert hidden[1, 2:4].all()
    assert any("2 of 30 rows of C" in message for message in outcome.messages)
    assert np.isfinite(outcome["S"]).all()


def test_a_row_masked_through_is_nan_in_a_cpd():
    mask = np.zeros((4, 5, 6), dtype=bool)
    mask[2] = True
    data = fu.Dataset("x", array(4, 5, 6), mask=mask)
    outcome = fu.fit(CPD(data, 2), Frobenius(data), **QUICK)
    first = outcome.to_tensorly().factors[0]
    np.testing.assert_array_equal(np.isnan(first).all(1), [False, False, True, False])


def test_the_history_has_every_term_and_its_sum():
    outcome = coupled()
    total = sum(value for key, value in outcome.history.items() if key != "loss")
    np.testing.assert_allclose(outcome.history["loss"], total)
    assert len(outcome.history) == 4
    assert outcome.loss_history.shape[0] == len(outcome.losses) == len(outcome.statuses) == 2
    assert outcome.loss == outcome.losses.min()


def test_two_terms_of_one_name_both_have_a_history():
    data = spectrum_image()

    @term
    def small(model):
        return model.C.square().sum()

    outcome = fu.fit(NMF(data, 2), Frobenius(data) + 0.1 * small + 0.2 * small, **QUICK)
    assert len(outcome.history) == 4
    total = sum(value for key, value in outcome.history.items() if key != "loss")
    np.testing.assert_allclose(outcome.history["loss"], total)


def test_the_summary_tells_status_loss_factors_and_data(result):
    told = result.summary()
    assert told == str(result)
    assert told.startswith(result.status)
    assert result.formula in told
    assert all(f"{name} {value.shape}" in told for name, value in result.factors.items())
    assert all(f"{name}: explained variance" in told for name in result.data)


# ---- tensorly ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [cpd, tucker])
def test_to_tensorly_gives_the_decomposition(make):
    import tensorly as tl

    outcome = make()
    tensor = outcome.to_tensorly()
    with torch.no_grad():
        expected = next(iter(outcome.model.predict().values())).dense().numpy()
    with tl.backend_context("numpy", local_threadsafe=True):
        np.testing.assert_allclose(tensor.to_tensor(), expected)


def test_to_tensorly_needs_names_where_the_model_is_no_single_decomposition():
    outcome = coupled()
    with pytest.raises(ValueError, match="name its factors, of C, N, S1, S2"):
        outcome.to_tensorly()
    with pytest.raises(ValueError, match="no such factor"):
        outcome.to_tensorly("C", "S")
    assert [f.shape for f in outcome.to_tensorly("C", "S2").factors] == [(30, 2), (9, 2)]


# ---- pictures ------------------------------------------------------------------------------------


def titles(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes]


def test_a_factor_that_is_named_after_its_data_set_has_no_second_name():
    rng = np.random.default_rng(0)
    a, b = (fu.Dataset(name, rng.random((4, 5, 12))) for name in ("one", "two"))
    result = fu.fit(SharedSpectra(a, b, K=2), Frobenius(a) + Frobenius(b), **QUICK)
    shown = titles(result.plot())
    assert {"C_one", "C_two"} <= set(shown)


def test_every_result_can_be_drawn_also_when_loaded(result, tmp_path):
    result.save(tmp_path / "fit")
    figure = fu.Result.load(tmp_path / "fit").plot()
    figure.savefig(tmp_path / "fit.png", dpi=40)
    shown = " ".join(titles(figure))
    assert all(name in shown for name in result.factors if result.factors[name].size > 1)
    assert all(f"{name}: " in shown for name in result.data)


def test_a_figure_is_outside_pyplot_and_shows_itself_as_png():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = nmf(max_steps=1).plot()
    assert plt.get_fignums() == before
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_axes_have_names_and_units_and_maps_a_scale_bar(monkeypatch):
    figure = nmf(max_steps=1).plot()
    assert "energy loss (eV)" in [ax.get_xlabel() for ax in figure.axes]
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    bars = [a for ax in figure.axes for a in ax.artists if isinstance(a, AnchoredSizeBar)]
    assert len(bars) == 3
    assert bars[0].txt_label.get_text() == "1 nm"


def test_values_of_both_signs_have_colours_that_are_symmetric_about_zero():
    figure = coupled().plot(factors=["N"])
    drawn = [image for ax in figure.axes for image in ax.images if image.cmap.name == "RdBu_r"]
    assert len(drawn) == 2
    assert all(image.norm.vmin == -image.norm.vmax for image in drawn)


@pytest.mark.parametrize("K", [1, 2, 5, 7, 12])
def test_no_two_panels_overlap(K):
    data = spectrum_image(shape=(6, 7, 14))
    figure = fu.fit(NMF(data, K), Frobenius(data), **{**QUICK, "max_steps": 1}).plot()
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes if ax.axison]
    boxes = [box.padded(-1) for box in boxes]
    hits = [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)]
    assert hits == []


def test_factors_and_components_can_be_chosen_and_wrong_ones_are_named():
    outcome = nmf(max_steps=1)
    assert "S" not in titles(outcome.plot(factors=["C"]))
    outcome.plot(components=[1])
    with pytest.raises(ValueError, match="no factor 'D'; the result has C, S"):
        outcome.plot(factors=["D"])
    with pytest.raises(ValueError, match="there are 0 to 1"):
        outcome.plot(components=[2])


def test_one_hot_pixel_does_not_set_the_colours():
    from fusion.plots.drawing import _colour_range

    values = np.full((40, 40), 1.0)
    values[3, 3] = 1e6
    assert _colour_range(values, False) == (0.0, 1.0, "max")


def test_importing_fusion_does_not_import_matplotlib():
    code = "import fusion, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
