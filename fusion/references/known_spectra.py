"""Maps of known spectra under the likelihoods of a fit: any pixels, any number of detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.prediction import Prediction, cp
from fusion.algebra.waiting import say
from fusion.constraints import Free, NonNegative
from fusion.data.parts import numbers
from fusion.data.suited_threads import suited_threads
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
    squares_at,
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
    with suited_threads(*datasets):
        for box in scan_boxes(datasets):
            rows = numbers(box, scan)
            here = [each.on(piece(each.term.dataset, box)) for each in detectors]
            if all(each.closed for each in here):
                _add_in_closed_form(found, rows, here, signed, place)
            else:
                found.c[rows] = _by_fit(here, signed, place)
            done += len(rows)
            say(f"{100 * done // len(found.c)} % of the pixels")
    return found


def errors_at(
    here: Sequence[Detector], c: Tensor, squares: Sequence[float], *, signed: bool = False
) -> Maps:
    """The same of amounts that are known: their errors, without a look at the data.

    Args:
        here: squares and counts alone, of some pixels; c: (pixel, K) their amounts, float64.
        squares: what is left of every data set, with its weights.
        signed: whether amounts may be negative; not of counts.
    """
    found = Maps(len(c), here, errors=True)
    forms, S, ends = _forms(here, c.device)
    assert found.variance is not None
    for part, x, w, scale in _weights(forms, [each.weight for each in here]):
        told = _amounts(here, ends, (x, w, scale, S), signed, c[part])
        seen = ((w > 0).any(1, keepdim=True) & (scale > 0)).cpu().numpy()
        variance = _variances(here, told, w, S, ends).cpu().numpy()
        found.variance[:, part] = np.where(seen, variance, np.nan)
        freedom = _freedom(here, told, (x, w, scale, S), ends)
        found.freedom += [float(each.sum()) for each in freedom]
    found.c, found.squares = c.cpu().numpy(), np.array(squares)
    return found


def _forms(here: Sequence[Detector], place: torch.device) -> tuple[list[Form], Tensor, Any]:
    """Of the data sets, their spectra one after another, and where these end."""
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
    return forms, S, np.cumsum([0, *(len(each.S) for each in here)])


def _add_in_closed_form(
    found: Maps, rows: NDArray[np.intp], here: Sequence[Detector], signed: bool, place: torch.device
) -> None:
    """The amounts of a piece, some pixels at a time."""
    forms, S, ends = _forms(here, place)
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


def _amounts(
    here: Sequence[Detector],
    ends: NDArray[Any],
    given: Given,
    signed: bool,
    at: Tensor | None = None,
) -> Amounts:
    """Of some pixels: by squares, by counts, or by both; `at`: where they are known."""
    x, w, scale, S = given
    if all(each.square for each in here):
        if at is not None:
            return squares_at(at, w, scale, S, signed=signed, ridge=RIDGE)
        return least_squares(x, w, scale, S, signed=signed, ridge=RIDGE)
    counts = torch.zeros(len(S), dtype=torch.bool, device=S.device)
    for each, a, b in zip(here, ends[:-1], ends[1:], strict=True):
        counts[a:b] = each.counts
        if each.counts and at is None:
            _check_counts(each, x[:, a:b], w[:, a:b])
    n = w if at is not None else w.expand_as(x)
    if bool(counts.all()):
        return likeliest_of_any(x, n, S, at)
    n, v, T = n[:, counts], w[:, ~counts], S[~counts]
    b = x.new_zeros(()) if at is not None else (v * x[:, ~counts]) @ T
    return likeliest_beside(x[:, counts], n, S[counts], (grams(v, T), b), at)


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
        xs, every = [part.whole() for part in parts], slice(0, rows.stop - rows.start)
        pairs = [
            channel_weights(part, every, x, part.weights.chunk(every, part.shape))
            for part, x in zip(parts, xs, strict=True)
        ]
        x = torch.cat(xs, 1)
        yield rows, x, *_side_by_side(parts, pairs, weights, x)


def _weights(
    forms: Sequence[Form], weights: Sequence[float]
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """The same without a look at the values: zeros stand for them, which take no room."""
    n, channels = forms[0].shape[0], sum(form.shape[1] for form in forms)
    step = max(VALUES // (4 * channels), 1)
    zero = torch.zeros(1, 1, dtype=torch.float64, device=forms[0].device)
    for rows in (slice(a, min(a + step, n)) for a in range(0, n, step)):
        x = zero.expand(rows.stop - rows.start, channels)
        pairs = [
            channel_weights(f, rows, x[:, : f.shape[1]], f.weights.chunk(rows, f.shape))
            for f in forms
        ]
        alone = len(forms) == 1
        yield rows, x, *(pairs[0] if alone else _side_by_side(forms, pairs, weights, x))


def _side_by_side(
    forms: Sequence[Form],
    pairs: Sequence[tuple[Tensor, Tensor]],
    weights: Sequence[float],
    x: Tensor,
) -> tuple[Tensor, Tensor]:
    """Weights of several data sets one after another, with those of pixels in them, which are 1."""
    triples = zip(forms, pairs, weights, strict=True)
    ws = [g * (v if form.weights.rows is None else v * scale) for form, (v, scale), g in triples]
    size = max(map(len, ws))
    return torch.cat([w.expand(size, -1) for w in ws], 1), torch.ones_like(x[:, :1])


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
    freedom = _freedom(here, told, given, ends)
    for i, (each, a, b) in enumerate(zip(here, ends[:-1], ends[1:], strict=True)):
        if each.noise_known:
            continue
        r = x[:, a:b] - told.c @ S[a:b].T
        own = 1.0 if len(here) == 1 else each.weight
        found.squares[i] += float((scale * w[:, a:b] / own * r.square()).sum())
        found.freedom[i] += float(freedom[i].sum())


def _freedom(
    here: Sequence[Detector], told: Amounts, given: Given, ends: NDArray[Any]
) -> list[Tensor]:
    """Of every data set how many of its values the amounts of a pixel do not use up, (n,)."""
    _, w, scale, _ = given
    seen = [((w[:, a:b] > 0).sum(1) * (scale[:, 0] > 0)) for a, b in pairwise(ends)]
    used = (told.free & ~told.unknown).sum(1) / torch.stack(seen).sum(0).clamp_min(1)
    return [count * (1 - used) for count in seen]


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
