"""`wobbled`: one spectrum moved over a detector that has a pattern and an afterglow of its own."""

from __future__ import annotations

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.simulation import Array, Simulation, poisson_counts, seeds, uniform_axis
from fusion.simulate.spectra import core_loss_edge, power_law

EDGES = (
    (455.0, ((457.0, 4.0, 1.5), (463.0, 3.0, 1.5))),
    (530.0, ((532.0, 3.0, 1.5), (541.0, 1.5, 6.0))),
)
LEVEL, HEIGHT = 400.0, 150.0  # counts of the background at the first energy, and of an edge's jump
GAIN = 0.02  # standard deviation of the relative gain
DARK = 100.0  # counts, with a pattern of a fifth of it
GLOW, FADING = 600.0, 20.0  # counts of the afterglow in the first frame; frames to 1/e
PERIOD = 17.3  # frames of a wobble
JITTER = 2.0  # channels, by which a frame misses it at most


@checked_call
def wobbled(
    *,
    frames: int = 100,
    channels: int = 400,
    reach: float = 20.0,
    background: float = 1.0,
    dose: float = 1.0,
    seed: int = 0,
) -> Simulation:
    """Frames of one place, recorded while the voltage of the spectrometer's drift tube wobbles.

    frame ~ Poisson(gain · spectrum(j − shift) + dark + afterglow); the afterglow of a bright line
    and of a broad one, recorded before, fades from frame to frame.

    Args:
        frames: number of them.
        channels: from 400 eV, 0.5 eV wide.
        reach: of the wobble to either side, in channels.
        background: of the power law and of the edges' steps, no unit; 0 leaves nothing but lines.
        dose: 1 is some 400 counts in a channel of a frame.
        seed: of pattern, wobble and noise.

    Returns:
        Data set "eels" (frame, channel); truth S (channel, 1) where a frame of shift 0 has it,
        shifts (frame,) in channels, gain (channel,), pattern (frame, channel) in counts.
    """
    from fusion.data.dataset import Dataset

    detector, wobble, noise = seeds(seed, 3)
    axis = uniform_axis("energy loss", 400.0, 400.0 + 0.5 * (channels - 1), channels, "eV")
    j, f = np.arange(channels), np.arange(frames)
    rng = np.random.default_rng(detector)
    gain = 1 + GAIN * rng.standard_normal(channels)
    dark = DARK * (1 + 0.2 * rng.standard_normal(channels) + 0.1 * np.sin(j / 40))
    line, broad = (
        np.exp(-(((j / channels - at) / w) ** 2)) for at, w in ((0.35, 0.015), (0.75, 0.08))
    )
    glow = GLOW * np.exp(-f / FADING)[:, None] * (line + broad / 2)
    rng = np.random.default_rng(wobble)
    shifts = reach * np.sin(2 * np.pi * f / PERIOD) + rng.uniform(-JITTER, JITTER, frames)
    shifts = shifts - np.median(shifts)
    moved = dose * _spectrum(axis.values - 0.5 * shifts[:, None], background)
    S = dose * _spectrum(axis.values[None], background).T
    pattern = dark + glow
    counts = poisson_counts(np.maximum(gain * moved + pattern, 0), seed=noise)
    truth = {"S": S, "shifts": shifts, "gain": gain / gain.mean(), "pattern": pattern}
    return Simulation({"eels": Dataset("eels", counts, axes=("frame", axis))}, truth, ("spectrum",))


def _spectrum(energy: Array, background: float) -> Array:
    """Two edges on a power law, or their lines, at these energies."""
    x = energy.ravel()
    edges = [core_loss_edge(x, onset, peaks, jump=background) for onset, peaks in EDGES]
    smooth = LEVEL * background * power_law(x, 3.0, at=400.0)
    return (smooth + HEIGHT * sum(edges)).reshape(energy.shape)
