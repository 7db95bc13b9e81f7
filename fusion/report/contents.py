"""All that a page shows, as plain values and packed arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from fusion.algebra.waiting import say
from fusion.answers.result import Result
from fusion.plots.colours import COMPONENTS as COLOURS
from fusion.report import components
from fusion.report import sentences as words
from fusion.report.averaging import binned, bins_for, cell_of, cell_positions, data_means, means
from fusion.report.bands import Trust, band_entry, band_texts
from fusion.report.beside import answers_beside
from fusion.report.data_parts import Array, DataPart, parts_of
from fusion.report.marks import shown_end
from fusion.report.navigation import Group, groups
from fusion.report.packing import floats, levels
from fusion.report.residual_spread import spread_entry

BUDGET = 4_500_000  # measured values of all data sets that a page holds
DASHES = ("solid", "dashed", "dotted")  # tell apart what has one colour


class Scene:
    """A result as a page shows it.

    Args:
        result: what `fit` gave, or `Result.load`.
        data: the data sets of a loaded result.
        lines: (energy, label) that are marked in the spectra, for every data set.
        trust: standard errors and ambiguity, as far as they are shown.
        beside: other answers of the same data.

    Attributes:
        names: of the components; payload: what the page's script reads.
        beside: the answers that are compared; bands: what the bands of every data set are.
    """

    def __init__(
        self,
        result: Result,
        data: Any = None,
        lines: Mapping[str, Sequence[Any]] | None = None,
        *,
        trust: Trust | None = None,
        beside: Sequence[Result] = (),
    ) -> None:
        self.result, self.trust = result, trust or Trust()
        self.parts = parts_of(result, data)
        self.groups = groups(self.parts)
        self.numbers = components.component_numbers(self.parts)
        self.names = components.component_names(result, self.parts, self.numbers)
        self.table = components.table_rows(self.parts, self.numbers)
        self.lines = lines or {}
        self.light: list[str] = []
        self.arrays: dict[str, Any] = {}
        part_entries = [self._part_entry(i) for i in range(len(self.parts))]
        group_entries = [self._group_entry(g) for g in range(len(self.groups))]
        entries = [entry["bands"] for entry in part_entries]
        self.bands = band_texts(result, self.trust, self.parts, entries)
        self.beside = answers_beside(result, self.parts, beside, self._store)
        self.payload = {
            "names": self.names,
            "colours": [self.colour(k) for k in range(len(self.names))],
            "groups": group_entries,
            "parts": part_entries,
            "arrays": self.arrays,
        }

    def colour(self, k: int) -> str:
        """Of a component, in maps and spectra alike."""
        return COLOURS[k % len(COLOURS)]

    def dash(self, k: int) -> str:
        """Of a component's curves."""
        return DASHES[k // len(COLOURS) % len(DASHES)]

    def group_of(self, i: int) -> int:
        """The group that a data set belongs to."""
        return next(g for g, group in enumerate(self.groups) if i in group.parts)

    def _store(self, name: str, packed: dict[str, Any]) -> str:
        self.arrays[name] = packed
        return name

    def _bins_of(self, i: int) -> tuple[int, ...]:
        """Along every axis of a data set, how many measured values are averaged."""
        part, group = self.parts[i], self.groups[self.group_of(i)]
        split = len(part.pixels)
        kept = sum(
            (p.data is not None) + (p.dense is not None or p.exact is not None) for p in self.parts
        )
        shape = part.summary.shape
        bins = list(bins_for(shape[:split], shape[split:], BUDGET // max(kept, 1)))
        for axis, b in enumerate(group.bins):  # whole pixels of the map
            bins[axis] = -(-bins[axis] // b) * b
        return tuple(bins)

    def _part_entry(self, i: int) -> dict[str, Any]:
        part, bins = self.parts[i], self._bins_of(i)
        say(part.name, i, len(self.parts))
        group, split = self.groups[self.group_of(i)], len(part.pixels)
        shape = part.summary.shape
        self.light += words.averaging_text(part, bins, group.bins)
        cells, channels = binned(shape[:split], bins[:split]), binned(shape[split:], bins[split:])
        into = cell_of(shape[split:], bins[split:])
        place = cell_positions(part.channels, bins[split:])
        store = self._store
        entry: dict[str, Any] = {
            "name": part.name,
            "group": self.group_of(i),
            "signal": part.summary.signal,
            "numbers": self.numbers[i],
            "step": group.last([b // g for b, g in zip(bins[:split], group.bins, strict=True)]),
            "cells": group.last(cells),
            "bin": group.last(bins[:split]),
            "channelBin": prod(bins[split:]),
            "channels": list(channels),
            "axes": [{"name": a.name, "units": a.units, "label": a.label} for a in part.channels],
            "x": [store(f"x{i}.{n}", floats(x)) for n, x in enumerate(place)],
            "measured": None,
            "lines": (lines := self.lines.get(part.name, [])),
            "end": self._end(part, lines),
            "noise": part.summary.noise,
        }
        mean = means(part.summary.mean_spectrum.reshape(-1), into, prod(channels))
        entry["mean"] = store(f"mean{i}", floats(mean))
        rest = means(part.summary.residual_spectrum.reshape(-1), into, prod(channels))
        entry["meanLeft"] = store(f"meanLeft{i}", floats(rest))
        rms = means(part.summary.residual_map.reshape(-1), *self._map_cells(group))
        entry["rms"] = store(f"rms{i}", floats(rms))
        if part.data is not None:
            entry["measured"] = store(f"measured{i}", levels(data_means(part.data, bins)))
        entry["spread"] = spread_entry(part, bins, store, i)
        whole = set(group.bins) <= {1}
        trust = self.result, self.trust, part, (into, prod(channels)), store, i
        entry["bands"] = band_entry(*trust, whole=whole)
        return entry | self._fit_entry(i, bins)

    def _end(self, part: DataPart, lines: Sequence[Any]) -> float | None:
        if part.summary.signal != 1:
            return None
        metadata = self.result.data[part.name].metadata
        return shown_end(part.channels[0], metadata, part.summary.mean_spectrum, lines)

    def _map_cells(self, group: Group) -> tuple[Array, int]:
        """Which pixel of a map every pixel goes into, and how many there are."""
        return cell_of(group.full, group.bins), prod(binned(group.full, group.bins))

    def _fit_entry(self, i: int, bins: Sequence[int]) -> dict[str, Any]:
        """Maps and spectra of a data set; or its fit, where it is no product of them."""
        part, split = self.parts[i], len(self.parts[i].pixels)
        shape = part.summary.shape
        cells = cell_of(shape[:split], bins[:split]), prod(binned(shape[:split], bins[:split]))
        into = cell_of(shape[split:], bins[split:]), prod(binned(shape[split:], bins[split:]))
        entry: dict[str, Any] = {"left": None, "right": None, "cellLeft": None, "fit": None}
        if part.left is not None and part.right is not None:
            masked = self._masked(i)
            left = np.where(masked[:, None], np.nan, part.left)
            right = np.where(part.masked_channels[:, None], np.nan, part.right)
            entry["left"] = self._store(
                f"left{i}", floats(means(left, *self._map_cells(self.groups[self.group_of(i)])).T)
            )
            entry["right"] = self._store(f"right{i}", floats(means(right, *into).T))
            same = list(bins[:split]) == list(self.groups[self.group_of(i)].bins)
            entry["cellLeft"] = (
                entry["left"] if same else self._store(f"cells{i}", floats(means(left, *cells).T))
            )
        if part.exact is not None:
            kept = self._masked(i), part.masked_channels
            exact = [np.where(m[:, None], np.nan, x) for m, x in zip(kept, part.exact, strict=True)]
            fit = means(exact[0], *cells) @ means(exact[1], *into).T
            entry["fit"] = self._store(f"fit{i}", levels(fit))
        elif part.dense is not None:
            dense = np.where(self._masked(i)[:, None] | part.masked_channels, np.nan, part.dense)
            fit = means(means(dense, *cells).T, *into).T
            entry["fit"] = self._store(f"fit{i}", levels(fit))
        return entry

    def _masked(self, i: int) -> Array:
        """Pixels that no data set of the group sees."""
        group = self.groups[self.group_of(i)]
        return np.all([self.parts[p].masked_pixels for p in group.parts], axis=0)

    def _group_entry(self, g: int) -> dict[str, Any]:
        group = self.groups[g]
        return {**group.entry(), "parts": group.parts, "sets": self._map_sets(group)}

    def _map_sets(self, group: Group) -> list[dict[str, Any]]:
        """Maps of the components: once where data sets share them, else for each."""
        sets: list[tuple[Array, dict[str, Any]]] = []
        for i in group.parts:
            left = self.parts[i].left
            if left is None:
                continue
            same = next((s for L, s in sets if _proportional(L, left)), None)
            if same is None:
                sets.append((left, {"part": i, "owners": [self.parts[i].name]}))
            else:
                same["owners"].append(self.parts[i].name)
        return [entry for _, entry in sets]


def _proportional(a: Array, b: Array) -> bool:
    """Whether the columns are the same but for their scale."""
    if a.shape != b.shape:
        return False
    a, b = (x / np.maximum(np.linalg.norm(np.nan_to_num(x), axis=0), 1e-300) for x in (a, b))
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True))
