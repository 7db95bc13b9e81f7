"""`CPD` where no pixel is pure, and on measured data."""

from __future__ import annotations

import numpy as np

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import CPD, NMF
from fusion.simulate import tilted_line
from tests.helpers.paths import shared_file
from tests.helpers.planted_factors import angles
from tests.helpers.trilinear_data import K, fitted


def test_a_cpd_finds_the_spectra_without_pure_pixels_where_nmf_has_many_answers():
    case = tilted_line(tilts=11, pixels=16, channels=50, dose=10)
    eels, S = case.datasets["eels"], case.truth["S"]
    model = CPD(eels, K, names="TCS")
    told = {"starts": 1, "max_steps": 80, "progress": False}
    cubes = [fu.fit(model, Frobenius(eels), seed=s, **told) for s in (0, 1)]
    assert max(angles(r["S"], S).max() for r in cubes) < 3
    assert angles(cubes[0]["S"], cubes[1]["S"]).max() < 0.1
    flat = [fu.fit(NMF(eels, K), Frobenius(eels), seed=s, **told) for s in (0, 1, 2)]
    assert min(angles(r["S"], S).max() for r in flat) > 5


def test_the_concentrations_of_amino_acids_are_found():
    file = np.load(shared_file("multiway", "aminoacids.npz"))
    data = fu.Dataset("eem", file["X"], axes=("sample", "emission", "excitation"))
    result = fitted(data)
    r = np.corrcoef(result["A"].T, file["conc"].T)[:K, K:]
    assert r.max(0).min() > 0.99
    assert fu.core_consistency(result, data) > 90
