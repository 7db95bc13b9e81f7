"""Standard errors of a fit's factors, all varying together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, NoiseWarning, users_line
from fusion.algebra.prediction import Expanded
from fusion.algebra.waiting import waiting
from fusion.engine.autograd import autograd
from fusion.engine.covariance import variances
from fusion.engine.curvature import states_at
from fusion.engine.objective import Objective
from fusion.engine.quadratic import Quadratic
from fusion.engine.thread_count import suitably_threaded
from fusion.engine.variables import States, Values
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import State, Term
from fusion.likelihood.entry_losses import SQUARE
from fusion.uncertainty.error_table import StandardErrors

if TYPE_CHECKING:
    from fusion.answers.result import Result

STEP = 1e-3
"""Relative change of a term's weight by which a derivative is taken."""
CORRELATED = 0.1
"""Correlation of neighbouring channels' residuals that is told, if it is no chance."""
SAME = 0.9999
"""The highest that is told: residuals that are rounding alone may all have one sign."""


@dataclass(frozen=True)
class FittedPoint:
    """A fit's answer as the engine sees it, in float64.

    Attributes:
        model: the fitted model; loss: what was minimised.
        objective: both as functions of raw variables; flat: those of the answer, (1, n).
        states: lagged pieces there.
        free: which raw variables vary, (n,) bool: neither known nor at their bound.
    """

    model: Model
    loss: Loss
    objective: Objective
    flat: Tensor
    states: States
    free: Tensor

    @classmethod
    def of(cls, result: Result, call: str) -> FittedPoint:
        """The point of a result.

        Raises:
            ValueError: if the result was loaded, or some term has no curvature.
        """
        if not hasattr(result, "minimised"):
            raise ValueError(
                f"`{call}({type(result).__name__})`: give the result of `fu.fit(model, loss)`."
            )
        if result.model is None or result.minimised is None:
            raise ValueError(
                f"`{call}`: a loaded result has neither model nor loss: fit once more with "
                "`init=result, starts=1`."
            )
        model = deepcopy(result.model).double()
        objective = Objective(model, result.minimised)
        flat = objective.retract(torch.maximum(objective.current(), objective.lower()))
        states = states_at(objective, batched=True)
        free = objective.free() & (flat[0] > objective.lower())
        return cls(model, result.minimised, objective, flat, states, free)

    def quadratic(self, factors: list[float] | None = None) -> Quadratic:
        """The curvature, every term's weight times a factor."""
        loss = self.loss
        if factors is not None:
            loss = Loss([(w * f, t) for f, (w, t) in zip(factors, loss.terms, strict=True)])
        return Quadratic(Objective(self.model, loss), self.flat, self.states)

    def term_diagonal(self, i: int) -> Tensor:
        """Diagonal of the curvature of one term, (n,)."""
        objective = Objective(self.model, Loss([self.loss.terms[i]]))
        return Quadratic(objective, self.flat, [self.states[i]]).diagonal()


@checked_call
@autograd()
def standard_errors(
    result: Result, *, held: Sequence[str] = (), progress: bool = True
) -> StandardErrors:
    """Standard errors of all factors, from the Gauss–Newton matrix H at the answer.

    Σ = H⁻¹ (Σ_d g_d H_d) H⁻¹ with all factors varying together, H_d the part of data set d and g_d
    its noise in the unit of its term: 1 for a likelihood at weight 1 (`Poisson`, or `Frobenius`
    with a variance), where Σ = H⁻¹. Without a variance the noise is estimated, Σ r²/(n − p). A
    penalty counts as prior knowledge, its g the mean of the fits'. Unit columns fix the scale.

    An error says how far the entry may be off, given that the model and its noise are right. It
    says nothing of other answers far away: see `ambiguity`.

    Args:
        result: of `fit`.
        held: factors that are taken to be right: the others' errors do without those of these,
            which are 0. With the maps held the errors of the spectra are those of their counts.
        progress: whether a line says so, as in `fit`.

    Returns:
        {factor: array of its shape, in its unit}; 0 where an entry is known, NaN where it stands at
        its bound (held there: its error has one side only) or no data see it, ∞ where the data
        leave it open. `print` shows how large they are.

    Raises:
        ValueError: if the result was loaded, there is no such factor to hold, there are more free
            numbers than data, or the problem is too large, with its sizes.

    Warns:
        FusionWarning: if neighbouring channels of a residual are correlated (errors are too small),
            or some entries are left open.

    Example:
        >>> from fusion.simulate import concurrent
        >>> edxs = concurrent(shape=(6, 8), channels=60).datasets["edxs"]
        >>> model = fu.models.NMF(edxs, K=2)
        >>> result = fu.fit(model, fu.losses.Frobenius(edxs), starts=2, progress=False)
        >>> errors = fu.standard_errors(result)  # or result.errors()
        >>> errors["S"].shape
        (60, 2)
    """
    point = point_of_errors(result, "standard_errors", held)
    with waiting("errors", progress) as step, suitably_threaded(point.objective):
        step.say(f"curvature of {point.flat.shape[1]} numbers")
        variance_of = sandwich(point, lambda H: variances(H, point.free))
    errors = {}
    for slot in point.objective.slots:
        error = variance_of[slot.name].sqrt()
        if error.shape == slot.shape and slot.module is not None:
            bound = (point.flat[0] <= point.objective.lower())[slot.part].view(slot.shape)
            known = slot.module.known
            error = torch.where(bound if known is None else bound & ~known, torch.nan, error)
        if slot.name in held:
            error = torch.zeros_like(error)
        errors[slot.name] = error.cpu().numpy()
        errors[slot.name][np.isnan(result.factors[slot.name])] = np.nan
    _warn_open(errors)
    return StandardErrors(errors, result.factors)


def point_of_errors(result: Result, call: str, held: Sequence[str] = ()) -> FittedPoint:
    """The answer with some factors held, and a caution where the noise is not what errors assume.

    Raises:
        ValueError: if the result was loaded, or there is no such factor.
    """
    point = FittedPoint.of(result, call)
    parts = {slot.name: slot.part for slot in point.objective.slots}
    for name in held:
        if name not in parts:
            raise ValueError(
                f"`{call}(held={list(held)!r})`: no factor {name!r}; the result has "
                f"{', '.join(parts)}."
            )
        point.free[parts[name]] = False
    for _, _, term in point.loss.fits:
        _warn_correlated(term, point.model)
    return point


def sandwich(point: FittedPoint, read: Callable[[Quadratic], Values]) -> Values:
    """What is read of H⁻¹ G H⁻¹, G = Σ g_t H_t over the terms, `read` of an inverse being linear.

    G = g H: g H⁻¹. Else as a derivative, H⁻¹ G H⁻¹ = −d/dt (H + t G)⁻¹ at t = 0.
    """
    noise = noise_levels(point)
    curved = [i for i, g in enumerate(noise) if g > 0]
    common = {noise[i] for i in curved}
    if len(common) <= 1:
        g = common.pop() if common else 0.0
        return {name: g * v for name, v in read(point.quadratic()).items()}
    most = max(noise)
    below, above = (
        read(point.quadratic([1 + sign * STEP * g / most for g in noise])) for sign in (-1, 1)
    )
    made = {}
    for name, v in below.items():
        slope = (v - above[name]) * (most / (2 * STEP))
        made[name] = torch.where(torch.isinf(v) | torch.isinf(above[name]), torch.inf, slope)
    return made


def noise_levels(point: FittedPoint) -> list[float]:
    """g of every term: variance of its gradient over its curvature.

    Raises:
        ValueError: if there are more free numbers than data.
    """
    used = _parameters_of_fits(point)
    levels, counts = {}, {}
    for i, weight, term in point.loss.fits:
        levels[i] = weight
        counts[i] = 1.0
        if isinstance(term, Fit):
            with torch.no_grad(), point.model.once():
                counts[i] = float(term.pair(point.model)[0].count())
            if _noise_unknown(term):
                state = {key: value[0] for key, value in point.states[i].items()}
                levels[i] = weight * _noise_variance(term, point.model, state, counts[i], used[i])
    total = sum(counts.values())
    prior = sum(levels[i] * counts[i] for i in levels) / total if total else 1.0
    return [levels.get(i, prior) for i in range(len(point.loss.terms))]


def _noise_unknown(term: Fit) -> bool:
    """Whether the size of the noise has to be found from the residual."""
    return term.entrywise is SQUARE and (term.dataset.variance is None or term.lagged)


def _noise_variance(term: Fit, model: Model, state: State, n: float, p: float) -> float:
    """s² of a least-squares fit times the factor that stands before its squares."""
    if p >= n:
        raise ValueError(
            f"`standard_errors`: {term} has {n:.0f} values and {p:.0f} free numbers: nothing is "
            "left to find the noise from: give the data a `variance`, or fewer components."
        )
    with torch.no_grad(), model.once():
        squares = 2 * float(term.half_squares(model))
    return max(squares, 0.0) / (n - p) * float(term.scale(state))


def _parameters_of_fits(point: FittedPoint) -> dict[int, float]:
    """How many free numbers every fit pays for: shared by what each says of them."""
    parts = {i: point.term_diagonal(i)[point.free] for i in range(len(point.loss.terms))}
    total = torch.stack(list(parts.values())).sum(0)
    seen = total > 0
    free = int(point.free.sum())
    scales = sum(
        s.shape[-1] for s in point.objective.slots if s.module is not None and s.module.scale_free
    )
    share = (free - scales) / max(free, 1)
    return {i: share * float((d[seen] / total[seen]).sum()) for i, d in parts.items()}


def _warn_correlated(term: Term, model: Model) -> None:
    """Tell where neighbouring channels are off together: errors assume that they are not."""
    if not isinstance(term, Fit) or term.dataset.signal != 1 or term.entrywise is None:
        return
    with torch.no_grad(), model.once():
        correlation = _neighbour_correlation(term, model)
    chance = 4 / prod(term.dataset.matrix_shape) ** 0.5
    if correlation > max(CORRELATED, chance):
        more = ((1 + correlation) / (1 - correlation)) ** 0.5
        warnings.warn(
            f"`standard_errors`: neighbouring channels of {term.dataset.name!r} are off together "
            f"(correlation {correlation:.2f}): errors assume that they are not, and a map may be "
            f"off by {more:.1f} times as much: bin the channels, or see whether a component is "
            "missing, or another data set weighs more than its noise allows.",
            NoiseWarning,
            stacklevel=users_line(),
        )


def _neighbour_correlation(term: Fit, model: Model) -> float:
    """Correlation of the residuals of neighbouring channels, each in units of its own size."""
    _, M = term.pair(model)
    data = term.dataset
    if data.matrix_shape[0] < 2:  # by its own size every residual of one pixel is 1 or −1
        return 0.0
    form = data.form(data.matrix_shape, M.like.device, M.like.dtype)
    if (
        data.entries is not None
        or isinstance(M, Expanded)
        or (prod(M.shape[:-1]), M.shape[-1]) != data.matrix_shape
    ):
        return 0.0
    L, R = M.two_way()
    products, squares = R.new_zeros(len(R) - 1), R.new_zeros(len(R))
    for rows, x, w in form.chunks():
        r = x - L[rows] @ R.T
        r = r if w is None else torch.where(w > 0, r, 0)
        squares += r.square().sum(0)
        products += (r[:, 1:] * r[:, :-1]).sum(0)
    size = (squares[1:] * squares[:-1]).sqrt()
    seen = size > 0
    found = float((products[seen] / size[seen]).mean()) if bool(seen.any()) else 0.0
    return min(found, SAME)  # all off alike


def _warn_open(errors: dict[str, NDArray[Any]]) -> None:
    """Tell which factors the data leave open."""
    counts = {name: int(np.isinf(e).sum()) for name, e in errors.items() if np.isinf(e).any()}
    if counts:
        text = ", ".join(f"{n} of {errors[name].size} in {name}" for name, n in counts.items())
        warnings.warn(
            f"`standard_errors`: the data leave entries open ({text}): other factors fit as well, "
            "in every direction: `ambiguity(result)` shows how far; a scale that nothing fixes "
            "wants `UnitColumns()`.",
            ClaimWarning,
            stacklevel=users_line(),
        )
