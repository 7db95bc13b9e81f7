"""Multiple linear least squares: how much of each reference spectrum a pixel holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import pi
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waited_for
from fusion.constraints import Constraint
from fusion.data.dataset import Dataset, check_dataset
from fusion.data.reference_spectra import References, references_on_channels
from fusion.data.suited_threads import suited_threads
from fusion.data.tally import tally
from fusion.engine.poisson_pixels import deviance
from fusion.forms.contract import Form
from fusion.language.fit_term import Fit
from fusion.likelihood.entry_losses import SQUARE
from fusion.references.amounts import channel_weights, least_squares, likeliest
from fusion.references.reference_fit import PixelFit, ReferenceFit, summarise
from fusion.references.residual_shape import Residuals

SINGULAR = 1e-12
"""Least eigenvalue of the references' cosines at which one is a mixture of the others."""
INFLATED = 10.0
"""Standard error over that of a reference alone, from which on it is said."""


@checked_call
@waited_for
def mlls(
    data: Dataset | Fit,
    references: Mapping[str, Any],
    *,
    constraint: Constraint | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> ReferenceFit:
    """Fit known spectra to every pixel: x ≈ Σ_k c_k s_k, with standard errors of c.

    The references are taken as they are: maps have the unit of the data over theirs. A data set is
    fitted by least squares, weighted by its variance; without one the errors come from what is left
    in each pixel. `Poisson(data)` is fitted by maximum likelihood of counts. (Counts as their own
    variance would pull amounts down: take `data.estimate_variance()`.) Where the messages tell of a
    missing reference, `models.WithReferences` looks for it.

    Args:
        data: spectra, or a fit that says what noise they have: `Frobenius`, `Gaussian`, `Poisson`.
        references: {name: spectrum}: an array with one value a channel; a `Dataset` (the mean over
            its pixels); or (energies, spectrum). On another energy axis they are resampled, with a
            message.
        constraint: `NonNegative()`, the default, or `Free()` for amounts of any sign.
        device: "cpu", "cuda" …; default: where the data are.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if a reference does not fit the data's axis or is a mixture of the others, or
            the data hold what the fit cannot use.

    References:
        Leapman & Swyt, Ultramicroscopy 26:393 (1988).

    Example:
        >>> from fusion.simulate import layers
        >>> scene = layers(shape=(8, 10), channels=60)
        >>> references = dict(zip(scene.components, scene.truth["S"].T))
        >>> maps = fu.mlls(scene.datasets["net"], references)
        >>> maps["nitride"].shape
        (8, 10)
    """
    fit = data if isinstance(data, Fit) else None
    dataset = data.dataset if isinstance(data, Fit) else data
    check_dataset("mlls(…)", dataset)
    call = f"mlls({dataset if fit is None else fit}, …)"
    signed = _any_sign(call, constraint)
    refs = references_on_channels(call, dataset, references)
    counted = fit is not None and fit.entrywise is not SQUARE
    if fit is not None and counted:
        _check_counts(call, fit, dataset, refs, signed)
    weighted = dataset.variance is not None and not counted
    known = counted or (weighted and not (fit is not None and fit.lagged))
    form = dataset.form(
        dataset.matrix_shape, _device(dataset, device), torch.float64, variance=weighted
    )
    S = torch.from_numpy(refs.spectra).to(form.device)
    messages = _similarity_messages(call, refs, form, S)
    with suited_threads(dataset):
        parts = list(_poisson(form, S) if counted else _least_squares(form, S, signed, known))
    method = "likeliest for counts" if counted else "least squares"
    method += ", weighted by the variance" if weighted else ""
    return summarise(
        dataset,
        form,
        refs,
        PixelFit.join(parts),
        method=f"{method}, {'any sign' if signed else '≥ 0'}",
        signed=signed,
        counted=counted,
        known=known,
        messages=messages,
    )


def _device(data: Dataset, device: Any) -> torch.device:
    """Where to compute."""
    tensor = data.tensor if data.entries is None else data.entries.x
    return tensor.device if device is None else torch.device(device)


def _any_sign(call: str, constraint: Constraint | None) -> bool:
    """Whether amounts may have any sign."""
    if constraint is None or (constraint.identity and constraint.lower in (None, 0.0)):
        return constraint is not None and constraint.signed
    raise ValueError(f"`{call}`: constraint={constraint}: give `NonNegative()` or `Free()`.")


def _check_counts(call: str, fit: Fit, data: Dataset, refs: References, signed: bool) -> None:
    """Complain of what no likelihood of counts can use."""
    if fit.noise != "poisson":
        raise ValueError(f"`{call}`: give a `Dataset`, `Frobenius`, `Gaussian` or `Poisson`.")
    if signed:
        raise ValueError(f"`{call}`: counts have no negative means: leave `Free()` out.")
    stats = tally(data)
    if stats.negatives:
        raise ValueError(
            f"`{call}`: {stats.negatives} values are negative (lowest {stats.minimum:.3g}) and "
            "`Poisson` needs counts: give the data set alone (least squares), or keep the "
            "background and give it as a reference."
        )
    for name, spectrum in zip(refs.names, refs.spectra.T, strict=True):
        if (below := int((spectrum < 0).sum())) > 0:
            raise ValueError(
                f"`{call}`: {below} values of reference {name!r} are negative (lowest "
                f"{spectrum.min():.3g}): counts have no negative means: clip them at 0."
            )
    lost = (refs.spectra.max(1) <= 0) & (stats.columns > 0)
    if lost.any():
        raise ValueError(
            f"`{call}`: {int(lost.sum())} channels hold {stats.columns[lost].sum():g} counts where "
            "all references are 0: give a background as a reference, or mask those channels."
        )


def _similarity_messages(call: str, refs: References, form: Form, S: Tensor) -> list[str]:
    """Words on references that are hard to tell apart.

    Raises:
        ValueError: if one is a mixture of the others.
    """
    w = form.weights.cols
    size = (S if w is None else S * w.sqrt()[:, None]).norm(dim=0)
    unit = (S if w is None else S * w.sqrt()[:, None]) / size
    cosines = unit.T @ unit
    values, vectors = torch.linalg.eigh(cosines)
    if float(values[0]) < SINGULAR:
        some = [n for n, v in zip(refs.names, vectors[:, 0].tolist(), strict=True) if abs(v) > 1e-3]
        raise ValueError(
            f"`{call}`: {len(refs.names)} references on {form.shape[1]} channels: "
            f"{', '.join(map(repr, some))} are mixtures of each other: leave one out."
        )
    messages = []
    inflation = torch.linalg.inv(cosines).diagonal().sqrt()
    others = cosines.abs() - torch.eye(len(S.T), device=S.device)
    for k in (inflation > INFLATED).nonzero()[:, 0].tolist():
        near, angle = int(others[k].argmax()), float(others[k].max().clamp(max=1).acos()) * 180 / pi
        messages.append(
            f"{refs.names[k]!r} is hard to tell from the others (nearest {refs.names[near]!r}, "
            f"{angle:.1f}°): its standard error is {float(inflation[k]):.0f} times that beside none"
        )
    return messages


def _least_squares(form: Form, S: Tensor, signed: bool, known: bool) -> Iterator[PixelFit]:
    """Least squares, some pixels at a time; few passes over them, most of them products."""
    for rows, x, w in form.chunks():
        v, scale = channel_weights(form, rows, x, w)
        shared = len(v) == 1
        told = least_squares(x, v, scale, S, signed=signed)
        c, variance, free = told.known, told.known_variance, told.free
        good = ~told.unknown.any(1, keepdim=True)
        correction = torch.where(good, c - told.straight, 0)
        r = torch.addmm(x, c.nan_to_num(), S.T, alpha=-1)
        r2, seen = r.square(), (v > 0).to(x)
        if shared:
            squares, plain = (r2 @ torch.cat([v, seen]).T).T
        else:
            squares, plain = (v * r2).sum(1), (seen * r2).sum(1)
        squares, n = scale[:, 0] * squares, seen.sum(1) * (scale[:, 0] > 0)
        dof = torch.where(n > free.sum(1), n - free.sum(1), torch.nan)
        sigma = (
            1.0 if known else (squares / dof).sqrt()[:, None].clamp_min(torch.finfo(r.dtype).tiny)
        )
        g = torch.where(good, scale.sqrt() / sigma, 0).nan_to_num()
        if shared:
            sums = Residuals.of_products(r, r2, g, v[0], correction, S)
        else:
            z = torch.addmm(r, correction, S.T) * v.sqrt() * g
            sums = Residuals.of(z, r, (v > 0) & good)
        yield PixelFit(c, variance, free, squares, dof, 2 * dof, (plain / n).sqrt(), sums)


def _poisson(form: Form, S: Tensor) -> Iterator[PixelFit]:
    """Maximum likelihood of counts, some pixels at a time."""
    for _, x, w in form.chunks():
        w = torch.ones_like(x) if w is None else w.expand_as(x)
        x = x * w
        told = likeliest(x, w, S)
        c, variance, free = told.known, told.known_variance, told.free
        m = told.c @ S.T
        n, r = w.sum(1), x - m
        squares, mean, spread = deviance(x, w, m)
        squares = torch.where(n > 0, squares, torch.nan)
        used = ((c > 0) & free).sum(1)
        mean, spread = (mean - used).clamp_min(0.5), (spread - 2 * used).clamp_min(1.0)
        rms = ((w * r.square()).sum(1) / n).sqrt()
        z = r / m.sqrt().clamp_min(torch.finfo(x.dtype).tiny)
        yield PixelFit(c, variance, free, squares, mean, spread, rms, Residuals.of(z, r, w > 0))
