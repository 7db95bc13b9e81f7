"""Terms of a loss with what they lag held: what blocks, and the sample, minimise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State
from fusion.losses import Frobenius

STRETCH = 0.1
"""Share of its length by which a column may be stretched or shrunk at no cost."""
LINE = 1e-3
"""Share of an entry below which the logarithm of what is lacking is continued by a line."""


def held_fits(loss: Loss, states: Mapping[str, State]) -> list[tuple[float, Fit]]:
    """The fits, those that are functions of their squares as these squares times their slope.

    Args:
        loss: with its fits.
        states: lagged pieces by the names of the data sets.
    """
    made: list[tuple[float, Fit]] = []
    for _, weight, fit in loss.fits:
        if is_of_squares(fit):
            slope = float(torch.as_tensor(fit.scale(states.get(fit.dataset.name, {}))))
            squares = Frobenius(fit.dataset)
            squares.instead = fit.instead
            made.append((weight * slope, squares))
        else:
            made.append((weight, fit))
    return made


def is_of_squares(fit: Fit) -> bool:
    """Whether a fit is a function of its squares alone."""
    return type(fit).value_of_squares is not Fit.value_of_squares


class HeldPenalty(Surrogate):
    """A penalty with its lagged pieces as they are, on some rows of factors that stand for more.

    Args:
        term: the penalty; state: its lagged pieces.
        groups: (weight, rows) of the factors over pixels; empty: all rows as they are.
        names: of these factors.
    """

    def __init__(
        self,
        term: Surrogate,
        state: State,
        groups: Sequence[tuple[float, Tensor]] = (),
        names: Sequence[str] = (),
    ) -> None:
        self.term, self.state = term, {key: v.detach() for key, v in state.items()}
        self.groups, self.names = groups, names
        self.quadratic = term.quadratic

    def value(self, model: Model, state: State) -> Tensor:
        made = self._summed(model, self.term.value)
        assert made is not None
        return made

    def curvature(self, model: Model, state: State) -> Tensor | None:
        return self._summed(model, self.term.curvature)

    def _summed(
        self, model: Model, function: Callable[[Model, State], Tensor | None]
    ) -> Tensor | None:
        if not self.groups:
            return function(model, self.state)
        total = None
        for weight, rows in self.groups:
            here = {name: model.factor(name)()[rows] for name in self.names}
            before = {name: model.factor(name).held for name in self.names}
            for name, value in here.items():
                model.factor(name).hold(value)
            try:
                made = function(model, self.state)
            finally:
                for name, value in before.items():
                    model.factor(name).hold(value)
            if made is not None:
                total = weight * made if total is None else total + weight * made
        return total

    def __str__(self) -> str:
        return str(self.term)


class Correction(Surrogate):
    """⟨g, S − S₀⟩ + Σ a (S/S₀ − 1 − ln S/S₀): what all data say beside a sample.

    The first order is g; of counts the second and all that follow are, too, those of the counts
    that the sample lacks, a. Below a share of S₀ the logarithm goes on as a straight line.

    Args:
        gradient: of every factor.
        counts: a ≥ 0, of the factors that have some.
        point: S₀.
        scale: (K,) how the loss bends as a column is stretched, of factors (n, K). Columns more
            than `STRETCH` longer or shorter than S₀ are pulled back: a straight line may lead
            to infinity where maps can shrink as much.
    """

    quadratic = True  # near enough, row by row

    def __init__(
        self,
        gradient: Mapping[str, Tensor],
        counts: Mapping[str, Tensor],
        point: Mapping[str, Tensor],
        scale: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.gradient, self.point, self.scale = dict(gradient), dict(point), dict(scale)
        self.counts = {n: torch.where(point[n] > 0, a, 0) for n, a in counts.items()}

    def value(self, model: Model, state: State) -> Tensor:
        total = self._of_counts(model) + self._of_stretch(model)
        for name, g in self.gradient.items():
            step = model.factor(name)() - self.point[name]
            total = total + (g * step).sum(dtype=torch.float64)
        return total

    def curvature(self, model: Model, state: State) -> Tensor | None:
        if not self.counts and not self.scale:
            return None
        return self._of_counts(model) + self._of_stretch(model)

    def _of_counts(self, model: Model) -> Tensor:
        like = next(iter(self.point.values()))
        total = like.new_zeros((), dtype=torch.float64)
        for name, a in self.counts.items():
            at = self.point[name]
            share = model.factor(name)() / torch.where(at > 0, at, 1)
            inside = share.clamp_min(LINE)
            rest = share - 1 - inside.log() - (share - inside) / inside
            total = total + (a * rest).sum(dtype=torch.float64)
        return total

    def _of_stretch(self, model: Model) -> Tensor:
        """Without `abs`: its second derivative makes torch load its compiler, 33 MB."""
        total = next(iter(self.point.values())).new_zeros((), dtype=torch.float64)
        for name, bend in self.scale.items():
            at = self.point[name]
            size = at.square().sum(0)
            length = (model.factor(name)() * at).sum(0) / torch.where(size > 0, size, 1)
            off = torch.where(size > 0, length - 1, 0)
            beyond = (off - STRETCH).clamp_min(0) + (-off - STRETCH).clamp_min(0)
            total = total + 0.5 * (bend * beyond.square()).sum(dtype=torch.float64)
        return total

    def __str__(self) -> str:
        return "what all data say"
