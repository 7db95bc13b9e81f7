"""Curvature at a point: Gauss–Newton products, and row blocks to damp and precondition them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from fusion.arrays import belongs
from fusion.loss import FitInformation
from fusion.metric import Metric
from fusion.objective import Objective, Slot, States, Values

FULL = 64
"""Up to this many numbers, a variable that is not local (a power law) gets its full block."""


FEW = 4096
"""Up to so many numbers, directions are multiplied in rather than handed over."""


class Hessian:
    """v ↦ H v of a batch of scalars at given factor values; zero where there is no curvature."""

    def __init__(self, scalars: Tensor, values: Values) -> None:
        self.names, self.values = list(values), list(values.values())
        self.gradient: list[Tensor | None] = [None] * len(self.values)
        if scalars.requires_grad:
            made = torch.autograd.grad(
                scalars.sum(), self.values, create_graph=True, allow_unused=True
            )
            self.gradient = [g if g is not None and g.requires_grad else None for g in made]

    def __bool__(self) -> bool:
        return any(g is not None for g in self.gradient)

    def __call__(self, v: Values) -> Values:
        """H v, by value name; directions that are not given are zero."""
        made = self._products(v, self.values)
        return dict(zip(self.names, made, strict=True))

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        return self._products({name: v}, [self.values[self.names.index(name)]])[0]

    def touches(self, name: str) -> bool:
        """Whether the scalars bend in this variable."""
        return self.gradient[self.names.index(name)] is not None

    def _products(self, v: Values, wanted: list[Tensor]) -> list[Tensor]:
        pairs = [
            (g, v[name])
            for g, name in zip(self.gradient, self.names, strict=True)
            if g is not None and name in v
        ]
        if not pairs:
            return [torch.zeros_like(x) for x in wanted]
        gradients, directions = zip(*pairs, strict=True)
        if sum(d.numel() for d in directions) > FEW:
            made = torch.autograd.grad(
                gradients, wanted, directions, retain_graph=True, allow_unused=True
            )
        else:  # the same; at cotangents torch loads its symbolic shapes: half a second and 60 MB
            total = torch.stack([(g * d).sum() for g, d in zip(gradients, directions, strict=True)])
            made = torch.autograd.grad(total.sum(), wanted, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(x) if h is None else h for x, h in zip(wanted, made, strict=True)]


def _signs(rows: int, like: Tensor) -> Tensor:
    """±1 by turns: row blocks come out exactly where rows do not meet, bounded where they do."""
    signs = like.new_ones(rows)
    signs[1::2] = -1
    return signs


def row_blocks(hessian: Hessian, name: str, value: Tensor, width: int | None = None) -> Tensor:
    """The block of every row of a factor, (start, row, width, width): `width` products.

    Rows are what is left beside the last `width` numbers; by default all modes but the last.
    """
    shape, width = value.shape, width or value.shape[-1]
    signs = _signs(shape[1:].numel() // width, value)[None, :, None]
    columns = []
    for k in range(width):
        probe = torch.zeros_like(value).reshape(shape[0], -1, width)
        probe[..., k] = signs[..., 0]
        made = hessian.own(name, probe.reshape(shape))
        columns.append(made.reshape(shape[0], -1, width) * signs)
    block = torch.stack(columns, -1)
    return 0.5 * (block + block.transpose(-1, -2))


@dataclass(frozen=True)
class Block:
    """Part of the preconditioner: row i of a raw variable has the block weight[i] · matrix[i or 0].

    One matrix for all rows is kept as one: a map of many pixels has no more.
    """

    part: slice
    rows: int
    matrix: Tensor  # (start, row or 1, k, k)
    weight: Tensor | None = None  # (row,)

    def view(self, flat: Tensor) -> Tensor:
        """(start, row, k) view of this part of a flat vector."""
        return flat[:, self.part].unflatten(1, (self.rows, self.matrix.shape[-1]))

    def times(self, flat: Tensor, matrix: Tensor) -> Tensor:
        """Symmetric matrices in place of its own times this part of a flat vector, (start, n)."""
        made = _times(matrix, self.view(flat))
        return (made if self.weight is None else made * self.weight[:, None]).flatten(1)

    def add_times(self, into: Tensor, flat: Tensor, matrix: Tensor) -> None:
        """The same, added to this part of another flat vector."""
        if self.weight is None and matrix.shape[1] == 1:
            part = self.view(into)  # a view: starts lie apart, rows are whole
            part.baddbmm_(self.view(flat), matrix[:, 0])
        else:
            into[:, self.part] += self.times(flat, matrix)

    def expanded(self) -> Tensor:
        """The block of every row, (start, row, k, k)."""
        full = self.matrix.expand(-1, self.rows, -1, -1)
        return full if self.weight is None else full * self.weight[:, None, None]

    def __add__(self, other: Block) -> Block:
        if self.weight is other.weight:
            return Block(self.part, self.rows, self.matrix + other.matrix, self.weight)
        return Block(self.part, self.rows, self.expanded() + other.expanded())


def _times(matrix: Tensor, v: Tensor) -> Tensor:
    """Symmetric (start, row or 1, k, k) times (start, row, k)."""
    if matrix.shape[1] == 1:
        return v @ matrix[:, 0]
    return torch.matmul(matrix, v[..., None])[..., 0]


class _Chain:
    """Between a raw variable and its value, where constraints are more than a bound."""

    def __init__(self, slot: Slot, flat: Tensor) -> None:
        assert slot.module is not None
        value, self.steps = slot.of(flat).detach(), []
        for constraint in slot.module.chain:
            step = constraint.derivative(value)
            if step is None or not belongs(type(constraint), "derivative", "forward"):
                break
            value = vmap(constraint)(value)
            self.steps.append(step)
        self.closed = len(self.steps) == len(slot.module.chain)
        self.value = value
        if self.closed:
            return
        with torch.enable_grad():
            self.raw = slot.of(flat).detach().requires_grad_()
            self.made = vmap(slot.module.constrain)(self.raw)
            self.dual = torch.zeros_like(self.made).requires_grad_()
            (self.pulled,) = torch.autograd.grad(self.made, self.raw, self.dual, create_graph=True)
        self.value = self.made.detach()

    def push(self, v: Tensor) -> Tensor:
        """J v: raw direction → direction of the value."""
        if not self.closed:
            return torch.autograd.grad(self.pulled, self.dual, v, retain_graph=True)[0]
        for step in self.steps:
            v = step(v)
        return v

    def pull(self, w: Tensor) -> Tensor:
        """Jᵀ w: gradient by the value → gradient by the raw variable."""
        if not self.closed:
            return torch.autograd.grad(self.made, self.raw, w, retain_graph=True)[0]
        for step in reversed(self.steps):
            w = step(w)
        return w


class _Fits:
    """Gauss–Newton products of the fits by the values of the factors.

    In closed form in the tensors of every prediction; a factor that is such a tensor is taken as it
    is, between others autograd carries directions there and back. What has no closed form is left
    to double backward.
    """

    def __init__(self, objective: Objective, values: Values, states: States) -> None:
        with torch.enable_grad():
            self.values = {name: v.detach().requires_grad_() for name, v in values.items()}
            self.tensors, told = objective.closed(self.values)
            closed = {i for i, *_ in told}
            rest = [i for i, _, _ in objective.loss.fits if i not in closed]
            self.rest = Hessian(objective.fit_curvature_of(rest, self.values, states), self.values)
        self.names: list[str | None] = [name for *_, names in told for name in names]
        self.metrics: list[tuple[Metric, slice]] = []
        at = 0
        for i, form, metric, names in told:
            weight, term = objective.loss.terms[i]
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

    def _pull(self, h: list[Tensor], made: Values) -> Values:
        """Gradients by the factors from gradients by the tensors, added to `made`."""
        for name, x in zip(self.names, h, strict=True):
            if name is not None:
                made[name] = made[name] + x if name in made else x
        if self.loose:
            gradients = torch.autograd.grad(
                [self.tensors[k] for k in self.loose],
                list(self.values.values()),
                [h[k] for k in self.loose],
                retain_graph=True,
                allow_unused=True,
            )
            for name, x in zip(self.values, gradients, strict=True):
                if x is not None:
                    made[name] = made[name] + x if name in made else x
        return made

    def __call__(self, v: Values) -> Values:
        """H v, by name; directions that are not given are zero."""
        d = self._push(v)
        h = [x for metric, part in self.metrics for x in metric.product(d[part])]
        made = self._pull(h, self.rest(v) if self.rest else {})
        return {
            name: made[name] if name in made else torch.zeros_like(x)
            for name, x in self.values.items()
        }

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        return self({name: v})[name]

    def blocks(self, name: str) -> tuple[Tensor, Tensor | None]:
        """Row blocks of a factor (start, row or 1, k, k), and weights of the rows.

        From the closed forms where the factor enters every tensor as it is, or with something
        added; else probed by products.
        """
        value = self.values[name]
        found = [] if not (self.rest and self.rest.touches(name)) else None
        probe = torch.ones_like(value) * _signs(value.shape[-1], value)
        moved = self._push({name: probe})
        for metric, part in self.metrics:
            for j, k in enumerate(range(part.start, part.stop)):
                d = moved[k]
                if found is None or d is None or not bool(d.any()):
                    continue
                same = d.shape == probe.shape and torch.equal(d, probe)
                block = metric.blocks(j) if same and value.ndim == 3 else None
                found = None if block is None else [*found, block]
        if found is None or not found:
            return row_blocks(self, name, value), None
        part, rows = slice(0), value.shape[1]
        total = Block(part, rows, *found[0])
        for block in found[1:]:
            total = total + Block(part, rows, *block)
        return total.matrix, total.weight


class Curvature:
    """Quadratic model at one point: products, and row blocks for damping and preconditioning."""

    def __init__(self, objective: Objective, flat: Tensor, states: States) -> None:
        self.objective, self.flat = objective, flat.detach()
        self.chains = {
            slot.name: _Chain(slot, self.flat)
            for slot in objective.slots
            if slot.module is not None
            and [type(c).__name__ for c in slot.module.chain] not in (["NonNegative"], ["Free"])
        }
        raws = objective.split(self.flat)
        values = {
            name: self.chains[name].value if name in self.chains else raw
            for name, raw in raws.items()
        }
        self.fits = _Fits(objective, values, states)
        self.values = self.fits.values
        self.penalties: Hessian | None = None

    def add_penalties(self, states: States) -> None:
        """The penalties' part, once their lagged pieces are known."""
        with torch.enable_grad():
            made = Hessian(self.objective.penalty_curvature(self.values, states), self.values)
        self.penalties = made if made else None

    def push(self, v: Tensor) -> Values:
        """J v: raw direction → direction of the values."""
        return {
            name: self.chains[name].push(part) if name in self.chains else part
            for name, part in self.objective.split(v).items()
        }

    def pull(self, w: Values) -> Tensor:
        """Jᵀ w: gradient by the values → gradient by the raw variables."""
        return self.objective.pack(
            {
                name: self.chains[name].pull(part) if name in self.chains else part
                for name, part in w.items()
            }
        )

    def of_values(self, w: Values) -> Values:
        """Curvature product in the values."""
        made = self.fits(w)
        if self.penalties is not None:
            more = self.penalties(w)
            made = {name: h + more[name] for name, h in made.items()}
        return made

    def __call__(self, v: Tensor) -> Tensor:
        """Curvature product in the raw variables, (start, n)."""
        return self.pull(self.of_values(self.push(v)))

    # ---- blocks ----------------------------------------------------------------------------------

    def probe(self) -> dict[str, Block]:
        """Row blocks of the fits in the values: of local factors, and of those terms ask for."""
        return {
            slot.name: Block(slot.part, _row_count(slot, self.values), *self.fits.blocks(slot.name))
            for slot in self.objective.slots
            if _local(slot) or slot.name in self.objective.wanted
        }

    def blocks(self, probed: Mapping[str, Block]) -> list[Block]:
        """Row blocks of everything in the raw variables, ready to damp and to invert."""
        return [self._block(slot, probed) for slot in self.objective.slots]

    def _block(self, slot: Slot, probed: Mapping[str, Block]) -> Block:
        if not _local(slot):
            small = slot.part.stop - slot.part.start <= FULL
            matrix = self._full(slot) if small else self._diagonal(slot)
            return Block(slot.part, matrix.shape[1], _positive(matrix))
        value, block = self.values[slot.name], probed[slot.name]
        if self.penalties is not None and self.penalties.touches(slot.name):
            more = row_blocks(self.penalties, slot.name, value)
            if bool((more == more[:, :1]).all()):
                more = more[:, :1]
            block = block + Block(slot.part, block.rows, more)
        slope = self._slope(slot)
        matrix = block.matrix
        if slope is not None:
            slope = slope.reshape(slope.shape[0], block.rows, -1)
            matrix = slope[..., :, None] * matrix * slope[..., None, :]
        return Block(slot.part, block.rows, _positive(matrix), block.weight)

    def _slope(self, slot: Slot) -> Tensor | None:
        """d value / d raw entry by entry, for chains of more than a bound; scales stand at 1."""
        assert slot.module is not None
        chain = [
            c
            for c in slot.module.chain
            if c.local and c.kind == "sign" and type(c).__name__ not in ("NonNegative", "Free")
        ]
        if not chain:
            return None
        raw = slot.of(self.flat).detach().requires_grad_()
        with torch.enable_grad():
            value = raw
            for constraint in chain:
                value = vmap(constraint)(value)
            return torch.autograd.grad(value.sum(), raw)[0]

    def _full(self, slot: Slot) -> Tensor:
        """The full block of a small variable, (start, 1, n, n)."""
        n = slot.part.stop - slot.part.start
        columns = []
        for i in range(n):
            probe = torch.zeros_like(self.flat)
            probe[:, slot.part.start + i] = 1
            columns.append(self(probe)[:, slot.part])
        block = torch.stack(columns, -1)[:, None]
        return 0.5 * (block + block.transpose(-1, -2))

    def _diagonal(self, slot: Slot) -> Tensor:
        """An estimate of the diagonal where rows meet and there are many, (start, n, 1, 1)."""
        n = slot.part.stop - slot.part.start
        probe, signs = torch.zeros_like(self.flat), _signs(n, self.flat)
        probe[:, slot.part] = signs
        return (self(probe)[:, slot.part] * signs).abs()[..., None, None]

    # ---- for terms -------------------------------------------------------------------------------

    def told(self, gradient: Values, probed: Mapping[str, Block]) -> dict[str, FitInformation]:
        """What the fits say, for the terms that want to know."""
        return {
            name: FitInformation(gradient[name], _diagonals(probed[name], gradient[name].shape))
            for name in self.objective.wanted
        }

    @staticmethod
    def fit_information(
        objective: Objective, values: Values, states: States
    ) -> dict[str, FitInformation]:
        """The same from nothing but a point."""
        fits = _Fits(objective, values, states)
        wanted = objective.wanted
        with torch.enable_grad():
            total = objective.fits(fits.values, states).sum()
            gradients = torch.autograd.grad(
                total, [fits.values[name] for name in wanted], allow_unused=True
            )
        told = {}
        for name, gradient in zip(wanted, gradients, strict=True):
            shape = fits.values[name].shape
            block = Block(slice(0), shape[1:-1].numel(), *fits.blocks(name))
            diagonal = _diagonals(block, shape)
            told[name] = FitInformation(
                torch.zeros_like(diagonal) if gradient is None else gradient, diagonal
            )
        return told


def _diagonals(block: Block, shape: torch.Size) -> Tensor:
    """Diagonals of all row blocks, of the factor's shape."""
    made = block.matrix.diagonal(dim1=-2, dim2=-1)
    made = made if block.weight is None else made * block.weight[:, None]
    return made.expand(-1, block.rows, -1).reshape(shape)


def _row_count(slot: Slot, values: Values) -> int:
    shape = values[slot.name].shape[1:]
    return shape.numel() // shape[-1]


def _local(slot: Slot) -> bool:
    """Whether a variable's rows can be probed in its value."""
    if slot.module is None or not slot.module.local:
        return False
    return len(slot.shape) == 2 or slot.part.stop - slot.part.start > FULL


def _positive(block: Tensor) -> Tensor:
    """The block with a floor on its diagonal, far below what the data say, so that it inverts."""
    diagonal = block.diagonal(dim1=-2, dim2=-1)
    scale = diagonal.abs().amax((-1, -2), keepdim=True)
    info = torch.finfo(block.dtype)
    floor = (scale * (100 * info.eps)).clamp_min(info.tiny**0.5)
    return block + torch.diag_embed(floor.expand_as(diagonal))


def states_at(objective: Objective, *, batched: bool = False) -> States:
    """Lagged pieces at the model's own values, for one start, with or without the batch axis."""
    values = objective.values(objective.current())
    states = objective.refresh_fits(values, objective.no_states())
    told = Curvature.fit_information(objective, values, states) if objective.wanted else {}
    states = objective.refresh_penalties(values, states, told)
    if batched:
        return states
    return [{key: value[0] for key, value in state.items()} for state in states]


def without_curvature(objective: Objective) -> str | None:
    """Why no second derivative is to be had, in words; None where it is."""
    values = objective.values(objective.current())
    states = states_at(objective, batched=True)
    for i, (_, term) in enumerate(objective.loss.terms):
        try:
            with torch.enable_grad():
                leaves = {name: v.detach().requires_grad_() for name, v in values.items()}
                scalars = objective.each([(i, 1.0, term.curvature)], leaves, states)
                hessian = Hessian(scalars, leaves)
                if hessian:
                    parts = [g.sum() for g in hessian.gradient if g is not None]
                    torch.autograd.grad(
                        torch.stack(parts).sum(), list(leaves.values()), allow_unused=True
                    )
        except (RuntimeError, NotImplementedError) as error:
            return f"`{term}` has no second derivative ({str(error).splitlines()[0][:120]})"
    return None
