"""ζ factors and a dose: mass thickness without absorption, and what they are not."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from benchmarks.science.edxs_simulator import (
    Specimen,
    bremsstrahlung,
    characteristic,
    molar_masses,
)
from fusion.elements import LineModel, ZetaFactors
from fusion.losses import Poisson
from tests.elements.two_oxides import (
    CHANNELS,
    ELEMENTS,
    INSTRUMENT,
    TRUTH,
    amounts,
    counts,
    dataset,
    k_factors,
)

DOSE = 2e9
MEAN = 2000


def zeta_factors(**options):
    """ζ = 10 ρt_i D / I_i of films that absorb nothing, g/cm² in kg/m², by the simulator."""
    thin = 1e-12  # mol/cm²
    of_al = characteristic(INSTRUMENT, Specimen(("Al",), np.array([[thin]])), CHANNELS).sum()
    whole = INSTRUMENT, Specimen(ELEMENTS, amounts()[1]), CHANNELS
    drawn = counts(MEAN).sum() / (characteristic(*whole).sum() + bremsstrahlung(*whole).sum())
    masses = dict(zip(ELEMENTS, molar_masses(ELEMENTS), strict=True))
    values = {
        name: 10 * masses[name.split()[0]] * k * thin * DOSE / (of_al * drawn)
        for name, (k, _) in k_factors().pairs.items()
    }
    return ZetaFactors(values, DOSE, **options)


def test_the_dose_tells_the_mass_thickness_and_compositions_are_those_of_k_factors():
    data = dataset(MEAN)
    model = fu.models.Compositions(data, ELEMENTS, 2, k_factors=zeta_factors(dose_error=0.01))
    found = fu.fit(model, Poisson(data), starts=1, progress=False).composition()
    expected = amounts()[0].mean()
    low, high = found.mass_thickness_interval
    assert low < expected < high
    assert high / low < 1.06  # by absorption alone twice as thick would do, too
    assert found.mass_thickness_mean == pytest.approx(expected, rel=0.03)
    order = np.argsort(-found.atomic[:, 1])
    assert np.abs(found.atomic[order] - TRUTH).max() < 2
    assert found.messages == ()  # of charges of the other kind, for one


def test_a_unit_of_photons_times_zeta_is_a_tenth_of_a_gram_over_the_dose():
    model = LineModel(dataset(MEAN), ELEMENTS, k_factors=zeta_factors(dose_error=0.02))
    assert (model.kappa, model.thicker) == (0.1 / DOSE, 0.02)
    k, zeta = k_factors().pairs, model.zeta_factors.k_factors.pairs
    ratios = [zeta[name][0] / k[name][0] for name in k]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("told", "options"),
    [
        ("give electrons a pixel", {"dose": 0.0}),
        ("dose_error=0: give a relative", {"dose_error": 0}),
        ("name a family", {"values": {"Al": 500.0}}),
        ("every k must be > 0", {"values": {"Al K": -1.0}}),
    ],
)
def test_what_is_no_zeta_factor_or_no_dose_is_refused(told, options):
    with pytest.raises(ValueError, match=told):
        ZetaFactors(**{"values": {"Al K": 500.0}, "dose": DOSE} | options)


def test_units_that_make_no_specimen_and_a_thickness_beside_the_dose_are_refused():
    data = dataset(MEAN)
    wrong = ZetaFactors(k_factors().values, dose=1e16)
    with pytest.raises(ValueError, match=r"mean pixel has about .* ζ are in kg electron"):
        LineModel(data, ELEMENTS, k_factors=wrong)
    with pytest.raises(ValueError, match="`mass_thickness` beside `ZetaFactors`"):
        LineModel(data, ELEMENTS, k_factors=zeta_factors(), mass_thickness=(3e-5, 0.1))
