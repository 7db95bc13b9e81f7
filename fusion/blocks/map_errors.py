"""Standard errors of maps, given the spectra, by the last pass: by the code of `Result.transform`.

Variances go to a file as blocks are done, so that none is held; how large noise of unknown size is
all blocks tell together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.answers.left_over import LeftOver
from fusion.answers.roles import Roles
from fusion.blocks.on_rows import Scans, bare
from fusion.data.dataset import Dataset
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.term import State
from fusion.references.known_spectra import Detector, Maps, errors_at

Array = NDArray[np.float64]
NUMBER = 8
"""Bytes of a variance."""


class Found(NamedTuple):
    """What a block tells: (data set, pixel, K) variances, and squares and freedom by data set."""

    variance: Array
    squares: Array
    freedom: Array


@dataclass(frozen=True)
class Asked:
    """Data sets whose maps are the same factors, with their spectra.

    Attributes:
        maps: the factors whose sum they are.
        detectors: whose fits have data sets that are named alone.
        signed: whether amounts may be negative.
    """

    maps: tuple[str, ...]
    detectors: tuple[Detector, ...]
    signed: bool

    def of(
        self,
        datasets: Mapping[str, Dataset],
        rows: Mapping[str, NDArray[Any]],
        left: Mapping[str, LeftOver],
    ) -> Found | None:
        """Of a block; None where it has no pixels of them.

        Args:
            datasets: of the block; rows: of its factors; left: what the fits leave of it.
        """
        names = [each.term.dataset.name for each in self.detectors]
        if not set(names) <= set(datasets):
            return None
        pairs = zip(self.detectors, names, strict=True)
        here = [each.on(datasets[name]) for each, name in pairs]
        c = torch.from_numpy(sum(rows[name].astype(float) for name in self.maps))
        squares = [left[name].unmet for name in names]
        with torch.no_grad():
            made = errors_at(here, c.to(here[0].S.device), squares, signed=self.signed)
        assert made.variance is not None
        return Found(made.variance, made.squares, made.freedom)


@dataclass
class ErrorsOfMaps:
    """Standard errors of some maps of all pixels.

    Attributes:
        scan: the axes of their pixels.
        asked: of every block.
        spectra: of every data set the factors whose sum they are.
        rows: how many pixels there are.
        file: (data set, pixel, K) variances.
        ratio: of the maps to those that the pass had, (K,).
    """

    scan: Axes
    asked: Asked
    spectra: Mapping[str, tuple[str, ...]]
    rows: int
    file: BinaryIO
    ratio: Array | float = 1.0
    _sums: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def maps(self) -> tuple[str, ...]:
        """The factors whose sum they are."""
        return self.asked.maps

    @property
    def data(self) -> list[str]:
        """The data sets whose noise it is."""
        return [each.term.dataset.name for each in self.asked.detectors]

    def add(self, number: int, rows: Tensor, found: Found) -> None:
        """What block `number` tells of these pixels.

        Raises:
            OSError: if there is no room for it.
        """
        self._sums[number] = found.squares, found.freedom
        try:
            self._write(rows.numpy(), found.variance)
        except OSError as error:
            raise OSError(
                "`Blocks(out=…)`: standard errors of maps could not be written beside it "
                f"({error}): make room, or give another place; with a checkpoint the fit goes on "
                "from its last pass."
            ) from error

    def _write(self, own: NDArray[np.int64], variances: Array) -> None:
        K = variances.shape[2]
        starts = [0, *(np.flatnonzero(np.diff(own) != 1) + 1), len(own)]
        for d, variance in enumerate(variances):
            for a, b in pairwise(starts):
                self.file.seek(NUMBER * K * (d * self.rows + int(own[a])))
                self.file.write(np.ascontiguousarray(variance[a:b]).data)

    def settled(self, values: Mapping[str, Tensor]) -> None:
        """The end of the pass; spectra may have been stretched since, and maps shrunk as much."""
        detector = self.asked.detectors[0]
        after = spectra_of(self.spectra, detector.term.dataset.name, values)
        a, b = (torch.linalg.vector_norm(S, dim=0) for S in (detector.S, after))
        self.ratio = torch.where(b > 0, a / torch.where(b > 0, b, 1), 1).cpu().numpy()

    def of(self, rows: slice) -> Array:
        """Standard errors (pixel, K) of pixels one after another."""
        total = Maps(0, self.asked.detectors, errors=True)
        for number in sorted(self._sums):  # whichever block was first
            squares, freedom = self._sums[number]
            total.squares, total.freedom = total.squares + squares, total.freedom + freedom
        parts, K = len(self.data), self.asked.detectors[0].S.shape[1]
        variance = np.empty((parts, rows.stop - rows.start, K))
        for d, part in enumerate(variance):
            self.file.seek(NUMBER * K * (d * self.rows + rows.start))
            held = self.file.read(part.nbytes)
            part[...] = np.frombuffer(held).reshape(part.shape)
        return total.errors_of(variance) * self.ratio


class MapErrors:
    """Of which maps standard errors are known, and how to come by them.

    Args:
        model: with its rows; roles: which of its factors are maps and spectra.
        loss: of the whole data sets; scans: of their pixels.
        room: gives an empty file for what a pass finds.

    Attributes:
        messages: of data sets without such errors, and why.
    """

    def __init__(
        self,
        model: Model,
        roles: Roles,
        loss: Loss,
        scans: Scans,
        room: Callable[[], BinaryIO],
    ) -> None:
        self.model, self.loss, self.scans, self.room = model, loss, scans, room
        self.roles, self.messages = roles, list[str]()
        self.fits = _fits(loss)
        self.groups = self._groups()

    def _groups(self) -> list[tuple[str, ...]]:
        """Data sets whose maps are the same; those without known errors are told."""
        groups: dict[tuple[str, ...], list[str]] = {}
        odd = [name for name in self.fits if self._no_maps(name)]
        for name in self.fits:
            if any(self.scans[name] == self.scans[each] for each in odd):
                continue
            groups.setdefault(self.roles[name][0], []).append(name)
        if odd:
            self._tell(odd, "not predicted as maps of its pixels times spectra alone")
        made = []
        for names in groups.values():
            if all(Detector(self.fits[n][1], torch.ones(1, 1)).closed for n in names):
                made.append(tuple(names))
            else:
                told = " + ".join(str(self.fits[n][1]) for n in names)
                self._tell(names, f"fitted by {told}, and known are those of squares and counts")
        return made

    def _no_maps(self, name: str) -> bool:
        """Whether a data set is something else than maps of all its pixels times spectra."""
        data = self.fits[name][1].dataset
        if name not in self.roles or data.pixels != self.scans[name]:
            return True
        with torch.no_grad(), self.model.once():
            return self.model.component_parts(name) is not None

    def _tell(self, names: Iterable[str], why: str) -> None:
        told = ", ".join(map(repr, names))
        self.messages.append(f"no standard errors of maps are stored: {told} is {why}")

    def at(self, values: Mapping[str, Tensor], lagged: Mapping[str, State]) -> list[ErrorsOfMaps]:
        """What a pass at these values is asked for.

        Args:
            values: of all factors; lagged: pieces of the fits by the names of the data sets.
        """
        return [self._of(names, values, lagged) for names in self.groups]

    def _of(
        self, names: Sequence[str], values: Mapping[str, Tensor], lagged: Mapping[str, State]
    ) -> ErrorsOfMaps:
        maps = self.roles[names[0]][0]
        spectra = {name: self.roles[name][1] for name in names}
        detectors = []
        for name in names:
            weight, fit = self.fits[name]
            level = float(torch.as_tensor(fit.scale(lagged.get(name, {})))) if fit.lagged else 1.0
            S = spectra_of(spectra, name, values)
            detectors.append(Detector(bare(fit), S, weight * level))
        signed = not any(d.counts for d in detectors) and self._signed(maps, values)
        asked = Asked(maps, tuple(detectors), signed)
        scan, rows = self.scans[names[0]], len(values[maps[0]])
        return ErrorsOfMaps(scan, asked, spectra, rows, self.room())

    def _signed(self, maps: Sequence[str], values: Mapping[str, Tensor]) -> bool:
        """Whether maps may be negative, as they are or as their constraint says."""
        modules = [self.model.factor(name) for name in maps]
        if len(modules) == 1 and modules[0].chain[0].identity and modules[0].chain[0].signed:
            return True
        if all(module.lower is not None and module.lower >= 0 for module in modules):
            return False
        return bool((torch.stack([values[name] for name in maps]).sum(0) < 0).any())


def spectra_of(
    spectra: Mapping[str, tuple[str, ...]], name: str, values: Mapping[str, Tensor]
) -> Tensor:
    """S (channel, K) of a data set, float64."""
    return torch.stack([values[each].double() for each in spectra[name]]).sum(0)


def _fits(loss: Loss) -> dict[str, tuple[float, Fit]]:
    """(weight, fit) of every data set, of several the one that weighs most."""
    made: dict[str, tuple[float, Fit]] = {}
    for _, weight, fit in loss.fits:
        if weight > 0 and weight > made.get(fit.dataset.name, (0.0,))[0]:
            made[fit.dataset.name] = weight, fit
    return made
