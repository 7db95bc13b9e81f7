"""Factors, and the model that owns them: a plain `nn.Module` whose attributes read as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from fusion.arrays import as_tensor
from fusion.axis import Axes, Extent, as_axes, length
from fusion.constraints import Constraint, Fixed, NonNegative, check_chain
from fusion.prediction import Prediction, as_prediction


class FactorModule(nn.Module):
    """One factor: a raw parameter and the constraints that make its value. Made by `Factor`.

    Attributes:
        raw: the unknowns, float64 on a CPU until the model is moved.
        shape: shape of the value.
        axes: for every mode the data set's axes, or None where a bare number was given.
        assigned: whether the user set a value (a guess that a fit starts from).
    """

    def __init__(self, shape: Sequence[Extent], constraints: Sequence[Constraint]) -> None:
        super().__init__()
        self.shape = tuple(length(extent) for extent in shape)
        self.axes: tuple[Axes | None, ...] = tuple(as_axes(extent) for extent in shape)
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"`Factor({self.shape})`: every entry must be 1 or more.")
        chain = list(constraints) or [NonNegative()]
        check_chain(chain)
        chain = [c.spread(self.shape) if isinstance(c, Fixed) else c for c in chain]
        if len(chain) == 1 and isinstance(chain[0], Fixed):
            chain.insert(0, NonNegative())
        self.constraints = nn.ModuleList(chain)
        raw_shape = self.shape
        for constraint in reversed(chain):
            raw_shape = constraint.raw_shape(raw_shape)
        self.raw = nn.Parameter(torch.zeros(raw_shape, dtype=torch.float64))
        self.assigned = False
        self.held: Tensor | None = None
        self.assign(self.sample(torch.Generator().manual_seed(0)))
        self.assigned = False

    @property
    def chain(self) -> list[Constraint]:
        """The constraints, in order."""
        return cast(list[Constraint], list(self.constraints))

    @property
    def lower(self) -> float | None:
        """Bound on the raw variable, or None."""
        return self.chain[0].lower

    @property
    def local(self) -> bool:
        """Whether value and raw variable correspond entry by entry, up to the scale of columns."""
        return all(c.local or c.scale_free for c in self.chain) and self.raw.shape == self.shape

    @property
    def scale_free(self) -> bool:
        """Whether the scale of its columns is fixed by a constraint."""
        return any(c.scale_free for c in self.chain)

    @property
    def known(self) -> Tensor | None:
        """Entries of the value that are fixed, or None."""
        last = self.chain[-1]
        return last.known if isinstance(last, Fixed) else None

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
            if isinstance(constraint, Fixed) and self.raw.shape == self.shape:
                value = torch.where(constraint.known, 0, value)
            else:
                value = constraint.right_inverse(value)
        if known is not None and self.raw.shape == self.shape:
            value = torch.where(known, 0, value)
        return value

    def retract(self, raw: Tensor) -> Tensor:
        """An equal raw variable in standard position: unit norm where the scale is forgotten."""
        if not self.scale_free:
            return raw
        free = [c for c in self.chain if not isinstance(c, Fixed)]
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
        other._parameters = dict(self._parameters)
        other.raw = nn.Parameter(self.raw.detach()[index.to(self.raw.device)])
        other.shape, other.axes = (len(index), *self.shape[1:]), (None, *self.axes[1:])
        return other

    def extra_repr(self) -> str:
        return f"{self.shape}"


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
    # typed as what it reads as, like dataclasses.field
    return cast(Tensor, FactorModule(shape, constraints))


class Model(nn.Module):
    """What the data are made of: owns factors; `forward()` returns {data set name: prediction}.

    Subclass, create factors in `__init__`, write `forward` with `cp`, `tucker`, `+` or any torch
    code, for one start.

    Attributes:
        interchangeable: factors whose components may be put in another order together; a fit then
            orders them by explained variance. Empty where the order may carry a meaning.
        structure: ("cp", names) or ("tucker", names, core first) where the model is one tensor
            decomposition.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> class Mine(fu.Model):
        ...     def __init__(self, data, K):
        ...         super().__init__()
        ...         self.C = fu.Factor((data.pixels, K))
        ...         self.S = fu.Factor((data.channels, K))
        ...
        ...     def forward(self):
        ...         return {"net": fu.cp(self.C, self.S)}
        >>> fu.fit(Mine(data, 3), fu.losses.Frobenius(data), starts=2, progress=False)["S"].shape
        (60, 3)
    """

    interchangeable: tuple[str, ...] = ()
    structure: tuple[str, tuple[str, ...]] | None = None

    def __getattr__(self, name: str) -> Any:
        owned = self.__dict__.get("_modules", {}).get(f"_{name}")
        return owned() if isinstance(owned, FactorModule) else super().__getattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.factor_modules() if "." not in name)]

    def __setattr__(self, name: str, value: Any) -> None:
        owned = self.__dict__.get("_modules", {}).get(f"_{name}")
        if isinstance(value, FactorModule):  # kept as "_C", so that "C" reads as its value
            name = f"_{name}"
        if isinstance(owned, FactorModule) and not isinstance(value, nn.Module):
            try:
                owned.assign(value)
            except ValueError as error:
                raise ValueError(f"`model.{name} = …`: {error}") from None
        else:
            super().__setattr__(name, value)

    def forward(self) -> Mapping[str, Prediction | Tensor]:
        """{data set name: prediction}; a user's model overrides it."""
        raise NotImplementedError(
            f"`{type(self).__name__}.forward`: return {{data set name: prediction}}."
        )

    def factor(self, name: str) -> FactorModule:
        """The module behind a factor.

        Raises:
            ValueError: if there is no such factor.
        """
        modules = self.factor_modules()
        if name not in modules:
            raise ValueError(
                f"the model has no factor {name!r}; it has {', '.join(modules) or 'none'}."
            )
        return modules[name]

    def factor_modules(self) -> dict[str, FactorModule]:
        """All factors by name, those of sub-models dotted ("probe.C")."""
        return {
            factor_name(path): m for path, m in self.named_modules() if isinstance(m, FactorModule)
        }

    @property
    def factors(self) -> dict[str, Tensor]:
        """Values of all factors."""
        return {name: module() for name, module in self.factor_modules().items()}

    def predict(self) -> dict[str, Prediction]:
        """The predictions of `forward`, computed once within `once`."""
        held = self.__dict__.get("_predictions")
        if held is not None and held:
            return held
        made = {name: as_prediction(value) for name, value in self().items()}
        if held is not None:
            held.update(made)
        return made

    @contextmanager
    def once(self, values: Mapping[str, Tensor] | None = None) -> Iterator[None]:
        """Within it every factor and prediction is computed once; `values` stand in for factors."""
        if "_predictions" in self.__dict__ and values is None:
            yield  # within a wider one
            return
        modules, outer = self.factor_modules(), self.__dict__.get("_predictions")
        before = {name: module.held for name, module in modules.items()}
        self.__dict__["_predictions"] = {}
        try:
            for name, module in modules.items():
                module.hold(None)
                module.hold(values[name] if values is not None and name in values else module())
            yield
        finally:
            for name, module in modules.items():
                module.hold(before[name])
            if outer is None:
                del self.__dict__["_predictions"]
            else:
                self.__dict__["_predictions"] = outer

    def select(self, factors: Sequence[str], components: Sequence[int]) -> Model:
        """A copy in which the named factors keep some of their components only."""
        other = deepcopy(self)
        for name in factors:
            *path, last = name.split(".")
            owner = other.get_submodule(".".join(path)) if path else other
            owner._modules[f"_{last}"] = self.factor_modules()[name].select(components)
        return other


def factor_name(path: str) -> str:
    """The factor behind a module or its raw parameter: "probe._C", "probe._C.raw" → "probe.C"."""
    *owners, last = path.removesuffix(".raw").split(".")
    return ".".join([*owners, last.removeprefix("_")])
