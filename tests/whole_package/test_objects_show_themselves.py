"""Whatever a notebook's cell ends with shows itself in a screen of text, never as arrays."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.text_columns import columns
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps
from fusion.simulate import concurrent, layers
from tests.helpers import small_results

ARRAYS = re.compile(r"array\(|tensor\(|ndarray|\bcannot be shown\b|\[\[|e[+-]\d\d,? +-?\d\.\d+e")


def told(shown):
    """Its text, after all that holds for each: a screen, the same twice, HTML beside it."""
    text = repr(shown)
    lines = text.splitlines()
    assert 0 < len(lines) <= 25
    assert max(map(columns, lines)) <= 100
    assert not ARRAYS.search(text)
    html = shown._repr_html_()
    assert not ARRAYS.search(html)
    assert html.count("<tr") == html.count("</tr>")
    assert len(html) < 80_000
    assert (repr(shown), shown._repr_html_()) == (text, html)
    return text


@pytest.fixture(scope="module")
def net():
    return layers(shape=(8, 10), channels=60).datasets["net"]


@pytest.fixture(scope="module")
def result(net):
    return fu.fit(NMF(net, 3), Frobenius(net), starts=2, seed=0, progress=False)


def test_a_data_set_tells_axes_noise_mask_and_history(net):
    mask = np.zeros((8, 10), bool)
    mask[:2] = True
    text = told(net.masked(mask).crop(x=(0, 1.5)).with_variance(2.0))
    assert text.splitlines()[0] == "Dataset('net', y 8, x 4, energy loss 60; float64)"
    assert "energy loss    60    80  140  1.01695    eV  spectral" in text
    assert "mask     8 of 32 pixels left out (25 %)" in text
    assert "variance known, one for all values" in text
    assert "crop(x=(0, 1.5))" in text
    assert str(net) == repr(net)
    assert f"{net}" == "Dataset('net')"  # as sentences have it


@pytest.mark.parametrize(
    ("shape", "said"),
    [((), "all values"), ((60,), "channel"), ((8, 10, 1), "pixel"), ((8, 10, 60), "value")],
)
def test_a_data_set_says_of_what_the_variance_is_known(net, shape, said):
    data = net.with_variance(np.full(shape, 2.0))
    every = "one for all values" if said == "all values" else f"one for every {said}"
    assert f"noise    variance known, {every}\n" in repr(data)


def test_a_long_history_is_shortened_to_its_last_steps(net):
    data = net
    for _ in range(8):
        data = data.with_variance(1.0)
    text = told(data.bin(x=2))
    assert "… 5 steps before" in text
    assert text.endswith("bin(x=2)")


def test_sparse_and_lazy_data_show_themselves_unread():
    sparse = pytest.importorskip("scipy.sparse")
    dask = pytest.importorskip("dask.array")
    counts = sparse.random(80, 30, 0.1, random_state=0, format="csr")
    assert "float64, sparse" in told(fu.Dataset("eds", counts))

    def read(block_info=None):
        raise AssertionError("read")

    blocks = dask.map_blocks(read, chunks=((4,), (5,), (6,)), dtype="uint16", meta=np.zeros(0))
    lazy = fu.Dataset("eds", blocks)
    assert "uint16, lazy" in told(lazy).splitlines()[0]
    assert lazy.lazy is not None


def test_a_scan_has_its_axes_and_a_row_for_every_data_set():
    scan = fu.Scan(*concurrent(shape=(6, 8), channels=60).datasets.values())
    text = told(scan)
    assert text.splitlines()[0] == "Scan: 3 data sets, y 6 × x 8"
    assert "  eels      energy loss 60, 90 to 150 eV  float64" in text
    assert "  adf       –" in text


def test_a_model_tells_its_equations_and_its_factors_with_constraints_in_words(net):
    assert told(NMF(net, 3)).splitlines() == [
        "NMF, K = 3",
        "  net  ≈ C Sᵀ",
        "  factor  shape   rows along   values",
        "  C       80 × 3  y, x         ≥ 0",
        "  S       60 × 3  energy loss  ≥ 0, unit columns",
    ]
    scan = concurrent(shape=(6, 8), channels=60).datasets
    text = told(SharedMaps(scan["eels"], scan["edxs"], K=4))
    assert "  eels  ≈ C S_eelsᵀ\n  edxs  ≈ C S_edxsᵀ\n" in text
    a, b = (small_results.spectrum_image(name) for name in "ab")
    assert "  a  ≈ f(C, N, gain) S1ᵀ\n  b  ≈ C S2ᵀ\n" in told(small_results.Coupled(a, b, 2))
    cube = fu.models.CPD(net, 2), fu.models.Tucker(net, (2, 2, 3))
    assert "net  ≈ ⟦A, B, C⟧" in told(cube[0])
    assert "net  ≈ ⟦core; A, B, C⟧" in told(cube[1])


def test_a_sum_of_factors_is_written_as_one(net):
    class Deviating(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((net.pixels, 2))
            self.N = fu.Factor((net.pixels, 2), fu.constraints.Free())
            self.S = fu.Factor((net.channels, 2))
            self.B = fu.Factor((net.channels, 2), fu.constraints.PowerLaw(net.channels))

        def forward(self):
            return {"net": fu.cp(self.C + self.N, self.S) + fu.cp(self.C, self.B)}

    text = told(Deviating())
    assert "net  ≈ (C + N) Sᵀ + C Bᵀ" in text
    assert "N       80 × 2  y, x         any sign" in text
    assert "power law" in text


def test_a_model_that_is_not_whole_shows_what_there_is():
    model = fu.Model()
    assert told(model) == "Model"
    model.C = fu.Factor((80, 3))
    assert "C       80 × 3  –           ≥ 0" in told(model)


def test_to_show_a_model_leaves_it_alone(net):
    model = NMF(net, 3)
    before = {name: value.clone() for name, value in model.factors.items()}
    repr(model)
    assert all((model.factors[name] == value).all() for name, value in before.items())
    assert "_predictions" not in model.__dict__
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_is_shown_as_written_and_as_its_formula(net):
    loss = Frobenius(net) + 0.1 * fu.losses.L1("C")
    assert repr(loss) == "Frobenius(net) + 0.1 * L1('C')\n  = ½‖net − M_net‖² + 0.1·‖C‖₁"
    assert str(loss) == "Frobenius(net) + 0.1 * L1('C')"


def test_a_result_tells_status_loss_solver_starts_data_and_cautions(result):
    text = told(result)
    shares = " + ".join(f"{100 * p:.2f}" for p in result.data["net"].component_variance)
    assert str(result) == text
    assert text.splitlines()[0] == "Result of 'net', 3 components"
    assert f"  status   {result.status}" in text
    assert f"loss     {result.loss:.8g} = {result.formula}" in text
    assert "solver   GaussNewton, " in text
    assert "factors  C 80 × 3 (y, x), S 60 × 3 (energy loss)" in text
    assert f"explained variance {100 * result.explained_variance['net']:.3f} % = {shares}" in text
    flat = " ".join(text.split())
    assert f"starts {result.told_of_starts()} factors" in flat
    assert all(" ".join(message.split()) in flat for message in result.messages)


def test_a_results_cell_has_a_small_picture_of_maps_and_spectra_and_so_has_a_loaded_one(
    result, tmp_path
):
    html = result._repr_html_()
    assert html.count("<img") == 1
    assert len(html) < 60_000
    result.save(tmp_path / "answer.npz")
    loaded = fu.Result.load(tmp_path / "answer.npz")
    assert told(loaded) == told(result)
    assert loaded._repr_html_().count("<img") == 1


@pytest.mark.parametrize("maker", small_results.RESULTS, ids=lambda maker: maker.__name__)
def test_results_of_every_kind_show_themselves(maker):
    made = maker()
    for name in made.data:
        assert f"\n  {name} " in told(made)


NAMES = ("", "Übergangsbereich zwischen Kern und Schale", "鉄と酸素の化合物", "<b>&amp;</b>")


@pytest.mark.parametrize(("name", "K"), [*((name, 1) for name in NAMES), (NAMES[-1], 20)])
def test_any_name_and_any_number_of_components_is_shown(name, K):
    data = fu.Dataset(name, np.random.default_rng(0).random((5, 5, 24)), axes=[name, "x", "E"])
    quick = {"starts": 1, "seed": 0, "max_steps": 2, "progress": False}
    fitted = fu.fit(NMF(data, K), Frobenius(data), **quick)
    for shown in (data, fu.Scan(data), fitted, fitted.model, fu.compare(fitted, fitted)):
        assert "<b>" not in told(shown) or name == "<b>&amp;</b>"
        assert "<b>" not in shown._repr_html_()


def test_one_pixel_and_values_that_are_all_zero_are_shown():
    one = fu.Dataset("one", np.ones((1, 1, 5)))
    zero = fu.Dataset("zero", np.zeros((3, 4, 5)))
    for data in (one, zero, fu.Dataset("image", np.ones((3, 4)), signal=0)):
        told(data)
    told(fu.Scan(zero))


def test_a_ranking_has_its_verdict_first_and_a_row_for_every_criterion(net):
    ranking = fu.rank(net, ard=False, stability=False)
    text = told(ranking)
    assert text.splitlines()[0] == ranking.headline
    for criterion in ranking.criteria:
        assert f"{criterion.name}" in text
        assert criterion.said in text
        assert criterion.said in told(criterion)
    assert str(ranking.noise) in told(ranking.noise)
    assert f"{ranking.noise.scree.clear} of " in told(ranking.noise.scree)


def test_an_ambiguity_tells_of_every_component_how_wide_its_bands_are():
    net = layers(shape=(6, 8), channels=40).datasets["net"]
    fitted = fu.fit(NMF(net, 2), Frobenius(net), starts=2, seed=0, progress=False)
    found = fu.ambiguity(fitted)
    text = told(found)
    assert found.unique in " ".join(text.split())
    for k in range(2):
        row = next(line for line in text.splitlines() if line.split()[0] == f"{k + 1}")
        for name, width in found.width.items():
            said = "determined" if found.determined[name][k] else "not unique"
            assert f"{100 * width[k]:.1f} % of area, {said}" in row


def test_errors_are_a_dictionary_that_shows_how_large_they_are(result):
    errors = result.errors()
    assert isinstance(errors, dict)
    assert list(errors) == list(result.factors)
    value, error = result["S"], errors["S"]
    free = np.isfinite(error) & (error > 0) & (value != 0)
    relative = 100 * np.median(error[free] / value[free])
    text = told(errors)
    assert text.splitlines()[0] == "standard errors: every free entry has an error"
    assert f"{relative:.3g} %" in next(row for row in text.splitlines() if row.startswith("  S "))
    for other in (copy.deepcopy(errors), pickle.loads(pickle.dumps(errors))):
        assert repr(other) == text
        np.testing.assert_array_equal(other["S"], error)


def test_a_comparison_says_the_largest_angle_and_where_it_is(result):
    bent = {name: value.copy() for name, value in result.factors.items()}
    bent["S"][:, 1] = np.roll(bent["S"][:, 1], 4)
    found = fu.compare(result, bent, names=["a", "b"])
    text = told(found)
    assert f"verdict  largest angle {found.worst:.2f}°: component 2 in S of b" in text
    assert len(text.splitlines()) == 2 + 1 + 3 + len(found.messages)


def test_a_composition_a_fit_of_references_and_a_scene_show_themselves(net, result):
    spectra = {f"ref {k}": result["S"][:, k] for k in range(3)}
    fit = fu.mlls(net, spectra)
    text = told(fit)
    assert all(f"  ref {k}   mean" in text for k in range(3))
    assert "p < 0.001 in" in " ".join(text.split())
    scene = concurrent(shape=(6, 8), channels=60)
    assert all(name in told(scene) for name in scene.components)
    assert "explained variance" in told(result.data["net"])


def test_counts_say_their_range_once_they_were_looked_at():
    scan = concurrent(shape=(6, 8), channels=60).datasets
    joint = fu.fit(NMF(scan["edxs"], 2), Poisson(scan["edxs"]), starts=1, progress=False)
    assert "χ² per value" in told(joint)
    scan["edxs"].summary()
    assert "values  0 to " in told(scan["edxs"])


def test_a_large_model_tells_its_equation_without_a_look_at_its_values(monkeypatch):
    big = fu.Axis("y", size=600_000), fu.Axis("energy", size=50)

    class Large(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((big[0], 2))
            self.N = fu.Factor((big[0], 2))
            self.S = fu.Factor((big[1], 2))

        def forward(self):
            return {"eels": fu.cp(self.C + self.N, self.S)}

    model = Large()

    def asked(raw):
        raise AssertionError("a value was asked for")

    for module in model.factor_modules().values():
        monkeypatch.setattr(module, "constrain", asked)
    assert "  eels  ≈ (C + N) Sᵀ" in told(model)


def test_a_results_picture_is_the_same_whatever_a_user_has_set_for_figures(result):
    import matplotlib

    html = result._repr_html_()
    with matplotlib.rc_context({"figure.constrained_layout.use": True, "figure.facecolor": "w"}):
        assert result._repr_html_() == html
