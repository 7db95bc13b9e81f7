"""Names of components are met wherever components are told apart: pictures, tables, files."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion import models
from fusion.losses import ARD, Frobenius
from fusion.plots import plot_map, plot_overlay, plot_publication, plot_relevance, plot_spectra

LONG = "a shell of forty letters around the core"
NAMES = ("shell", "Оболочка", LONG)
ENERGY = fu.Axis("energy", scale=0.1, offset=5.0, units="keV")


@cache
def answer() -> fu.Result:
    rng = np.random.default_rng(3)
    C, S = rng.random((30, 3)), rng.random((40, 3))
    counts = rng.poisson(200 * C @ S.T).reshape(5, 6, 40)
    nm = [fu.Axis(name, 0.5, units="nm") for name in "yx"]
    data = fu.Dataset("edxs", counts, axes=[*nm, ENERGY])
    loss = Frobenius(data) + 0.0 * ARD("C")
    result = fu.fit(models.NMF(data, 3), loss, starts=2, max_steps=30, seed=0, progress=False)
    return result.renamed(NAMES)


@pytest.fixture(params=["fitted", "loaded"])
def named(request, tmp_path):
    """As it was fitted, and as it comes out of a file, without its model."""
    if request.param == "fitted":
        return answer()
    return fu.Result.load(answer().save(tmp_path / "fit.npz")[0])


def texts(figure):
    """All texts of a figure on one line each, folds undone."""
    from matplotlib.text import Text

    return [" ".join(t.get_text().split()) for t in figure.findobj(Text) if t.get_text()]


def holds(figure, *names):
    said = texts(figure)
    return all(any(name in text for text in said) for name in names)


def test_every_picture_of_a_result_has_the_names(named):
    assert holds(named.plot(), *NAMES)
    assert holds(plot_overlay(named), *NAMES)
    assert holds(plot_spectra(named), *NAMES)
    assert holds(plot_map(named, 1), "shell")
    assert "C, component shell" not in texts(plot_map(named, 1))
    assert holds(plot_publication(named, width=170), "shell", "Оболочка", "a shell of")
    assert not any("component" in t for t in texts(plot_publication(named)))


def test_scales_that_were_learned_have_the_names():
    figure = plot_relevance(answer())
    assert holds(figure, *NAMES)


def test_components_without_a_name_keep_their_number():
    figure = answer().renamed({1: "rim", LONG: "core"}).sorted_by([3, 2, 1]).plot()
    unnamed = fu.Result(**{**vars(answer()), "component_names": ()}).renamed({2: "core"})
    assert holds(figure, "core", "Оболочка", "rim")
    labels = plot_spectra(unnamed).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in labels] == ["1", "core", "3"]


def test_a_long_name_lies_beside_the_maps_not_over_them():
    figure = answer().plot()
    figure.draw_without_rendering()
    (label,) = (t for t in figure.findobj() if "forty" in getattr(t, "get_text", str)())
    beside = label.get_window_extent()
    maps = [
        p.get_window_extent()
        for p in figure.axes
        if p.images and not p.get_title().startswith("edxs")
    ]
    assert beside.x1 <= min(box.x0 for box in maps)
    assert beside.height < 1.3 * maps[0].height


def test_the_page_has_the_names(named, tmp_path):
    data = None if named.model is not None else list(answer().minimised.datasets.values())
    named.report(tmp_path / "page.html", data=data)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for name in NAMES:
        assert name in page or name.encode("unicode_escape").decode() in page, name


def test_tables_and_files_have_the_names(named, tmp_path):
    (table,) = named.save(tmp_path / "spectra.csv")
    assert table.read_text(encoding="utf-8").splitlines()[0].split(",")[1:] == [
        f"S {name}" for name in NAMES
    ]
    turned = named.sorted_by([2, 1, 3]).renamed({"shell": "rim"})
    compared = fu.compare(named, turned, names=["first", "second"])
    assert compared.components == NAMES
    assert [compared.partner("second", k) for k in range(3)] == ["rim", *NAMES[1:]]
    assert str(compared).splitlines()[3].split()[:3] == ["shell", "second", "rim"]
    assert holds(compared.plot(), *NAMES, "rim: 0.00°")


def test_hyperspy_gets_the_names(named):
    pytest.importorskip("hyperspy", reason="HyperSpy is not installed")
    signals = named.to_hyperspy()
    for signal in signals.values():
        assert list(signal.metadata.sdfusion.components) == list(NAMES)


def test_files_for_hyperspy_have_the_names(named, tmp_path):
    hs = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    (path,) = named.save(tmp_path / "fit.hspy")
    for signal in hs.load(str(path)):
        assert signal.original_metadata.sdfusion.components.split("\n") == list(NAMES)
    written = named.save(tmp_path / "one.msa")
    assert [p.name for p in written] == [f"one_s_{k}.msa" for k in (1, 2, 3)]
    assert "shell" in written[0].read_text(encoding="latin-1")


def test_compositions_and_bands_have_the_names():
    pytest.importorskip("xraydb", reason="xraydb is not installed")
    composition = answer().composition({"Fe Ka": 1.0, "Cu Ka": 1.2})
    assert composition.names == NAMES
    band = fu.ambiguity(answer().renamed({LONG: "core"}))
    assert band.component_names == ("shell", "Оболочка", "core")
    assert holds(band.plot(), "shell", "Оболочка", "core")
