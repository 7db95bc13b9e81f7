"""Compositions of every pixel, as a line model found them, with all that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, length
from fusion.algebra.waiting import say
from fusion.elements.common_errors import CommonErrors
from fusion.elements.composition_maps import CompositionMaps
from fusion.elements.formula_unit import EXACT
from fusion.elements.limits import reach
from fusion.elements.stoichiometry import Charges
from fusion.engine.directional import slopes_along
from fusion.engine.met_rows import MetRows, met_rows
from fusion.engine.objective import Objective
from fusion.engine.rows_and_few import Arrow, RowsAndFew
from fusion.engine.variables import States
from fusion.language.loss import Loss
from fusion.search.pixel_sampling import model_on_rows, pixel_factors

if TYPE_CHECKING:
    from fusion.language.model import Model

Array = NDArray[np.float64]

AT_ONCE = 2048
"""Pixels whose errors are found at once."""
LEAST = 3.0
"""Standard errors of a pixel's atoms by which they stand out, for a composition to be told."""
SIDES = 1.96
"""Standard deviations to each side of a 95 % interval."""


@dataclass(frozen=True, eq=False)
class PixelSource:
    """What maps of compositions are made of, when they are asked for.

    Attributes:
        model: with `atoms()` (pixel, element); loss: that was minimised.
        common: how well the common variables are known.
        elements: of the composition, the first columns of `atoms()`; masses: theirs, g/mol.
        axes: of the pixels; progress: whether a line says that they are at work.
        charges: of the elements, where they count oxygen; None: its line does.
    """

    model: Model
    loss: Loss
    common: CommonErrors
    elements: tuple[str, ...]
    masses: Tensor
    axes: Axes
    charges: Charges | None = None
    progress: bool = True

    def maps(self) -> CompositionMaps:
        """Of all pixels, some at a time."""
        whole = Objective(self.model, self.loss)
        states = whole.refresh_fits(whole.values(whole.current()), whole.no_states())
        few = [states[i] for i, _, _ in self.loss.fits]
        pixels = prod(length(axis) for axis in self.axes)
        columns: list[tuple[Tensor, ...]] = []
        for done, index in enumerate(torch.arange(pixels).split(AT_ONCE)):
            say("pixels", done, -(-pixels // AT_ONCE))
            columns.append(self._of_pixels(index, few))
        made = [torch.cat(parts).cpu().double().numpy() for parts in zip(*columns, strict=True)]
        atomic, atomic_errors, weight, weight_errors, told = made
        found = atomic, atomic_errors, weight, weight_errors
        messages = tuple(_untold(~told.astype(bool), self.axes))
        by_stoichiometry = self.charges is not None
        return CompositionMaps(self.elements, self.axes, *found, messages, by_stoichiometry)

    def _of_pixels(self, index: Tensor, states: States) -> tuple[Tensor, ...]:
        """(at.%, errors, weight %, errors (pixel, element); whether they can be told (pixel,))."""
        objective = self._problem(index)
        parts = RowsAndFew(objective)
        flat = objective.raws(objective.values(objective.current())).detach()[0]
        with torch.no_grad():
            arrow = parts.arrow(flat, states, observed=True)
        n, by_rows, by_few = self._slopes(parts, flat)
        met = met_rows(parts, flat, arrow)
        own = by_rows @ _own_spread(arrow, met) @ by_rows.mT
        along = by_few + by_rows @ met.follow
        spread = own + along @ self._common_spread() @ along.mT
        if self.charges is not None:
            spread = spread + torch.diag_embed(
                self.charges.variance(n)[:, None] * self.charges.oxygen
            )
        seen = arrow.rows.diagonal(dim1=1, dim2=2).sum(1) > 0
        told = seen & (n.sum(1) > LEAST * own.sum((1, 2)).clamp_min(0).sqrt()) & (n.sum(1) > 0)
        atomic = _shares(n, spread, told, torch.ones_like(self.masses))
        return *atomic, *_shares(n, spread, told, self.masses), told

    def _problem(self, index: Tensor) -> Objective:
        """Some pixels alone, and the fits to them."""
        rows = {self.axes: index}
        model = model_on_rows(self.model, rows)
        for name in pixel_factors(self.model, rows):
            module = model.factor(name)
            module.axes = ((Axis("pixel", size=len(index)),), *module.axes[1:])
        with torch.no_grad(), self.model.once():
            forms = [(w, term, term.pair(self.model)[0]) for _, w, term in self.loss.fits]
        terms = [(w, t._reading(form.rows(index.to(form.device)))) for w, t, form in forms]
        return Objective(model, Loss(terms))

    def _slopes(self, parts: RowsAndFew, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms (pixel, element), oxygen as it is counted, and their slopes.

        Along rows (…, r) and along the few (…, few).
        """
        objective, count = parts.objective, len(self.elements)

        def atoms(x: Tensor) -> tuple[Tensor]:
            values = {name: v[0] for name, v in objective.values(x[None]).items()}
            with objective.model.once(values):
                n = objective.model.atoms()[:, :count]  # type: ignore[operator]
            return (n if self.charges is None else self.charges.counted(n),)

        along_rows = flat.new_zeros(parts.width, len(flat))
        along_rows.scatter_(1, parts.places.T, 1.0)
        along_few = flat.new_zeros(len(parts.few), len(flat))
        along_few.scatter_(1, parts.few[:, None], 1.0)
        slopes = [
            slopes_along(atoms, [flat], [x])[0].permute(1, 2, 0) for x in (along_rows, along_few)
        ]
        with torch.no_grad():
            return atoms(flat)[0], slopes[0], slopes[1]

    def _common_spread(self) -> Tensor:
        """Covariance of the common variables, what is at its bound with how far it may be off."""
        return self.common.covariance + torch.diag((self.common.limit / SIDES).square())


def _own_spread(arrow: Arrow, met: MetRows) -> Tensor:
    """(pixel, r, r) covariance of rows; of what is at its bound how far it may be from there."""
    moved = met.covariance @ arrow.rows
    bend = (arrow.rows - arrow.rows @ moved).diagonal(dim1=1, dim2=2)
    off = torch.where(met.free, 0, reach(arrow.row_gradient, bend) / SIDES)
    direction = (torch.eye(off.shape[1]).to(moved) - moved) * off[:, None]
    return met.covariance + direction @ direction.mT


def _shares(n: Tensor, spread: Tensor, told: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Per cent (pixel, element) of atoms times a unit, and standard errors; NaN where not told."""
    y = n * unit
    total = torch.where(told, y.sum(1), torch.nan)[:, None]
    share = y / total
    eye = torch.eye(len(unit)).to(share)
    slope = (eye - share[:, :, None]) * unit / total[:, :, None]
    errors = (slope @ spread * slope).sum(2).clamp_min(0).sqrt()
    errors = 100 * torch.where(errors < EXACT / 100, 0, errors)  # rounding, where charges fix it
    return 100 * share, errors


def _untold(untold: NDArray[np.bool_], axes: Axes) -> Iterator[str]:
    """How many pixels say nothing of themselves, and what may be done."""
    if count := int(untold.sum()):
        names = ", ".join(f"{axis.name}=2" for axis in axes)
        yield (
            f"{count} of {len(untold)} pixels have too few counts to tell their composition (all "
            f"atoms together are less than {LEAST:g} times their standard error), or are masked: "
            f"NaN; `bin({names})` before the fit sums neighbours"
        )
