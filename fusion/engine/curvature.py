"""Curvature at a point: Gauss–Newton products, and row blocks to damp and precondition them."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.batching import over_starts
from fusion.engine.constraint_jacobian import ConstraintJacobian
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.hessian import Hessian, alternating_signs
from fusion.engine.objective import Objective
from fusion.engine.penalty_curvature import PenaltyCurvature
from fusion.engine.row_blocks import Block
from fusion.engine.variables import Slot, States, Values
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import FitInformation
from fusion.language.term import State

MOST = 1000
"""Entries of a core up to which its whole block is inverted."""
FULL = 64
"""Up to this many numbers, a variable that is not local (a power law) gets its full block."""


class Curvature:
    """Quadratic model at one point: products, and row blocks for damping and preconditioning.

    Args:
        objective: what is minimised.
        flat: the point, (start, n).
        states: lagged pieces.
        whole: products with the whole second derivative of counts, not Gauss–Newton's part alone.
    """

    def __init__(
        self, objective: Objective, flat: Tensor, states: States, whole: bool = False
    ) -> None:
        self.objective, self.flat = objective, flat.detach()
        self.chains = {
            slot.name: ConstraintJacobian(slot, self.flat)
            for slot in objective.slots
            if slot.module is not None and not slot.module.identity
        }
        raws = objective.split(self.flat)
        values = {
            name: self.chains[name].value if name in self.chains else raw
            for name, raw in raws.items()
        }
        self.fits = FitCurvature(objective, values, states, whole)
        self.values = self.fits.values
        self.penalties: PenaltyCurvature | None = None
        self._known: dict[str, Block] = {}
        self.columns: dict[str, Tensor] = {}
        """All of the curvature that variables with a full block have a part in, (m, start, n)."""

    def add_penalties(self, states: States) -> None:
        """The penalties' part, once their lagged pieces are known."""
        made = PenaltyCurvature(self.objective, self.values, states)
        self.penalties = made if made else None

    def pull(self, w: Values, out: Tensor | None = None) -> Tensor:
        """Jᵀ w: gradient by the values → gradient by the raw variables, (start, n)."""
        pulled = {
            name: self.chains[name].pull(part) if name in self.chains else part
            for name, part in w.items()
        }
        return self.objective.pack(pulled, out)

    def __call__(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """Curvature product in the raw variables, (start, n)."""
        pushed = {
            name: self.chains[name].push(part) if name in self.chains else part
            for name, part in self.objective.split(v).items()
        }
        made = self.fits(pushed)
        if self.penalties is not None:
            more = self.penalties(pushed)
            made = {name: h + more[name] if name in more else h for name, h in made.items()}
        return self.pull(made, out)

    # ---- blocks ----------------------------------------------------------------------------------

    def _rows(self, slot: Slot) -> Block:
        """Row blocks of the fits in the values of a factor."""
        if slot.name not in self._known:
            count = _row_count(slot, self.values)
            self._known[slot.name] = Block(slot.part, count, *self.fits.blocks(slot.name))
        return self._known[slot.name]

    def blocks(self) -> list[Block]:
        """Row blocks of everything in the raw variables, ready to damp and to invert."""
        return [self._block(slot) for slot in self.objective.slots]

    def _core(self, slot: Slot) -> Block | None:
        """The whole block of a core of moderate size that no penalty bends."""
        plain = slot.module is not None and slot.module.identity
        size = slot.part.stop - slot.part.start
        bent = self.penalties is not None and self.penalties.touches(slot.name)
        if len(slot.shape) < 3 or size > MOST or bent or not plain:
            return None
        whole = self.fits.block_of_core(slot.name)
        return None if whole is None else Block(slot.part, 1, _floored(whole[:, None]))

    def _block(self, slot: Slot) -> Block:
        if (core := self._core(slot)) is not None:
            return core
        if not _has_row_blocks(slot):
            small = slot.part.stop - slot.part.start <= FULL
            matrix = self._full(slot) if small else self._diagonal(slot)
            own = small and slot.module is not None and slot.shape != slot.module.shape
            return Block(slot.part, matrix.shape[1], _floored(matrix, own), own_units=own)
        block = self._rows(slot)
        if self.penalties is not None and self.penalties.touches(slot.name):
            block = block + Block(slot.part, block.rows, self.penalties.blocks(slot.name))
        slope = self._slope(slot)
        matrix = block.matrix
        if slope is not None:
            slope = slope.reshape(slope.shape[0], block.rows, -1)
            matrix = slope[..., :, None] * matrix * slope[..., None, :]
        if any(c.by_row for c in slot.module.chain):  # pyright: ignore[reportOptionalMemberAccess]
            matrix = self._through_rows(slot, matrix)
        return Block(slot.part, block.rows, _floored(matrix), block.weight)

    def _through_rows(self, slot: Slot, matrix: Tensor) -> Tensor:
        """Row blocks in the raw variable where a row of the value comes from its whole raw row.

        Its scale changes nothing: it is held, as stiffly as what bends most.
        """
        chain, columns = self.chains[slot.name], []
        for k in range(slot.shape[-1]):
            probe = torch.zeros_like(chain.value)
            probe[..., k] = 1
            columns.append(chain.push(probe))
        J = torch.stack(columns, -1)
        made = J.mT @ matrix @ J
        return made + made.diagonal(dim1=-2, dim2=-1).amax(-1)[..., None, None]

    def _slope(self, slot: Slot) -> Tensor | None:
        """d value / d raw entry by entry, for chains of more than a bound; scales stand at 1."""
        assert slot.module is not None
        chain = [
            c
            for c in slot.module.chain
            if c.entrywise and not c.identity and c.known_entries() is None
        ]
        if not chain:
            return None
        raw = slot.of(self.flat).detach().requires_grad_()
        with torch.enable_grad():
            value = raw
            for constraint in chain:
                value = over_starts(constraint, value)
            return torch.autograd.grad(value.sum(), raw)[0]

    def _full(self, slot: Slot) -> Tensor:
        """The full block of a small variable, (start, 1, n, n)."""
        n = slot.part.stop - slot.part.start
        probes = torch.eye(n, dtype=self.flat.dtype, device=self.flat.device)
        of_all = self.flat.new_ones(len(self.flat), 1)
        columns = [
            self._column(slot, (of_all * probe).unflatten(1, slot.shape)) for probe in probes
        ]
        self.columns[slot.name] = torch.stack(columns)
        block = self.columns[slot.name][:, :, slot.part].permute(1, 2, 0)[:, None]
        return 0.5 * (block + block.transpose(-1, -2))

    def _column(self, slot: Slot, v: Tensor) -> Tensor:
        """Curvature product of a direction of one raw variable, (start, n)."""
        pushed = {slot.name: self.chains[slot.name].push(v) if slot.name in self.chains else v}
        made = self.fits(pushed)
        if self.penalties is not None:
            more = self.penalties(pushed)
            made = {name: h + more[name] if name in more else h for name, h in made.items()}
        return self.pull(made)

    def _diagonal(self, slot: Slot) -> Tensor:
        """An estimate of the diagonal where rows meet and there are many, (start, n, 1, 1)."""
        n = slot.part.stop - slot.part.start
        probe, turns = torch.zeros_like(self.flat), alternating_signs(n, self.flat)
        probe[:, slot.part] = turns
        return (self(probe)[:, slot.part] * turns).abs()[..., None, None]

    # ---- for terms -------------------------------------------------------------------------------

    def information(self, gradient: Values) -> dict[str, FitInformation]:
        """What the fits say, for the terms that want to know."""
        wanted = [s for s in self.objective.slots if s.name in self.objective.wanted]
        return {
            slot.name: FitInformation(
                gradient[slot.name], _diagonals(self._rows(slot), gradient[slot.name].shape)
            )
            for slot in wanted
        }

    @staticmethod
    def fit_information(
        objective: Objective, values: Values, states: States
    ) -> dict[str, FitInformation]:
        """The same from nothing but a point."""
        fits = FitCurvature(objective, values, states)
        wanted = objective.wanted
        with torch.enable_grad():
            total = objective.fits(fits.values, states).sum()
            gradients = torch.autograd.grad(
                total, [fits.values[name] for name in wanted], allow_unused=True
            )
        information = {}
        for name, gradient in zip(wanted, gradients, strict=True):
            shape = fits.values[name].shape
            block = Block(slice(0), shape[1:-1].numel(), *fits.blocks(name))
            diagonal = _diagonals(block, shape)
            information[name] = FitInformation(
                torch.zeros_like(diagonal) if gradient is None else gradient, diagonal
            )
        return information


def _diagonals(block: Block, shape: torch.Size) -> Tensor:
    """Diagonals of all row blocks, of the factor's shape."""
    made = block.matrix.diagonal(dim1=-2, dim2=-1)
    made = made if block.weight is None else made * block.weight[:, None]
    return made.expand(-1, block.rows, -1).reshape(shape)


def _row_count(slot: Slot, values: Values) -> int:
    shape = values[slot.name].shape[1:]
    return shape.numel() // shape[-1]


def _has_row_blocks(slot: Slot) -> bool:
    """Whether a variable's rows can be probed in its value."""
    if slot.module is None or not slot.module.entrywise:
        return False
    return len(slot.shape) == 2 or slot.part.stop - slot.part.start > FULL


def _floored(block: Tensor, own_units: bool = False) -> Tensor:
    """The block with a floor on its diagonal, far below what the data say, so that it inverts."""
    info = torch.finfo(block.dtype)
    floor = (diagonal_scale(block, own_units) * (100 * info.eps)).clamp_min(info.tiny**0.5)
    return block + torch.diag_embed(floor.expand_as(block.diagonal(dim1=-2, dim2=-1)))


def diagonal_scale(block: Tensor, own_units: bool) -> Tensor:
    """Size of the diagonal: its largest entry, or where each has its own unit that of each."""
    diagonal = block.diagonal(dim1=-2, dim2=-1).abs()
    largest = diagonal.amax((-1, -2), keepdim=True)
    return torch.where(diagonal > 0, diagonal, largest) if own_units else largest


def states_at(objective: Objective, *, batched: bool = False) -> States:
    """Lagged pieces at the model's own values, for one start, with or without the batch axis."""
    values = objective.values(objective.current())
    states = objective.refresh_fits(values, objective.no_states())
    told = Curvature.fit_information(objective, values, states) if objective.wanted else {}
    states = objective.refresh_penalties(values, states, told)
    if batched:
        return states
    return [{key: value[0] for key, value in state.items()} for state in states]


@torch.inference_mode(False)
@torch.no_grad()
def settled_states(model: Model, loss: Loss) -> list[State]:
    """Lagged pieces of every term at the model's own values, as a descent would leave them."""
    states = states_at(Objective(model, loss))
    return [t.settled(s) for (_, t), s in zip(loss.surrogates, states, strict=True)]


def without_curvature(objective: Objective) -> str | None:
    """Why no second derivative is to be had, in words; None where it is."""
    values = objective.values(objective.current())
    states = states_at(objective, batched=True)
    with torch.no_grad():  # products of factors as they are need no derivative of the model
        plain = {i for i, *_, names in objective.closed(values)[1] if None not in names}
    for i, (_, term) in enumerate(objective.loss.surrogates):
        if i in plain:
            continue
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
