"""The unknowns of a model as one flat vector of raw variables, for many starts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.constraints.contract import Constraint
from fusion.engine.batching import over_starts
from fusion.language.factor import FactorModule
from fusion.language.model import Model
from fusion.language.term import State

Values = dict[str, Tensor]
States = Sequence[State]


@dataclass(frozen=True)
class Slot:
    """Where one variable lies in the flat vector."""

    name: str
    module: FactorModule | None
    shape: tuple[int, ...]
    part: slice

    def of(self, flat: Tensor) -> Tensor:
        """(start, …) view of this variable."""
        return flat[:, self.part].reshape(len(flat), *self.shape)


class Variables:
    """Where every factor of a model lies in a flat vector: raw variables to values, and back.

    Args:
        model: its factors and plain parameters are the unknowns; never changed.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        modules = model.factor_modules()
        paths = {m: path for path, m in model.named_modules()}
        raws = {f"{paths[m]}.raw": name for name, m in modules.items()}
        self.slots: list[Slot] = []
        start = 0
        for key, parameter in model.named_parameters():
            name, stop = raws.get(key, key), start + parameter.numel()
            self.slots.append(
                Slot(name, modules.get(name), tuple(parameter.shape), slice(start, stop))
            )
            start = stop
        self.size = start
        if not self.slots:
            raise ValueError(
                "the model has no factors: create some with `self.C = Factor(…)` in its `__init__`."
            )
        self.like = next(model.parameters()).detach()
        self.held: set[str] = set()
        """Names of variables that stay as they are."""
        self.still: Tensor | None = None
        """Single numbers that stay as they are, (n,) bool."""
        self.extras = [s.name for s in self.slots if s.module is None]

    def pack(self, raws: Mapping[str, Tensor], out: Tensor | None = None) -> Tensor:
        """Flat vector of (start, …) raw variables."""
        return torch.cat([raws[slot.name].flatten(1) for slot in self.slots], 1, out=out)

    def split(self, flat: Tensor) -> Values:
        """Raw variables by name, (start, …)."""
        return {slot.name: slot.of(flat) for slot in self.slots}

    def current(self) -> Tensor:
        """The model's own raw variables as one start, (1, n)."""
        return torch.cat([p.detach().reshape(1, -1) for p in self.model.parameters()], 1)

    def values(self, flat: Tensor) -> Values:
        """Constrained values of all variables, (start, …)."""
        raws = self.split(flat)
        return {
            slot.name: raws[slot.name]
            if slot.module is None
            else reduce(lambda x, c: constrained(c, x), slot.module.chain, raws[slot.name])
            for slot in self.slots
        }

    def raws(self, values: Mapping[str, Tensor]) -> Tensor:
        """Flat raw variables of given values."""
        return self.pack(
            {
                slot.name: values[slot.name]
                if slot.module is None
                else over_starts(slot.module.unconstrain, values[slot.name])
                for slot in self.slots
            }
        )

    def lower(self) -> Tensor:
        """Bound of every raw variable, (n,); −∞ where there is none."""
        bound = self.like.new_full((self.size,), -torch.inf)
        for slot in self.slots:
            if slot.module is not None and slot.module.lower is not None:
                bound[slot.part] = slot.module.lower
        return bound

    def free(self) -> Tensor:
        """Which raw variables matter, (n,) bool: not those behind known entries."""
        free = torch.ones(self.size, dtype=torch.bool, device=self.like.device)
        for slot in self.slots:
            known = None if slot.module is None else slot.module.known
            if slot.name in self.held:
                free[slot.part] = False
            elif known is not None and known.shape == slot.shape:
                free[slot.part] = ~known.flatten()
        return free if self.still is None else free & ~self.still

    def pulled(self, gradient: Values) -> Tensor:
        """Which raw variables move at all, (start, n) bool, given the gradient by the values.

        Rows of unit columns at which nothing pulls, as of masked data, do not: they change the norm
        alone, and so the scale of what is seen, with nothing that holds them.
        """
        moved = []
        for slot in self.slots:
            g = gradient[slot.name]
            unit = slot.module is not None and slot.module.scale_free and slot.shape == g.shape[1:]
            at = (g != 0).any(-1, keepdim=True) if unit else g.new_ones((), dtype=torch.bool)
            moved.append(at.expand(len(g), *slot.shape).flatten(1))
        return torch.cat(moved, 1)

    def retract(self, flat: Tensor) -> Tensor:
        """The same values from raw variables in standard position."""
        if not any(slot.module is not None and slot.module.scale_free for slot in self.slots):
            return flat
        raws = self.split(flat)
        return self.pack(
            {
                slot.name: _retracted(slot.module, raws[slot.name])
                if slot.module is not None and slot.module.scale_free
                else raws[slot.name]
                for slot in self.slots
            }
        )


def constrained(constraint: Constraint, raw: Tensor) -> Tensor:
    """The value behind a raw variable, of all starts, (start, …)."""
    if raw.ndim == 3 and defined_beside(type(constraint), "batched", "forward"):
        value = constraint.batched(raw)
        if value is not None:
            return value
    return over_starts(constraint, raw)


def _retracted(module: FactorModule, raw: Tensor) -> Tensor:
    """Raw variables in standard position: where these are the value, but for its norms, itself."""
    if all(c.identity or c.unit_norm == 2 for c in module.chain):
        return reduce(lambda x, c: constrained(c, x), module.chain, raw)
    return over_starts(module.retract, raw)
