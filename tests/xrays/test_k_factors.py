"""K factors: shares of families and lines, kinds, errors, and what is computed beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion.elements import KFactors
from fusion.xrays.table import atomic_mass
from tests.xrays.small_line_model import (
    ALL,
    EXPECTED,
    line_model,
    of_shell,
    photons,
    predicted,
)


def test_k_factors_of_family_and_alpha_line_give_the_shares_of_both():
    given = KFactors({"Fe K": 1.5, "Fe Ka": 1.7, "Fe L": 2.0, "Fe La": 2.8, "O K": 2.5})
    model = line_model(k_factors=given)
    found = photons(model)
    assert of_shell(model, "Fe K") == pytest.approx(1 / 1.5, rel=1e-9)
    assert found["Fe Ka", "K"] == pytest.approx(1 / 1.7, rel=1e-9)
    assert found["Fe Kb", "K"] == pytest.approx(1 / 1.5 - 1 / 1.7, rel=1e-9)
    assert of_shell(model, "Fe L") == pytest.approx(1 / 2.0, rel=3e-4)  # of faint lines left out
    assert found["Fe La", "L3"] == pytest.approx(1 / 2.8, rel=1e-9)
    assert of_shell(model, "O K") == pytest.approx(1 / 2.5, rel=1e-9)
    assert all(model.measured.values())
    assert "sensitivity" not in model.factor_modules()


@pytest.mark.parametrize("shells", [("O K", "Fe K"), ("O K", "Fe L"), ("O K", "Fe K", "Fe L")])
def test_lines_of_a_shell_add_up_to_one_over_its_k_factor(shells):
    given = {shell: 1.2 + i for i, shell in enumerate(shells)}
    model = line_model(k_factors=KFactors(given))
    for shell, k in given.items():
        assert of_shell(model, shell) == pytest.approx(1 / k, rel=3e-4), shell


def test_a_shell_without_a_k_factor_has_the_ratio_of_tables_to_another_of_its_element():
    computed, given = line_model(), line_model(k_factors=KFactors({"Fe K": 1.5, "O K": 2.0}))
    assert [given.measured[s] for s in ("O K", "Fe K", "Fe L")] == [True, True, False]
    no_detector = {}
    for model in (computed, given):
        own = [i for i, g in enumerate(model.groups) if g.shell_name == "Fe L"]
        seen = model._efficiency(np.array([model.groups[i].energy for i in own]))
        no_detector[model] = float((model.sent.numpy()[own] / seen).sum())
    own = [i for i, g in enumerate(computed.groups) if g.shell_name == "Fe K"]
    seen = computed._efficiency(np.array([computed.groups[i].energy for i in own]))
    ratio = no_detector[computed] / float((computed.sent.numpy()[own] / seen).sum())
    assert no_detector[given] / of_shell(given, "Fe K") == pytest.approx(ratio, rel=1e-9)


def test_k_factors_for_weight_and_for_atomic_fractions_agree_when_converted():
    atomic = {"O K": 2.0, "Fe K": (1.5, 0.15), "Fe Ka": 1.7}
    mass = {"O": atomic_mass("O"), "Fe": atomic_mass("Fe")}
    weight = {"O K": 2.0 * mass["O"], "Fe K": (1.5 * mass["Fe"], 0.15 * mass["Fe"])}
    weight["Fe Ka"] = 1.7 * mass["Fe"]
    one, other = KFactors(atomic), KFactors(weight, kind="weight")
    for name, (k, error) in one.pairs.items():
        assert other.pairs[name] == pytest.approx((k, error), rel=1e-12)
    unknowns = replace(ALL, sensitivity=(0.5, -0.6))
    pairs = (predicted(line_model(unknowns, k_factors=k)) for k in (one, other))
    for found, expected in zip(*pairs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_mapping_is_taken_as_atomic_k_factors():
    given = {"O K": 2.0, "Fe K": 1.5}
    assert line_model(k_factors=given).k_factors == KFactors(given)


def test_an_error_of_a_k_factor_is_an_unknown_of_its_size():
    given = KFactors({"O K": 2.0, "Fe K": (1.5, 0.15), "Fe L": 2.0}, error=0.03)
    model = line_model(k_factors=given)
    assert model.unsure_shells == ("O K", "Fe K", "Fe L")
    np.testing.assert_allclose(model.unsure.numpy(), [0.03, 0.1, 0.03], rtol=1e-12)
    model.factor("sensitivity").assign(torch.tensor([[0.0], [2.0], [0.0]], dtype=torch.float64))
    assert of_shell(model, "Fe K") == pytest.approx(np.exp(0.2) / 1.5, rel=1e-9)
    assert of_shell(model, "O K") == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("given", "kept", "grown"),
    [
        ({"Fe L": 2.0, "Fe La": 2.8}, ["L1 L2 L3"], ["L1", "L2"]),
        ({"Fe L": 2.0}, ["L1 L2 L3"], ["L1", "L2", "L3"]),
        ({"Fe La": 2.8}, ["L3"], ["L1", "L2"]),
    ],
    ids=["family and alpha lines", "family", "alpha lines"],
)
def test_what_k_factors_say_is_kept_whatever_subshells_send(given, kept, grown):
    told = KFactors(given | {"O K": 2.5})
    plain = _of_subshells(line_model(k_factors=told))
    unknowns = replace(EXPECTED, subshells=(1.0, 0.5, -1.0, 2.0, 0.0))
    moved = _of_subshells(line_model(unknowns, k_factors=told))
    for some in kept:
        before, after = (sum(each[s] for s in some.split()) for each in (plain, moved))
        assert after == pytest.approx(before, rel=1e-12)
    growth = {"L1": np.exp(0.2 * 1 + 0.1 * 0.5), "L2": np.exp(-0.2 * 1 + 0.1 * 2), "L3": 1.0}
    ratios = [moved[s] / plain[s] / growth[s] for s in grown]
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-12)
    assert moved["L1"] > 1.05 * plain["L1"]


def _of_subshells(model):
    """{subshell: photons of Fe}."""
    made = dict.fromkeys(("L1", "L2", "L3"), 0.0)
    for (name, subshell), sent in photons(model).items():
        if name.startswith("Fe L"):
            made[subshell] += sent
    return made


def test_another_window_leaves_the_mean_of_a_shell_whose_k_factor_is_known():
    given = KFactors({"O K": 2.0, "Fe K": 1.5, "Fe L": 2.0})
    usual = line_model(k_factors=given)
    other = line_model(replace(EXPECTED, absorbers=(1.0, -1.0)), k_factors=given)
    before, after = photons(usual), photons(other)
    assert after["O Ka", "K"] == pytest.approx(before["O Ka", "K"], rel=1e-12)
    shells = [g for g in usual.groups if g.shell_name == "Fe L"]
    logs = [(g.share, np.log(after[g.name, g.subshell] / before[g.name, g.subshell]))
            for g in shells]  # fmt: skip
    assert sum(share * log for share, log in logs) == pytest.approx(0, abs=1e-12)
    assert max(abs(log) for _, log in logs) > 0.02  # though lines do change beside each other
