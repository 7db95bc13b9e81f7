"""Compositions of every pixel, and their errors, held against a literal transcription and truth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science.edxs_simulator import molar_masses
from fusion.elements import CompositionMaps, Stoichiometry, pixel_composition
from fusion.losses import Poisson
from tests.elements.two_oxides import ELEMENTS, SHAPE, amounts, dataset, fitted, k_factors

MIXED = (5, 30, 66)
"""Pixels in which both phases are."""


@cache
def found(mean=300):
    return fitted(mean).composition(progress=False)


def true_atomic():
    n = amounts()[1]
    return 100 * n / n.sum(1, keepdims=True)


# ---- values ------------------------------------------------------------------------------------


def test_maps_are_shares_of_the_atoms_that_the_model_found():
    maps, result = found().maps, fitted(300)
    n = result["C"].reshape(-1, 2) @ result["A"].T
    np.testing.assert_allclose(maps.atomic, 100 * n / n.sum(1, keepdims=True), rtol=1e-6)
    y = n * molar_masses(ELEMENTS)
    np.testing.assert_allclose(maps.weight, 100 * y / y.sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(found().map("O"), maps.atomic[:, 0].reshape(SHAPE))
    np.testing.assert_array_equal(found().map("Al", weight=True), maps.weight[:, 2].reshape(SHAPE))
    np.testing.assert_array_equal(maps.error_map("Mg"), maps.atomic_errors[:, 1].reshape(SHAPE))


@pytest.mark.parametrize(
    ("stoichiometry", "pixels"), [(False, MIXED), (True, MIXED[1:2])], ids=["by line", "by charges"]
)
def test_errors_are_those_of_a_literal_transcription(stoichiometry, pixels):
    result, unsure = fitted(300), 0.2 if stoichiometry else 0.0
    oxygen = Stoichiometry({"Al": (3, unsure)}) if stoichiometry else None
    made = result.composition(oxygen=oxygen, progress=False)
    maps, common = made.maps, made._source.common
    values = {name: torch.as_tensor(v) for name, v in result.model.factors.items()}
    values = {name: v.detach().clone() for name, v in values.items()}
    data = result.minimised.fits[0][2].dataset.numpy().reshape(96, -1)
    names = [slot.name for slot in common.parts.few_slots]

    def model_at(pixel, c, few, valence=3.0):
        """(counts, at.%) of a pixel, its row of C and all common variables as given."""
        at = dict(values)
        at["C"] = values["C"].clone()
        at["C"][pixel] = torch.as_tensor(c)
        for name in names:
            place = common.place(name)
            module = result.model.factor(name)
            raw = torch.as_tensor(few[place]).reshape(module.raw.shape)
            at[name] = module.constrain(raw)
        with torch.no_grad(), result.model.once(at):
            m = result.model.predict()["edxs"].dense()[pixel].numpy()
        n = at["C"][pixel] @ at["A"].T
        if stoichiometry:
            n[0] = n[1] + valence * n[2] / 2
        return m, (100 * n / n.sum()).numpy()

    def slopes(function, x, step=1e-5):
        moved = []
        for i in range(len(x)):
            up, down = x.copy(), x.copy()
            up[i] += step * max(1, abs(x[i]))
            down[i] -= step * max(1, abs(x[i]))
            width = up[i] - down[i]
            pairs = zip(function(up), function(down), strict=True)
            moved.append([(a - b) / width for a, b in pairs])
        return [np.stack(each, 1) for each in zip(*moved, strict=True)]

    few = common.few.numpy()
    for pixel in pixels:
        c = values["C"][pixel].numpy()
        m, _ = model_at(pixel, c, few)
        m_c, share_c = slopes(lambda x, p=pixel: model_at(p, x, few), c)
        m_t, share_t = slopes(lambda t, p=pixel, c=c: model_at(p, c, t), few)
        weight = (data[pixel] / m**2)[:, None]
        own = np.linalg.inv(m_c.T @ (weight * m_c))
        follow = -own @ m_c.T @ (weight * m_t)
        along = share_t + share_c @ follow
        known = common.covariance.numpy() + np.diag((common.limit.numpy() / 1.96) ** 2)
        spread = share_c @ own @ share_c.T + along @ known @ along.T
        _, by_valence = slopes(lambda v, p=pixel, c=c: model_at(p, c, few, v[0]), np.array([3.0]))
        spread += unsure**2 * by_valence @ by_valence.T
        np.testing.assert_allclose(maps.atomic_errors[pixel], np.sqrt(np.diag(spread)), rtol=0.01)


def test_errors_of_pixels_are_how_far_these_are_off():
    away = np.abs(found().maps.atomic - true_atomic()) / found().maps.atomic_errors
    assert (away < 1.96).mean() > 0.9
    mixed = (true_atomic()[:, 1:] > 8).all(1)
    rms = np.sqrt((away[mixed] ** 2).mean(0))
    assert ((rms > 0.7) & (rms < 1.3)).all()


def test_pixels_some_at_a_time_are_those_of_all_at_once(monkeypatch):
    whole = found().maps
    monkeypatch.setattr(pixel_composition, "AT_ONCE", 40)
    parts = found()._source.maps()
    np.testing.assert_allclose(parts.atomic, whole.atomic, rtol=1e-9)
    np.testing.assert_allclose(parts.atomic_errors, whole.atomic_errors, rtol=1e-6)


# ---- what cannot be told -----------------------------------------------------------------------


def test_pixels_without_counts_enough_and_masked_ones_are_nan_and_are_told():
    counts = dataset(300).numpy().copy()
    counts[0, 0] = 0
    counts[1, 1] = 0
    counts[1, 1, 40] = 1
    mask = np.zeros((*SHAPE, 1), bool)
    mask[2, 2] = True
    whole = dataset(300)
    data = fu.Dataset("edxs", counts, axes=whole.axes, metadata=whole.metadata, mask=mask)
    model = fu.models.Compositions(data, ELEMENTS, 2, k_factors=k_factors())
    result = fu.fit(model, Poisson(data), starts=1, max_steps=4, progress=False)
    maps = result.composition(progress=False).maps
    untold = np.zeros(SHAPE, bool)
    untold[[0, 1, 2], [0, 1, 2]] = True
    for element in ELEMENTS:
        np.testing.assert_array_equal(np.isnan(maps.map(element)), untold)
        np.testing.assert_array_equal(np.isnan(maps.error_map(element)), untold)
    (said,) = maps.messages
    assert said.startswith("3 of 96 pixels have too few counts")
    assert "bin(y=2, x=2)" in said


def test_an_element_that_is_none_of_them_is_told():
    with pytest.raises(ValueError, match=r"`map\('Fe'\)`: the composition is of O, Mg, Al"):
        found().map("Fe")


def test_a_composition_without_its_pixels_says_where_to_take_them():
    with pytest.raises(ValueError, match=r"not made by `result\.composition"):
        _ = replace(found(), _source=None).maps


def test_maps_are_written_with_their_errors_and_elements(tmp_path):
    maps = found().maps
    maps.to_npz(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as held:
        assert list(held["elements"]) == list(ELEMENTS)
        np.testing.assert_array_equal(held["atomic"][..., 0], maps.map("O"))
        np.testing.assert_array_equal(
            held["weight_errors"][..., 2], maps.error_map("Al", weight=True)
        )


def test_maps_show_themselves_by_their_means_and_errors():
    said = str(found().maps)
    assert "8 × 12 pixels" in said
    assert [line.split()[0] for line in said.splitlines()[2:5]] == list(ELEMENTS)
    lost = CompositionMaps(("O",), (fu.Axis("x", size=1),), *[np.full((1, 1), np.nan)] * 4)
    assert "–" in str(lost)


def test_many_elements_stand_in_tables_below_each_other_with_the_formulas_in_the_last():
    made = found()
    kinds = ("atomic", "atomic_errors", "atomic_intervals")
    wide = {kind: np.concatenate([getattr(made, kind)] * 3, 1)[:, :7] for kind in kinds}
    elements = (*ELEMENTS, "Si", "Fe", "Sr", "Ti")
    said = str(replace(made, elements=elements, **wide)).splitlines()
    heads = [line.split() for line in said if line.strip().startswith("at.%")]
    assert heads == [["at.%", *elements[:4]], ["at.%", *elements[4:], "formula"]]
    assert max(map(len, said)) <= 100
