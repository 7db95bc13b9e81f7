"""Gauss–Newton products and row blocks of the fits, by the values of the factors."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fusion.engine.hessian import Hessian, alternating_signs, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.row_blocks import Block
from fusion.engine.variables import States, Values
from fusion.likelihood.metric import Coupling, Metric, TuckerGrams


class FitCurvature:
    """Gauss–Newton products of the fits by the values of the factors.

    In closed form in the tensors of every prediction; a factor that is such a tensor is taken as it
    is, between others autograd carries directions there and back. What has no closed form is left
    to double backward.
    """

    def __init__(self, objective: Objective, values: Values, states: States) -> None:
        with torch.enable_grad():
            self.values = {name: v.detach().requires_grad_() for name, v in values.items()}
            self.tensors, closed_forms = objective.closed(self.values)
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
        self._between()

    def _between(self) -> None:
        """The graph from the factors to those tensors that are none of them."""
        self.loose = [
            k for k, name in enumerate(self.names) if name is None and self.tensors[k].requires_grad
        ]
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
        d = [None if name is None else v.get(name) for name in self.names]
        pairs = [(g, v[name]) for name, g in self.pulled.items() if name in v] if self.loose else []
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
        for name, x in zip(self.names, h, strict=True):
            if name is not None and x is not None:
                pulled[name] = pulled[name] + x if name in pulled else x
        if self.loose:
            gradients = torch.autograd.grad(
                [self.tensors[k] for k in self.loose],
                list(self.values.values()),
                [x for x in (h[k] for k in self.loose) if x is not None],
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
        needed = [name is None or name in wanted for name in self.names]
        h = [x for metric, part in self.metrics for x in metric.product(d[part], needed[part])]
        made = self._pull(h, self.rest(v) if self.rest else {})
        return {
            name: made[name] if name in made else torch.zeros_like(self.values[name])
            for name in wanted
        }

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        return self({name: v}, [name])[name]

    def couplings(self) -> list[tuple[list[str | None], Coupling]]:
        """How the tensors of every prediction meet, and the factors that they are."""
        made = ((self.names[part], metric.coupling()) for metric, part in self.metrics)
        return [(names, coupling) for names, coupling in made if coupling is not None]

    def block_of_core(self, name: str) -> Tensor | None:
        """The whole block of a factor that is the core of one prediction and nothing else."""
        found = [
            metric.block_of_core()
            for metric, part in self.metrics
            if isinstance(metric, TuckerGrams) and self.names[part.start] == name
        ]
        alone = self.names.count(name) == 1 and not self.loose and not self.rest
        return found[0] if found and alone else None

    def blocks(self, name: str) -> tuple[Tensor, Tensor | None]:
        """Row blocks of a factor (start, row or 1, k, k), and weights of the rows.

        From the closed forms where the factor enters every tensor as it is, or with something
        added; else probed by products.
        """
        value = self.values[name]
        closed_blocks = [] if not (self.rest and self.rest.touches(name)) else None
        probe = torch.ones_like(value) * alternating_signs(value.shape[-1], value)
        moved = self._push({name: probe})
        for metric, part in self.metrics:
            for j, k in enumerate(range(part.start, part.stop)):
                d = moved[k]
                if closed_blocks is None or d is None or not bool(d.any()):
                    continue
                same = d.shape == probe.shape and torch.equal(d, probe)
                block = metric.blocks(j) if same and value.ndim == 3 else None
                closed_blocks = None if block is None else [*closed_blocks, block]
        if closed_blocks is None or not closed_blocks:
            block = row_blocks(self, name, value)
            if self.loose and name in self.pulled:  # rows that are averaged cancel by turns
                block = 0.5 * (block + row_blocks(self, name, value, turning=False))
            return block, None
        part, rows = slice(0), value.shape[1]
        total = Block(part, rows, *closed_blocks[0])
        for block in closed_blocks[1:]:
            total = total + Block(part, rows, *block)
        return total.matrix, total.weight
