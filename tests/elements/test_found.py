"""Elements found, not asked for: traces beside strong overlaps, and nothing that is absent."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from benchmarks.science.edxs_simulator import (
    Instrument,
    Specimen,
    bremsstrahlung,
    characteristic,
    molar_masses,
)
from fusion.algebra.text_columns import LINE

SCALE, OFFSET = 0.02, 0.1
CHANNELS = OFFSET + SCALE * np.arange(500)
ASKED = ["O", "Na", "Al", "Si", "P", "S", "Cl", "Ti", "Fe", "Cu", "Sr", "Zr", "Mo", "Ba", "Pb"]
SEEN_BY = {"TEM": {"beam_energy": 200.0, "Detector": {"EDS": {"elevation_angle": 22.0}}}}
METADATA = {"Signal": {"signal_type": "EDS_TEM"}, "Acquisition_instrument": SEEN_BY}


INSTRUMENT = Instrument(offset=0.002, gain=0.9996)


def expected(atoms, counts=8e5, thickness=5e-5, instrument=INSTRUMENT):
    """Counts of one spectrum of a thin specimen; the simulator owes the package nothing."""
    return counts * _shape(tuple(atoms.items()), thickness, instrument)


@cache
def _shape(atoms, thickness, instrument):
    names, amounts = tuple(name for name, _ in atoms), np.array([amount for _, amount in atoms])
    share = amounts / amounts.sum()
    specimen = Specimen(names, share[None] * thickness / (share @ molar_masses(names)))
    made = characteristic(instrument, specimen, CHANNELS)
    made += bremsstrahlung(instrument, specimen, CHANNELS)
    return made[0] / made.sum()


def dataset(counts, metadata=METADATA, **axis):
    energy = {"units": "keV", "scale": SCALE, "offset": OFFSET} | axis
    return fu.Dataset("edxs", counts, axes=[fu.Axis("energy", **energy)], metadata=metadata)


def drawn(atoms, seed=0, **options):
    return dataset(np.random.default_rng(seed).poisson(expected(atoms, **options)))


PAIRS = [("P", "Zr"), ("Si", "Sr"), ("S", "Mo"), ("S", "Pb"), ("Ti", "Ba")]


@pytest.mark.parametrize(("trace", "strong"), PAIRS)
def test_a_trace_under_the_lines_of_another_element_is_found_where_it_is_and_only_there(
    trace, strong
):
    host = {strong: 0.3, "Fe": 0.4, "O": 0.3}
    with_it = fu.elements.present(drawn(host | {trace: 0.03}), ASKED)
    assert set(with_it.elements) == {*host, trace}
    found = next(one for one in with_it if one.element == trace)
    assert strong in found.upon
    assert found.evidence > with_it.threshold
    without = fu.elements.present(drawn(host), ASKED)
    assert set(without.elements) == set(host)
    assert trace in without.limits


def test_of_many_draws_one_in_twenty_names_what_is_absent_at_most():
    host = {"Fe": 0.2, "Ti": 0.2, "O": 0.6}
    asked = ["O", "Al", "S", "Ti", "Fe"]
    named = [
        set(fu.elements.present(drawn(host, seed, counts=1e5), asked).elements)
        for seed in range(12)
    ]
    assert all(set(host) <= found for found in named)
    assert sum(found > set(host) for found in named) <= 1


def test_without_candidates_all_solids_are_looked_for_and_none_of_the_absent_named():
    found = fu.elements.present(drawn({"Cu": 0.1, "Al": 0.6, "Mn": 0.3}))
    assert set(found.elements) == {"Cu", "Al", "Mn"}
    assert {"C", "U", "Au"} <= set(found.candidates)
    assert not {"Ar", "Xe", "Tc", "Pm"} & set(found.candidates)
    assert found.limits == {}


def test_an_axis_that_is_off_is_found_to_be_so_and_names_the_same():
    off = Instrument(offset=0.008, gain=1.003)
    found = fu.elements.present(drawn({"Sr": 0.2, "Ti": 0.2, "O": 0.6}, instrument=off), ASKED)
    assert set(found.elements) == {"Sr", "Ti", "O"}
    (told,) = found.messages
    offset, gain = (float(x) for x in told.split("lie at ")[1].removesuffix(" E.").split(" eV + "))
    assert offset == pytest.approx(8, abs=1)
    assert gain == pytest.approx(1.003, abs=3e-4)


def test_counts_are_those_of_the_lines_within_their_error_and_evidence_goes_with_them():
    host, trace = {"Fe": 0.6, "O": 0.4}, 0.0006
    whole = expected(host | {"Cl": trace})
    far = expected(host)
    cl = whole - far * whole[-50:].sum() / far[-50:].sum()  # of the trace alone
    at = np.abs(CHANNELS - 2.65) < 0.25
    found = fu.elements.present(dataset(np.random.default_rng(3).poisson(whole)), ["Fe", "O", "Cl"])
    one = next(one for one in found if one.element == "Cl")
    assert one.lines[0] == "Cl Ka"
    assert one.counts == pytest.approx(cl[at].sum(), abs=3 * one.error)
    assert one.evidence == pytest.approx((one.counts / one.error) ** 2, rel=0.35)
    assert one.sigmas == pytest.approx(one.evidence**0.5)


def test_a_limit_holds_what_is_there_but_too_little_to_be_named():
    host = {"Fe": 0.6, "O": 0.4}
    many = expected(host | {"Cl": 0.02}, counts=2e4) - expected(host, counts=2e4)
    told = [
        fu.elements.present(drawn(host, seed, counts=2e4), ["Fe", "O", "Cl"]).limits["Cl"]
        for seed in range(5)
    ]
    background = expected(host, counts=2e4)[np.abs(CHANNELS - 2.62) < 0.06].sum()
    assert all(0 < limit < 5 * background**0.5 for limit in told)
    assert max(told) < many[np.abs(CHANNELS - 2.62) < 0.1].sum()  # 2 at.% would be excluded


def test_it_shows_itself_in_a_screen_and_hands_its_elements_on():
    found = fu.elements.present(drawn({"Sr": 0.2, "Ti": 0.2, "O": 0.6}), ASKED)
    text = str(found)
    assert text.startswith("present: ")
    assert all(len(line) <= LINE for line in text.splitlines())
    assert len(text.splitlines()) <= 25
    assert "Kα" in text
    assert "σ" in text
    assert found[0].element == found.elements[0]
    assert len(found) == 3


def test_maps_with_masked_channels_are_summed_and_energies_in_eV_are_the_same():
    spectrum = np.random.default_rng(5).poisson(np.tile(expected({"Fe": 1, "O": 1}) / 4, (4, 1)))
    mask = np.zeros(spectrum.shape, dtype=bool)
    mask[:2, 150:160] = True
    axis = fu.Axis("energy", units="eV", scale=1e3 * SCALE, offset=1e3 * OFFSET)
    data = fu.Dataset("edxs", spectrum, axes=["x", axis], mask=mask, metadata=METADATA)
    assert set(fu.elements.present(data, ASKED).elements) == {"Fe", "O"}
    plain = fu.elements.present(dataset(spectrum.sum(0)), ASKED)
    assert set(plain.elements) == {"Fe", "O"}
    assert plain.total == spectrum[:, 5:].sum()


# ---- what cannot be ----------------------------------------------------------------------------


def test_spectra_that_are_none_of_thin_specimens_are_refused():
    counts = np.random.default_rng(0).poisson(expected({"Fe": 1, "O": 1}))
    for kind, said in (("EDS_SEM", "EDS_SEM"), ("EELS", "give X-ray spectra")):
        data = dataset(counts, METADATA | {"Signal": {"signal_type": kind}})
        with pytest.raises(ValueError, match=said):
            fu.elements.present(data)


def test_numbers_that_are_no_counts_are_refused_and_scaled_counts_are_told_and_counted():
    counts = np.random.default_rng(0).poisson(expected({"Fe": 1, "O": 1})).astype(float)
    with pytest.raises(ValueError, match="all values are 0"):
        fu.elements.present(dataset(0 * counts))
    with pytest.raises(ValueError, match="values are negative"):
        fu.elements.present(dataset(counts - 1000))
    with pytest.raises(ValueError, match="no whole multiples"):
        fu.elements.present(dataset(np.sqrt(counts)))
    with pytest.warns(fu.NoiseWarning, match="multiples of 0.25"):
        scaled = fu.elements.present(dataset(counts / 4), ["Fe", "O", "Cl"])
    assert scaled.total == counts[5:].sum()


def test_energies_in_another_unit_than_the_axis_says_are_told():
    counts = np.random.default_rng(0).poisson(expected({"Fe": 1, "O": 1}))
    with pytest.raises(ValueError, match="is it in keV"):
        fu.elements.present(dataset(counts, units="eV"))
    with pytest.raises(ValueError, match="is it in eV"):
        fu.elements.present(dataset(counts, scale=10.0, offset=100.0))


def test_candidates_without_a_line_and_data_that_are_no_data_set_are_told():
    data = drawn({"Fe": 1, "O": 1})
    with pytest.raises(ValueError, match="He: no X-ray line"):
        fu.elements.present(data, ["Fe", "He"])
    with pytest.raises(ValueError, match="give one data set"):
        fu.elements.present({"eds": data})
