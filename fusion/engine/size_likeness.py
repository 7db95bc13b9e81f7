"""How far a prediction is from the data as factors are multiplied by numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from fusion.engine.column_maps import Entering
from fusion.engine.fit_squares import own_products
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms.compressed import Compressed
from fusion.forms.reading import Reading
from fusion.language.fit_term import Fit

Likeness = tuple[Tensor, Tensor, Tensor]
"""As of `Objective.likeness`, (start,) each."""


def likeness_in_sizes(
    objective: Objective, values: Values
) -> Callable[[Mapping[str, Tensor]], Likeness]:
    """s ↦ `objective.likeness` of some factors times s, (start,) each.

    Where fits compare L Rᵀ with data and factors enter L and R column by column, inner products are
    taken once and a call costs a few numbers; elsewhere it is a pass over the data.
    """
    objective.learn(values)
    entering, fits = objective.maps.replayed, objective.loss.fits
    if entering is None or any(len(names) != 2 for *_, names in objective.maps.places):
        return partial(_by_data, objective, values)
    forms = [form for _, form, *_ in objective.maps.places]
    if not all(
        own_products(form) and form.rank_one and type(term).likeness is Fit.likeness
        for form, (_, _, term) in zip(forms, fits, strict=True)
    ):
        return partial(_by_data, objective, values)
    sides = zip(forms, entering[::2], entering[1::2], strict=True)
    parts = [_InnerProducts(form, values, left, right) for form, left, right in sides]
    return lambda sizes: _summed([part(sizes) for part in parts])


def _by_data(objective: Objective, values: Values, sizes: Mapping[str, Tensor]) -> Likeness:
    """By the model itself."""
    grown = {
        name: v * sizes[name].reshape(-1, *(1,) * (v.ndim - 1)) if name in sizes else v
        for name, v in values.items()
    }
    return objective.likeness(grown)


def _summed(parts: Sequence[Likeness]) -> Likeness:
    """Of all fits."""
    distance, curvature, half = (torch.stack(part).sum(0) for part in zip(*parts, strict=True))
    return distance, curvature, half


class _InnerProducts:
    """One fit: L = Σ s_a P_a and R = Σ s_b Q_b over factors a and b, float64."""

    def __init__(
        self, form: Reading | Compressed, values: Values, left: Entering, right: Entering
    ) -> None:
        self.left, self.right = list(left), list(right)
        P, Q = _moved(values, left), _moved(values, right)  # (factor, start, n, K)
        rows, cols = form.weights.rows, form.weights.cols
        heavy = Q if cols is None else Q * cols[:, None]
        met = form.met(Q.flatten(0, 1)).unflatten(0, Q.shape[:2])
        light = P if rows is None else P * rows[:, None]
        self.size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
        self.norm2 = form.norm2()
        self.with_data = P.flatten(2).movedim(0, 1) @ met.flatten(2).movedim(0, 1).mT
        grams = [_grams(x, y) for x, y in ((P, light), (Q, heavy))]
        self.with_itself = torch.einsum("sackl,sbdkl->sacbd", *grams).flatten(3).flatten(1, 2)

    def __call__(self, sizes: Mapping[str, Tensor]) -> Likeness:
        s, t = (
            torch.stack([sizes[n].double() if n in sizes else self._one for n in names], 1)
            for names in (self.left, self.right)
        )
        overlap = (s[:, None] @ self.with_data @ t[:, :, None])[:, 0, 0]
        whole = self._product(s, s, t, t)
        products = 0.5 * whole - self._product(s, s.detach(), t, t.detach())
        distance = 0.5 * (self.norm2 + whole) - overlap
        return distance / self.size, products / self.size, -(products / self.size).detach()

    @property
    def _one(self) -> Tensor:
        return self.with_data.new_ones(len(self.with_data))

    def _product(self, s: Tensor, s2: Tensor, t: Tensor, t2: Tensor) -> Tensor:
        """⟨M, M'⟩ at sizes s, t and s', t', (start,)."""
        left = (s[:, :, None] * s2[:, None]).flatten(1)
        right = (t[:, :, None] * t2[:, None]).flatten(1)
        return (left[:, None] @ self.with_itself @ right[:, :, None])[:, 0, 0]


def _grams(x: Tensor, y: Tensor) -> Tensor:
    """Xᵀ Y of every two factors: (a, start, n, k) and (b, start, n, l) → (start, a, b, k, l)."""
    left, right = (z.movedim(0, 2).flatten(2) for z in (x, y))  # side by side
    made = left.mT @ right
    return made.unflatten(2, (len(y), -1)).unflatten(1, (len(x), -1)).transpose(2, 3)


def _moved(values: Values, factors: Entering) -> Tensor:
    """Every factor as it enters a tensor, (factor, start, n, K), float64."""
    return torch.stack(
        [(values[n] if B is None else values[n] @ B).detach().double() for n, B in factors.items()]
    )
