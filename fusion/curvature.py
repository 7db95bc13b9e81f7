"""Curvature without data: Gauss–Newton products by double backward, row blocks probed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from fusion.loss import FitInformation
from fusion.objective import Objective, Slot, States, Values

FULL = 64
"""Up to this many numbers, a variable that is not local (a power law) gets its full block."""


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
        made = torch.autograd.grad(
            gradients, wanted, directions, retain_graph=True, allow_unused=True
        )
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
    """Part of the preconditioner: a matrix for every row of a raw variable, (start, row, k, k)."""

    part: slice
    matrix: Tensor

    def view(self, flat: Tensor) -> Tensor:
        """(start, row, k) view of this part of a flat vector."""
        return flat[:, self.part].reshape(flat.shape[0], self.matrix.shape[1], self.matrix.shape[2])

    def times(self, flat: Tensor, matrix: Tensor) -> Tensor:
        """A matrix of this kind times this part of a flat vector, (start, n of the part)."""
        return torch.matmul(matrix, self.view(flat)[..., None])[..., 0].flatten(1)


class Curvature:
    """Quadratic model at one point: products, and row blocks for damping and preconditioning."""

    def __init__(self, objective: Objective, flat: Tensor, states: States) -> None:
        self.objective = objective
        with torch.enable_grad():
            self.flat = flat.detach().requires_grad_()
            self.values = objective.values(self.flat)
            self.fits = Hessian(objective.fit_curvature(self.values, states), self.values)
        self.penalties: Hessian | None = None
        self._chain()

    def add_penalties(self, states: States) -> None:
        """The penalties' part, once their lagged pieces are known."""
        with torch.enable_grad():
            made = Hessian(self.objective.penalty_curvature(self.values, states), self.values)
        self.penalties = made if made else None

    def _chain(self) -> None:
        """What takes raw to value directions and back: identity if constraints are mere bounds."""
        self.straight = all(
            slot.module is None
            or [type(c).__name__ for c in slot.module.chain] in (["NonNegative"], ["Free"])
            for slot in self.objective.slots
        )
        if self.straight:
            return
        with torch.enable_grad():
            self.dual = {
                name: torch.zeros_like(v).requires_grad_() for name, v in self.values.items()
            }
            (self.pulled,) = torch.autograd.grad(
                list(self.values.values()), self.flat, list(self.dual.values()), create_graph=True
            )

    def push(self, v: Tensor) -> Values:
        """J v: raw direction → direction of the values."""
        if self.straight:
            return self.objective.split(v)
        made = torch.autograd.grad(self.pulled, list(self.dual.values()), v, retain_graph=True)
        return dict(zip(self.values, made, strict=True))

    def pull(self, w: Values) -> Tensor:
        """Jᵀ w: gradient by the values → gradient by the raw variables."""
        if self.straight:
            return self.objective.pack(w)
        (made,) = torch.autograd.grad(
            list(self.values.values()), self.flat, list(w.values()), retain_graph=True
        )
        return made

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

    def probe(self) -> dict[str, Tensor]:
        """Row blocks of the fits in the values: of local factors, and of those terms ask for."""
        return {
            slot.name: row_blocks(self.fits, slot.name, self.values[slot.name])
            for slot in self.objective.slots
            if _local(slot) or slot.name in self.objective.wanted
        }

    def blocks(self, probed: Mapping[str, Tensor]) -> list[Block]:
        """Row blocks of everything in the raw variables, ready to damp and to invert."""
        return [Block(slot.part, self._block(slot, probed)) for slot in self.objective.slots]

    def _block(self, slot: Slot, probed: Mapping[str, Tensor]) -> Tensor:
        if not _local(slot):
            return _positive(
                self._full(slot)
                if slot.part.stop - slot.part.start <= FULL
                else self._diagonal(slot)
            )
        value, block = self.values[slot.name], probed[slot.name]
        if self.penalties is not None and self.penalties.touches(slot.name):
            block = block + row_blocks(self.penalties, slot.name, value)
        slope = self._slope(slot)
        if slope is not None:
            slope = slope.reshape(*block.shape[:-1])
            block = slope[..., :, None] * block * slope[..., None, :]
        return _positive(block)

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

    def told(self, gradient: Values, probed: Mapping[str, Tensor]) -> dict[str, FitInformation]:
        """What the fits say, for the terms that want to know."""
        return {
            name: FitInformation(
                gradient[name],
                probed[name].diagonal(dim1=-2, dim2=-1).reshape(gradient[name].shape),
            )
            for name in self.objective.wanted
        }

    @staticmethod
    def fit_information(
        objective: Objective, values: Values, states: States
    ) -> dict[str, FitInformation]:
        """The same from nothing but a point."""
        with torch.enable_grad():
            leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
            total = objective.fits(leaves, states).sum()
            wanted = objective.wanted
            gradients = torch.autograd.grad(
                total, [leaves[name] for name in wanted], allow_unused=True
            )
            hessian = Hessian(objective.fit_curvature(leaves, states), leaves)
        told = {}
        for name, gradient in zip(wanted, gradients, strict=True):
            blocks = row_blocks(hessian, name, leaves[name])
            diagonal = blocks.diagonal(dim1=-2, dim2=-1).reshape(leaves[name].shape)
            told[name] = FitInformation(
                torch.zeros_like(diagonal) if gradient is None else gradient, diagonal
            )
        return told


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
                hessian({name: torch.ones_like(v) for name, v in leaves.items()})
        except (RuntimeError, NotImplementedError) as error:
            return f"`{term}` has no second derivative ({str(error).splitlines()[0][:120]})"
    return None
