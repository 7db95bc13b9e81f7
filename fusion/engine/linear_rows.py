"""Rows of the factors over pixels at their least squares, the other factors held.

Where every prediction is M = L Rᵀ and the rows of L are those of the factors over pixels side by
side, z, times a small matrix A, the loss of every pixel is ½ z H zᵀ − b z with
H = Σ w A (Rᵀ V R) Aᵀ and b = Σ w A Rᵀ V x, over the data sets: the least of it within the bounds
is found at once, from one product with the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion.engine.batched_nnls import nnls
from fusion.engine.column_maps import Entering, pulled_back
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms.compressed import Compressed
from fusion.likelihood.metric import CPGrams

RIDGE = 1e-12
"""Added to the diagonal, as a share of it, for spectra that are alike or empty."""


class Side(NamedTuple):
    """One fit at the present point."""

    form: Any
    weight: float
    L: Tensor  # (row, K)
    R: Tensor  # (channel, K), with its graph from the other factors where these are not known
    entering: Entering | None  # the other factors in R
    A: dict[str, Tensor]  # (k, K), of the factors that are in L
    met: Tensor  # (W ∘ X) R, (row, K)


class LinearRows:
    """Least squares of the rows of some factors.

    Args:
        objective: of one start.
        names: of the factors over pixels; all others are held.
        of: pixels of all that these are a part of, where there are more. For speed alone.
    """

    def __init__(self, objective: Objective, names: Sequence[str], of: int = 0) -> None:
        self.objective, self.names, self.of = objective, list(names), of

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
        for n in dict.fromkeys(values[name].shape[1] for name in self.names):  # scan by scan
            own = [side for side in sides if len(side.L) == n]
            names = [name for name in self.names if values[name].shape[1] == n]
            z = self._solved(own, names, values) if own else None
            if own and z is None:
                return None
            if z is not None:
                parts = torch.split(z, [values[name].shape[-1] for name in names], 1)
                found |= {m: part[None] for m, part in zip(names, parts, strict=True)}
        return found

    def _at(self, sides: list[Side], values: Values) -> tuple[Values, Tensor, Values] | None:
        found = self._filled(sides, values)
        if found is None:
            return None
        gradients, halves = [], []
        for side in sides:
            L = sum(found[name][0] @ A for name, A in side.A.items())
            assert isinstance(L, Tensor)
            half, gradient = _half_and_gradient(side, L)
            halves.append(half)
            gradients.append(gradient)
        return found, torch.stack(halves), self._pulled(sides, gradients, values)

    def _sides(self, values: Values) -> list[Side] | None:
        """All fits, where each is linear in the rows."""
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
            met = _met(form, R.detach()[0])
            weight = float(objective.loss.surrogates[i][0])
            sides.append(Side(form, weight, L.detach()[0], R, others, A, met))
        return sides

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
        H, b = _quadratic(sides, [(name, values[name].shape[-1]) for name in names])
        more = self._penalties(names, values)
        if more is not None:
            H, b = H + more[0], b + more[1]
        bounded = self._bounded(names, values)
        if bounded is None:
            return None
        before = torch.cat([values[name][0] for name in names], 1) > 0
        return least(H, b, bounded, before, of=self.of)

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


def least(
    H: Tensor, b: Tensor, bounded: Tensor, free: Tensor | None = None, *, of: int = 0
) -> Tensor:
    """min ½ z H zᵀ − b z for every row, some unknowns ≥ 0 and the others free.

    Args:
        H: (k, k), one for all rows, or (row, k, k); positive semi-definite.
        b: (row, k).
        bounded: (k,) bool.
        free: (row, k), which bounded unknowns are likely to be above 0; None: all.
        of: rows of all that these are a part of, as `nnls` takes it.
    """
    size = H.diagonal(dim1=-2, dim2=-1)
    empty = size <= 0
    H = H + torch.diag_embed(torch.where(empty, 1.0, RIDGE * size))
    b = torch.where(empty, 0, b)
    if bool(bounded.all()):
        return nnls(H, b, free, of=of)[0]
    z = torch.zeros_like(b)
    loose = ~bounded
    inner = H[..., loose, :][..., :, loose]
    if bool(loose.all()):
        return _solve(inner, b)
    cross = H[..., bounded, :][..., :, loose]
    back = torch.linalg.solve(inner, cross.mT)  # (loose, bounded)
    outer = H[..., bounded, :][..., :, bounded] - cross @ back
    outer = 0.5 * (outer + outer.mT)
    free = None if free is None else free[:, bounded]
    right = b[:, bounded] - _times(cross, _solve(inner, b[:, loose]))
    c, _ = nnls(outer, right, free, of=of)
    z[:, bounded] = c
    z[:, loose] = _solve(inner, b[:, loose] - _times(cross.mT, c))
    return z


def _solve(H: Tensor, b: Tensor) -> Tensor:
    if H.ndim == 2:
        return torch.linalg.solve(H, b.T).T
    return torch.linalg.solve(H, b[..., None])[..., 0]


def _times(H: Tensor, z: Tensor) -> Tensor:
    return z @ H.T if H.ndim == 2 else (H @ z[..., None])[..., 0]


def _quadratic(sides: Sequence[Side], widths: Sequence[tuple[str, int]]) -> tuple[Tensor, Tensor]:
    """H, one for all rows or one each, and b.

    Args:
        sides: fits of the same rows.
        widths: (factor, its columns), side by side.
    """
    H, b = None, None
    for side in sides:
        w, R = side.form.weights, side.R.detach()[0]
        nothing = [R.new_zeros(k, R.shape[1]) for _, k in widths]
        A = torch.cat(
            [side.A.get(name, zeros) for (name, _), zeros in zip(widths, nothing, strict=True)]
        )
        gram = R.T @ (R if w.cols is None else R * w.cols[:, None])
        own = side.weight * A @ gram @ A.T
        if w.rows is not None:
            own = own * w.rows[:, None, None]
        part = side.weight * side.met @ A.T
        H, b = own if H is None else H + own, part if b is None else b + part
    assert H is not None
    assert b is not None
    return H, b


def _half_and_gradient(side: Side, L: Tensor) -> tuple[Tensor, Tensor]:
    """½ Σ w (m² − 2 x m) times the weight of the fit, float64, and its gradient by R."""
    w, R = side.form.weights, side.R.detach()[0]
    left = L if w.rows is None else L * w.rows[:, None]
    right = R if w.cols is None else R * w.cols[:, None]
    inner = left.T.double() @ L.double()
    products = ((R.T.double() @ right.double()) * inner).sum()
    overlap = (side.met.double() * L.double()).sum()
    half = 0.5 * products - overlap
    gradient = right @ inner.to(R) - _met_back(side.form, left)
    return side.weight * half, side.weight * gradient


def _met(form: Any, R: Tensor) -> Tensor:
    """(W ∘ X) R, the product in the least precision that holds the data exactly."""
    if isinstance(form, Compressed):
        return form.met(R[None].to(form.core))[0].to(R)
    w = form.weights
    right = R if w.cols is None else R * w.cols[:, None]
    made = form.matmul(right.to(form.native)).to(R)
    return made if w.rows is None else made * w.rows[:, None]


def _met_back(form: Any, left: Tensor) -> Tensor:
    """(W ∘ X)ᵀ L, of rows that have their weights, in the same way."""
    made = form.rmatmul(left.to(form.native)).to(left)
    return made if form.weights.cols is None else made * form.weights.cols[:, None]


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
