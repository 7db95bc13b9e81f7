"""How much of known spectra is in every pixel, under the likelihood of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.prediction import Prediction, cp
from fusion.engine.batched_nnls import nnls
from fusion.engine.poisson_pixels import grams, maximum_likelihood
from fusion.language.factor import Factor
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE
from fusion.search.fit import fit

FLOOR = 1e-12
"""Of a spectrum, in units of its mean: counts in channels that no spectrum reaches stay finite."""
RIDGE = 1e-12
"""Added to Gram matrices of unit diagonal, for spectra that are alike or empty."""


def known_maps(term: Fit, S: Tensor, device: str | None = None) -> NDArray[Any]:
    """C ≥ 0 that makes the fit of C Sᵀ to its data smallest, pixel by pixel.

    Args:
        term: the fit with its data.
        S: (channel, K) ≥ 0, float64.
        device: where to compute; default: the CPU.

    Returns:
        (pixel, K), float64; 0 where a spectrum is empty.
    """
    data = term.dataset
    square, counts = term.entrywise is SQUARE, term.noise == "poisson"
    if not (square or counts):
        return _by_fit(term, S, device)
    place, weigh = torch.device(device or "cpu"), term.weighted_by_variance
    form, S = data.form(data.matrix_shape, place, torch.float64, variance=weigh), S.to(place)
    parts = []
    for _, x, w in form.chunks():
        parts.append(_least_squares(x, w, S) if square else _poisson(x, w, S))
    return torch.cat(parts).cpu().numpy()


def _least_squares(x: Tensor, w: Tensor | None, S: Tensor) -> Tensor:
    if w is None:
        G, b = S.T @ S, x @ S
    else:
        G, b = grams(w.expand_as(x), S), (w * x) @ S
    size = G.diagonal(dim1=-2, dim2=-1)
    empty = size <= 0
    c, _ = nnls(G + torch.diag_embed(torch.where(empty, 1.0, RIDGE * size)), b)
    return torch.where(empty, 0, c)


def _poisson(x: Tensor, w: Tensor | None, S: Tensor) -> Tensor:
    w = torch.ones_like(x) if w is None else w.expand_as(x)
    empty = S.sum(0) <= 0
    floor = FLOOR * S[:, ~empty].mean()
    c = torch.zeros(len(x), S.shape[1], dtype=x.dtype, device=x.device)
    some = x.sum(1) > 0  # a pixel without counts holds nothing
    if bool(empty.all()) or not bool(some.any()):
        return c
    c[some[:, None] & ~empty] = maximum_likelihood((w * x)[some], w[some], S[:, ~empty] + floor)[
        0
    ].flatten()
    return c


class _KnownSpectra(Model):
    """Unknown maps of known spectra."""

    def __init__(self, term: Fit, S: Tensor) -> None:
        super().__init__()
        self.name = term.dataset.name
        self.C = Factor((term.dataset.pixels, S.shape[1]))
        self.S: Tensor
        self.register_buffer("S", S)

    def forward(self) -> dict[str, Prediction]:
        return {self.name: cp(self.C, self.S)}


def _by_fit(term: Fit, S: Tensor, device: str | None) -> NDArray[Any]:
    """Under any other likelihood: a fit with the spectra held, convex as a rule."""
    result = fit(_KnownSpectra(term, S), term, starts=1, device=device, progress=False)
    return np.nan_to_num(result["C"])
