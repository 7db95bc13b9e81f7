"""A mass thickness that was measured elsewhere, as a belief about the mean over a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.language.expected import ExpectedQuantity
from fusion.language.model import Model
from fusion.xrays.map_mean import MapMean


class KnownThickness(ExpectedQuantity):
    """½ u², u = ln(⟨ρt⟩ / T) / σ: the mean mass thickness of a map is T, to a share σ of it.

    ⟨ρt⟩ is that of `LineModel.mass_thickness`, of `atoms()` of the model that the line model is a
    part of.

    Args:
        path: of the line model in that model, "lines".
        mean: T, g/cm²; error: σ, its relative standard error.
        over: the pixels of the map, or the sums, over which the mean goes.
    """

    def __init__(self, path: str, mean: float, error: float, over: MapMean) -> None:
        self.path, self.mean, self.error, self.over = path, mean, error, over

    def found(self, model: Model) -> Tensor:
        """⟨ρt⟩, a 0-d tensor."""
        lines: Any = model.get_submodule(self.path)
        return self.over(lines.mass_thickness(self._owner(model).atoms()))

    def deviation(self, model: Model) -> Tensor:
        found = self.found(model)
        tiny = torch.finfo(found.dtype).tiny
        return torch.log(found.clamp_min(tiny) / self.mean) / self.error

    def on_sums(self, labels: Mapping[Axes, Tensor]) -> KnownThickness:
        return KnownThickness(self.path, self.mean, self.error, self.over.on_sums(labels))

    def _owner(self, model: Model) -> Any:
        """The smallest part of a model that the lines are in and that has `atoms()`.

        Raises:
            ValueError: if there is none.
        """
        path = self.path
        while path:
            path = path.rpartition(".")[0]
            owner = model.get_submodule(path)
            if callable(getattr(owner, "atoms", None)):
                return owner
        raise ValueError(
            f"`{self}`: `mass_thickness` is of the mean over a map, and `{type(model).__name__}` "
            "does not say which atoms there are: give it `def atoms(self): return self.C @ "
            "self.A.T`, (pixel, element), of all elements of its `LineModel`, and use it in "
            "`forward`; `result.composition()` asks for it, too."
        )

    def check(self, model: Model) -> None:
        with torch.no_grad(), model.once():
            self.deviation(model)

    def __str__(self) -> str:
        name = f"{self.path}.mass_thickness" if self.path else "mass_thickness"
        return f"Expected({name} = {self.mean:g} ± {100 * self.error:g} %)"

    def formula(self) -> tuple[str, str]:
        return (
            f"½(ln(⟨ρt⟩/{self.mean:g})/{self.error:g})²",
            rf"\tfrac12(\ln(\langle\rho t\rangle/{self.mean:g})/{self.error:g})^2",
        )
