"""Least-squares fits at a batch of points from Gram matrices: values and gradients, no autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.engine.column_maps import pulled_back
from fusion.engine.objective import Objective
from fusion.engine.variables import States, Values
from fusion.forms.compressed import Compressed
from fusion.forms.reading import Reading
from fusion.language.fit_term import Fit
from fusion.likelihood.metric import CPGrams


class Squares(NamedTuple):
    """½ Σ w (x − m)² of one fit, M = L Rᵀ, and what its gradient is made of; float64."""

    half: Tensor  # (start,)
    L: Tensor  # (start, row, K)
    R: Tensor  # (start, column, K)
    met: Tensor  # X with its weights times R, (start, row, K)


class FitSquares:
    """All fits of an objective at a batch of points, where each is a function of its squares.

    Args:
        objective: with fits that are least squares of a product of two tensors.
        values: of the factors, (start, …).
        tensors: two of each fit, in order.
        states: lagged pieces of the terms.
    """

    def __init__(
        self, objective: Objective, values: Values, tensors: Sequence[Tensor], states: States
    ) -> None:
        self.objective = objective
        assert objective.maps.replayed is not None
        self.entering = objective.maps.replayed
        self.values = {name: v.detach() for name, v in values.items()}
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        forms = [form for _, form, *_ in objective.maps.places]
        self.squares = [_squares(form, L, R) for form, (L, R) in zip(forms, pairs, strict=True)]
        self._under(states)

    def _under(self, states: States) -> None:
        """Take the lagged pieces as they are given."""
        self.terms = torch.stack(
            [
                weight * term.value_of_squares(s.half, form, states[i])
                for s, (i, form, *_), (_, weight, term) in self._each()
            ],
            1,
        )
        self._scales = [
            weight * torch.as_tensor(term.scale(states[i])).to(s.half)
            for s, (i, *_), (_, weight, term) in self._each()
        ]
        self._gradient: Values | None = None

    def _each(self) -> Any:
        return zip(self.squares, self.objective.maps.places, self.objective.loss.fits, strict=True)

    @property
    def size(self) -> Tensor:
        """(start,) how large the numbers are of which the terms are the sum.

        What is left of the squares is a difference of Gram matrices, each as large as the data.
        """
        parts = [
            scale.abs() * (form.norm2() / 2 + s.half.abs())
            for s, (_, form, *_), scale in zip(
                self.squares, self.objective.maps.places, self._scales, strict=True
            )
        ]
        return self.terms.abs().sum(1) + torch.stack(parts).sum(0)

    def refresh(self, states: States) -> States:
        """The lagged pieces taken anew, and the terms under these."""
        states = list(states)
        for s, (i, form, *_), (_, _, term) in self._each():
            if term.lagged:
                states[i] = term.refresh_of_squares(s.half, form, states[i])
        self._under(states)
        return states

    @property
    def gradient(self) -> Values:
        """Of the sum of the terms, by the values of the factors."""
        if self._gradient is None:
            tensors = []
            for s, (_, form, *_), scale in zip(
                self.squares, self.objective.maps.places, self._scales, strict=True
            ):
                both = _gradients(form, s)
                tensors += [g * scale.reshape(-1, 1, 1) for g in both]
            like = self.objective.like.dtype
            made = pulled_back(self.entering, [g.to(like) for g in tensors], {})
            self._gradient = {
                name: made[name] if name in made else torch.zeros_like(v)
                for name, v in self.values.items()
            }
        return self._gradient

    def rows(self, rows: Tensor) -> None:
        """Keep some of the points."""
        if self._gradient is not None:
            self._gradient = {name: g[rows] for name, g in self._gradient.items()}
        self.values = {name: v[rows] for name, v in self.values.items()}
        self.squares = [Squares(*(x[rows] for x in s)) for s in self.squares]
        self.terms = self.terms[rows]
        self._scales = [s[rows] if s.ndim else s for s in self._scales]

    def put(self, rows: Tensor, part: FitSquares) -> None:
        """Write other points over some of them."""
        for name, value in part.values.items():
            self.values[name][rows] = value
        for mine, other in zip(self.squares, part.squares, strict=True):
            for x, y in zip(mine, other, strict=True):
                x[rows] = y
        self.terms[rows], self._gradient = part.terms, None


def squares_at(objective: Objective, values: Values, states: States) -> FitSquares | None:
    """All fits at a batch of points; None where they are no such thing, or not yet known to be."""
    if not objective.maps.asked:
        objective.learn(values)
    tensors = objective.maps.replay(values)
    if not tensors or not all(
        len(names) == 2 and _of_squares(term, form, metric)
        for (_, form, metric, names), (_, _, term) in zip(
            objective.maps.places, objective.loss.fits, strict=True
        )
    ):
        return None
    return FitSquares(objective, values, tensors, states)


def _of_squares(term: Fit, form: Any, metric: type) -> bool:
    """Whether a fit is a function of its squares, and these come from the data's own products."""
    owner = type(term)
    said = defined_beside(owner, "value_of_squares", "value")
    if term.lagged:
        said = said and defined_beside(owner, "refresh_of_squares", "refresh")
    return (
        said and own_products(form) and metric is CPGrams and owner.half_squares is Fit.half_squares
    )


def own_products(form: Any) -> bool:
    """Whether inner products with the data are those of its `met` and `met_back`."""
    if isinstance(form, Compressed):
        return len(form.bases) == 2
    if not isinstance(form, Reading):
        return False
    return (type(form).inner, type(form).overlap) == (Reading.inner, Reading.overlap)


def _squares(form: Reading | Compressed, L: Tensor, R: Tensor) -> Squares:
    """No residual is formed: large numbers cancel, in float64 whatever the factors are."""
    L, R = L.detach().double(), R.detach().double()
    left, right = form.weighted(L, R)
    met = form.met(R)
    size = ((L.mT @ left) * (R.mT @ right)).sum((1, 2))
    return Squares(0.5 * (form.norm2() + size) - (L * met).sum((1, 2)), L, R, met.contiguous())


def _gradients(form: Reading | Compressed, s: Squares) -> tuple[Tensor, Tensor]:
    """By L and by R, (start, row, K) and (start, column, K)."""
    left, right = form.weighted(s.L, s.R)
    return left @ (s.R.mT @ right) - s.met, right @ (s.L.mT @ left) - form.met_back(s.L)
