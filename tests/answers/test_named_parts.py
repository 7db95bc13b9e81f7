"""Maps and spectra in their shape, names of components, and their order."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion import models
from fusion.losses import Frobenius, Poisson, SquaredNorm
from tests.helpers.short_fits import complaint

RNG = np.random.default_rng(0)
ENERGY = fu.Axis("energy loss", scale=2.0, offset=500.0, units="eV")


def dataset(name="eels", shape=(4, 6, 9), axes=None, **options):
    counts = np.random.default_rng(len(name)).poisson(20.0, shape).astype(float) + 1
    axes = ["y", "x", ENERGY][-len(shape) :] if axes is None else axes
    return fu.Dataset(name, counts, axes=axes, **options)


def fit(model, *data, more=None):
    loss = sum((Frobenius(d) for d in data[1:]), Frobenius(data[0]))
    loss = loss if more is None else loss + more
    return fu.fit(model, loss, starts=1, max_steps=8, seed=0, progress=False)


@cache
def answer() -> fu.Result:
    eels = dataset()
    return fit(models.NMF(eels, 3), eels)


def test_maps_have_the_shape_of_the_scan_and_spectra_that_of_the_channels():
    result = answer()
    np.testing.assert_array_equal(result.maps[1, 2], result["C"][1 * 6 + 2])
    np.testing.assert_array_equal(result.spectra.values, result["S"])
    assert [axis.name for axis in result.maps.axes] == ["y", "x", "component"]
    assert result.spectra.axes[0] == result.axes["S"][0][0]
    assert result.maps.axes[-1].values.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(result.map(2), result["C"][:, 1].reshape(4, 6))
    np.testing.assert_array_equal(result.spectrum(3), result["S"][:, 2])
    assert result.spectrum(3).axes == result.axes["S"][0]


def test_masked_pixels_are_nan_in_maps():
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = True
    eels = dataset(mask=mask)
    result = fit(models.NMF(eels, 2), eels)
    assert np.isnan(result.maps[1, 2]).all()
    assert np.isnan(result.maps.values).sum() == 2


def test_two_detectors_share_maps_and_have_spectra_by_name():
    eels, edxs = dataset(), dataset("edxs", (4, 6, 5), ["y", "x", "energy"])
    result = fit(models.SharedMaps(eels, edxs, K=2), eels, edxs)
    assert result.maps.shape == (4, 6, 2)
    assert list(result.spectra) == ["eels", "edxs"]
    np.testing.assert_array_equal(result.spectra["edxs"].values, result["S_edxs"])
    np.testing.assert_array_equal(result.spectrum(2, data="edxs"), result["S_edxs"][:, 1])
    with pytest.raises(ValueError, match=complaint("result.spectrum(1)", "data='eels'")):
        result.spectrum(1)
    with pytest.raises(ValueError, match=complaint("no data set 'x'", "'eels', 'edxs'")):
        result.spectrum(1, data="x")
    with pytest.raises(ValueError, match=complaint("result.spectra[0]", "result.spectra['eels']")):
        result.spectra[0]
    with pytest.raises(AttributeError, match=complaint("spectra.shape", "spectra['edxs']")):
        result.spectra.shape  # noqa: B018


def test_softly_coupled_maps_are_those_that_each_detector_sees(tmp_path):
    eels, edxs = dataset(), dataset("edxs", (4, 6, 5), ["y", "x", "energy"])
    model = models.SoftlyCoupled(eels, edxs, K=2)
    result = fit(model, eels, edxs, more=SquaredNorm("N", 0.1))
    assert np.abs(result["N"]).max() > 0
    for told in (result, fu.Result.load(result.save(tmp_path / "a.npz")[0])):
        both = (result["C"] + result["N"]).reshape(4, 6, 2)
        np.testing.assert_array_equal(told.maps["eels"].values, both)
        np.testing.assert_array_equal(told.maps["edxs"].values, result["C"].reshape(4, 6, 2))
        np.testing.assert_array_equal(told.map(2, data="eels"), both[..., 1])


def test_a_background_of_the_model_is_in_the_spectra_of_the_raw_data():
    raw, net = dataset("raw"), dataset("net")
    result = fit(models.WithBackground(raw, net, K=2), raw, net)
    assert result.maps.shape == (4, 6, 2)
    np.testing.assert_array_equal(result.spectra["raw"].values, result["S"] + result["N"])
    np.testing.assert_array_equal(result.spectra["net"].values, result["S"])


def test_several_scans_have_maps_by_name_even_on_the_same_axes():
    a, b = dataset("a"), dataset("bb")
    result = fit(models.SharedSpectra(a, b, K=2), a, b)
    np.testing.assert_array_equal(result.maps["bb"].values.reshape(-1, 2), result["C_bb"])
    assert result.spectra.shape == (9, 2)
    earlier = fu.Result(**{**vars(result), "roles": {}})
    np.testing.assert_array_equal(earlier.maps["a"].values.reshape(-1, 2), result["C_a"])


def test_a_detector_in_segments_has_the_maps_of_the_scan():
    eels = dataset()
    haadf = dataset("df", (2, 4, 6), ["segment", "y", "x"], signal=0)
    result = fit(models.Detectors(eels, haadf, K=2), eels, haadf)
    assert result.maps.shape == (4, 6, 2)
    assert result.spectra.shape == (9, 2)
    assert result.components == ["1", "2"]


def test_a_tensor_decomposition_says_which_factors_there_are():
    data = dataset(axes=["tilt", "x", ENERGY])
    result = fit(models.CPD(data, K=2), data)
    names = list(result.factors)
    with pytest.raises(
        ValueError, match=complaint("`result.maps`", f"result[{names[0]!r}]", "tilt")
    ):
        result.maps  # noqa: B018
    assert result.spectra.shape == (9, 2)


def test_one_pixel_and_one_component_keep_their_axes():
    data = fu.Dataset("spot", np.arange(1.0, 10.0)[None], axes=["x", ENERGY])
    result = fit(models.NMF(data, 1), data)
    assert result.maps.shape == (1, 1)
    assert result.map(1).shape == (1,)
    assert result.renamed(["all"]).map("all").shape == (1,)


@pytest.mark.parametrize("k", [0, 4, -1, True, 1.0, "shell", None])
def test_a_component_that_is_not_there_is_refused_with_those_that_are(k):
    with pytest.raises(ValueError, match=complaint(f"result.map({k!r})", "from 1 to 3")):
        answer().map(k)
    named = answer().renamed({2: "core"})
    with pytest.raises(ValueError, match=complaint("1 to 3, or a name: 'core'")):
        named.spectrum(k)


REFUSED = {
    "empty": ({1: "  "}, "'  ' for component 1 is empty"),
    "twice": ({1: "a", 3: "a"}, "components 1 and 3 would both be called 'a'"),
    "a number": ({1: "2"}, "is a number"),
    "no text": ({1: 3}, "is of type int"),
    "two lines": ({1: "a\nb"}, "more than one line"),
    "no such component": ({4: "a"}, "from 1 to 3"),
    "too few": (["a"], "1 names for 3 components"),
    "one text": ("abc", "'abc' for 3 components"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_tell_nothing_apart_are_refused(case):
    names, said = REFUSED[case]
    with pytest.raises(ValueError, match=complaint("result.renamed(", said)):
        answer().renamed(names)


def test_names_are_in_any_script_of_any_length_and_may_be_exchanged():
    long = "a shell of forty letters around the core"
    result = answer().renamed({1: f" {long} ", 2: "оболочка 殻"})
    assert result.components == [long, "оболочка 殻", "3"]
    np.testing.assert_array_equal(result.map("оболочка 殻"), answer().map(2))
    turned = result.renamed({1: "оболочка 殻", 2: long})
    assert turned.components == ["оболочка 殻", long, "3"]
    assert result.renamed({long: "shell"}).components == ["shell", "оболочка 殻", "3"]
    assert answer().components == ["1", "2", "3"]  # the first is left as it was


def test_factors_with_components_of_their_own_have_no_names():
    eels, edxs = dataset(), dataset("edxs", (4, 6, 5), ["y", "x", "energy"])
    result = fit(models.SoftlyCoupled(eels, edxs, K=(3, 2)), eels, edxs)
    with pytest.raises(ValueError, match=complaint("components of their own", "S_edxs 2")):
        result.renamed({1: "a"})
    assert list(result.maps) == ["edxs"]  # those of eels are columns of three factors
    np.testing.assert_array_equal(result.map(2, data="edxs").ravel(), result["C"][:, 1])
    assert result.spectra["eels"].shape == (9, 3)


def test_an_order_told_moves_factors_shares_names_and_the_model_alike():
    result = answer().renamed({1: "a"})
    turned = result.sorted_by([3, 1, 2])
    assert turned.components == ["1", "a", "3"]  # what has no name goes by its new number
    for name in "CS":
        np.testing.assert_array_equal(turned[name], result[name][:, [2, 0, 1]])
        np.testing.assert_array_equal(
            turned.model.factors[name].detach(), result.model.factors[name].detach()[:, [2, 0, 1]]
        )
        np.testing.assert_allclose(
            turned.errors()[name], result.errors()[name][:, [2, 0, 1]], rtol=1e-3
        )
    shares = result.data["eels"].component_variance[[2, 0, 1]]
    np.testing.assert_array_equal(turned.data["eels"].component_variance, shares)
    assert turned.sorted_by(["a", 3, 1]).components == ["a", "2", "3"]


def test_orders_by_intensity_by_energy_and_by_a_function_of_the_spectrum():
    C = np.ones((6, 3)) * [1.0, 5.0, 2.0]
    S = np.zeros((9, 3))
    S[[6, 1, 3], [0, 1, 2]] = 1.0  # at 512, 502, 506 eV
    S[6, 1] = 0.4  # more counts there than the first has: 5 · 0.4, but a smaller share
    data = fu.Dataset("eels", (C @ S.T + 1e-9).reshape(2, 3, 9), axes=["y", "x", ENERGY])
    made = fit(models.NMF(data, 3), data)
    result = fu.Result(**{**vars(made), "factors": {"C": C, "S": S}, "model": None})
    result = result.renamed(["first", "second", "third"])
    assert result.sorted_by().components == ["second", "third", "first"]
    assert result.sorted_by(reverse=True).components == ["first", "third", "second"]
    assert result.sorted_by(energy=512.0).components == ["first", "second", "third"]
    assert result.sorted_by(energy=(505, 507)).components[0] == "third"
    assert result.sorted_by(lambda s: s.peak).components == ["second", "third", "first"]
    assert result.spectrum("third").peak == 506.0


ORDERS = {
    "one left out": ({"key": [1, 2]}, "2 of 3 components"),
    "one twice": ({"key": [1, 2, 2]}, "1 of them twice"),
    "no such": ({"key": [0, 1, 2]}, "from 1 to 3"),
    "outside": ({"energy": 700.0}, "energy loss runs from 500 to 516 eV"),
    "no window": ({"energy": (600, 700)}, "from 500 to 516 eV"),
    "both": ({"key": [1, 2, 3], "energy": 500.0}, "give one"),
    "no data set": ({"data": "edxs"}, "no data set 'edxs'"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_what_is_no_order_is_refused(case):
    options, said = ORDERS[case]
    with pytest.raises(ValueError, match=complaint("result.sorted_by(", said)):
        answer().sorted_by(**options)


def test_an_order_that_means_something_to_the_loss_is_kept():
    eels = dataset()

    @fu.term
    def small(model):
        return (model.C[:, 0] ** 2).sum()

    loss = Frobenius(eels) + 0.1 * small
    result = fu.fit(models.NMF(eels, 2), loss, starts=1, max_steps=5, seed=0, progress=False)
    with pytest.raises(ValueError, match=complaint("a meaning")):
        result.sorted_by([2, 1])


def test_scales_that_were_learned_follow_their_components():
    eels = dataset()
    loss = Poisson(eels) + fu.losses.ARD("C")
    result = fu.fit(models.NMF(eels, 4), loss, starts=1, max_steps=20, seed=0, progress=False)
    K = result.n_components
    (name,) = (n for n, x in result.history.items() if x.ndim == 2)
    order = list(range(K))[::-1]
    turned = result.sorted_by([k + 1 for k in order])
    np.testing.assert_array_equal(turned.history[name][:, :K], result.history[name][:, order])
    np.testing.assert_array_equal(turned.history[name][:, K:], result.history[name][:, K:])
    np.testing.assert_array_equal(turned.history["loss"], result.history["loss"])


def test_names_and_order_are_kept_in_a_file(tmp_path):
    result = answer().renamed({1: "shell", 3: "殻"}).sorted_by([3, 2, 1])
    loaded = fu.Result.load(result.save(tmp_path / "fit.npz")[0])
    assert loaded.components == ["殻", "2", "shell"]
    np.testing.assert_array_equal(loaded.map("shell"), answer().map(1))
    assert loaded.roles == result.roles


def test_names_of_known_spectra_are_there_from_the_first(tmp_path):
    eels = dataset()
    model = models.WithReferences(eels, {"rutile": np.linspace(1, 2, 9)}, K=1)
    result = fit(model, eels)
    assert result.components == ["rutile", "unknown 1"]
    loaded = fu.Result.load(result.save(tmp_path / "a.npz")[0])
    assert loaded.components == ["rutile", "unknown 1"]


def test_a_word_for_a_factor_that_is_none_gets_the_right_one():
    named = answer().renamed({1: "shell"})
    for key, meant in {"A": "C, S", "maps": "result.maps", 1: "result.map(1)"}.items():
        with pytest.raises(KeyError, match=complaint("no factor", meant)):
            named[key]
    with pytest.raises(KeyError, match=complaint("result.spectrum('shell')")):
        named["shell"]


def test_xarray_has_the_axes_as_coordinates_and_the_names():
    pytest.importorskip("xarray", reason="xarray is not installed")
    found = answer().renamed({2: "core"}).to_xarray()
    assert found["maps"].dims == ("y", "x", "component")
    assert found["component"].values.tolist() == ["1", "core", "3"]
    assert found["energy loss"].values[:2].tolist() == [500.0, 502.0]
    assert found["energy loss"].attrs["units"] == "eV"
    picked = found["maps"].sel(component="core").values
    np.testing.assert_array_equal(picked, answer().map(2))
    assert answer().map(1).to_xarray("map").dims == ("y", "x")


def test_without_xarray_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=complaint('pip install "sdfusion[xarray]"')):
        answer().to_xarray()


def test_xarray_keeps_axes_of_one_name_apart():
    pytest.importorskip("xarray", reason="xarray is not installed")
    eels, edxs = dataset(), dataset("edxs", (4, 6, 5), ["y", "x", "energy loss"])
    result = fit(models.SharedMaps(eels, edxs, K=2), eels, edxs)
    found = result.to_xarray()
    assert found["maps"].dims == ("y", "x", "component")
    assert found["spectra_edxs"].dims == ("energy loss edxs", "component")


def test_a_single_spectrum_has_components_without_maps_that_are_sorted_and_handed_on():
    data = dataset(shape=(9,))
    result = fit(models.NMF(data, 1), data)
    assert result.sorted_by().components == ["1"]
    pytest.importorskip("xarray")
    handed = result.to_xarray()
    assert list(handed) == ["spectra"]
    assert handed["spectra"].dims == ("energy loss", "component")
