"""Fusion, figs 8 and 9: EELS with EDXS (14), raw with subtracted data (15), what knowledge adds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles, within
from benchmarks.science.spinel import ALL, Series, knowledge, load
from fusion.answers.matching import match, spectral_angle
from fusion.losses import Frobenius, SoftOrthogonality, SquaredNorm
from fusion.models import NMF, SoftlyCoupled, WithBackground

Array = np.ndarray
SCALES = (2e-4, 2e-3, 4e-3, 1e-2, 5e-2)
"""Of N in `joint_sim`; a typical entry of the maps is 0.024, of the true N 0.001."""


def joint(data: Path) -> Iterator[Line]:
    """`joint_sim`, `fig8_sim`, `fig9_sim`, what the true maps reach there; measured `nmc_eels`."""
    yield from _scan(np.load(data / "figure_cases/joint_sim.npz"))
    yield from _tilts(load(data / "figure_cases/fig8_sim.npz"))
    yield from _background(np.load(data / "figure_cases/fig9_sim.npz"))
    yield _measured(np.load(data / "nmc_eels/nmc_tm_o_si.npz"))


def _fit(model: fu.Model, loss: Any, starts: int = 4, **options: Any) -> fu.Result:
    return fu.fit(model, 1.0 * loss, starts=starts, seed=0, progress=False, **options)


def _spectra(maps: Array, data: fu.Dataset) -> Array:
    """Least-squares spectra (channel, K) where the maps are known."""
    return np.linalg.lstsq(maps, data.matrix.numpy(), rcond=None)[0].T


def _limit(case: str, maps: Array, data: fu.Dataset, truth: Array) -> Line:
    return within(f"{case}, with the true maps", angles(_spectra(maps, data), truth), None)


def paired(found: Mapping[str, Array], truth: Mapping[str, Array]) -> dict[str, Array]:
    """Angles of factors whose components belong together, in one order for all."""
    order = match(truth, {name: found[name] for name in truth})
    return {name: spectral_angle(found[name][:, order], T) for name, T in truth.items()}


# ---- (14), a scan --------------------------------------------------------------------------------


def _scan(file: Mapping[str, Array]) -> Iterator[Line]:
    counts, xrays = file["eels"].astype(float), file["edxs"].astype(float)
    loss_axis = fu.Axis("energy loss", values=file["eels_eV"], units="eV")
    xray_axis = fu.Axis("energy", values=file["edxs_keV"], units="keV")
    eels = fu.Dataset(
        "eels",
        counts - file["eels_bg"],
        axes=("y", "x", loss_axis),
        variance=counts.mean((0, 1)) + 0.5,
    )
    edxs = fu.Dataset("edxs", xrays, axes=("y", "x", xray_axis), variance=xrays.mean((0, 1)) + 0.02)
    truth = {"S_eels": file["S_eels"].T, "S_edxs": file["S_edxs"].T}
    maps, seen = (file[name].reshape(3, -1).T for name in ("C", "N"))
    for data, C in ((eels, maps + seen), (edxs, maps)):
        S, case = truth[f"S_{data.name}"], f"joint_sim, {data.name}"
        yield within(f"{case} alone", angles(_fit(NMF(data, 3), Frobenius(data))["S"], S), None)
        yield _limit(case, C, data, S)
    model, fits = SoftlyCoupled(eels, edxs, 3), Frobenius(eels) + Frobenius(edxs)
    first = _fit(model, fits + SquaredNorm("N", 2e-3))
    for name, bar in (("S_eels", (2.5, 2.5, 2.5)), ("S_edxs", (3.5, 3.5, 5.5))):
        found = paired(first.factors, truth)[name]
        case, reached = f"joint_sim, (14), s = 0.002, {name}", bool((found <= bar).all())
        yield Line(case, f"≤ {_degrees(np.array(bar))}", _degrees(found), reached)
    for s in SCALES:
        other = _fit(model, fits + SquaredNorm("N", s), 1, init=[first], max_steps=60)
        measured = ", ".join(
            f"{name} {_degrees(values)}" for name, values in paired(other.factors, truth).items()
        )
        terms = [other.history[f"Frobenius({name})"][-1] for name in ("eels", "edxs")]
        told = (
            f"{measured}; fits {sum(terms):.0f}; size of N {np.sqrt(np.mean(other['N'] ** 2)):.2g}"
        )
        yield Line(f"joint_sim, (14), s = {s:g}", "–", told, None)


def _degrees(values: Array) -> str:
    return " / ".join(f"{value:.1f}" for value in values) + "°"


# ---- (14), tilts ---------------------------------------------------------------------------------

EQUAL = 1e-3
"""Relative difference of losses that counts as none."""
ELSEWHERE = {"S_eels": (13.0, 5.6), "S_edxs": (17.0, 33.0, 22.0)}
"""The best that was known: EELS with soft orthogonality, EDXS from (14) without knowledge."""


def _tilts(series: Series) -> Iterator[Line]:
    truth = series.truth
    for data, C in ((series.eels, truth["W"]), (series.edxs, truth["C"])):
        S, case = truth[f"S_{data.name}"], f"fig8_sim, {data.name}"
        yield from _alone(f"{case} alone", data, C, S)
        yield _limit(case, C, data, S)
    for name, (model, loss) in knowledge(series).items():
        result = _fit(model, loss, 3, max_steps=60)
        found = series.in_order(result)
        angle = {f: spectral_angle(found[f], T) for f, T in truth.items()}
        told = ", ".join(f"{f} {_degrees(values)}" for f, values in angle.items())
        bars = ELSEWHERE if name == ALL else {}
        wanted = ", ".join(f"{f} ≤ {_degrees(np.array(bar))}" for f, bar in bars.items()) or "–"
        reached = all(bool((angle[f] <= b).all()) for f, b in bars.items()) if bars else None
        yield Line(f"fig8_sim, (14), {name}", wanted, told, reached)


def _alone(case: str, data: fu.Dataset, maps: Array, truth: Array) -> Iterator[Line]:
    """Ten starts of equal loss; the best of them mixed to come near the true maps.

    C R and S R^(−T) have the product and so the loss of C and S: only S R^(−T) ≥ 0 can forbid it.
    """
    model, loss = NMF(data, truth.shape[1]), 1.0 * Frobenius(data)
    told = {"starts": 1, "max_steps": 100, "progress": False}
    answers = [fu.fit(model, loss, seed=seed, **told) for seed in range(10)]
    best = min(answers, key=lambda answer: answer.loss)
    equal = [a["S"] for a in answers if a.loss <= best.loss + EQUAL * abs(best.loss)]
    found = [angles(S, truth) for S in equal]
    spread = zip(np.min(found, 0), np.max(found, 0), strict=True)
    told_range = " / ".join(f"{low:.1f}–{high:.1f}" for low, high in spread) + "°"
    yield Line(f"{case}, {len(equal)} of 10 starts of equal loss", "–", told_range, None)
    S = best["S"] @ np.linalg.inv(np.linalg.lstsq(best["C"], maps, rcond=None)[0]).T
    measured = f"{_degrees(angles(S, truth))}, lowest entry {100 * (S / S.max(0)).min():.1f} %"
    yield Line(f"{case}, the best of them mixed by the true maps", "–", measured, None)


# ---- (15) ----------------------------------------------------------------------------------------


def _background(file: Mapping[str, Array]) -> Iterator[Line]:
    energy = fu.Axis("energy loss", values=file["energy"], units="eV")
    raw = fu.Dataset("raw", file["counts"].astype(float), axes=("y", "x", energy))
    net = raw.subtract_background((500, 518)).renamed("net")
    S, C = file["S"].T, file["C"].reshape(3, -1).T
    truth, apart = file["bg_shapes"].T, 0.002 * SoftOrthogonality("C")
    yield _limit("fig9_sim, net", C, net, S)
    for name, extra in (("NMF of net", None), ("NMF of net, SO", apart)):
        loss = 1.0 * Frobenius(net) if extra is None else Frobenius(net) + extra
        yield within(f"fig9_sim, {name}", angles(_fit(NMF(net, 3), loss)["S"], S), None)
    both = Frobenius(raw) + Frobenius(net)
    for name, loss, bar in (("(15)", both, None), ("(15), SO", both + apart, 2.0)):
        found = _fit(WithBackground(raw, net, 3), loss)
        order = match(S, found["S"])
        yield within(f"fig9_sim, {name}", spectral_angle(found["S"][:, order], S), bar)
        background, case = found["N"][:, order], f"fig9_sim, {name}, power laws"
        yield within(case, spectral_angle(background, truth), None if bar is None else 0.5)
        told = " / ".join(f"{r:.2f}" for r in exponents(background, energy.values))
        asked = " / ".join(f"{r:.2f}" for r in exponents(truth, energy.values))
        yield Line(f"fig9_sim, {name}, exponents", f"truth {asked}", told, None)


def _measured(file: Mapping[str, Array]) -> Line:
    """Real EELS, four edges on one background; no truth, so only how well it is met."""
    energy = fu.Axis("energy loss", values=file["energy"], units="eV")
    raw = fu.Dataset("raw", file["data"].astype(float), axes=("y", "x", energy))
    raw = raw.crop(energy=(470, 1048)).crop(energy=slice(0, 1920)).bin(energy=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its channels are correlated, which it says
        raw = raw.estimate_variance()
    net = raw.subtract_background((475, 520)).renamed("net")
    found = _fit(WithBackground(raw, net, 2), Frobenius(raw) + Frobenius(net))
    chi2 = [2 * found.history[f"Frobenius({n})"][-1] / raw.tensor.numel() for n in ("raw", "net")]
    r = exponents(found["N"], raw.channels[0].values)
    stuck = int((found.losses > 2 * found.loss).sum())
    told = (
        f"exponents {r[0]:.2f} / {r[1]:.2f}, χ² an entry {chi2[0]:.1f} (raw), {chi2[1]:.1f} (net)"
    )
    return Line("nmc_eels, (15), K = 2", "–", f"{told}, {stuck} of 4 starts stuck", None)


def exponents(N: Array, energy: Array) -> Array:
    """r of columns A E^(−r)."""
    return np.log(N[0] / N[-1]) / np.log(energy[-1] / energy[0])
