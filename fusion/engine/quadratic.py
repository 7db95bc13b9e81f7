"""The curvature at a point as errors read it: unit columns left to move along themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.objective import Objective
from fusion.engine.row_groups import is_raw_variable
from fusion.engine.variables import Slot, States


class Quadratic:
    """The curvature in the values of factors that stand as they are, else in the raw variables.

    Unit columns are left to `units`: they move at right angles to themselves.
    """

    def __init__(self, objective: Objective, flat: Tensor, states: States) -> None:
        self.curvature = Curvature(objective, flat, states)
        self.curvature.add_penalties(states)
        self.objective, self.flat = objective, flat
        chains = self.curvature.chains
        self.bent = {
            s.name: chains[s.name] for s in objective.slots if _is_nonlinear(s) and s.module
        }

    def __call__(self, v: Tensor) -> Tensor:
        """H v, (n,)."""
        parts = self.objective.split(v[None])
        pushed = {n: self.bent[n].push(x) if n in self.bent else x for n, x in parts.items()}
        made = self.curvature.fits(pushed)
        if self.curvature.penalties is not None:
            more = self.curvature.penalties(pushed)
            made = {name: h + more[name] if name in more else h for name, h in made.items()}
        pulled = {n: self.bent[n].pull(x) if n in self.bent else x for n, x in made.items()}
        return self.objective.pack(pulled)[0]

    def diagonal(self) -> Tensor:
        """(n,), read from the row blocks."""
        made = torch.empty_like(self.flat[0])
        for block in self.curvature.blocks():
            made[block.part] = block.expanded()[0].diagonal(dim1=-2, dim2=-1).flatten()
        return made

    def units(self, free: Tensor) -> Tensor:
        """Directions that change nothing: unit columns along themselves, (n, columns).

        Of columns of which nothing is free there is none.
        """
        made = []
        for slot in self.objective.slots:
            if _forgets_its_scale(slot):
                along = self.flat.new_zeros(self.objective.size, slot.shape[-1])
                along[slot.part] = torch.eye(slot.shape[-1], dtype=along.dtype).to(along).repeat(
                    slot.shape[0], 1
                ) * slot.of(self.flat)[0].reshape(-1, 1)
                made.append(along * free[:, None])
        units = torch.cat(made, 1) if made else self.flat.new_zeros(self.objective.size, 0)
        return units[:, units.any(0)]


def _forgets_its_scale(slot: Slot) -> bool:
    """Whether the columns of a raw variable may be scaled, and nothing changes."""
    if slot.module is None or not slot.module.scale_free or slot.module.raw.ndim != 2:
        return False
    chain = slot.module.chain
    plain = all(c.identity or c.scale_free or c.known_entries() is not None for c in chain)
    return is_raw_variable(slot) or plain


def _is_nonlinear(slot: Slot) -> bool:
    """Whether a variable is more than its value, but for a bound or the norm of its columns."""
    return slot.module is not None and not is_raw_variable(slot)
