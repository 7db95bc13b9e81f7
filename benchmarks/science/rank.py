"""How many components, on data whose number is known; the least trace that shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line
from benchmarks.science.planted import CHANNELS, NOISES, PIXELS, Noisy, expected, standing_out

SEEDS = 20
RANKS = range(7)
EXACT, MORE = 0.95, 0.02  # shares of planted cases: right, and too many
TRIALS = 20
SHARES = (0.7, 1.0, 1.3, 1.6)  # of the least amount of a trace
Array = np.ndarray


def rank(data: Path) -> Iterator[Line]:
    """The cases of the review, then planted ranks with many seeds, then a trace component."""
    for name, dataset, true, says, slow in _cases(data):
        found = fu.rank(dataset, ard=slow, stability=slow)
        chosen = [f"{c.name} {'–' if c.chosen is None else c.chosen}" for c in found.criteria]
        bar = [] if true is None else [f"{true}"]
        bar += [f"says “{says}”"] if says else []
        passed = true in (None, found.recommended) and any(says in text for text in found.why)
        yield Line(name, ", ".join(bar), f"{found.recommended} ({', '.join(chosen)})", passed)
    for noise in NOISES:
        yield _planted(noise)
    yield from _traces()


def _cases(data: Path) -> Iterator[tuple[str, fu.Dataset, int | None, str, bool]]:
    """(name, data, number, what must be said, whether fits are quick enough).

    Four in fig3_sim: three phases and, raw, a background that is not tied to them (2.2 times the
    edge in the expected values), subtracted, the error of extrapolating it. Three in fig9_sim:
    every phase has its own background.
    """
    file, edge = np.load(data / "figure_cases/fig3_sim.npz"), "background was subtracted"
    yield "fig3_sim, counts − background", _map(file["counts"] - file["background"]), 3, "", True
    fitted = "component 4 of the singular values: its map changes from pixel to pixel"
    yield "fig3_sim, bgsub", _map(file["bgsub"]), 4, fitted, True
    yield "fig3_sim, raw", _map(file["counts"]), 4, edge, False
    file = np.load(data / "figure_cases/fig9_sim.npz")
    yield "fig9_sim, raw", _map(file["counts"]), 3, edge, False
    yield "mn3o4_phantom", _map(np.load(data / "mn3o4_phantom/SI_data.npz")["X"]), 2, "", True
    file = np.load(data / "espm_simulated_edxs/AlFeSi3N4_multilayer.npz")
    yield "AlFeSi3N4, dose 1000", _map(file["counts_dose1000"]), 3, "", False
    nmc, shared = _map(np.load(data / "nmc_eels/nmc_tm_o_si.npz")["data"]), "correlated"
    yield "nmc_eels", nmc, None, shared, False
    yield "nmc_eels, 8 channels summed", nmc.bin(energy=8), None, shared, False


def _map(values: Array) -> fu.Dataset:
    y, x, energy = values.shape
    axes = [fu.Axis("y", size=y), fu.Axis("x", size=x), fu.Axis("energy", size=energy, units="eV")]
    return fu.Dataset("a", values, axes=axes)


def _planted(noise: Noisy) -> Line:
    """How often the number is right, for 0 to 6 components that stand out clearly."""
    wrong, more, total = [], 0, 0
    for K in RANKS:
        for seed in range(SEEDS):
            rng = np.random.default_rng((seed, K))
            M = standing_out(rng, K, noise)
            found = fu.Dataset("a", noise.draw(M, rng)).noise().scree.clear
            true = 1 if noise.positive and K == 0 else K  # a constant is a component
            total, more = total + 1, more + (found > true)
            wrong += [f"{true} → {found}"] * (found != true)
    right = 1 - len(wrong) / total
    measured = f"{100 * right:.1f} % of {total} right, {more} too many"
    measured += f" ({', '.join(sorted(set(wrong)))})" if wrong else ""
    passed = right >= EXACT and more <= MORE * total
    return Line(f"planted 0 to 6: {noise.name}", "≥ 95 % right, ≤ 2 % more", measured, passed)


def _traces() -> Iterator[Line]:
    """A peak in 5 % of the pixels beside two components of 100 counts an entry."""
    M = 100 * expected(np.random.default_rng(0), 2)
    s = np.exp(-0.5 * ((np.arange(CHANNELS) - 30) / 3.0) ** 2)
    rng = np.random.default_rng(1)
    blank = fu.Dataset("a", rng.poisson(M).astype(float))
    least = fu.detectability(blank, s, 0.05)
    for name, amount in (("seen", least.amount), ("counted", least.clear)):
        told = []
        for share in SHARES:
            hits = 0
            for _ in range(TRIALS):
                held = rng.permutation(PIXELS) < 0.05 * PIXELS
                X = rng.poisson(M + share * amount * np.outer(held, s / s.sum())).astype(float)
                scree = fu.Dataset("a", X).noise().scree
                hits += (scree.rank if name == "seen" else scree.clear) > 2
            told.append(hits / TRIALS)
        measured = ", ".join(
            f"{100 * hit:.0f} % at {share:g}" for share, hit in zip(SHARES, told, strict=True)
        )
        passed = told[0] <= 0.1 and told[-1] >= 0.9
        bar = f"≤ 10 % at {SHARES[0]:g}, ≥ 90 % at {SHARES[-1]:g} × {amount:.0f} counts"
        yield Line(f"trace in 5 % of the pixels, {name}", bar, measured, passed)
