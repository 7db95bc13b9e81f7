"""Rows of the factors over pixels at their least squares, the other factors held.

Where every prediction is M = L Rᵀ and the rows of L are those of the factors over pixels side by
side, z, times a small matrix A, the loss of every pixel is ½ z H zᵀ − b z with
H = Σ w A (Rᵀ V R) Aᵀ and b = Σ w A Rᵀ V x, over the data sets: the least of it within the bounds
is found at once, from one product with the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fusion.engine import compiled_rows
from fusion.engine.bounded_least_squares import least, regular
from fusion.engine.column_maps import Entering, pulled_back
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.row_fits import (
    Equation,
    Side,
    curvature,
    entered,
    half_and_gradient,
    slope,
    told,
)
from fusion.engine.variables import Values
from fusion.likelihood.metric import CPGrams


class LinearRows:
    """Least squares of the rows of some factors.

    Args:
        objective: of one start.
        names: of the factors over pixels; all others are held.
        of: pixels of all that these are a part of, where there are more. For speed alone.
    """

    def __init__(self, objective: Objective, names: Sequence[str], of: int = 0) -> None:
        self.objective, self.names, self.of = objective, list(names), of
        self._held: Values = {}
        """The other factors, where every fit is a product of factors as they are."""
        self._seen: list[Side] = []
        """The fits there."""
        self._sizes: dict[str, torch.Size] = {}
        """Of the rows there."""
        self._read_as: dict[int, tuple[Any, ...]] = {}
        """Shape, device and precision of their data, by their places."""
        self._equations: dict[int, Equation] = {}
        """Of these by their places, where none has weights of channels or penalties."""

    def filled(self, values: Values) -> Values | None:
        """The same values with the rows at their least squares; None where they are no such thing.

        Args:
            values: of one start, (1, …).
        """
        sides = self._sides(values)
        if sides is None:
            return None
        with torch.no_grad():
            return self._filled(sides, values)

    def at(self, values: Values) -> tuple[Values, Tensor, Values] | None:
        """(values with these rows, weighted ½ Σ w (m² − 2 x m) (fit,), gradient by the others).

        None where the rows are no such thing.
        """
        sides = self._sides(values)
        if sides is None:
            return None
        with torch.no_grad():
            return self._at(sides, values)

    def _filled(self, sides: list[Side], values: Values) -> Values | None:
        found = dict(values)
        for names, own in self._scans(sides, values):
            z = self._solved(own, names, values)
            if z is None:
                return None
            found |= _apart(z, names, values)
        return found

    def _at(self, sides: list[Side], values: Values) -> tuple[Values, Tensor, Values] | None:
        found, sums = dict(values), {}
        for names, own in self._scans(sides, values):
            once = self._read_once(own, names, values)
            z = self._solved(own, names, values) if once is None else once[0]
            if z is None:
                return None
            found |= _apart(z, names, values)
            for side in own:
                sums[id(side)] = half_and_gradient(side, found) if once is None else once[1]
        halves, gradients = zip(*(sums[id(side)] for side in sides), strict=True)
        return found, torch.stack(halves), self._pulled(sides, gradients, values)

    def _scans(self, sides: list[Side], values: Values) -> Iterator[tuple[list[str], list[Side]]]:
        """(factors, fits) that have the same pixels, scan by scan."""
        for n in dict.fromkeys(values[name].shape[1] for name in self.names):
            own = [side for side in sides if len(side.L) == n]
            if own:
                yield [name for name in self.names if values[name].shape[1] == n], own

    def _read_once(
        self, sides: list[Side], names: list[str], values: Values
    ) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
        """(the rows, half and gradient of their fit) where its data are compiled, read once.

        None where they are not, where fits meet, and where rows have each their own curvature.
        """
        side, widths = sides[0], [(name, values[name].shape[-1]) for name in names]
        unknowns = sum(k for _, k in widths)
        if len(sides) > 1 or not compiled_rows.serves(side.form, side.R.detach()[0], unknowns):
            return None
        made, more = self._equations.get(side.place), None
        if made is None or side.form.weights.cols is not None:
            bounded = self._bounded(names, values)
            if bounded is None or not bool(bounded.all()):
                return None
            H, penalty = curvature(sides, widths), self._penalties(names, values)
            if penalty is not None:
                H, more = H + penalty[0], penalty[1]
            if H.ndim > 2:
                return None
            made = Equation.of(side, entered(side, widths), *regular(H))
            if penalty is None and side.form.weights.cols is None and self._held:
                self._equations[side.place] = made
        more = None if more is None else torch.where(made.empty, 0, more)
        z, overlap, back = made.rows.of(side.form.array, self._above(names, values), more)
        L = z @ made.A
        return z, told(side, L.T @ L, overlap, back)

    def _sides(self, values: Values) -> list[Side] | None:
        """All fits, where each is linear in the rows."""
        if self._same(values):
            return self._renewed()
        objective = self.objective
        with torch.no_grad():
            tensors, places = objective.closed(values)
        if len(places) < len(objective.loss.fits):
            return None
        of = [name for *_, names in places for name in names]
        entering: list[Entering | None] = [{name: None} for name in of if name is not None]
        if None in of:  # how others enter is seen by their gradients
            with torch.enable_grad():
                self.leaves = {n: v.detach().requires_grad_() for n, v in values.items()}
                tensors, places, entering = objective.learn(self.leaves)
        sides, at = [], 0
        for i, form, metric, names in places:
            part = slice(at, at := at + len(names))
            if metric is not CPGrams or len(names) != 2 or not form.rank_one:
                return None
            (L, R), others = tensors[part], entering[part.stop - 1]
            A = self._entering(entering[part.start], values)
            if A is None or self._reads_rows(R, others):
                return None
            weight = float(objective.loss.surrogates[i][0])
            sides.append(Side(i, form, weight, L.detach()[0], R, others, A))
        if None not in of:
            self._held = {n: v for n, v in values.items() if n not in self.names}
            self._sizes = {name: values[name].shape for name in self.names}
            self._read_as = {s.place: (s.form.shape, s.form.device, s.form.dtype) for s in sides}
            self._seen, self._equations = sides, {}
        return sides

    def _same(self, values: Values) -> bool:
        """Whether these are rows of the same number beside the very factors that were seen."""
        sizes = {name: values[name].shape for name in self.names}
        same = all(values[name] is value for name, value in self._held.items())
        return bool(self._held) and same and sizes == self._sizes

    def _renewed(self) -> list[Side] | None:
        """What was seen, of the data that the objective has now: blocks differ in these alone."""
        made = []
        for side in self._seen:
            term: Any = self.objective.loss.surrogates[side.place][1]
            form = term.form(*self._read_as[side.place])
            if not form.rank_one:
                return None
            made.append(replace(side, form=form))
        return made

    def _entering(self, factors: Entering | None, values: Values) -> dict[str, Tensor] | None:
        """A: how the rows of the factors make those of L."""
        if factors is None or not set(factors) <= set(self.names):
            return None
        return {
            name: torch.eye(values[name].shape[-1]).to(values[name]) if B is None else B
            for name, B in factors.items()
        }

    def _reads_rows(self, R: Tensor, others: Entering | None) -> bool:
        """Whether the other side of a prediction depends on the rows."""
        if others is not None:
            return any(name in others for name in self.names)
        if not R.requires_grad:
            return False
        leaves = [self.leaves[name] for name in self.names]
        with torch.enable_grad():
            made = torch.autograd.grad(R.sum(), leaves, retain_graph=True, allow_unused=True)
        return any(g is not None for g in made)

    def _solved(self, sides: Sequence[Side], names: Sequence[str], values: Values) -> Tensor | None:
        """(row, Σ k) within the bounds; None where these are other than 0 or none."""
        widths = [(name, values[name].shape[-1]) for name in names]
        H, b = curvature(sides, widths), slope(sides, widths)
        more = self._penalties(names, values)
        if more is not None:
            H, b = H + more[0], b + more[1]
        bounded = self._bounded(names, values)
        if bounded is None:
            return None
        return least(H, b, bounded, self._above(names, values), of=self.of)

    def _above(self, names: Sequence[str], values: Values) -> Tensor:
        """(row, Σ k), which unknowns are above 0 where they stand."""
        return torch.cat([values[name][0] for name in names], 1) > 0

    def _penalties(self, names: Sequence[str], values: Values) -> tuple[Tensor, Tensor] | None:
        """Of terms that are quadratic row by row, (Σ k, Σ k) or one a row, and (row, Σ k)."""
        objective = self.objective
        if not objective.loss.penalties:
            return None
        states = objective.no_states()
        with torch.enable_grad():
            leaves = {n: values[n].detach().requires_grad_() for n in names}
            total = objective.penalties(values | leaves, states).sum()
            made = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
            bent = objective.penalty_curvature(values | leaves, states)
            hessian = Hessian(bent, leaves) if bent.requires_grad else None
            own = {
                name: row_blocks(hessian, name, values[name])[0].detach()
                for name in names
                if hessian and hessian.touches(name)
            }
        blocks, slopes = [], []
        for name, g in zip(names, made, strict=True):
            value = values[name]
            k = value.shape[-1]
            B = own[name] if name in own else torch.zeros(1, k, k).to(value)
            slopes.append((B @ value[0][..., None])[..., 0] - (0 if g is None else g[0]))
            blocks.append(B)
        return _diagonal_blocks(blocks), torch.cat(slopes, 1)

    def _bounded(self, names: Sequence[str], values: Values) -> Tensor | None:
        """Which of the Σ k unknowns of a row are ≥ 0; the others are free."""
        modules = self.objective.model.factor_modules()
        bounded = []
        for name in names:
            module = modules[name]
            if not module.identity or module.lower not in (0.0, None) or module.known is not None:
                return None
            bounded += [module.lower is not None] * values[name].shape[-1]
        return torch.tensor(bounded, device=self.objective.like.device)

    def _pulled(self, sides: Sequence[Side], gradients: Sequence[Tensor], values: Values) -> Values:
        """Gradients by the other factors from those by R."""
        others = [n for n in values if n not in self.names]
        pulled = pulled_back([s.entering for s in sides], [g[None] for g in gradients], {})
        pairs = [
            (s.R, g)
            for s, g in zip(sides, gradients, strict=True)
            if s.entering is None and s.R.requires_grad
        ]
        if pairs and others:  # at cotangents torch loads its symbolic shapes: 60 MB
            with torch.enable_grad():
                total = torch.stack([(R * g[None]).sum() for R, g in pairs]).sum()
            leaves = [self.leaves[name] for name in others]
            made = torch.autograd.grad(total, leaves, allow_unused=True)
            for name, g in zip(others, made, strict=True):
                if g is not None:
                    pulled[name] = pulled[name] + g if name in pulled else g
        return {
            name: pulled[name] if name in pulled else torch.zeros_like(values[name])
            for name in others
        }


def _apart(z: Tensor, names: Sequence[str], values: Values) -> Values:
    """Rows that stand side by side, by factor."""
    parts = torch.split(z, [values[name].shape[-1] for name in names], 1)
    return {name: part[None] for name, part in zip(names, parts, strict=True)}


def _diagonal_blocks(blocks: Sequence[Tensor]) -> Tensor:
    """One matrix of several, (k, k) or (row, k, k)."""
    rows = max(len(B) for B in blocks)
    width = sum(B.shape[-1] for B in blocks)
    made, at = blocks[0].new_zeros(rows, width, width), 0
    for B in blocks:
        k = B.shape[-1]
        made[:, at : at + k, at : at + k] = B
        at += k
    return made[0] if rows == 1 else made
