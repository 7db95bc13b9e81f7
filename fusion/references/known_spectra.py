"""Maps of known spectra under the likelihoods of a fit: any pixels, any number of detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.prediction import Prediction, cp
from fusion.algebra.waiting import say
from fusion.constraints import Free, NonNegative
from fusion.data.parts import numbers
from fusion.engine.poisson_pixels import grams, information
from fusion.forms.contract import Form
from fusion.language.factor import Factor
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE
from fusion.prepare.scan_pieces import piece, scan_boxes
from fusion.references.amounts import (
    RIDGE,
    Amounts,
    channel_weights,
    least_squares,
    likeliest_beside,
    likeliest_of_any,
    variance_of_parts,
)
from fusion.search.fit import fit

Array = NDArray[np.float64]
VALUES = 2**20
"""Entries of all data sets together that are in float64 at a time."""


@dataclass(frozen=True)
class Detector:
    """A data set whose spectra are known.

    Attributes:
        term: the fit with its data.
        S: (channel, K), float64.
        weight: of the fit beside those of other data sets, a noise level that was learned included.
    """

    term: Fit
    S: Tensor
    weight: float = 1.0

    @property
    def square(self) -> bool:
        """Whether it is one of least squares."""
        return self.term.entrywise is SQUARE

    @property
    def counts(self) -> bool:
        """Whether it is one of counts."""
        return self.term.noise == "poisson" and not self.square

    @property
    def closed(self) -> bool:
        """Whether amounts are found, and their errors known, without a fit."""
        return self.square or self.counts

    @property
    def noise_known(self) -> bool:
        """Whether its weights say how large its noise is."""
        told = self.term.dataset.variance is not None and self.term.weighted_by_variance
        return self.counts or (told and not self.term.lagged)

    def on(self, data: Any) -> Detector:
        """The same of other data of that name."""
        term = copy(self.term)
        term.dataset = data
        return replace(self, term=term)


class Maps:
    """Amounts and, where asked for, their errors, filled in piece by piece.

    Attributes:
        c: (pixel, K); NaN where all is masked.
        variance: (data set, pixel, K) what the noise of each adds, for noise as the weights say;
            None where it was not asked for. Data sets whose fit is joint; else one.
        squares, freedom: of every data set, what is left of its values and of how many.
    """

    def __init__(self, pixels: int, detectors: Sequence[Detector], errors: bool) -> None:
        K, parts = detectors[0].S.shape[1], len(detectors)
        self.c = np.full((pixels, K), np.nan)
        self.variance = np.full((parts, pixels, K), np.nan) if errors else None
        self.squares, self.freedom = np.zeros(parts), np.zeros(parts)
        self.known = [each.noise_known for each in detectors]

    def errors(self) -> Array:
        """Standard errors (pixel, K); noise of unknown size is as large as what is left tells."""
        assert self.variance is not None
        return self.errors_of(self.variance)

    def errors_of(self, variance: Array) -> Array:
        """The same (pixel, K) of variances (data set, pixel, K) that are held elsewhere."""
        levels = [
            1.0 if known else squares / freedom if freedom > 0 else np.nan
            for known, squares, freedom in zip(self.known, self.squares, self.freedom, strict=True)
        ]
        return np.sqrt(np.tensordot(np.array(levels), variance, 1))


def known_maps(
    detectors: Sequence[Detector],
    *,
    signed: bool = False,
    errors: bool = False,
    device: str | torch.device | None = None,
) -> Maps:
    """The amounts C that make the fits of C S_dᵀ to all data sets d best, pixel by pixel.

    What is lazy is read in one pass, block by block. Squares and counts have closed forms; other
    likelihoods, and both together, are fitted with the spectra held.

    Args:
        detectors: with the same pixels.
        signed: whether amounts may be negative; not of counts.
        errors: whether their variances are found as well.
        device: where to compute; default: the CPU.
    """
    datasets = [each.term.dataset for each in detectors]
    scan = datasets[0].shape[: len(datasets[0].pixels)]
    found, done = Maps(datasets[0].matrix_shape[0], detectors, errors), 0
    place = torch.device("cpu" if device is None else device)
    for box in scan_boxes(datasets):
        rows = numbers(box, scan)
        here = [each.on(piece(each.term.dataset, box)) for each in detectors]
        if all(each.closed for each in here):
            add_in_closed_form(found, rows, here, signed, place)
        else:
            found.c[rows] = _by_fit(here, signed, place)
        done += len(rows)
        say(f"{100 * done // len(found.c)} % of the pixels")
    return found


def add_in_closed_form(
    found: Maps, rows: NDArray[np.intp], here: Sequence[Detector], signed: bool, place: torch.device
) -> None:
    """Fill in the amounts of a piece, some pixels at a time.

    Args:
        found: where they go; rows: the numbers of the piece's pixels there.
        here: squares and counts alone, with the data of the piece in memory.
        signed: whether amounts may be negative; not of counts.
        place: where to compute.
    """
    forms = [
        each.term.dataset.form(
            each.term.dataset.matrix_shape,
            place,
            torch.float64,
            variance=each.term.weighted_by_variance,
        )
        for each in here
    ]
    S = torch.cat([each.S for each in here]).to(place)
    ends = np.cumsum([0, *(len(each.S) for each in here)])
    for part, x, w, scale in _chunks(forms, [each.weight for each in here]):
        told = _amounts(here, ends, (x, w, scale, S), signed)
        seen = ((w > 0).any(1, keepdim=True) & (scale > 0)).cpu().numpy()
        found.c[rows[part]] = np.where(seen, told.c.cpu().numpy(), np.nan)
        if found.variance is not None:
            variance = _variances(here, told, w, S, ends).cpu().numpy()
            found.variance[:, rows[part]] = np.where(seen, variance, np.nan)
            _add_left_over(found, here, told, (x, w, scale, S), ends)


Given = tuple[Tensor, Tensor, Tensor, Tensor]
"""Values (n, channel), weights of channels (1 or n, channel) and of pixels (n, 1), spectra."""


def _amounts(here: Sequence[Detector], ends: NDArray[Any], given: Given, signed: bool) -> Amounts:
    """Of some pixels: by squares, by counts, or by both."""
    x, w, scale, S = given
    if all(each.square for each in here):
        return least_squares(x, w, scale, S, signed=signed, ridge=RIDGE)
    counts = torch.zeros(len(S), dtype=torch.bool, device=S.device)
    for each, a, b in zip(here, ends[:-1], ends[1:], strict=True):
        counts[a:b] = each.counts
        if each.counts:
            _check_counts(each, x[:, a:b], w[:, a:b])
    n = w.expand_as(x)[:, counts]
    if bool(counts.all()):
        return likeliest_of_any(x, n, S)
    v, T = w[:, ~counts], S[~counts]
    beside = grams(v, T), (v * x[:, ~counts]) @ T
    return likeliest_beside(x[:, counts], n, S[counts], beside)


def _chunks(
    forms: Sequence[Form], weights: Sequence[float]
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """(rows, values, weights (1 or n, channel), weights of pixels), channels one after another."""
    if len(forms) == 1:  # whose own weight changes nothing
        for rows, x, w in forms[0].chunks():
            yield rows, x, *channel_weights(forms[0], rows, x, w)
        return
    n, step = forms[0].shape[0], max(VALUES // sum(form.shape[1] for form in forms), 1)
    for rows in (slice(a, min(a + step, n)) for a in range(0, n, step)):
        parts = [form.rows(torch.arange(rows.start, rows.stop, device=form.device))
                 for form in forms]  # fmt: skip
        xs = [part.whole() for part in parts]
        ws = []
        for part, x, weight in zip(parts, xs, weights, strict=True):
            every = slice(0, len(x))
            v, scale = channel_weights(part, every, x, part.weights.chunk(every, part.shape))
            ws.append(weight * (v if part.weights.rows is None else v * scale))
        size = max(len(w) for w in ws)
        x = torch.cat(xs, 1)
        yield rows, x, torch.cat([w.expand(size, -1) for w in ws], 1), torch.ones_like(x[:, :1])


def _check_counts(each: Detector, x: Tensor, w: Tensor) -> None:
    """Complain of negative values where counts are needed."""
    below = (x < 0) & (w > 0)
    if bool(below.any()):
        raise ValueError(
            f"`{each.term}`: {int(below.sum())} values are negative (lowest "
            f"{float(x[below].min()):.3g}) and counts are needed: give the data as they were "
            "measured."
        )


def _variances(
    here: Sequence[Detector], told: Amounts, w: Tensor, S: Tensor, ends: NDArray[Any]
) -> Tensor:
    """(data set, n, K) what the noise of each adds to the variances; NaN where undetermined."""
    if len(here) == 1:
        return told.known_variance[None]
    made = [
        information(told.c, w[:, a:b].expand(len(told.c), -1), S[a:b])
        if each.counts
        else grams(w[:, a:b], S[a:b])
        for each, a, b in zip(here, ends[:-1], ends[1:], strict=True)
    ]
    if len({len(part) for part in made}) > 1:
        made = [part.expand(len(told.c), -1, -1) for part in made]
    G = torch.stack(made).sum(0)
    nothing = G.diagonal(dim1=-2, dim2=-1) <= 0
    G = G + torch.diag_embed(nothing.to(G))
    parts = torch.stack([each.weight * part for each, part in zip(here, made, strict=True)])
    return torch.where(told.unknown, torch.nan, variance_of_parts(G, parts, told.free))


def _add_left_over(
    found: Maps,
    here: Sequence[Detector],
    told: Amounts,
    given: Given,
    ends: NDArray[Any],
) -> None:
    """Squares that are left of data sets whose noise has an unknown size."""
    x, w, scale, S = given
    total = ((w > 0).expand_as(x) & (scale > 0)).sum(1)
    used = (told.free & ~told.unknown).sum(1) / total.clamp_min(1)  # of every value
    for i, (each, a, b) in enumerate(zip(here, ends[:-1], ends[1:], strict=True)):
        if each.noise_known:
            continue
        r = x[:, a:b] - told.c @ S[a:b].T
        own = 1.0 if len(here) == 1 else each.weight
        count = ((w[:, a:b] > 0).expand_as(r) & (scale > 0)).sum(1)
        found.squares[i] += float((scale * w[:, a:b] / own * r.square()).sum())
        found.freedom[i] += float((count * (1 - used)).sum())


class _KnownSpectra(Model):
    """Unknown maps of known spectra."""

    def __init__(self, here: Sequence[Detector], signed: bool) -> None:
        super().__init__()
        data = here[0].term.dataset
        sign = Free() if signed else NonNegative()
        self.C = Factor((data.pixels or data.matrix_shape[0], here[0].S.shape[1]), sign)
        self.names = [each.term.dataset.name for each in here]
        for i, each in enumerate(here):
            self.register_buffer(f"S{i}", each.S)

    def forward(self) -> dict[str, Prediction]:
        return {name: cp(self.C, getattr(self, f"S{i}")) for i, name in enumerate(self.names)}


def _by_fit(here: Sequence[Detector], signed: bool, device: torch.device) -> Array:
    """Under any other likelihood: a fit with the spectra held, convex as a rule."""
    loss = Loss([(each.weight, each.term) for each in here])
    result = fit(_KnownSpectra(here, signed), loss, starts=1, device=device, progress=False)
    return np.asarray(result["C"], dtype=float)
