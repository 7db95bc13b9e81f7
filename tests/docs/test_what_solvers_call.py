"""The reference tells members that solvers call from those that a user calls."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
name_list = importlib.import_module("name_list")


@pytest.mark.parametrize(
    ("name", "member", "asks"),
    [
        ("fusion.losses.Poisson", "value", "fusion.Term"),
        ("fusion.losses.Poisson", "stand_in", "fusion.losses.Fit"),
        ("fusion.losses.ARD", "moves", "fusion.losses.Prior"),
        ("fusion.constraints.Fixed", "right_inverse", "fusion.constraints.Constraint"),
        ("fusion.models.NMF", "forward", "fusion.Model"),
        ("fusion.HALS", "step", "fusion.Solver"),
        ("fusion.NNDSVD", "factorise", "fusion.Init"),  # by way of an internal class
    ],
)
def test_a_member_of_a_contract_is_named_with_the_class_that_asks_for_it(name, member, asks):
    assert name_list.asked_by(name)[member] == asks


@pytest.mark.parametrize("name", ["fusion.Dataset", "fusion.Term", "fusion.fit", "fusion.Ranking"])
def test_what_no_base_class_asks_for_is_the_users(name):
    assert name_list.asked_by(name) == {}


def test_what_a_contract_brings_anew_is_its_own():
    asked = name_list.asked_by("fusion.losses.Fit")
    assert "check" in asked  # which every `Term` has
    assert "pair" not in asked


def test_members_that_users_call_are_not_among_them():
    users = {"fusion.Scan": "masked", "fusion.estimators.Unmixer": "transform"}
    for name, member in users.items():
        assert member not in name_list.asked_by(name)


def test_attributes_without_words_are_left_out_and_methods_have_their_kind():
    pytest.importorskip("sphinx", reason="the site's packages are not installed")
    shown = importlib.import_module("public_names").for_solvers("fusion.losses.L1")
    assert ("automethod", "L1.value") in shown
    assert not any(member == "L1.quadratic" for _, member in shown)
    gaussian = importlib.import_module("public_names").for_solvers("fusion.losses.Gaussian")
    assert ("autoattribute", "Gaussian.noise") in gaussian
