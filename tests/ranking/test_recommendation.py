"""`rank`: what is recommended, and what is said with it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fusion as fu
from fusion.ranking import Criterion
from fusion.ranking.reasons import REASONS, agreement
from fusion.simulate import layers
from tests.helpers.planted_factors import pure
from tests.helpers.planted_ranks import data, quick


def test_criteria_agree_on_clear_data(ranking):
    assert ranking.recommended == 3
    for name in ("noise edge", "held-out entries", "RE", "IND", "REV"):
        assert ranking[name].chosen == 3


def test_costly_criteria_are_left_out_where_asked():
    found = quick(data("Gaussian", 2), held_out=False)
    names = [each.name for each in found.criteria]
    assert names == ["noise edge", "RE", "IND", "REV", "broken stick"]
    with pytest.raises(KeyError, match="noise edge"):
        found["ARD"]


def test_fits_agree_where_the_answer_is_unique():
    rng = np.random.default_rng(0)
    C, S = pure(rng, 50, 2), pure(rng, 20, 2)
    found = fu.rank(fu.Dataset("a", rng.poisson(300 * C @ S.T)))
    assert found["ARD"].chosen == found.recommended == 2
    assert found["stability"].curve[1] < 1


def test_the_answer_is_text_json_and_a_picture_without_an_open_figure(ranking, tmp_path):
    import matplotlib._pylab_helpers as helpers

    assert isinstance(ranking["RE"], Criterion)
    text = str(ranking)
    assert text.startswith("a: 3 components")
    assert max(map(len, text.splitlines())) <= 100
    told = json.loads(json.dumps(ranking.as_dict(), allow_nan=False))
    assert told["recommended"] == 3
    figure = ranking.plot()
    figure.savefig(tmp_path / "rank.png")
    assert next(panel.get_title() for panel in figure.axes) == "noise edge: 3"
    assert not helpers.Gcf.get_all_fig_managers()


def test_a_map_without_structure_is_told_as_the_error_of_a_background():
    found = quick(layers(seed=0).datasets["net"], held_out=False)
    assert found.recommended == 4
    odd = [look for look in found.looks[:4] if look.said]
    assert [look.number for look in odd] == [4]
    assert "extrapolating" in odd[0].said
    assert str(found).splitlines()[0] == "net: 4 components, of which 1 looks like no phase"


def test_a_background_that_was_not_subtracted_is_said():
    scene = layers(seed=0).datasets
    told = {name: quick(each, held_out=False).why for name, each in scene.items()}
    raw = next(name for name in told if name != "net")
    assert any("no background was subtracted" in text for text in told[raw])
    assert not any("no background was subtracted" in text for text in told["net"])


def test_a_criterion_that_differs_has_its_reason_for_fewer_or_more():
    K = np.arange(5)
    for name, reasons in REASONS.items():
        for chosen, reason in zip((2, 4), reasons, strict=True):
            edge = Criterion("noise edge", "", K, 1.0 * K, 3, "")
            other = Criterion(name, "", K, 1.0 * K, chosen, "")
            assert list(agreement([edge, other], 3)) == [f"{name}: {chosen}; {reason}"]


def test_correlated_noise_is_said():
    assert any("correlated" in text for text in quick(data("correlated", 2), held_out=False).why)


def test_without_a_component_there_is_an_answer_too(tmp_path):
    found = fu.rank(data("Gaussian", 0), stability=False)
    assert found.recommended == 0
    assert "no singular value" in found.why[0]
    found.plot().savefig(tmp_path / "none.png")


@pytest.mark.parametrize("shape", [(5, 6), (4, 40), (60, 4)])
def test_small_data_have_an_answer(shape):
    rng = np.random.default_rng(0)
    found = quick(fu.Dataset("a", rng.poisson(rng.gamma(1, 100, shape)).astype(float)))
    assert 0 <= found.recommended <= min(shape)
    assert str(found)


def test_every_criterion_is_told_as_soon_as_it_is_known_the_cheap_ones_first():
    told = []
    found = fu.rank(data("Gaussian", 2), callback=lambda each: told.append(each.name))
    names = [each.name for each in found.criteria]
    assert sorted(told) == sorted(names)
    assert names[:3] == ["noise edge", "held-out entries", "RE"]
    assert told[0] == "noise edge"
    assert told[-3:] == ["held-out entries", "stability", "ARD"]


def test_no_fit_of_a_ranking_reads_all_entries_of_the_data(monkeypatch):
    from fusion.likelihood.data_passes import EntryPasses

    def read(*_):
        raise AssertionError("a pass over all entries")

    for name in ("product", "evaluate", "blocks"):
        monkeypatch.setattr(EntryPasses, name, read)
    assert fu.rank(data("many counts", 3), held_out=False).recommended == 3
