"""What comes from elsewhere than the specimen: shells apart, and the continuum's own path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion.elements import KFactors
from fusion.xrays.ionisation import cross_section
from fusion.xrays.line_shares import error_of_weak_lines
from fusion.xrays.strays import errors_of_shells, log_path
from tests.xrays.literal_spectrum import casnati, continuum_of
from tests.xrays.small_line_model import ALL, N, line_model, of_shell, photons, predicted


@pytest.mark.parametrize("edge", [0.28, 4.966, 16.105])
def test_cross_sections_are_those_of_casnati(edge):
    assert cross_section(edge, 200.0) == pytest.approx(casnati(edge) * 1.0, rel=1e-9)
    assert cross_section(edge, 0.9 * edge) == 0


def test_shells_of_what_is_elsewhere_are_apart_from_its_hardest_one():
    thin = {"Cu K": 0.05, "Cu L": 0.2, "Sr K": 0.05, "Sr L": 0.2}
    found = errors_of_shells(thin, ["Cu"])
    assert found == thin | {"Cu L": pytest.approx(np.hypot(0.2, 2.0))}


def test_a_model_has_them_apart_and_those_of_the_specimen_as_they_were():
    plain, apart = line_model(), line_model(elsewhere=["Fe"])
    assert apart.unsure_shells == plain.unsure_shells == ("O K", "Fe K", "Fe L")
    thin = np.array([0.2, 0.05, 0.2])
    np.testing.assert_allclose(plain.unsure, thin)
    np.testing.assert_allclose(apart.unsure, [*thin[:2], np.hypot(thin[2], 2.0)])


def test_the_path_of_the_continuum_is_that_of_lines_unless_data_say_much():
    t = torch.tensor([0.0, 1.0, 3.0, -3.0], dtype=torch.float64)
    expected = [1.0, np.exp(0.01 + 0.5 / 81), np.exp(0.03 + 1.5), np.exp(-0.03 - 1.5)]
    np.testing.assert_allclose(log_path(t).exp(), expected)


def test_the_continuum_passes_its_own_path():
    model = line_model(ALL)
    for name, value in (("origin", 1.0), ("path", 2.5)):  # all of it is absorbed
        model.factor_modules()[name].assign(torch.tensor([[value]], dtype=torch.float64))
    kappa = model.mass_scale.item() * np.exp(0.01 * 2.5 + 1.5 * (2.5 / 3) ** 5)
    expected = continuum_of(N, kappa, ALL, model.high, absorbed=True)
    found = predicted(model)[1]
    assert np.median(np.abs(found / expected - 1)) < 1e-3
    as_lines = predicted(line_model(ALL, continuum="absorbed"))[1]
    assert np.max(as_lines / found) > 1.05


@pytest.mark.parametrize(
    ("element", "expected"), [("Ca", 0.0), ("Ti", np.log(5)), ("Fe", np.log(10 / 6)), ("Cu", 0.0)]
)
def test_lines_from_3s_are_unknown_where_3d_is_open(element, expected):
    assert error_of_weak_lines(element) == pytest.approx(expected)


def test_k_factors_of_a_family_and_its_alpha_lines_are_kept_whatever_comes_from_3s():
    k = KFactors({"O K": 2.0, "Fe K": 1.0, "Fe L": 1.5, "Fe La": 2.1})
    moved = replace(ALL, absorbers=(0.0, 0.0), sensitivity=())
    still = replace(moved, subshells=(0.0,) * 5)
    one, other = (line_model(t, k_factors=k) for t in (still, moved))
    assert of_shell(one, "Fe L") == pytest.approx(of_shell(other, "Fe L"))
    alpha = ("Fe La", "L3")
    assert photons(one)[alpha] == pytest.approx(photons(other)[alpha])
    weak = ("Fe Ll", "L3")
    assert photons(other)[weak] < 0.95 * photons(one)[weak]
