"""Per cent of what components consist of, with errors and limits, out of how atoms are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.elements.common_errors import CommonErrors
from fusion.elements.pixel_composition import SIDES
from fusion.elements.stoichiometry import Charges
from fusion.engine.directional import jacobian

Array = NDArray[np.float64]
Shares = tuple[Array, Array, Array]
"""Per cent (K, element), standard errors, 95 % intervals (K, element, 2)."""
OfAtoms = Callable[[Tensor], Tensor]
"""A function of atoms (K, element)."""


class FoundAtoms(ABC):
    """Atoms of components, in a unit of their own, and how well they are known.

    Attributes:
        values: (K, element); zero: (K, element), which are held at zero.
    """

    values: Tensor
    zero: Tensor

    @abstractmethod
    def variance(self, function: OfAtoms, *, limits: bool = False) -> Tensor:
        """Of a function of atoms, in its shape; with how far zeros may be from there, or not."""

    @abstractmethod
    def limits(self, function: OfAtoms) -> Tensor:
        """(K, element) how far per cents (K, element) may be from zero, where atoms are there."""


class AtomsOfComponents(FoundAtoms):
    """Those of the compositions A, which all pixels have in common."""

    def __init__(self, common: CommonErrors) -> None:
        place = common.place("A")
        self.raw, self.covariance = common.few[place], common.covariance[place, place]
        self.reach = common.limit[place]
        self.slot = next(slot for slot in common.parts.few_slots if slot.name == "A")
        self.values = self._atoms(self.raw)
        self.zero = common.at_bound[place].reshape(self.slot.shape).T

    def _atoms(self, raw: Tensor) -> Tensor:
        assert self.slot.module is not None
        return self.slot.module.constrain(raw.reshape(self.slot.shape)).T

    def _slope(self, function: OfAtoms) -> Tensor:
        """(value, raw)."""
        return jacobian(lambda raw: function(self._atoms(raw)).flatten(), self.raw)[0]

    def variance(self, function: OfAtoms, *, limits: bool = False) -> Tensor:
        slope, covariance = self._slope(function), self.covariance
        if limits:
            covariance = covariance + torch.diag((self.reach / SIDES).square())
        return (slope @ covariance * slope).sum(1).clamp_min(0).reshape(function(self.values).shape)

    def limits(self, function: OfAtoms) -> Tensor:
        own = self._slope(function).reshape(*self.values.shape, *self.slot.shape)
        return torch.einsum("keek->ke", own) * self.reach.reshape(self.slot.shape).T


class AtomsOfMap(FoundAtoms):
    """Those of the mean over a map, which has no components.

    Args:
        common: how well what pixels have in common is known.
        atoms: (pixel, element or more); count: of the elements that are meant.
    """

    def __init__(self, common: CommonErrors, atoms: Tensor, count: int) -> None:
        self.common, self.count = common, count
        self.values = self._mean(atoms)
        self.zero = torch.zeros_like(self.values, dtype=torch.bool)

    def _mean(self, atoms: Tensor) -> Tensor:
        return atoms[:, : self.count].mean(0, keepdim=True)

    def variance(self, function: OfAtoms, *, limits: bool = False) -> Tensor:
        model: Any = self.common.parts.objective.model

        def found(values: dict[str, Tensor]) -> Tensor:
            with model.once(values):
                return function(self._mean(model.atoms())).flatten()

        return self.common.spread(found).square().reshape(function(self.values).shape)

    def limits(self, function: OfAtoms) -> Tensor:
        return torch.zeros_like(self.values)


@dataclass(frozen=True)
class Counting:
    """Per cent of atoms times a unit, oxygen by stoichiometry where there are charges.

    Attributes:
        unit: (element,), 1 or molar masses.
        charges: of the elements; None: oxygen by its line.
    """

    unit: Tensor
    charges: Charges | None = None

    def shares(self, n: Tensor, valences: Tensor | None = None) -> Tensor:
        """(K, element) per cent of atoms (K, element); NaN where there are none."""
        y = (n if self.charges is None else self.charges.counted(n, valences)) * self.unit
        total = y.sum(1, keepdim=True)
        return 100 * y / torch.where(total > 0, total, torch.nan)

    def of(self, atoms: FoundAtoms) -> Shares:
        """With errors and intervals; what is at zero has a limit and no error.

        By stoichiometry errors hold, too, how far from zero may be what is there.
        """
        counted = self.charges is not None
        value, zero = self.shares(atoms.values), atoms.zero
        variance = atoms.variance(self.shares, limits=counted)
        limits = atoms.limits(self.shares)
        if self.charges is not None:
            variance = variance + by_valences(self.shares, atoms, self.charges)
            zero = torch.where(self.charges.oxygen, value == 0, zero)  # all that counts it is
            limits = torch.where(self.charges.oxygen, SIDES * variance.sqrt(), limits)
        errors = torch.where(zero, 0, variance.sqrt())
        low, high = value - SIDES * errors, value + SIDES * errors
        high = torch.where(zero, limits, high).clamp(0, 100)
        intervals = torch.stack([low.clamp_min(0), high], -1)
        made = (value, errors, intervals)
        return tuple(each.detach().cpu().double().numpy() for each in made)  # type: ignore[return-value]


def apart(atoms: FoundAtoms, charges: Charges) -> tuple[Array, Array]:
    """At.% of oxygen by stoichiometry less that by its line (K,), and standard errors."""
    by_charges, by_line = (Counting(torch.ones_like(charges.valences), c) for c in (charges, None))

    def gap(n: Tensor, valences: Tensor | None = None) -> Tensor:
        return (by_charges.shares(n, valences) - by_line.shares(n))[:, charges.place]

    variance = atoms.variance(gap, limits=True) + by_valences(gap, atoms, charges)
    made = gap(atoms.values), variance.sqrt()
    return tuple(each.detach().cpu().double().numpy() for each in made)  # type: ignore[return-value]


def by_valences(function: Callable[..., Tensor], atoms: FoundAtoms, charges: Charges) -> Tensor:
    """Variance of a function of atoms and valences, as far as valences are not known."""
    (slope,) = jacobian(lambda valences: function(atoms.values, valences), charges.valences)
    return (slope * charges.errors).square().sum(-1)
