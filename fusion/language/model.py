"""Factors, and the model that owns them: a plain `nn.Module` whose attributes read as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from fusion.algebra.display import Display, Shown
from fusion.algebra.prediction import Prediction, as_prediction
from fusion.constraints.contract import Constraint
from fusion.language.factor import FactorModule, factor_name
from fusion.language.model_display import model_display

if TYPE_CHECKING:
    from fusion.language.component_parts import ComponentParts
    from fusion.language.term import Term


class Model(Shown, nn.Module):
    """What the data are made of: owns factors; `forward()` returns {data set name: prediction}.

    Subclass, create factors in `__init__`, write `forward` with `cp`, `tucker`, `+` or any torch
    code, for one start.

    Attributes:
        interchangeable: factors whose components may be put in another order together; a fit then
            orders them by explained variance. Empty where the order may carry a meaning.
        component_names: of the components, where the model knows them; results, pictures and files
            have them. Empty where they go by their numbers.
        structure: ("cp", names) or ("tucker", names, core first) where the model is one tensor
            decomposition.
        single_scattering: factors that are spectra of EELS without plural scattering.

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
    component_names: tuple[str, ...] = ()
    structure: tuple[str, tuple[str, ...]] | None = None
    single_scattering: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        owned = self.__dict__.get("_modules", {}).get(f"_{name}")
        return owned() if isinstance(owned, FactorModule) else super().__getattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.factor_modules() if "." not in name)]

    def __setattr__(self, name: str, value: Any) -> None:
        owned = self.__dict__.get("_modules", {}).get(f"_{name}")
        if isinstance(value, FactorModule):  # kept as "_C", so that "C" reads as its value
            name = f"_{name}"
        if isinstance(owned, FactorModule) and isinstance(value, Constraint):
            kind = type(value).__name__
            first = "" if kind == "NonNegative" else "NonNegative(), "
            raise ValueError(
                f"`model.{name} = {kind}(…)`: a constraint is no factor, it holds one: "
                f"`model.{name} = fusion.Factor({tuple(owned.shape)}, {first}{kind}(…))`; spectra "
                "that are known are also given to `fusion.models.WithReferences`."
            )
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

    def beliefs(self, within: str = "") -> Sequence[Term]:
        """Terms about unknowns of its own that a fit adds to the loss; a model may override it.

        Args:
            within: "lines." where it is the part `lines` of another model: before every name.
        """
        return ()

    def component_parts(self, name: str) -> ComponentParts | None:
        """What pages show as components of a data set; None: the columns of its prediction.

        A model may override it whose predictions have other columns than its components, as
        `models.Compositions`, where they are X-ray lines.

        Args:
            name: of the data set.
        """
        return None

    def all_beliefs(self) -> list[Term]:
        """Those of itself and of all of its parts."""
        parts = [(path, part) for path, part in self.named_modules() if isinstance(part, Model)]
        return [term for path, part in parts for term in part.beliefs(f"{path}." if path else "")]

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
        return {factor_name(path): module for path, module in _factors_in(self, "", {self})}

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

    def _display(self) -> Display:
        return model_display(self)

    def select(self, factors: Sequence[str], components: Sequence[int]) -> Model:
        """A copy in which the named factors keep some of their components only."""
        other = deepcopy(self)
        for name in factors:
            *path, last = name.split(".")
            owner = other.get_submodule(".".join(path)) if path else other
            owner._modules[f"_{last}"] = self.factor_modules()[name].select(components)
        return other


def _factors_in(
    module: nn.Module, path: str, met: set[nn.Module]
) -> Iterator[tuple[str, FactorModule]]:
    """(path, factor) as `named_modules` has them, each once; quicker, as steps ask for them often.

    Args:
        module, path: the parts of it, and what stands before their names.
        met: modules that have been seen; these are added.
    """
    for name, part in module._modules.items():
        if part is None or part in met:
            continue
        met.add(part)
        if isinstance(part, FactorModule):  # which holds constraints, no other factors
            yield f"{path}{name}", part
        else:
            yield from _factors_in(part, f"{path}{name}.", met)
