"""Noise: what it is, transforms that even it out, patterns of the detector, a part of the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles, within
from fusion.answers.matching import match
from fusion.losses import Frobenius, Poisson, SoftOrthogonality
from fusion.models import NMF
from fusion.prepare import drifts
from fusion.simulate import layers, wobbled

REAL = (
    ("geology", "espm_geology_edxs/88GPa_80x80.npz", "data"),
    ("Fe-Pt core-shell", "nist_edxs/FePt_core_shell.npz", "data"),
    ("Fe-Pt cores", "nist_edxs/FePt_bare_core.npz", "data"),
)
SHARE = 0.2
CUT = slice(45, -45)
"""Channels that every frame of a wobble covers."""


def noise(data: Path) -> Iterator[Line]:
    """All of them."""
    yield from gains(data)
    yield from transforms(data)
    yield from pattern()
    yield from sampling(data)


def gains(data: Path) -> Iterator[Line]:
    """Variance against mean: measured counts, measured EELS, and simulated of a known gain."""
    for name, file, key in REAL:
        found = fu.Dataset("edxs", np.load(data / file)[key]).noise()
        ok = found.counts and abs(found.gain - 1) <= 0.03
        yield Line(f"{name}, EDXS: gain", "0.97–1.03, counts", f"{found.gain:.3f}", ok)
    found = fu.Dataset("eels", np.load(data / "nmc_eels/nmc_tm_o_si.npz")["data"]).noise()
    said = f"{found.gain:.2f}, {found.correlation:.2f}"
    ok = 4 <= found.gain <= 6 and 0.4 <= found.correlation <= 0.7
    yield Line("NMC, EELS: gain, correlation", "4–6, 0.4–0.7", said, ok)
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    for gain in (0.2, 4.0, 20.0):
        for sigma in (0.0, 70.0):
            rng = np.random.default_rng(0)
            x = gain * rng.poisson(mean / gain) + sigma * rng.standard_normal(mean.shape)
            found = fu.Dataset("eels", x.reshape(40, 44, -1)).noise()
            case = f"simulated, gain {gain:g}, read-out {sigma**2:g}"
            level, variance = found.levels.T
            error = np.sqrt(2 / x.size) * variance.mean() / level.std()  # of a slope
            said = f"{found.gain:.3g} ± {error:.2g}, {found.readout:.3g}"
            ok = abs(found.gain - gain) <= max(0.1 * gain, 2 * error)
            ok &= abs(found.readout - sigma**2) <= 0.1 * max(sigma**2, 100 * gain)
            yield Line(case, "within 10 %, or twice the error", said, ok)


def transforms(data: Path) -> Iterator[Line]:
    """Scaled and mapped back against weighted; means of transformed counts mapped back."""
    file = np.load(data / "figure_cases/fig3_sim.npz")
    counts = fu.Dataset("si", file["counts"].astype(float))
    t = fu.KeenanKotula(counts)
    weighted, scaled = counts.with_variance(t.variance), t.forward(counts)
    told = {"starts": 4, "progress": False}
    one = fu.fit(NMF(weighted, 4), Frobenius(weighted), **told)
    other = fu.fit(NMF(scaled, 4), Frobenius(scaled), **told)
    back = t.factors(other)
    M, N = one["C"] @ one["S"].T, back["C"] @ back["S"].T
    off = np.linalg.norm(M - N) / np.linalg.norm(M)
    said = f"losses differ by {abs(one.loss / other.loss - 1):.1e}, fits by {off:.1e}"
    yield Line(
        "fig3_sim: Keenan–Kotula against a variance of rank one", "1e-6, 1e-3", said, off < 1e-3
    )
    rng, worst, plain = np.random.default_rng(0), 0.0, 0.0
    anscombe = fu.Anscombe(gain=4.0, readout=9.0)
    for level in (0.5, 1.0, 3.0, 10.0, 100.0):
        x = 4.0 * rng.poisson(level, (1000, 1000)) + 3.0 * rng.standard_normal((1000, 1000))
        z = anscombe.forward(fu.Dataset("x", x)).tensor.mean()
        worst = max(worst, abs(float(anscombe.unbiased_inverse(z)) / (4 * level) - 1))
        plain = max(plain, abs(float(anscombe.inverse(z)) / (4 * level) - 1))
    said = f"{100 * worst:.2f} % (algebraic inverse {100 * plain:.0f} %)"
    yield Line("Anscombe, gain 4: bias from 0.5 to 100 counts", "≤ 1 %", said, worst <= 0.01)


def pattern() -> Iterator[Line]:
    """A wobbled spectrum on a detector with dark pattern, afterglow and 2 % of gain pattern."""
    for dose in (1.0, 30.0):
        scene = wobbled(dose=dose)
        shifts, S = scene.truth["shifts"], scene.truth["S"][:, 0]
        plain = _off(_aligned(scene.datasets["eels"], shifts), S)
        found = fu.separate_moving_spectrum(scene.datasets["eels"], shifts)
        yield _better(
            f"wobbled EELS, dose {dose:g}, shifts known", _off(found.spectrum.numpy(), S), plain
        )
        if dose > 1:
            off = found.gain.numpy() - scene.truth["gain"]
            said = f"{100 * off[CUT].std():.2f} % of {100 * scene.truth['gain'].std():.1f} %"
            yield Line("its gain pattern: what is left", "–", said, None)
    scene = wobbled(background=0.0)
    data, shifts, S = scene.datasets["eels"], scene.truth["shifts"], scene.truth["S"][:, 0]
    plain, signal = _off(_aligned(data, shifts), S), fu.separate_fixed_pattern(data).signal
    found = drifts(signal)
    worst = np.abs(found - np.median(found) - shifts).max()
    raw = drifts(data)
    said = (
        f"{worst:.2f} channels ({np.abs(raw - np.median(raw) - shifts).max():.2f} in the raw data)"
    )
    yield Line("wobbled lines, shifts found behind the pursuit", "≤ 0.5", said, worst <= 0.5)
    own = fu.separate_moving_spectrum(data, found)
    yield _better("wobbled lines, with these shifts", _off(own.spectrum.numpy(), S), plain)
    pursued = _off(_aligned(signal, shifts), S) / plain
    yield Line("wobbled lines, pursuit alone, aligned", "–", f"{pursued:.2f} × plain", None)


def sampling(data: Path) -> Iterator[Line]:
    """Spectra from a fifth of the pixels, and of the entries, beside all."""
    file = np.load(data / "figure_cases/fig3_sim.npz")
    si = fu.Dataset("si", (file["counts"] - file["background"]).astype(float))
    truth, maps = file["S"].T, file["C"].reshape(3, -1).T
    yield _near("fig3_sim, eq. (13), all", _orthogonal(si), truth)
    for seed in range(3):
        part = si.sample_pixels(SHARE, seed=seed)
        result = _orthogonal(part)
        yield _near(f"fig3_sim, 20 % of the pixels, pattern {seed}", result, truth, 5.0)
        filled = fu.fill_maps(result, "C")
        order = match(truth, result["S"])
        wanted = maps * np.linalg.norm(truth, axis=0)
        off = np.linalg.norm(filled["C"][:, order] - wanted) / np.linalg.norm(wanted)
        yield Line("    its maps, filled: relative error", "–", f"{off:.2f}", None)
    part = si.sample_entries(SHARE)
    yield _near("fig3_sim, 20 % of the entries", _orthogonal(part), truth, 2.0)
    file = np.load(data / "espm_simulated_edxs/AlFeSi3N4_multilayer.npz")
    edxs, truth = fu.Dataset("edxs", file["counts_dose1000"]), file["phases"].T
    maps = file["abundance"].reshape(3, -1).T
    yield _near("AlFeSi3N4, dose 1000, SSS + VCA, all", _corners(edxs), truth)
    part = edxs.sample_pixels(SHARE)
    yield _near("AlFeSi3N4, 20 % of the pixels", _corners(part), truth, 6.0)
    seen = ~part.mask.flatten().numpy()
    best = np.linalg.lstsq(maps[seen], edxs.matrix.numpy()[seen].astype(float), rcond=None)[0].T
    yield within("    least squares with their true maps", angles(best, truth), None)
    part = edxs.sample_entries(SHARE)
    told = {"starts": 1, "max_seconds": 120, "progress": False}
    result = fu.fit(NMF(part, 3), 1.0 * Poisson(part), **told)
    yield _near("AlFeSi3N4, 20 % of the entries, KL-NMF", result, truth)
    whole = fu.Dataset("edxs", result["C"] @ result["S"].T)
    yield _near("    SSS + VCA on what it predicts", _corners(whole), truth, 6.0)


def _off(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of the difference, less its mean: a constant belongs to the pattern."""
    off = (found - truth)[CUT]
    return float(off.std())


def _aligned(data: fu.Dataset, shifts: np.ndarray) -> np.ndarray:
    """Mean of the aligned frames, NaN beyond what all of them cover."""
    moved = data.align(shifts=shifts)
    full = np.full(data.shape[-1], np.nan)
    start = int(np.argmin(np.abs(data.channels[0].values - moved.channels[0].values[0])))
    full[start : start + moved.shape[-1]] = moved.numpy().mean(0)
    return full


def _better(case: str, found: float, plain: float) -> Line:
    said = f"{found:.1f} against {plain:.1f} counts by the mean of aligned frames"
    return Line(f"{case}: error of the spectrum", "≤ ½ of the mean's", said, found <= plain / 2)


def _near(case: str, result: fu.Result, truth: np.ndarray, bar: float | None = None) -> Line:
    return within(case, angles(result["S"], truth), bar)


def _orthogonal(data: fu.Dataset) -> fu.Result:
    loss = Frobenius(data) + 0.05 * SoftOrthogonality("C")
    return fu.fit(NMF(data, 3), loss, starts=4, progress=False)


def _corners(data: fu.Dataset) -> fu.Result:
    told = {"init": fu.VCA(points=fu.SSS()), "starts": 1, "max_steps": 0, "progress": False}
    return fu.fit(NMF(data, 3), 1.0 * Poisson(data), **told)
