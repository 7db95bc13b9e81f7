"""Short fits of every kind of model and data; each is made once, and nothing is written to it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import nn

import fusion as fu
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.losses import Frobenius, Poisson, SquaredNorm
from fusion.models import CPD, NMF, SharedMaps, SharedSpectra, Tucker

QUICK = {"starts": 2, "seed": 0, "max_steps": 12, "progress": False}


def array(*shape: int, rank: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    modes = [rng.gamma(1.0, 1.0, (n, rank)) for n in shape]
    letters = "abcd"[: len(shape)]
    cube = np.einsum(",".join(f"{c}k" for c in letters) + "->" + letters, *modes)
    return cube + 0.1 * rng.random(shape)


def spectrum_image(name: str = "eels", shape=(5, 6, 12), **options) -> fu.Dataset:
    axes = (
        fu.Axis("y", 0.5, units="nm"),
        fu.Axis("x", 0.5, units="nm"),
        fu.Axis("energy loss", values=np.linspace(90, 120, shape[-1]) ** 1.01, units="eV"),
    )
    return fu.Dataset(name, array(*shape), axes=axes, **options)


class Coupled(fu.Model):
    """Eq. (14), with a plain parameter beside."""

    def __init__(self, a: fu.Dataset, b: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((a.pixels, K), NonNegative(), UnitColumns())
        self.N = fu.Factor((a.pixels, K), Free())
        self.S1 = fu.Factor((a.channels, K))
        self.S2 = fu.Factor((b.channels, K), NonNegative())
        self.gain = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.names = (a.name, b.name)

    def forward(self):
        first = fu.cp((self.C + self.N) * self.gain.mean(), self.S1)
        return dict(zip(self.names, (first, fu.cp(self.C, self.S2)), strict=True))


@cache
def coupled() -> fu.Result:
    a, b = spectrum_image("a"), spectrum_image("b", (5, 6, 9))
    return fu.fit(Coupled(a, b, 2), Frobenius(a) + Frobenius(b) + SquaredNorm("N", 0.1), **QUICK)


@cache
def nmf(data: fu.Dataset | None = None, **options) -> fu.Result:
    data = data or spectrum_image()
    return fu.fit(NMF(data, 2), Frobenius(data), **{**QUICK, **options})


@cache
def cpd() -> fu.Result:
    data = fu.Dataset("x", array(4, 5, 6))
    return fu.fit(CPD(data, 2), Frobenius(data), **QUICK)


@cache
def tucker() -> fu.Result:
    data = fu.Dataset("x", array(4, 5, 6))
    return fu.fit(Tucker(data, (2, 3, 2)), Frobenius(data), **QUICK)


@cache
def one_pixel() -> fu.Result:
    data = fu.Dataset("one", array(9, 1)[:, 0])
    return fu.fit(NMF(data, 1), Frobenius(data), **QUICK)


@cache
def image() -> fu.Result:
    eels, adf = (
        spectrum_image(),
        fu.Dataset("adf", array(5, 6), axes=spectrum_image().pixels, signal=0),
    )
    return fu.fit(SharedMaps(eels, adf, K=2), Frobenius(eels) + Frobenius(adf), **QUICK)


@cache
def two_maps() -> fu.Result:
    a, b = spectrum_image("a"), spectrum_image("b", (3, 4, 12))
    return fu.fit(SharedSpectra(a, b, K=2), Frobenius(a) + Frobenius(b), **QUICK)


@cache
def diffraction() -> fu.Result:
    data = fu.Dataset("patterns", array(4, 3, 6, 5), signal=2)
    return fu.fit(NMF(data, 2), Frobenius(data), **QUICK)


@cache
def series() -> fu.Result:
    data = fu.Dataset("series", array(3, 4, 5, 6))
    return fu.fit(NMF(data, 2), Poisson(data), **QUICK)


@cache
def masked() -> fu.Result:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1, 2:4] = True
    return nmf(spectrum_image(mask=mask))


RESULTS = [
    nmf,
    coupled,
    cpd,
    tucker,
    one_pixel,
    image,
    two_maps,
    diffraction,
    series,
    masked,
]
