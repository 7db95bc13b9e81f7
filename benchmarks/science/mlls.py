"""Reference spectra in every pixel, and what they do not explain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

import fusion as fu
from benchmarks.science.line import Line, angles, within
from fusion.losses import Frobenius, Poisson, SoftOrthogonality
from fusion.models import WithReferences


def mlls(data: Path) -> Iterator[Line]:
    """Against scipy, coverage of the errors, missing references, real Mn references."""
    yield from _against_scipy()
    file = np.load(data / "figure_cases/fig3_sim.npz")
    S, C = file["S"].T, file["C"].reshape(3, -1).T
    yield from _coverage(S, C)
    yield from _silicon(file, S, C)
    yield from _minerals(data / "espm_simulated_edxs/AlFeSi3N4_multilayer.npz")
    yield from _manganese(data / "mn_l23_references")


def _against_scipy() -> Iterator[Line]:
    """A map of 256 × 256 × 1024, five references: time, and some pixels by scipy."""
    rng = np.random.default_rng(0)
    E = np.arange(1024)[:, None]
    S = np.exp(-0.5 * ((E - np.linspace(150, 850, 5)) / 120) ** 2)
    C = rng.random((256 * 256, 5)) * (rng.random((256 * 256, 5)) > 0.4)
    X = (C @ S.T + 0.1 * rng.standard_normal((256 * 256, 1024))).astype(np.float32)
    cube = fu.Dataset("eels", X.reshape(256, 256, 1024), variance=np.full(1024, 0.01))
    begun = time.process_time()
    fit = fu.mlls(cube, dict(zip("abcde", S.T, strict=True)))
    seconds = time.process_time() - begun
    some = rng.choice(len(X), 500, replace=False)
    apart = max(np.abs(nnls(S, X[i].astype(float))[0] - fit.maps[i]).max() for i in some)
    yield Line("MLLS, 256 × 256 × 1024, 5 references", "–", f"{seconds:.1f} s of processor", None)
    yield Line("MLLS against scipy's NNLS, 500 pixels", "≤ 1e-10", f"{apart:.1e}", apart <= 1e-10)


def _coverage(S: np.ndarray, C: np.ndarray) -> Iterator[Line]:
    """Share of 95 % intervals that hold the truth: amounts away from the bound, and at zero."""
    rng, C = np.random.default_rng(0), np.tile(C, (10, 1))
    names, mean = ("a", "b", "c"), C @ S.T
    level = mean.mean()
    noise = 0.3 * level
    cubes = {
        "variance known": fu.Dataset("a", rng.normal(mean, noise), variance=[noise**2]),
        "from the residual": fu.Dataset("a", rng.normal(mean, noise)),
        "counts, 3 a channel": Poisson(
            fu.Dataset("a", rng.poisson(3 * mean / level).astype(float))
        ),
    }
    for case, cube in cubes.items():
        truth = 3 * C / level if "counts" in case else C
        fit = fu.mlls(cube, dict(zip(names, S.T, strict=True)))
        low, high = fit.interval()
        inside = (low <= truth) & (truth <= high)
        away = fit.maps > 3 * fit.errors
        share = 100 * inside[away].mean()
        yield Line(
            f"MLLS errors, {case}: 95 % intervals away from 0",
            "93–97 %",
            f"{share:.1f} % of {away.sum()}",
            bool(93 <= share <= 97),
        )
        share = 100 * inside[fit.at_zero].mean()
        text = f"{share:.1f} % of {fit.at_zero.sum()}"
        yield Line(f"MLLS errors, {case}: limits of amounts at 0", "≥ 95 %", text, share >= 95)


def _silicon(file: np.lib.npyio.NpzFile, S: np.ndarray, C: np.ndarray) -> Iterator[Line]:
    """The true spectra, on data without background error and with it; one of them left out."""
    counts, background = file["counts"].astype(float), file["background"]
    known = dict(zip(map(str, file["names"]), S.T, strict=True))
    axes = ("y", "x", fu.Axis("energy loss", values=file["energy"], units="eV"))
    cubes = {"counts − background": counts - background, "bgsub": file["bgsub"]}
    variance = fu.Dataset("eels", counts).estimate_variance().variance
    for name, X in cubes.items():
        cube = fu.Dataset("eels", X, axes=axes, variance=variance)
        fit = fu.mlls(cube, known)
        yield _away(f"fig3_sim, {name}: maps from the true spectra", fit, C)
        yield _said(f"fig3_sim, {name}: pixels with p < 0.001", fit)
        for missing in known:
            rest = {k: v for k, v in known.items() if k != missing}
            if name != "bgsub":
                yield _said(f"fig3_sim, {name}, without {missing}: p < 0.001", fu.mlls(cube, rest))
            model = WithReferences(cube, rest, 1)
            for loss, bar in (
                (1.0 * Frobenius(cube), None),
                (Frobenius(cube) + 0.05 * SoftOrthogonality("C"), 2.0),
            ):
                found = fu.fit(model, loss, starts=5, progress=False).factors["S"][:, 2:]
                case = f"fig3_sim, {name}: {missing} unknown beside the others"
                case += "" if bar is None else ", soft orthogonality 0.05"
                yield within(case, angles(found, known[missing][:, None]), bar)


def _away(case: str, fit: fu.ReferenceFit, truth: np.ndarray) -> Line:
    """Root mean square of what the maps are off by, over their size and over their errors."""
    off = fit.maps - truth
    relative = np.linalg.norm(off, axis=0) / np.linalg.norm(truth, axis=0)
    sigmas = np.sqrt(np.mean((off / fit.errors) ** 2, axis=0))
    text = " / ".join(f"{100 * r:.1f}" for r in relative) + " %, in standard errors "
    return Line(case, "–", text + " / ".join(f"{s:.2f}" for s in sigmas), None)


def _said(case: str, fit: fu.ReferenceFit) -> Line:
    """How many pixels are fitted badly, and the first message."""
    bad = 100 * np.mean(fit.p < 1e-3)
    said = fit.messages[0] if fit.messages else "no message"
    return Line(case, "–", f"{bad:.1f} %, χ² {np.nanmedian(fit.reduced_chi2):.2f}: {said}", None)


def _minerals(path: Path) -> Iterator[Line]:
    """Counts of three phases by their true spectra."""
    file = np.load(path)
    C = file["abundance"].reshape(3, -1).T
    known = dict(zip(map(str, file["phase_names"]), file["phases"], strict=True))
    for dose in (100, 1000):
        counts = file[f"counts_dose{dose}"].astype(float)
        fit = fu.mlls(Poisson(fu.Dataset("edxs", counts)), known)
        case = f"AlFeSi3N4, dose {dose}, likeliest for counts"
        yield _away(f"{case}: maps", fit, dose * C)
        low, high = fit.interval()
        away = fit.maps > 3 * fit.errors
        share = 100 * ((low <= dose * C) & (dose * C <= high))[away].mean()
        passed = bool(93 <= share <= 97)
        yield Line(f"{case}: 95 % intervals", "93–97 %", f"{share:.1f} %", passed)
        yield _said(f"{case}: pixels with p < 0.001", fit)


def _manganese(folder: Path) -> Iterator[Line]:
    """448 real pixels of Mn²⁺ by digitised references of three valences, from one source each.

    The energies of the pixels are some eV off those of the references. The offset is where the
    three together leave least, whatever the valence is.
    """
    file = np.load(folder / "mn2_eels_448.npz")
    digitised = np.load(folder / "mn_l23_digitized.npz")
    X = file["data"].astype(float)
    for names in (("Mn2_27", "Mn3_29", "Mn4_31"), ("Mn2_06", "Mn3_14", "Mn4_19")):
        references = {name: tuple(digitised[name]) for name in names}

        def fitted(offset: float, references: dict = references) -> fu.ReferenceFit:
            energy = fu.Axis("energy loss", 0.1, 615 - offset, "eV")
            cube = fu.Dataset("eels", X, axes=("pixel", energy))
            return fu.mlls(cube.crop(energy=(636.5, 658.5)), references)

        offsets = np.arange(0, 6, 0.2)
        left = [np.sum(fitted(offset).residual_map ** 2) for offset in offsets]
        offset = offsets[int(np.argmin(left))]
        for at in (0.0, offset):
            fit = fitted(at)
            shares = fit.maps.sum(0) / fit.maps.sum()
            right = np.mean(fit.maps.argmax(1) == 0)
            text = " / ".join(f"{100 * share:.0f}" for share in shares)
            case = f"real Mn²⁺ by {', '.join(names)}, {at:.1f} eV off"
            measured = f"{text} %, Mn²⁺ the most in {100 * right:.0f} % of the pixels; rms "
            measured += f"{np.sqrt(np.mean(fit.residual_map**2)):.3f}: {fit.messages[-4]}"
            bar = "Mn²⁺ the most in ≥ 95 %" if at else "–"
            yield Line(case, bar, measured, bool(right >= 0.95) if at else None)
