"""Data sets of every kind: maps, lines, images, holes, masks."""

from __future__ import annotations

import numpy as np

import fusion as fu
from fusion.simulate import concurrent

PLACES = (
    fu.Axis("y", 0.5, units="nm"),
    fu.Axis("x", 0.5, units="nm"),
    fu.Axis("energy loss", 0.5, 100.0, "eV"),
)


def expected(shape=(15, 16), channels: int = 40, rank: int = 2) -> np.ndarray:
    rng = np.random.default_rng(1)
    C = rng.gamma(1.0, 1.0, (int(np.prod(shape)), rank))
    S = rng.gamma(1.0, 20.0, (channels, rank))
    return (C @ S.T + 5).reshape(*shape, channels)


def counts(*shape: int, **options) -> np.ndarray:
    return np.random.default_rng(0).poisson(expected(shape or (15, 16), **options))


def spectra(values=None, name: str = "eels", **options) -> fu.Dataset:
    values = counts() if values is None else values
    return fu.Dataset(name, values, axes=PLACES[3 - np.ndim(values) :], **options)


def holed() -> np.ndarray:
    values = counts().astype(float)
    values[2, 3, 4], values[5, 6, 7] = np.nan, np.inf
    return values


EVERY = {
    "map of counts": lambda: spectra(),
    "background subtracted": lambda: concurrent(shape=(12, 13)).datasets["eels"],
    "image": lambda: concurrent(shape=(12, 13)).datasets["adf"],
    "image of one line": lambda: fu.Dataset("line", counts()[0, :, 0], signal=0),
    "line scan": lambda: spectra(counts()[0]),
    "line scan of one row": lambda: spectra(counts()[:1]),
    "one spectrum": lambda: spectra(counts()[0, 0]),
    "one pixel of a map": lambda: spectra(counts()[:1, :1]),
    "tilt series": lambda: fu.Dataset("t", counts(3, 6, 7), axes=[fu.Axis("tilt"), *PLACES]),
    "patterns": lambda: fu.Dataset("4d", counts(5, 6).reshape(5, 6, 4, 10), signal=2),
    "NaN": lambda: spectra(holed()),
    "only NaN": lambda: spectra(np.full((4, 5, 6), np.nan)),
    "masked pixels": lambda: spectra(mask=np.arange(240).reshape(15, 16) < 40),
    "masked channels": lambda: spectra(mask=np.arange(40) < 5),
    "masked entries": lambda: spectra(mask=counts() > 150),
    "all masked": lambda: spectra(mask=np.ones((15, 16), bool)),
    "constant": lambda: spectra(np.full((5, 6, 7), 3.0)),
    "zeros": lambda: spectra(np.zeros((5, 6, 7))),
    "without noise": lambda: spectra(expected()),
    "one value": lambda: fu.Dataset("one", np.ones((1, 1))),
    "one number of an image": lambda: fu.Dataset("one", np.ones(1), signal=0),
    "two by two": lambda: fu.Dataset("two", np.arange(4.0).reshape(2, 2)),
    "float32": lambda: spectra(counts().astype(np.float32)),
    "energies of their own": lambda: fu.Dataset(
        "e", counts(), axes=["y", "x", fu.Axis("energy", values=np.arange(40.0) ** 2, units="eV")]
    ),
}
