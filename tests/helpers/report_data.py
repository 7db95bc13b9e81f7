"""Data and short fits for pages, and what a page's script makes of its arrays."""

from __future__ import annotations

import zlib
from base64 import b64decode

import numpy as np

import fusion as fu

SHAPE, ENERGIES = (10, 12), 30
READY = "document.documentElement?.dataset.ready === 'true'"


def cube(shape=SHAPE, energies=ENERGIES, K=3, seed=0):
    """Counts of K phases."""
    rng = np.random.default_rng(seed)
    maps = rng.gamma(1, 1, (int(np.prod(shape)), K))
    spectra = np.exp(
        -(((np.arange(energies)[:, None] - energies * (np.arange(K) + 1) / (K + 1)) / 3) ** 2)
    )
    return rng.poisson(40 * maps @ spectra.T + 1).reshape(*shape, energies)


def dataset(name, array, units="eV", **given):
    scan = [fu.Axis("y", 0.5, units="nm"), fu.Axis("x", 0.5, units="nm")]
    scan = scan[-(array.ndim - 1) :] if array.ndim > 1 else []
    return fu.Dataset(name, array, axes=[*scan, fu.Axis("energy", 2.0, 100.0, units)], **given)


def quick(model, loss, **given):
    return fu.fit(model, loss, starts=2, seed=0, max_steps=15, progress=False, **given)


def unpacked(packed):
    """What the page's script makes of an array."""
    size = int(packed["kind"][1])
    planes = np.frombuffer(zlib.decompress(b64decode(packed["text"])), np.uint8).reshape(size, -1)
    raw = planes.T.tobytes()
    if packed["kind"] == "f4":
        return np.frombuffer(raw, "<f4").reshape(packed["shape"])
    codes = np.frombuffer(raw, "<u2").reshape(packed["shape"])
    if packed["steps"]:
        steps = (codes >> 1).astype("<i2") ^ -(codes & 1).astype("<i2")
        codes = np.cumsum(steps, axis=1, dtype="<i2").astype("<u2")
    low, step = unpacked(packed["low"]), unpacked(packed["step"])
    return np.where(codes == 65535, np.nan, low + codes * step.astype(float))
