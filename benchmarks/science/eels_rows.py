"""Rows on the shared pair: spectra, starts, maps, t/λ, the weight of soft orthogonality."""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch

import fusion as fu
from benchmarks.science.eels_cases import (
    SEED,
    WEIGHT,
    Array,
    Measured,
    Pair,
    Runs,
    fitted,
    loss_of,
    model_of,
    said_angles,
)
from benchmarks.science.line import angles
from fusion.answers.matching import match

BAR, PLATEAU = 1.5, 1.7
"""Degrees."""
SAME = 1e-5
"""Share of the loss by which starts may end apart and be at one objective."""
FEW = 4000
"""Electrons a pixel of the low loss that is thinned."""


def default(runs: Runs) -> Measured:
    """Angles of the default call."""
    found = angles(runs.default["S"], runs.fine.S)
    return said_angles(found), bool((found <= BAR).all())


def seconds(runs: Runs) -> Measured:
    """Model and fit, after everything was imported."""
    pair = runs.fine
    fu.fit(model_of(runs.coarse), loss_of(runs.coarse), starts=1, max_steps=1, progress=False)
    begun = time.perf_counter()
    fitted(pair)
    took = time.perf_counter() - begun
    return f"{took:.1f} s, {torch.get_num_threads()} threads", took <= 15


def random(runs: Runs) -> Measured:
    """Ten starts of random spectra and maps, each to its end."""
    pair, rng = runs.coarse, np.random.default_rng(SEED)
    pixels, channels = pair.core.matrix_shape
    losses, worst = [], []
    for _ in range(10):
        start = {"S": rng.random((channels, 3)), "C": 1e3 * rng.random((pixels, 3))}
        result = fitted(pair, init=[start], starts=1)
        losses.append(result.loss)
        worst.append(angles(result["S"], pair.S).max())
    one = int((np.array(losses) <= min(losses) * (1 + SAME)).sum())
    near = int((np.array(worst) <= BAR).sum())
    return f"{one} of 10 at one objective, {near} of 10 within {BAR}°", one == near == 10


def maps(runs: Runs) -> Measured:
    """Maps of the spectra found, over those of the true ones."""
    pair, result = runs.fine, runs.default
    S = result["S"][:, match(pair.S, result["S"])]
    ours, best = (relative_rms(least_squares(pair, spectra), pair.C) for spectra in (S, pair.S))
    return f"{ours / best:.3f} × ({100 * ours:.2f} %)", ours <= 1.15 * best


def least_squares(pair: Pair, S: Array) -> Array:
    """(pixel, component) of given spectra, under their low loss, beside the background."""
    model = model_of(pair)
    scattered = fu.convolve(torch.from_numpy(S), model.D).detach()
    rest = scattered - model.laws @ (model.weighted_laws.T @ scattered)
    rest = rest.reshape(len(S), model.D.shape[1], -1)
    designs = torch.einsum("pr,erk->pek", model.B, rest)
    variance = pair.core.variance
    assert variance is not None
    root = variance.reshape(pair.core.matrix_shape)[0].rsqrt()
    X = pair.core.matrix.double() * root
    return torch.linalg.lstsq(designs * root[:, None], X[:, :, None]).solution[:, :, 0].numpy()


def relative_rms(found: Array, truth: Array) -> float:
    """‖found − truth‖ / ‖truth‖."""
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def thickness(runs: Runs) -> Measured:
    """By the log ratio and by the fit."""
    return _thickness(runs.fine, 0.005)


def thickness_of_few(runs: Runs) -> Measured:
    """The same of a low loss with few electrons."""
    file = runs.file
    gain = float(file["gain"])
    electrons = np.rint(file["low"] / gain).astype(int)
    share = FEW / electrons.sum(-1).mean()
    thinned = np.random.default_rng(SEED).binomial(electrons, share)
    return _thickness(runs.pair(file["core"], gain * thinned), 0.03)


def _thickness(pair: Pair, bar: float) -> Measured:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fu.FusionWarning)
        ways = fu.relative_thickness(pair.low), model_of(pair).relative_thickness()
    off = [way.values.ravel() / pair.t - 1 for way in ways]
    told = [float(np.sqrt(np.mean(each**2))) for each in off]
    inside = [
        float((np.abs(each * pair.t) <= 1.96 * way.errors.ravel()).mean())
        for each, way in zip(off, ways, strict=True)
    ]
    said = (
        f"log ratio {100 * told[0]:.2f} % ({100 * inside[0]:.0f} % within 1.96 σ), "
        f"by the fit {100 * told[1]:.2f} % ({100 * inside[1]:.0f} %)"
    )
    return said, max(told) <= bar


def plateau(runs: Runs) -> Measured:
    """Angles over a factor 30 of the weight around the default one."""
    weights = WEIGHT * np.geomspace(30**-0.5, 30**0.5, 5)
    found = [angles(fitted(runs.coarse, w)["S"], runs.coarse.S).max() for w in weights]
    each = ", ".join(f"{w:.0f}: {a:.2f}" for w, a in zip(weights, found, strict=True))
    return f"worst by weight {each}°", max(found) <= PLATEAU
