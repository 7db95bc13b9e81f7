"""HyperSpy 2.5 with eXSpy: from signals to an answer and back, and nothing wrong in silence."""

from __future__ import annotations

import logging
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fusion as fu
from fusion.losses import ARD, Frobenius, Gaussian, Poisson
from tests.helpers.paths import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both warn of their own imports
    hs = pytest.importorskip("hyperspy.api", reason='needs pip install "sdfusion[hyperspy]"')
    exspy = pytest.importorskip("exspy", reason='needs pip install "sdfusion[hyperspy]"')
    from fusion.estimators import ScaledDataWarning, Unmixer

    hs.preferences.General.show_progressbar = False
    logging.getLogger("hyperspy").setLevel(logging.ERROR)  # of graphical elements not installed

pytestmark = [
    pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning"),  # of the title
    pytest.mark.usefixtures("closed"),
]

K, CHANNELS = 3, 40
SCANS = {
    "map": {"y": (8, 0.5, "nm"), "x": (7, 0.5, "nm")},
    "line": {"x": (48, 0.25, "nm")},
    "tilt": {"tilt": (3, 2.0, "mrad"), "y": (5, 0.5, "nm"), "x": (4, 0.5, "nm")},
}
ENERGY = {"EELS": ("Energy loss", 0.5, 95.0, "eV"), "EDS_TEM": ("Energy", 0.05, 0.2, "keV")}


@pytest.fixture
def closed():
    """Every figure is closed afterwards."""
    yield
    plt.close("all")


def truth(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps with nearly pure pixels, and spectra of one peak each: only one answer is right."""
    random = np.random.default_rng(3)
    C = random.dirichlet(np.full(K, 0.3), pixels)
    x = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((x - np.array([0.2, 0.5, 0.8])) / 0.08) ** 2)
    return C, S


def build(scan: str = "map", kind: str = "EELS", *, counts: float = 400, dtype="float64", **pixels):
    """A signal of planted maps and spectra with counting noise, and these."""
    axes = [
        {"name": name, "size": n, "scale": step, "offset": 1.0, "units": unit, "navigate": True}
        for name, (n, step, unit) in (pixels or SCANS[scan]).items()
    ]
    name, step, offset, unit = ENERGY[kind]
    energy = {"name": name, "size": CHANNELS, "scale": step, "offset": offset, "units": unit}
    shape = [axis["size"] for axis in axes]
    C, S = truth(int(np.prod(shape)))
    data = np.random.default_rng(4).poisson(counts * C @ S.T).reshape(*shape, CHANNELS)
    make = exspy.signals.EELSSpectrum if kind == "EELS" else exspy.signals.EDSTEMSpectrum
    signal = make(data.astype(dtype), axes=[*axes, energy | {"navigate": False}])
    signal.metadata.General.title = "Grün 粒 α"
    signal.set_microscope_parameters(beam_energy=200)
    return signal, counts * C, S


def angles(found: np.ndarray, meant: np.ndarray) -> np.ndarray:
    """Degrees of every column that is meant from the nearest found."""
    found, meant = (a / np.linalg.norm(a, axis=0) for a in (found, meant))
    return np.degrees(np.arccos(np.clip(found.T @ meant, -1, 1).max(0)))


def options(kind: str) -> dict:
    """Of `decomposition`, for data as they were measured: EDS signals scale and mask by default."""
    return {"print_info": False} | (
        {} if kind == "EELS" else {"normalize_poissonian_noise": False, "navigation_mask": None}
    )


def estimator(kind: str = "EELS", components: int = K, **changes) -> Unmixer:
    return Unmixer(components, likelihood=Gaussian if kind == "EELS" else Poisson,
                   starts=2, **changes)  # fmt: skip


# --- the whole way ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["EELS", "EDS_TEM"])
@pytest.mark.parametrize("scan", ["map", "line", "tilt"])
def test_build_save_load_decompose_plot_model_save_reload(tmp_path, scan, kind):
    signal, C, S = build(scan, kind)
    signal.save(tmp_path / "measured.hspy")
    s = hs.load(tmp_path / "measured.hspy")
    assert type(s) is type(signal)
    est = estimator(kind)
    s.decomposition(algorithm=est, **options(kind))

    assert angles(s.get_decomposition_factors().data.T, S).max() < 4
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
    assert angles(made["S"].data.T, S).max() < 4
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


def test_the_lines_of_the_readme_run():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.split("## From HyperSpy and back")[1].split("\n## ")[0]
    blocks = [block.split("```")[0] for block in part.split("```python")[1:]]
    hole = np.zeros((8, 7), dtype=bool)
    hole[3, 2] = True
    here = {"s": build("map")[0], "e": build("map", "EDS_TEM")[0], "fu": fu, "hole": hole}
    exec("\n".join(blocks), here)
    maps = here["e"].get_decomposition_loadings().data
    np.testing.assert_array_equal(np.isnan(maps[0]), hole)


# --- the estimator inside decomposition ------------------------------------------------------


def test_lazy_gives_what_eager_gives_whatever_the_chunks():
    s, _, _ = build("map", "EDS_TEM")
    est = estimator("EDS_TEM")
    s.decomposition(algorithm=est, **options("EDS_TEM"))
    lazy = s.as_lazy()
    lazy.data = lazy.data.rechunk((3, 4, -1))
    streamed = estimator("EDS_TEM")
    lazy.decomposition(algorithm=streamed, **options("EDS_TEM"))
    assert angles(streamed.components_.T, est.components_.T).max() < 0.05
    with pytest.raises(ValueError, match="no model that tells"):
        streamed.result_.write_to(s)  # its pixels came chunk by chunk
    model = lazy.get_decomposition_model()
    model.compute()
    whole = s.get_decomposition_model().data
    np.testing.assert_allclose(model.data, whole, atol=2e-3 * whole.max())


def test_components_switched_off_by_ard_are_left_out_eager_and_lazy():
    s, _, S = build("map", "EDS_TEM")
    for signal in (s, s.as_lazy()):
        est = estimator("EDS_TEM", 5, penalty=ARD("C"))
        if signal is not s:
            signal.data = signal.data.rechunk((3, 4, -1))
            expected = pytest.warns(UserWarning, match="3 of 5 components.*output_dimension")
        else:
            expected = warnings.catch_warnings()
        with expected:
            signal.decomposition(algorithm=est, **options("EDS_TEM"))
        assert est.n_components_ == K
        factors = signal.get_decomposition_factors()
        assert factors.data.shape == (K, CHANNELS)
        assert angles(np.asarray(factors.data).T, S).max() < 4


@pytest.mark.parametrize("lazy", [False, True])
def test_one_component_is_enough(lazy):
    s, _, _ = build("map")
    s = s.as_lazy() if lazy else s
    s.decomposition(algorithm=estimator("EELS", 1), print_info=False)
    assert s.get_decomposition_loadings().data.size == 8 * 7
    assert s.get_decomposition_model().data.shape == s.data.shape


def test_more_or_fewer_components_than_output_dimension_are_what_hyperspy_makes_of_them():
    s, _, _ = build("map")
    for asked, got in ((2, 2), (5, K)):
        s.decomposition(algorithm=estimator(), output_dimension=asked, print_info=False)
        assert s.get_decomposition_loadings().data.shape == (got, 8, 7)


def test_noise_in_which_ard_finds_nothing_is_said():
    noise = hs.signals.Signal1D(np.random.default_rng(0).normal(size=(6, 7, 20)))
    asked = estimator("EELS", 3, penalty=ARD("C"))
    noise.decomposition(algorithm=asked, print_info=False)
    assert asked.n_components_ == 1
    assert any("no component beyond" in text for text in asked.result_.messages)


def test_counts_that_hyperspy_scaled_in_secret_are_told_by_name():
    s, _, _ = build("map", "EDS_TEM")
    for signal in (s.deepcopy(), s.as_lazy()):
        with pytest.warns(ScaledDataWarning, match=r"decomposition\(False, None"):
            signal.decomposition(algorithm=estimator("EDS_TEM"), navigation_mask=None)
    with pytest.warns(ScaledDataWarning, match="turned back"):
        s.decomposition(True, None, algorithm=estimator("EELS"), print_info=False)
    with pytest.raises(
        ValueError, match="All the data are masked"
    ):  # HyperSpy's own, of few counts
        build("map", "EDS_TEM", counts=0.2)[0].decomposition(algorithm=estimator("EDS_TEM"))


def test_integers_are_refused_by_hyperspy_and_taken_by_the_estimator():
    s, _, _ = build("map", "EDS_TEM", dtype="uint16")
    with pytest.raises(TypeError, match="change_dtype"):
        s.decomposition(algorithm=estimator("EDS_TEM"), **options("EDS_TEM"))
    est = estimator("EDS_TEM").fit(s.data.reshape(-1, CHANNELS))
    s.change_dtype("float32")
    s.decomposition(algorithm=(other := estimator("EDS_TEM")), **options("EDS_TEM"))
    assert angles(est.components_.T, other.components_.T).max() < 0.05


@pytest.mark.parametrize("lazy", [False, True])
def test_masks_of_hyperspy_leave_pixels_and_channels_out(lazy):
    s, _, S = build("map")
    pixels = np.zeros(s.data.shape[:2], dtype=bool)
    pixels[1, 5] = pixels[6, 2] = True
    channels = np.zeros(CHANNELS, dtype=bool)
    channels[:3] = True
    s.data[pixels] = 1e6
    s = s.as_lazy() if lazy else s
    mask = hs.signals.BaseSignal(pixels).T
    s.decomposition(algorithm=estimator(), navigation_mask=mask, signal_mask=channels,
                    print_info=False)  # fmt: skip
    factors = np.asarray(s.get_decomposition_factors().data)
    assert np.isnan(factors[:, :3]).all()
    assert angles(factors[:, 3:].T, S[3:]).max() < 4
    maps = np.asarray(s.get_decomposition_loadings().data)
    np.testing.assert_array_equal(np.isnan(maps[0]), pixels)


# --- signals in ------------------------------------------------------------------------------


def test_axes_metadata_name_and_laziness_come_along():
    s, _, _ = build("map", dtype="uint16")
    data = fu.Dataset.from_hyperspy(s)
    assert data.name == "eels"
    assert [(a.name, a.scale, a.offset, a.units) for a in data.axes] == [
        ("y", 0.5, 1.0, "nm"), ("x", 0.5, 1.0, "nm"), ("energy loss", 0.5, 95.0, "eV")]  # fmt: skip
    np.testing.assert_array_equal(data.numpy(), s.data)
    assert data.metadata["General"]["title"] == "Grün 粒 α"
    lazy = fu.Dataset.from_hyperspy(s.as_lazy(), name="core")
    assert lazy.name == "core"
    assert lazy.lazy is not None
    np.testing.assert_array_equal(lazy.numpy(), s.data)
    eds, _, _ = build("map", "EDS_TEM")  # whose beam energy is written under "beam_energy "
    metadata = fu.Dataset.from_hyperspy(eds).metadata
    assert metadata["Acquisition_instrument"]["TEM"]["beam_energy"] == 200


def test_energies_first_come_last():
    s, _, _ = build("map")
    array = np.ascontiguousarray(np.moveaxis(s.data, -1, 0))
    axes = [a.get_axis_dictionary() for a in s.axes_manager._axes]
    first = exspy.signals.EELSSpectrum(array, axes=[axes[2], axes[0], axes[1]])
    assert first.axes_manager.signal_axes[0].index_in_array == 0
    data = fu.Dataset.from_hyperspy(first)
    np.testing.assert_array_equal(data.numpy(), s.data)
    assert [a.name for a in data.axes] == ["y", "x", "energy loss"]
    result = fu.fit(fu.models.NMF(data, K), Gaussian(data), starts=1, progress=False)
    result.write_to(first)
    result.write_to(s)
    theirs, ours = first.get_decomposition_model(), s.get_decomposition_model()
    np.testing.assert_allclose(theirs.data.reshape(ours.data.shape), ours.data)


def test_axes_that_are_not_uniform_keep_their_positions(tmp_path):
    s, _, _ = build("map")
    s.axes_manager[-1].convert_to_non_uniform_axis()
    s.axes_manager[-1].axis = 95 + np.linspace(0, 3, CHANNELS) ** 2
    data = fu.Dataset.from_hyperspy(s)
    np.testing.assert_allclose(data.axes[-1].values, s.axes_manager[-1].axis)
    result = fu.fit(fu.models.NMF(data, K), Gaussian(data), starts=1, progress=False)
    spectra = result.to_hyperspy()["S"]
    np.testing.assert_allclose(spectra.axes_manager[-1].axis, s.axes_manager[-1].axis)


def test_a_mask_is_in_the_order_of_the_array_or_a_signal():
    s, _, _ = build("map")
    mask = np.zeros((8, 7), dtype=bool)
    mask[0, 3] = True
    for given in (mask, hs.signals.BaseSignal(mask).T, s.inav[:, :].sum(-1) > 1e9):
        data = fu.Dataset.from_hyperspy(s, mask=given)
        assert int(data.mask.sum()) == (1 if given is not s and np.sum(np.asarray(
            getattr(given, "data", given))) else 0)  # fmt: skip
    assert bool(fu.Dataset.from_hyperspy(s, mask=mask).mask[0, 3, 0])
    with pytest.raises(ValueError, match=r"give mask\.T"):
        fu.Dataset.from_hyperspy(s, mask=mask.T)


def test_the_mask_of_a_square_map_as_a_signal_is_never_transposed():
    s, _, _ = build(y=(6, 0.5, "nm"), x=(6, 0.5, "nm"))
    broken = np.zeros((6, 6), dtype=bool)
    broken[0, 3] = True
    s.data[broken] = np.nan
    mask = hs.signals.BaseSignal(np.isnan(s.data).any(-1)).T
    data = fu.Dataset.from_hyperspy(s, mask=mask)
    result = fu.fit(fu.models.NMF(data, K), Frobenius(data), starts=1, progress=False)
    result.write_to(s)
    maps = s.get_decomposition_loadings().data
    np.testing.assert_array_equal(np.isnan(maps[0]), broken)
    np.testing.assert_array_equal(np.isnan(result.to_hyperspy()["C"].data[0]), broken)
    turned = fu.Dataset.from_hyperspy(s, mask=broken.T)
    with pytest.raises(ValueError, match="transposed"):
        turned.check()


def test_signals_without_calibration_or_metadata_are_read():
    s = hs.signals.Signal1D(np.random.default_rng(0).poisson(5, (4, 3, 12)).astype(float))
    data = fu.Dataset.from_hyperspy(s)
    assert (data.name, data.shape, data.axes[-1].units) == ("data", (4, 3, 12), "")
    made = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=1, progress=False).to_hyperspy()
    assert isinstance(made["S"], hs.signals.Signal1D)
    assert made["S"].metadata.General.title == "S"


def test_spectra_images_and_variances_of_one_number_are_read():
    s, _, _ = build("map")
    assert fu.Dataset.from_hyperspy(s.inav[0, 0]).shape == (CHANNELS,)
    image = fu.Dataset.from_hyperspy(hs.signals.Signal2D(np.ones((5, 6))))
    assert (image.shape, image.signal) == ((5, 6), 0)
    assert fu.Dataset.from_hyperspy(s.sum(-1)).signal == 0
    s.set_noise_variance(2.5)
    assert float(fu.Dataset.from_hyperspy(s).variance.max()) == 2.5
    s.estimate_poissonian_noise_variance()
    data = fu.Dataset.from_hyperspy(s)
    assert data.variance is None
    assert "not taken" in data.history[0]


def test_what_is_no_signal_or_has_other_sizes_is_said():
    s, _, _ = build("map")
    with pytest.raises(ValueError, match="give a HyperSpy signal"):
        fu.Dataset.from_hyperspy(s.data)
    for wrong in (lambda: fu.Dataset("eels", s), lambda: fu.load(s)):
        with pytest.raises(ValueError, match=r"Dataset\.from_hyperspy\(signal\)"):
            wrong()
    with pytest.raises(ValueError, match="real numbers"):
        fu.Dataset.from_hyperspy(hs.signals.ComplexSignal1D(np.ones((3, 4), dtype=complex)))
    data = fu.Dataset.from_hyperspy(s)
    result = fu.fit(fu.models.NMF(data, 1), Frobenius(data), starts=1, progress=False)
    with pytest.raises(ValueError, match=r"\(8, 7\).*\(8, 6\)"):
        result.write_to(s.inav[:6])
    with pytest.raises(ValueError, match="no data set 'eds'"):
        result.write_to(s, name="eds")


def test_a_lazy_signal_beyond_memory_says_what_to_do():
    import dask.array as da

    huge = hs.signals.Signal1D(da.zeros((2**20, 2**10, 2**12), chunks=(2**10, 1, 2**12))).as_lazy()
    data = fu.Dataset.from_hyperspy(huge)
    with pytest.raises(ValueError, match="by blocks"):
        data.check()


def old_hspy(path, array: np.ndarray, version: str) -> None:
    """A file as HyperSpy wrote it years ago: no attributes, no package, axes without a type."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", version
        group = file.create_group("Experiments/Grün")
        group.create_dataset("data", data=array)
        told = (("y", 0.5, "nm"), ("x", 0.5, "nm"), ("Energy loss", 0.5, "eV"))
        for i, (name, scale, units) in enumerate(told):
            axis = group.create_group(f"axis-{i}").attrs
            axis["name"], axis["units"], axis["scale"], axis["offset"] = name, units, scale, 1.0
            axis["size"], axis["navigate"], axis["index_in_array"] = array.shape[i], i < 2, i
        if version < "1.2":
            told = group.create_group("mapped_parameters").attrs
            told["title"], told["signal_type"], told["record_by"] = "Grün", "EELS", "spectrum"
            group.create_group("original_parameters")
        else:
            group.create_group("metadata/General").attrs["title"] = "Grün"
            group.create_group("metadata/Signal").attrs["signal_type"] = "EELS"
            group.create_group("original_metadata")
        group.create_group("learning_results")


@pytest.mark.parametrize("version", ["1.1", "2.1", "3.0"])
def test_files_of_older_versions_are_read(tmp_path, version):
    array = build("map")[0].data
    old_hspy(tmp_path / "old.hspy", array, version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = hs.load(tmp_path / "old.hspy")
    for data in (fu.Dataset.from_hyperspy(signal), fu.load(tmp_path / "old.hspy")):
        np.testing.assert_array_equal(data.numpy(), array)
        assert [(a.name, a.scale, a.units) for a in data.axes] == [
            ("y", 0.5, "nm"), ("x", 0.5, "nm"), ("energy loss", 0.5, "eV")]  # fmt: skip
        assert data.name == "eels"


# --- several detectors -----------------------------------------------------------------------


def test_signals_of_one_scan_are_read_cropped_binned_and_masked_together():
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    scan = fu.Scan(eels=s, edxs=e, adf=s.sum(-1))
    assert list(scan) == ["eels", "edxs", "adf"]
    part = scan.crop(y=(1.0, 2.5), x=slice(0, 6)).bin(y=2, x=2)
    assert [d.shape for d in part.values()] == [(2, 3, 40), (2, 3, 40), (2, 3)]
    mask = np.zeros((8, 7), dtype=bool)
    mask[2, 1] = True
    masked = scan.masked(mask)
    assert all(int(d.mask.sum()) == 1 for d in masked.values())
    with pytest.raises(ValueError, match="the axes of the scan are y, x"):
        scan.crop(energy=(1, 2))


@pytest.mark.parametrize(
    ("axis", "change", "said"),
    [
        ("x", {"scale": 0.6}, "x: steps of 0.5 and 0.6 nm"),
        ("y", {"offset": 3.0}, "y: begins at 1 and 3 nm"),
        ("x", {"units": "mrad"}, "x: in nm and in mrad"),
    ],
)
def test_signals_of_different_fields_of_view_are_told_apart(axis, change, said):
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    for key, value in change.items():
        setattr(e.axes_manager[axis], key, value)
    with pytest.raises(ValueError, match=said) as caught:
        fu.Scan(eels=s, edxs=e)
    assert "'eels' and 'edxs'" in str(caught.value)


def test_scans_of_other_sizes_are_told_apart_and_other_units_are_converted():
    s, _, _ = build("map")
    e, _, _ = build("map", "EDS_TEM")
    with pytest.raises(ValueError, match="7 and 6 entries"):
        fu.Scan(eels=s, edxs=e.inav[:6])
    with pytest.raises(ValueError, match=r"1 axes \(x\) and 2 \(y, x\)"):
        fu.Scan(eels=s, line=build("line")[0])
    for axis in e.axes_manager.navigation_axes:
        axis.scale, axis.offset, axis.units = axis.scale / 1e3, axis.offset / 1e3, "um"
    fu.Scan(eels=s, edxs=e)
    for axis in e.axes_manager.navigation_axes:
        axis.scale, axis.offset, axis.units = 1, 0, ""
    with pytest.warns(UserWarning, match="no calibration"):
        fu.Scan(eels=s, edxs=e)
