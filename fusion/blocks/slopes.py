"""The slope of the fits by the factors that all blocks share, and what counts say beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.term import State
from fusion.likelihood.entry_losses import SQUARE


class Slopes(NamedTuple):
    """What fits say at a point of one start, all of it sums over pixels.

    Attributes:
        fits: weighted, (fit,).
        gradient: by the shared factors, (1, …).
        counts: of fits Σ w (m − x ln m), S ∘ Σ w x ∂m/∂S / m: what of the counts each entry
            explains (an expectation step).
        bends: of fits that are no squares the diagonal of the curvature; times S² it is less than
            the counts, by as much as components overlap.
    """

    fits: Tensor
    gradient: Values
    counts: Values
    bends: Values


def slopes(objective: Objective, values: Values, shared: Sequence[str]) -> Slopes:
    """Values and slopes of the fits by the shared factors."""
    states = objective.no_states()
    with torch.enable_grad():
        leaves = {n: values[n].detach().requires_grad_() for n in shared}
        terms = objective.fits(values | leaves, states)[0]
        gradient = _gradient(terms.sum(), leaves)
    fits = [(i, w, t) for i, w, t in objective.loss.fits if t.entrywise is not SQUARE]
    if not fits:
        return Slopes(terms.detach(), gradient, {}, {})
    bends = _bends(objective, values, shared)
    counts = {n: bend * values[n].square() for n, bend in bends.items()}
    if all(t.entrywise is not None and t.entrywise.linear for _, _, t in fits):
        with torch.enable_grad():
            leaves = {n: values[n].detach().requires_grad_() for n in shared}
            fell = objective.each([(i, w, t.value) for i, w, t in fits], values | leaves, states)
            mass = objective.each([(i, w, _mass(t)) for i, w, t in fits], values | leaves, states)
            asked = _gradient((mass - fell).sum(), leaves)
        counts = {n: (values[n] * g).clamp_min(0) for n, g in asked.items()}
    return Slopes(terms.detach(), gradient, counts, bends)


def _bends(objective: Objective, values: Values, shared: Sequence[str]) -> Values:
    """The diagonal of the curvature."""
    curvature, made = FitCurvature(objective, values, objective.no_states()), {}
    for name in shared:
        value = values[name]
        if value.ndim != 3:
            made[name] = torch.zeros_like(value)
            continue
        matrix, weight = curvature.blocks(name)
        diagonal = matrix[0].diagonal(dim1=-2, dim2=-1)
        diagonal = diagonal if weight is None else diagonal * weight[:, None]
        made[name] = diagonal.expand(value.shape[1:])[None]
    return made


def _mass(fit: Fit):
    """Σ w m times the linear part of the loss, as a function of model and state."""

    def mass(model: Model, state: State) -> Tensor:
        form, M = fit.pair(model)
        assert fit.entrywise is not None
        w = form.weights
        if isinstance(M, Expanded) or not form.rank_one:
            matrix = M.dense().reshape(form.shape)
            weight = w.chunk(slice(None), form.shape)
            total = (matrix if weight is None else matrix * weight).sum(dtype=torch.float64)
        else:
            L, R = form.weighted(*M.two_way())
            total = (L.sum(0, dtype=torch.float64) * R.sum(0, dtype=torch.float64)).sum()
        return fit.entrywise.linear * total

    return mass


def _gradient(total: Tensor, leaves: Values) -> Values:
    made = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        n: torch.zeros_like(leaf) if g is None else g
        for (n, leaf), g in zip(leaves.items(), made, strict=True)
    }
