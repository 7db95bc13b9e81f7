"""Compositions of every pixel, as a line model found them, with all that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, length
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Notes, Part, Shown, Table
from fusion.algebra.waiting import say
from fusion.elements.common_errors import CommonErrors, MetRows, met_rows, reach
from fusion.engine.directional import slopes_along
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


@dataclass(frozen=True, eq=False, repr=False)
class CompositionMaps(Shown):
    """What every pixel consists of.

    Standard errors hold the counts of the pixel and, alike in all pixels, what is not known of
    compositions, detector, thickness and k factors; where a component is at zero in a pixel, how
    far it may be from there. Beliefs that tie pixels together are not in them.

    Attributes:
        elements: one a column; `axes`: of the pixels.
        atomic: (pixel, element) at.%, NaN in pixels with too few counts to tell; `atomic_errors`
            standard errors.
        weight: weight %, `weight_errors` standard errors.
        messages: what else a user should know.

    Example:
        >>> maps = fu.elements.CompositionMaps(
        ...     ("Mg", "O"), (fu.Axis("x", size=1),), *[np.array([[40.0, 60.0]])] * 4
        ... )
        >>> maps.map("O")
        array([60.])
    """

    elements: tuple[str, ...]
    axes: Axes
    atomic: Array
    atomic_errors: Array
    weight: Array
    weight_errors: Array
    messages: tuple[str, ...] = ()

    @checked_call
    def map(self, element: str, *, weight: bool = False) -> Array:
        """At.% of an element on the axes of the scan; weight % where that is asked for.

        Raises:
            ValueError: if it is none of the elements.
        """
        return self._on_axes(self.weight if weight else self.atomic, "map", element)

    @checked_call
    def error_map(self, element: str, *, weight: bool = False) -> Array:
        """Standard errors of the same.

        Raises:
            ValueError: if it is none of the elements.
        """
        errors = self.weight_errors if weight else self.atomic_errors
        return self._on_axes(errors, "error_map", element)

    def to_npz(self, path: Any) -> None:
        """Write at.% and weight % with standard errors, (pixel axes …, element), and elements.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        shape = [*(length(axis) for axis in self.axes), len(self.elements)]
        kinds = ("atomic", "atomic_errors", "weight", "weight_errors")
        arrays = {kind: getattr(self, kind).reshape(shape) for kind in kinds}
        with atomic_write(Path(path)) as file:
            np.savez_compressed(file, elements=np.array(self.elements), **arrays)

    def _on_axes(self, values: Array, call: str, element: str) -> Array:
        if element not in self.elements:
            raise ValueError(
                f"`{call}({element!r})`: the composition is of {', '.join(self.elements)}: name "
                "one of them; others are fitted by `Compositions(edxs, [..., ...])`."
            )
        column = values[:, self.elements.index(element)]
        return column.reshape([length(axis) for axis in self.axes])

    def _display(self) -> Display:
        shape = " × ".join(str(length(axis)) for axis in self.axes)
        heads = ["at.%", "mean", "from", "to", "error of a pixel"]
        parts: list[Part] = [Table(heads, [self._row(j) for j in range(len(self.elements))])]
        if self.messages:
            parts.append(Notes(self.messages))
        return Display(f"composition of {shape} pixels", parts)

    def _row(self, j: int) -> list[str]:
        """Mean, 5th and 95th percentile, and the median error."""
        seen = np.isfinite(self.atomic[:, j])
        if not seen.any():
            return [self.elements[j], "–", "–", "–", "–"]
        values, errors = self.atomic[seen, j], self.atomic_errors[seen, j]
        numbers = (values.mean(), *np.percentile(values, [5, 95]), np.median(errors))
        return [self.elements[j], *(f"{number:.1f}" for number in numbers)]


@dataclass(frozen=True, eq=False)
class PixelSource:
    """What maps of compositions are made of, when they are asked for.

    Attributes:
        model: with `atoms()` (pixel, element); loss: that was minimised.
        common: how well the common variables are known.
        elements: of the composition, the first columns of `atoms()`; masses: theirs, g/mol.
        axes: of the pixels; progress: whether a line says that they are at work.
    """

    model: Model
    loss: Loss
    common: CommonErrors
    elements: tuple[str, ...]
    masses: Tensor
    axes: Axes
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
        return CompositionMaps(self.elements, self.axes, *found, messages)

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
        """Atoms (pixel, element), their slopes along rows (…, r) and along the few (…, few)."""
        objective, count = parts.objective, len(self.elements)

        def atoms(x: Tensor) -> tuple[Tensor]:
            values = {name: v[0] for name, v in objective.values(x[None]).items()}
            with objective.model.once(values):
                return (objective.model.atoms()[:, :count],)  # type: ignore[operator]

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
    return 100 * share, 100 * errors


def _untold(untold: NDArray[np.bool_], axes: Axes) -> Iterator[str]:
    """How many pixels say nothing of themselves, and what may be done."""
    if count := int(untold.sum()):
        names = ", ".join(f"{axis.name}=2" for axis in axes)
        yield (
            f"{count} of {len(untold)} pixels have too few counts to tell their composition (all "
            f"atoms together are less than {LEAST:g} times their standard error), or are masked: "
            f"NaN; `bin({names})` before the fit sums neighbours"
        )
