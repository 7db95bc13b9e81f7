"""Factors: matrices of unknowns, each a raw parameter and the constraints that make its value."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis import Axes, Axis, Extent, as_axes, length
from fusion.algebra.calls import checked_call, whole_number
from fusion.constraints import Constraint, NonNegative, check_chain


class FactorModule(nn.Module):
    """One factor: a raw parameter and the constraints that make its value. Made by `Factor`.

    Attributes:
        raw: the unknowns, float64 on a CPU until the model is moved.
        shape: shape of the value.
        axes: for every mode the data set's axes, or None where a bare number was given.
        assigned: whether the user set a value (a guess that a fit starts from).
        seen: which rows the data of a fit show, (n,); None: all, or not known.
    """

    def __init__(self, shape: Sequence[Extent], constraints: Sequence[Constraint]) -> None:
        super().__init__()
        self.shape = tuple(length(extent) for extent in shape)
        self.axes: tuple[Axes | None, ...] = tuple(as_axes(extent) for extent in shape)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"`Factor({self.shape})`: every entry must be 1 or more.")
        chain = list(constraints) or [NonNegative()]
        check_chain(chain)
        chain = [c.for_shape(self.shape) for c in chain]
        if all(c.known_entries() is not None for c in chain):
            chain.insert(0, NonNegative())
        self.constraints = nn.ModuleList(chain)
        raw_shape = self.shape
        for constraint in reversed(chain):
            raw_shape = constraint.raw_shape(raw_shape)
        self.raw = nn.Parameter(torch.zeros(raw_shape, dtype=torch.float64))
        self.assigned = False
        self.held: Tensor | None = None
        self.seen: Tensor | None = None
        self.assign(self.sample(torch.Generator().manual_seed(0)))
        self.assigned = False

    @property
    def chain(self) -> list[Constraint]:
        """The constraints, in order."""
        # asked for many times a step: past what nn.Module does for a name
        held = cast(nn.ModuleList, self._modules["constraints"])
        return cast(list[Constraint], list(held._modules.values()))

    @property
    def lower(self) -> float | None:
        """Bound on the raw variable, or None."""
        return self.chain[0].lower

    @property
    def entrywise(self) -> bool:
        """Whether value and raw variable correspond entry by entry, up to the scale of columns."""
        return all(c.entrywise or c.scale_free for c in self.chain) and self.raw.shape == self.shape

    @property
    def identity(self) -> bool:
        """Whether the value is the raw variable itself, as long as that keeps to its bound."""
        return all(c.identity for c in self.chain)

    @property
    def signed(self) -> bool:
        """Whether some constraint says that values of either sign are meant."""
        return any(c.signed for c in self.chain)

    @property
    def scale_free(self) -> bool:
        """Whether the scale of its columns is fixed by a constraint."""
        return any(c.scale_free for c in self.chain)

    @property
    def own_scale(self) -> bool:
        """Whether its values have a scale of their own, that data do not set."""
        return any(c.own_scale for c in self.chain)

    @property
    def known(self) -> Tensor | None:
        """Entries of the value that are fixed, or None."""
        return self.chain[-1].known_entries()

    def forward(self) -> Tensor:
        """The raw variable through all constraints, or the value held for one evaluation."""
        return self.constrain(self.raw) if self.held is None else self.held

    def hold(self, value: Tensor | None) -> None:
        """Stand in for the value during one evaluation; None ends it."""
        self.__dict__["held"] = value  # past nn.Module, which would register a parameter

    def constrain(self, raw: Tensor) -> Tensor:
        """Value of a raw variable."""
        for constraint in self.constraints:
            raw = constraint(raw)
        return raw

    def unconstrain(self, value: Tensor) -> Tensor:
        """A raw variable for a value; known entries get 0, to have no weight in a column's norm."""
        known = self.known
        for constraint in reversed(self.chain):
            given = constraint.known_entries()
            if given is not None and self.raw.shape == self.shape:
                value = torch.where(given, 0, value)
            else:
                value = constraint.right_inverse(value)
        if known is not None and self.raw.shape == self.shape:
            value = torch.where(known, 0, value)
        return value

    def retract(self, raw: Tensor) -> Tensor:
        """An equal raw variable in standard position: unit norm where the scale is forgotten."""
        if not self.scale_free:
            return raw
        free = [c for c in self.chain if c.known_entries() is None]
        for constraint in free:
            raw = constraint(raw)
        for constraint in reversed(free):
            raw = constraint.right_inverse(raw)
        return raw if self.known is None else torch.where(self.known, 0, raw)

    def sample(self, generator: torch.Generator) -> Tensor:
        """A random value that all constraints allow, float64 on the CPU: the same everywhere."""
        here = self.raw.device.type == "cpu"
        first, *rest = self.chain if here else [deepcopy(c).to("cpu") for c in self.chain]
        shape = self.shape
        for constraint in reversed(rest):
            shape = constraint.raw_shape(shape)
        value = first.sample(shape, generator)
        for constraint in rest:
            value = constraint(value)
        return value

    @torch.no_grad()
    def assign(self, value: Any) -> None:
        """Set the value (a guess).

        Raises:
            ValueError: if the shape is not the factor's, or a value is not finite.
        """
        value = as_tensor(value).to(self.raw)
        if tuple(value.shape) != self.shape:
            raise ValueError(
                f"a guess of shape {tuple(value.shape)} for a factor of shape {self.shape}."
            )
        if not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"a guess with {int((~torch.isfinite(value)).sum())} NaN or infinite values."
            )
        self.raw.copy_(self.unconstrain(value))
        self.assigned = True

    def select(self, components: Sequence[int]) -> FactorModule:
        """A copy with some of the columns only."""
        other = deepcopy(self)
        other.raw = nn.Parameter(self.raw.detach()[..., list(components)].clone())
        other.constraints = nn.ModuleList(c.select(components) for c in self.chain)
        other.shape = (*self.shape[:-1], len(components))
        return other

    def rows(self, index: Tensor) -> FactorModule:
        """A copy with some of the rows only; for entry-wise constraints."""
        other = copy(self)
        other._parameters, other._modules = dict(self._parameters), dict(self._modules)
        other.raw = nn.Parameter(self.raw.detach()[index.to(self.raw.device)])
        other.seen = None if self.seen is None else self.seen[index.to(self.seen.device)]
        other.shape, other.axes = (len(index), *self.shape[1:]), (None, *self.axes[1:])
        return other

    def extra_repr(self) -> str:
        return f"{self.shape}"


@checked_call
def Factor(shape: Sequence[Extent], *constraints: Constraint) -> Tensor:
    """A matrix of unknowns, `self.C = Factor((eels.pixels, K), NonNegative(), UnitColumns())`.

    Assigned to a `Model`, the attribute reads as a plain tensor and takes an array as a guess.

    Args:
        shape: for every mode an int, an `Axis`, or a tuple of axes (`eels.pixels`,
            `eels.channels`); components last.
        constraints: facts about it, applied in order; default `NonNegative()`.

    Raises:
        ValueError: if two constraints exclude each other, or a size is below 1.

    Example:
        >>> from fusion.constraints import NonNegative, UnitColumns
        >>> model = fu.Model()
        >>> model.C = fu.Factor((80, 3), NonNegative(), UnitColumns())
        >>> model.C = np.ones((80, 3))  # a guess
        >>> model.C.detach().norm(dim=0).round(decimals=6).tolist()
        [1.0, 1.0, 1.0]
    """
    call = f"Factor({shape!r}, …)"
    if isinstance(shape, int | str | Axis) or not isinstance(shape, Sequence):
        raise ValueError(f"`{call}`: give the sizes in one tuple: `Factor((data.pixels, K))`.")
    for extent in shape:
        if as_axes(extent) is None:
            whole_number(call, extent)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            name = getattr(constraint, "__name__", repr(constraint))
            raise ValueError(
                f"`Factor(…, {name})`: give constraints as objects, such as `NonNegative()`."
            )
    # typed as what it reads as, like dataclasses.field
    return cast(Tensor, FactorModule(shape, constraints))


def factor_name(path: str) -> str:
    """The factor behind a module or its raw parameter: "probe._C", "probe._C.raw" → "probe.C"."""
    *owners, last = path.removesuffix(".raw").split(".")
    return ".".join([*owners, last.removeprefix("_")])
