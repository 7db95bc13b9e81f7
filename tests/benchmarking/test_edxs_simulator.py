"""The simulator of X-ray maps: beside another one's file, and against what physics says of it."""

import numpy as np
import pytest

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science import edxs_rows, edxs_scenes
from benchmarks.science import edxs_simulator as simulator
from benchmarks.science.edxs_cases import Phases, Runs
from benchmarks.science.edxs_simulator import Instrument, Specimen
from tests.helpers.paths import shared_file

CHANNELS = edxs_scenes.CHANNELS
THIN = Specimen(("O", "Si", "Fe"), np.array([[3e-12, 1e-12, 2e-12]]))
THICK = Specimen(("O", "Si", "Fe"), 1e6 * THIN.amounts)


def test_every_peak_of_the_shared_map_comes_out_to_half_a_per_cent():
    data = shared_file("physics_cases", "edxs_phases.npz").parents[1]
    said, passed = edxs_rows.simulator(Runs(data, 0))
    assert passed
    assert float(said.split()[0]) < 0.5


def test_k_factors_of_families_are_those_of_the_shared_map():
    case = Phases.of(shared_file("physics_cases", "edxs_phases.npz"))
    instrument = Instrument(filling=simulator.as_tabulated)
    found = simulator.atomic_k(instrument, case.elements, case.channels)
    families = [name for name in case.k if name.endswith((" K", " L"))]
    assert len(families) == 9
    for name in families:
        assert found[name] == pytest.approx(case.k[name], rel=1e-3), name
    assert set(found) == set(case.k)


def test_lines_of_a_thin_specimen_are_in_the_ratio_of_atoms_over_k():
    instrument = Instrument()
    k = simulator.atomic_k(instrument, ("O", "Si"), CHANNELS)
    ceramic = Specimen(("O", "Si"), np.array([[3e-12, 1e-12]]))
    made = simulator.characteristic(instrument, ceramic, CHANNELS)[0]
    oxygen = made[(CHANNELS > 0.40) & (CHANNELS < 0.66)].sum()
    silicon = made[(CHANNELS > 1.5) & (CHANNELS < 2.1)].sum()
    assert oxygen / silicon == pytest.approx(3 * k["Si K"] / k["O K"], rel=1e-3)


def test_a_line_lies_at_offset_and_gain_and_has_the_width_of_the_detector():
    instrument = Instrument(offset=0.02, gain=1.01)
    profile = instrument.profiles(CHANNELS, np.array([6.4]))[:, 0]
    at = CHANNELS @ profile
    assert profile.sum() == pytest.approx(1)
    assert at == pytest.approx(0.02 + 1.01 * 6.4, abs=1e-6)
    wide = np.sqrt(((CHANNELS - at) ** 2) @ profile - 0.01**2 / 12)
    assert 2.3548 * wide == pytest.approx(
        np.sqrt(0.048**2 + 8 * np.log(2) * 0.119 * 0.00365 * 6.4), rel=1e-3
    )


def test_absorption_is_none_in_a_thin_specimen_and_one_over_chi_in_a_thick_one():
    energy = np.array([0.52, 6.4])
    np.testing.assert_allclose(THIN.escaping(energy, 22.0), 1, atol=1e-4)
    masses = THICK.amounts * simulator.molar_masses(THICK.elements)
    chi = 100 * masses @ simulator.attenuation(THICK.elements, energy) / np.sin(np.radians(22))
    thicker = Specimen(THICK.elements, 100 * THICK.amounts)
    assert chi[0, 0] > 20
    np.testing.assert_allclose(thicker.escaping(energy[:1], 22.0), 1 / chi[:, :1], rtol=1e-6)


def test_a_continuum_that_is_not_absorbed_exceeds_the_absorbed_most_at_low_energy():
    instrument = Instrument()
    absorbed = simulator.bremsstrahlung(instrument, THICK, CHANNELS)[0]
    free = simulator.bremsstrahlung(instrument, THICK, CHANNELS, Specimen.all)[0]
    ratio = free / absorbed
    assert ratio[np.abs(CHANNELS - 0.75).argmin()] > 2
    assert ratio[np.abs(CHANNELS - 5.0).argmin()] < 1.05
    assert (ratio >= 1).all()


def test_empty_shells_give_no_lines():
    share = {
        element: {line.name: line.photons for line in simulator.emissions(element)}
        for element in ("Mg", "Al", "Ti", "Fe")
    }
    tabulated = {
        line.name: line.photons for line in simulator.emissions("Ti", simulator.as_tabulated)
    }
    assert not any(name.startswith("Kb") and value > 0 for name, value in share["Mg"].items())
    assert share["Al"]["Kb1"] < 0.03 * share["Al"]["Ka1"]
    ratio = share["Ti"]["Ll"] / share["Ti"]["La1"]
    assert ratio == pytest.approx(3 * tabulated["Ll"] / tabulated["La1"])
    assert sum(share["Ti"].values()) == pytest.approx(sum(tabulated.values()))


def test_a_scene_has_the_counts_and_the_composition_that_were_asked_for():
    rng = np.random.default_rng(0)
    phases = {"A": {"O": 3.0, "Ti": 1.0, "Sr": 1.0}, "B": {"O": 1.0, "Ni": 1.0}}
    scene = edxs_scenes.simulated(rng, phases, (12, 10), 300.0, Instrument(), Specimen.escaping)
    assert scene.counts.shape == (12, 10, 1000)
    assert float(scene.counts.sum()) == pytest.approx(300 * 120, rel=0.02)
    assert scene.elements == ("Ni", "O", "Sr", "Ti")
    np.testing.assert_allclose(scene.atomic, [[0, 60, 20, 20], [50, 50, 0, 0]])
    masses = scene.amounts.T @ (scene.atomic / 100 @ simulator.molar_masses(scene.elements))
    np.testing.assert_allclose(masses.reshape(12, 10)[3], np.linspace(*edxs_scenes.THICKNESS, 10))
    atoms = scene.amounts.sum(1)
    assert scene.overall["Ni"] == pytest.approx(50 * atoms[1] / atoms.sum())


def test_the_twenty_maps_hold_three_to_six_candidates_of_one_per_cent_or_more():
    drawn = [
        edxs_scenes.composition(np.random.default_rng([edxs_scenes.SEED, number]), number)
        for number in range(edxs_scenes.MAPS)
    ]
    for phases in drawn:
        one, other = phases.values()
        assert set(one) == set(other) <= set(edxs_scenes.CANDIDATES)
        assert 3 <= len(one) <= 6
        for atoms in (one, other):
            assert sum(atoms.values()) == pytest.approx(1)
            assert min(atoms.values()) >= 0.01
    assert len(edxs_scenes.CANDIDATES) == len(set(edxs_scenes.CANDIDATES)) == 20


def test_every_trace_is_beside_its_strong_neighbour_once_and_missing_once():
    for pair, (trace, strong) in enumerate(edxs_scenes.BESIDE):
        for number in (2 * pair, 2 * pair + 1):
            rng = np.random.default_rng([edxs_scenes.SEED, number])
            atoms = edxs_scenes.composition(rng, number)["A"]
            assert 0.2 <= atoms[strong] <= 0.35
            if number % 2:
                assert trace not in atoms
            else:
                assert 0.01 <= atoms[trace] <= 0.03
