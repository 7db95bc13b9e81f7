"""Small files with a known truth, as the pages of the site use them: `python example_files.py`.

Writes into the current folder:

- map.npz: an EELS map of counts at the O-K edge, 20 × 24 pixels, on its background;
- substrate.npz: the spectrum of one of its three components, known from elsewhere;
- scan.npz: EELS (background subtracted) and EDXS of one scan, four phases;
- edxs.npz: X-ray counts of an oxide (O, Mn) and an alloy (Mn, Ni).
"""

import numpy as np

from fusion.simulate import LINES, concurrent, grain_maps, poisson_counts, with_background
from fusion.simulate import xray_spectrum as xrays

SHAPE = (20, 24)
MASS = {"O": 15.999, "Mn": 54.938, "Ni": 58.693}
K_FACTORS = {"O": 1.9, "Mn": 1.25, "Ni": 1.4}
ATOMS = {"oxide": {"O": 50, "Mn": 50}, "alloy": {"Mn": 30, "Ni": 70}}
SEEN = {"O": {"O K": 1.0}, "Mn": {"Mn Kα": 1.0, "Mn Kβ": 0.13}, "Ni": {"Ni Kα": 1.0, "Ni Kβ": 0.13}}


def write_map() -> None:
    """map.npz and substrate.npz."""
    scene = with_background(shape=SHAPE, channels=120, seed=0)
    raw = scene.datasets["raw"]
    told = {"energy": raw.channels[0].values, "energy_units": "eV"}
    np.savez("map.npz", eels=raw.data, **told, pixel_size=0.5, pixel_units="nm")
    np.savez("substrate.npz", spectrum=scene.truth["S"][:, 2], **told)


def write_scan() -> None:
    """scan.npz: two detectors."""
    both = concurrent(shape=SHAPE, channels=120, seed=0).datasets
    eels, edxs = both["eels"], both["edxs"]
    np.savez(
        "scan.npz",
        eels=eels.data,
        eels_energy=eels.channels[0].values,
        eels_energy_units="eV",
        edxs=edxs.data,
        edxs_energy=edxs.channels[0].values,
        edxs_energy_units="keV",
        pixel_size=0.5,
        pixel_units="nm",
    )


def write_edxs() -> None:
    """edxs.npz: intensities by Cliff and Lorimer, k I ∝ weight, 800 counts a pixel."""
    energy = np.arange(0.2, 10, 0.02)
    spectra = []
    for atoms in ATOMS.values():
        amounts = {e: n * MASS[e] / K_FACTORS[e] for e, n in atoms.items()}
        lines = [
            (LINES[line], amounts[e] * share) for e in atoms for line, share in SEEN[e].items()
        ]
        spectra.append(xrays(energy, lines, continuum=0.25 * sum(amounts.values())))
    spectra = [800 * s / s.sum() for s in spectra]
    shares = grain_maps(SHAPE, 2, seed=0)
    np.savez(
        "edxs.npz",
        data=poisson_counts(shares @ np.array(spectra), seed=0),
        energy=energy,
        energy_units="keV",
        pixel_size=0.5,
        pixel_units="nm",
    )


if __name__ == "__main__":
    write_map()
    write_scan()
    write_edxs()
