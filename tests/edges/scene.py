"""Spectra with white lines on a continuum of two steps, displaced; some pixels are pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from tests.helpers.planted_factors import unit

STEP = 0.5  # eV
ENERGIES = 600 + STEP * np.arange(170)
SHIFTS = (0.0, 0.3, 1.7)  # channels
WIDTH = 2.5  # eV, of the steps


def edge(shift: float = 0.0, ratio: float = 2.0, height: float = 0.4) -> np.ndarray:
    """L3 and L2 at 641 and 652 eV, 2.5 eV wide, displaced by so many channels, on steps."""
    E = ENERGIES - STEP * shift
    lines = [np.exp(-0.5 * ((E - at) / 1.2) ** 2) for at in (641.0, 652.0)]
    steps = [0.5 + np.arctan(np.pi * (E - at) / WIDTH) / np.pi for at in (641.0, 652.0)]
    made = ratio * lines[0] + lines[1] + height * (2 * steps[0] + steps[1]) / 3
    return np.where(E > 625, made, 0)


def spectra(ratios: tuple[float, ...] = (2.0, 2.0, 2.0)) -> np.ndarray:
    """(channel, 3), each with a peak of its own before the edge, by which maps are told apart."""
    own = [3 * np.exp(-0.5 * ((ENERGIES - at) / 0.8) ** 2) for at in (604, 611, 618)]
    pairs = zip(SHIFTS, ratios, own, strict=True)
    return np.stack([edge(shift, ratio) + np.where(x > 1e-2, x, 0) for shift, ratio, x in pairs], 1)


def maps(pixels: int, K: int) -> np.ndarray:
    """Amounts (pixel, K), half the pixels pure."""
    rng = np.random.default_rng(3)
    C = 0.2 + rng.random((pixels, K))
    pure = np.arange(pixels // 2)
    C[pure] = (1 + rng.random((len(pure), 1))) * np.eye(K)[pure % K]
    return C


def result_of(
    S: np.ndarray, *, noise: float = 0.01, seed: int = 0, pixels: int = 40, model=NMF
) -> fu.Result:
    """A fit to C Sᵀ with noise of known variance, begun at the truth."""
    C = maps(pixels, S.shape[1]) * 10
    X = C @ S.T
    rng = np.random.default_rng([11, seed])
    sigma = noise * 10
    axis = fu.Axis("energy loss", scale=STEP, offset=ENERGIES[0], units="eV")
    data = fu.Dataset(
        "core",
        (X + sigma * rng.standard_normal(X.shape)).reshape(5, -1, len(S)),
        axes=["y", "x", axis],
        variance=np.full((1, 1, 1), sigma**2),
    )
    start = {"C": C * np.linalg.norm(S, axis=0), "S": unit(S)}
    options = {"starts": 1, "progress": False}
    return fu.fit(model(data, S.shape[1]), Frobenius(data), init=[start], **options)


def without_noise(result: fu.Result, S: np.ndarray) -> fu.Result:
    """The same result with these spectra, as if it was loaded: no errors are known."""
    return replace(result, factors={**result.factors, "S": S}, model=None, minimised=None)
