"""Gauss–Newton products and row blocks of the fits, by the values of the factors."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import torch
from torch import Tensor

from fusion.engine.column_maps import Entering, entered, pulled_back
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.row_blocks import Block
from fusion.engine.variables import States, Values
from fusion.likelihood.metric import Coupling, Metric, RowBlocks, TuckerGrams


class FitCurvature:
    """Gauss–Newton products of the fits by the values of the factors.

    In closed form in the tensors of every prediction; where factors enter these column by column,
    products do, too, else autograd carries directions there and back. What has no closed form is
    left to double backward.

    Args:
        objective: with its fits.
        values: of the factors, at one point.
        states: lagged pieces.
        whole: products with the whole second derivative of fits of counts by their tensors.
    """

    def __init__(
        self, objective: Objective, values: Values, states: States, whole: bool = False
    ) -> None:
        with torch.enable_grad():
            self.values = {name: v.detach().requires_grad_() for name, v in values.items()}
            self.tensors, closed_forms, self.entering = objective.learn(self.values)
            closed = {i for i, *_ in closed_forms}
            rest = [i for i, _, _ in objective.loss.fits if i not in closed]
            self.rest = Hessian(objective.fit_curvature_of(rest, self.values, states), self.values)
        self.names: list[str | None] = [name for *_, names in closed_forms for name in names]
        self.metrics: list[tuple[Metric, slice]] = []
        at = 0
        for i, form, metric, names in closed_forms:
            weight, term = objective.loss.surrogates[i]
            part = slice(at, at := at + len(names))
            tensors = [x.detach() for x in self.tensors[part]]
            scale = weight * torch.as_tensor(
                term.scale(states[i]),  # pyright: ignore[reportAttributeAccessIssue]
                dtype=torch.float64,
                device=tensors[0].device,
            ).expand(len(tensors[0]))
            loss = term.entrywise  # pyright: ignore[reportAttributeAccessIssue]
            self.metrics.append((metric(form, loss, tensors, scale), part))
            if whole:
                self.metrics[-1][0].made_whole()
        self._between()

    def _between(self) -> None:
        """The graph from the factors to those tensors where autograd must carry directions."""
        self.loose = [k for k, factors in enumerate(self.entering) if factors is None]
        self.pulled: Values = {}
        if not self.loose:
            return
        made = [self.tensors[k] for k in self.loose]
        with torch.enable_grad():
            self.duals = [torch.zeros_like(x).requires_grad_() for x in made]
            pulled = torch.autograd.grad(
                made, list(self.values.values()), self.duals, create_graph=True, allow_unused=True
            )
        self.pulled = {n: g for n, g in zip(self.values, pulled, strict=True) if g is not None}

    def _push(self, v: Values) -> list[Tensor | None]:
        """Directions of the tensors from directions of the factors."""
        d = [entered(factors, v) for factors in self.entering]
        pairs = [(g, v[name]) for name, g in self.pulled.items() if name in v]
        if pairs:
            gradients, directions = zip(*pairs, strict=True)
            made = torch.autograd.grad(
                gradients, self.duals, directions, retain_graph=True, allow_unused=True
            )
            for k, x in zip(self.loose, made, strict=True):
                d[k] = x
        return d

    def _pull(self, h: list[Tensor | None], pulled: Values) -> Values:
        """Gradients by the factors from gradients by the tensors, added to `made`."""
        pulled = pulled_back(self.entering, h, pulled)
        met = [(self.tensors[k], x) for k in self.loose if (x := h[k]) is not None]
        if met:
            gradients = torch.autograd.grad(
                [tensor for tensor, _ in met],
                list(self.values.values()),
                [x for _, x in met],
                retain_graph=True,
                allow_unused=True,
            )
            for name, x in zip(self.values, gradients, strict=True):
                if x is not None:
                    pulled[name] = pulled[name] + x if name in pulled else x
        return pulled

    def __call__(self, v: Values, wanted: Collection[str] | None = None) -> Values:
        """H v, by name; directions that are not given are zero; of all factors, or some."""
        d = self._push(v)
        wanted = self.values.keys() if wanted is None else wanted
        needed = [f is None or any(name in wanted for name in f) for f in self.entering]
        h = [
            x
            for metric, part in self.metrics
            for x in (
                metric.product(d[part], needed[part])
                if any(x is not None for x in d[part])  # else a pass over the data for zeros
                else d[part]
            )
        ]
        made = self._pull(h, self.rest(v) if self.rest else {})
        return {
            name: made[name] if name in made else torch.zeros_like(self.values[name])
            for name in wanted
        }

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        return self({name: v}, [name])[name]

    def couplings(self) -> list[tuple[list[Entering | None], Coupling]]:
        """How the tensors of every prediction meet, and the factors in them."""
        return [
            (self.entering[part], coupling)
            for (_, part), coupling in zip(self.metrics, self.coupling_of, strict=True)
            if coupling is not None
        ]

    @cached_property
    def coupling_of(self) -> list[Coupling | None]:
        """How the tensors of every prediction in closed form meet; None where not by low rank."""
        return [metric.coupling() for metric, _ in self.metrics]

    def block_of_core(self, name: str) -> Tensor | None:
        """The whole block of a factor that is the core of one prediction and nothing else."""
        found = [
            metric.block_of_core()
            for metric, part in self.metrics
            if isinstance(metric, TuckerGrams) and self.names[part.start] == name
        ]
        alone = len(self._tensors_of(name)) == 1 and not self.loose and not self.rest
        return found[0] if found and alone else None

    def blocks(self, name: str) -> tuple[Tensor, Tensor | None]:
        """Row blocks of a factor (start, row or 1, k, k), and weights of the rows.

        From the closed forms where the factor enters every tensor column by column; else probed by
        products.
        """
        value = self.values[name]
        closed_blocks = self._closed_blocks(name) if value.ndim == 3 else None
        if not closed_blocks:
            block = row_blocks(self, name, value)
            if name in self.pulled:  # rows that are averaged cancel by turns
                block = 0.5 * (block + row_blocks(self, name, value, turning=False))
            return block, None
        part, rows = slice(0), value.shape[1]
        total = Block(part, rows, *closed_blocks[0])
        for block in closed_blocks[1:]:
            total = total + Block(part, rows, *block)
        return total.matrix, total.weight

    def _closed_blocks(self, name: str) -> list[RowBlocks] | None:
        """What every tensor that a factor enters has to say; None where one cannot."""
        if name in self.pulled or (self.rest and self.rest.touches(name)):
            return None
        made = [self._entered_blocks(k, name, name) for k in self._tensors_of(name)]
        known = [block for block in made if block is not None]
        return known if len(known) == len(made) else None

    def between(self, name: str, other: str) -> list[RowBlocks]:
        """What every row of one factor has with the same row of another, (start, …, k, k')."""
        both = [k for k in self._tensors_of(name) if k in self._tensors_of(other)]
        made = [self._entered_blocks(k, name, other) for k in both]
        return [block for block in made if block is not None]

    def _tensors_of(self, name: str) -> list[int]:
        return [k for k, factors in enumerate(self.entering) if name in (factors or {})]

    def _entered_blocks(self, k: int, name: str, other: str) -> RowBlocks | None:
        """B D Bᵀ' of a tensor with row blocks D in which two factors are."""
        metric, part = next((m, p) for m, p in self.metrics if p.start <= k < p.stop)
        block, factors = metric.blocks(k - part.start), self.entering[k]
        if block is None or factors is None:
            return None
        matrix, weight = block
        left, right = factors[name], factors[other]
        matrix = matrix if left is None else left @ matrix
        return RowBlocks(matrix if right is None else matrix @ right.mT, weight)
