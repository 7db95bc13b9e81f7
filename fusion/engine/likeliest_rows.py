"""Rows of the factor over pixels at which counts are likeliest, the other factor held.

Where a prediction is M = L Rᵀ, L the rows themselves, every pixel is a problem of its own: it is
solved, and what it says of R summed up, while its counts are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion.algebra.compiling import installed
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms.compiled_reading import MANY
from fusion.forms.dense import Dense
from fusion.forms.sparse import Sparse
from fusion.likelihood.count_maps import MOST, LikeliestMaps, Maps
from fusion.likelihood.metric import Entrywise


class _Side(NamedTuple):
    form: Dense | Sparse
    weight: float
    L: Tensor  # (row, K)
    R: Tensor  # (column, K)
    shared: str  # the factor that R is


class LikeliestRows:
    """The same as `LinearRows` for counts that are kept as they came.

    Args:
        objective: of one start.
        names: of the factors over pixels; all others are held.
    """

    def __init__(self, objective: Objective, names: Sequence[str]) -> None:
        self.objective, self.names = objective, list(names)
        self._seen: tuple[Tensor, _Side] | None = None
        """What was seen, and the other factor there."""
        self._maps: LikeliestMaps | None = None
        """Of the same, where no channel has a weight."""

    def at(self, values: Values) -> tuple[Values, Tensor, Values, Values, Values] | None:
        """What `fusion.blocks.slopes` says at the rows that are likeliest.

        Args:
            values: of one start, (1, …).

        Returns:
            (values with these rows, weighted Σ w (m − x ln m) (fit,), its gradient by the other
            factor, what each of its entries explains of counts, the diagonal of the curvature);
            None where this is no fit of counts that are compiled, without penalties.
        """
        with torch.no_grad():
            side = self._side(values)
            if side is None:
                return None
            w = side.form.weights
            x = side.form.held if isinstance(side.form, Sparse) else side.form.array
            maps = self._maps if w.cols is None else None
            maps = LikeliestMaps(side.R, w.cols) if maps is None else maps
            self._maps = maps if w.cols is None else None
            return self._told(side, maps.of(x, side.L, w.rows), values)

    def _side(self, values: Values) -> _Side | None:
        loss = self.objective.loss
        if self._seen is not None and self._seen[0] is values[self._seen[1].shared]:
            return self._renewed(self._seen[1], values)
        if len(loss.terms) != 1 or len(self.names) != 1 or len(values) != 2:
            return None
        weight, term = loss.terms[0]
        kind: Any = getattr(term, "entrywise", None)
        if kind is None or not kind.logarithmic or kind.linear != 1.0 or not weight > 0:
            return None
        tensors, places = self.objective.closed(values)
        if len(places) != 1 or places[0][2] is not Entrywise or not _counts(places[0][1]):
            return None
        _, form, _, names = places[0]
        shared = [name for name in values if name not in self.names]
        module = self.objective.model.factor_modules()[self.names[0]]
        free = module.identity and module.lower == 0.0 and module.known is None
        if names != [*self.names, *shared] or not free:
            return None
        L, R = (tensor[0] for tensor in tensors)
        if L.shape[1] > MOST or bool((R < 0).any()) or not bool(torch.isfinite(R).all()):
            return None
        made = _Side(form, float(weight), L, R, shared[0])
        self._seen, self._maps = (values[shared[0]], made), None
        return made

    def _renewed(self, side: _Side, values: Values) -> _Side | None:
        """The same of the data that the objective has now, and these rows."""
        term: Any = self.objective.loss.terms[0][1]
        form = term.form((len(values[self.names[0]][0]), len(side.R)), side.R.device, side.R.dtype)
        return side._replace(form=form, L=values[self.names[0]][0]) if _counts(form) else None

    def _told(
        self, side: _Side, made: Maps, values: Values
    ) -> tuple[Values, Tensor, Values, Values, Values]:
        name, weight, cols = side.shared, side.weight, side.form.weights.cols
        explained, bent = (x.to(side.R) for x in (made.explained, made.bent))
        mass = made.mass.to(side.R).expand_as(side.R)
        slope = (mass if cols is None else cols[:, None] * mass) - explained
        return (
            values | {self.names[0]: made.rows.to(side.L)[None]},
            torch.tensor([weight * made.loss], dtype=torch.float64),
            {name: weight * slope[None]},
            {name: weight * (side.R * explained)[None]},
            {name: weight * bent[None]},
        )


def _counts(form: Any) -> bool:
    """Whether a form has whole numbers as they came, or lists, with weights of rank one."""
    if isinstance(form, Sparse):
        return form.device.type == "cpu" and prod(form.shape) >= MANY and installed()
    return isinstance(form, Dense) and form.compiled and form.rank_one
