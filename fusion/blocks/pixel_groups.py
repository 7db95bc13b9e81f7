"""Counts of pixels that are alike, added up: what all data say, in as many rows as a sample has.

Pixels of one composition, c_i = t_i u, have Σ_i (m_i − x_i ln m_i) = M − X ln M but for a constant,
X = Σ x_i and M = Σ t_i S u: slope and curvature of a Poisson likelihood by the spectra are those of
their sum, and that maps may take up what spectra give is as it was, which no sample of pixels with
weights tells so well. Each pixel goes to the one that is most like it of some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.blocks.nearest_group import Placed, nearest
from fusion.blocks.on_rows import pixel_axis
from fusion.data.dataset import Dataset
from fusion.data.parts import as_numpy
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.forms import compiled_reading

GROUPS = 512
"""Groups of pixels, at most: with more a step knows little better, and workers send more."""

Array = NDArray[Any]


def columns_of(objective: Objective, values: Values, name: str) -> dict[str, str] | None:
    """By data set the factor of its spectra, where counts of pixels may be added up; else None.

    Penalties of rows may if twice the rows cost twice as much (`L1`): so do sums of alike ones.

    Args:
        objective: of some pixels.
        values: of all factors, of one start.
        name: of the factor over pixels, whose rows enter all predictions as they are.
    """
    with torch.no_grad():
        _, places = objective.closed(values)
    made = {}
    for i, form, _, sides in places:
        fit = objective.loss.surrogates[i][1]
        counts = getattr(fit.entrywise, "logarithmic", False)  # type: ignore[attr-defined]
        if not counts or len(sides) != 2 or sides[0] != name or not sides[1]:
            return None
        if form.weights.full is not None or form.shape[0] != values[name].shape[1]:
            return None
        made[fit.dataset.name] = sides[1]  # type: ignore[attr-defined]
    alone = len(set(made.values())) == len(objective.loss.fits)
    return made if alone and _add_up(objective, values, name) else None


def _add_up(objective: Objective, values: Values, name: str) -> bool:
    """Whether penalties of rows are those of their sum where rows are alike."""
    if not objective.loss.penalties:
        return True
    states = objective.no_states()
    with torch.no_grad():
        once, twice = (
            objective.penalties(values | {name: a * values[name]}, states) for a in (1, 2)
        )
    return torch.allclose(2 * once, twice, rtol=1e-9)


@dataclass(frozen=True)
class PixelGroups:
    """Pixels that others are like.

    Attributes:
        name: of the factor over pixels; rows: theirs, (group, K).
        sizes: counts that a unit of each component gives, (K,).
    """

    name: str
    rows: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, name: str, rows: Tensor, spectra: Mapping[str, Tensor]) -> PixelGroups:
        """Groups around some of these rows.

        Args:
            rows: (pixel, K); spectra: (channel, K) by data set.
        """
        few = torch.linspace(0, len(rows) - 1, min(GROUPS, len(rows))).long()
        sizes = torch.stack([S.sum(0) for S in spectra.values()]).sum(0)
        return cls(name, rows[few].clone(), sizes.clone())

    @cached_property
    def placed(self) -> Placed:
        """Where they lie, for the search."""
        return Placed.of(self._amounts(self.rows))

    def nearest(self, rows: Tensor) -> Array:
        """The group of each row, (pixel,)."""
        return nearest(self._amounts(rows), self.placed)

    def _amounts(self, rows: Tensor) -> Array:
        """Counts of the components, ≥ 0."""
        return as_numpy((rows.double() * self.sizes.to(rows.device).double()).clamp_min(0))

    def summed(self, objective: Objective, values: Values) -> dict[str, Array]:
        """Counts of each group in a block, (group, channel) by data set, in as few bytes as go."""
        group, made = self.nearest(values[self.name][0]), {}
        with torch.no_grad(), objective.model.once({n: v[0] for n, v in values.items()}):
            for _, _, fit in objective.loss.fits:
                form = fit.pair(objective.model)[0]
                add = _of_few if fit.dataset.entries is not None else _of_many
                made[fit.dataset.name] = _small(add(form, group, len(self.rows)))
        return made


def _small(counts: Array) -> Array:
    """Whole numbers in their smallest type: workers send them."""
    if counts.dtype.kind == "u" or bool((counts == np.rint(counts)).all()):
        return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
    return counts


def _of_few(form: Any, group: Array, groups: int) -> Array:
    from scipy import sparse

    held, rows = form.entries(), form.weights.rows
    x = held.x.double() if rows is None else held.x * rows[held.i.long()]
    at = group[as_numpy(held.i)], as_numpy(held.j)
    return sparse.coo_array((as_numpy(x), at), shape=(groups, form.shape[1])).toarray()


def _of_many(form: Any, group: Array, groups: int) -> Array:
    weights = form.weights.rows
    if form.compiled and weights is None and not form.array.dtype.is_signed:
        return compiled_reading.group_sums(form.array, group, groups)
    from scipy import sparse

    total = np.zeros((groups, form.shape[1]))
    w = np.ones(form.shape[0]) if weights is None else as_numpy(weights.double())
    own = sparse.coo_array((w, (group, np.arange(len(group)))), shape=(groups, len(group))).tocsc()
    for rows, x, _ in form.chunks():
        total += own[:, rows] @ as_numpy(x)
    return total


class SummedCounts:
    """Counts of groups over all blocks.

    Args:
        groups: of pixels.
        columns: by data set the factor of its spectra.
        whole: by name the data sets, of which channels and masks are taken.
    """

    def __init__(
        self, groups: PixelGroups, columns: Mapping[str, str], whole: Mapping[str, Dataset]
    ) -> None:
        self.groups, self.columns, self.whole = groups, columns, whole
        self.counts: dict[str, Array] = {}

    def add(self, counts: Mapping[str, Array]) -> None:
        """Those of a block: whole numbers, which add up to the same in any order."""
        for name, more in counts.items():
            if name not in self.counts:
                self.counts[name] = np.zeros(more.shape)
            self.counts[name] += more

    def taken(self) -> tuple[dict[str, Dataset], Tensor]:
        """(data sets of the groups that have counts, where their rows begin); taken out of here."""
        total = np.sum([counts.sum(1) for counts in self.counts.values()], 0)
        some = total > 0
        groups = self.groups
        shares = groups.rows.double() * groups.sizes.double()
        shares = shares.clamp_min(1e-6 * shares.sum(1, keepdim=True)).clamp_min(1e-300)
        amounts = torch.from_numpy(total)[:, None] * shares / shares.sum(1, keepdim=True)
        rows = amounts / groups.sizes.double().clamp_min(1e-300)
        made = {n: self._dataset(n, x[some]) for n, x in self.counts.items()}
        self.counts = {}
        return made, rows[torch.from_numpy(some)].to(groups.rows)

    def _dataset(self, name: str, counts: Array) -> Dataset:
        data = self.whole[name]
        sizes = [axis.size or 1 for axis in data.channels]
        whole = bool((counts == np.rint(counts)).all()) and counts.max(initial=0) < 2**31
        made = Dataset(
            name,
            (counts.astype("i4") if whole else counts).reshape(-1, *sizes),
            axes=(*pixel_axis(len(counts)), *data.channels),
            signal=data.signal,
            mask=_of_channels(data),
        )
        made._checked = True  # a group may have few counts
        return made


def _of_channels(data: Dataset) -> Array | None:
    """Channels that no pixel has, (1, channel …); pixels that are masked have added nothing."""
    if data.mask is None:
        return None
    mask = np.asarray(as_numpy(data.mask).all(axis=tuple(range(len(data.pixels)))))[None]
    return mask if mask.any() else None
