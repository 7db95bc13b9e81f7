"""Pixels of batches that stand out of what is known so far, kept beside a random sample.

A phase of a few pixels is in no random sample. Spectra fitted to the sample as it is tell every
batch; pixels that are not met by them are kept, looked at again whenever more is known, and give a
component that the sample does not need. It is what the first pass of a fit by blocks does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.seeds import generator
from fusion.answers.result import Result
from fusion.blocks.rare import without_column
from fusion.blocks.standouts import MOST_OF_ALL, Standouts, foremost, sides_of, surplus
from fusion.estimators.known import Known, Likelihood, common, fitted, of_known_noise
from fusion.estimators.reservoir import Reservoir
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE

Array = NDArray[Any]
Learn = Callable[[Array], Result | None]
"""A fit of some rows, as far as there is one."""
ROWS, COMPANY, PIECE = 2**14, 512, 2**12
"""Rows on which spectra are learned, that batches are held against, and looked at at once."""
GROWN, CROWDED = 2.0, 1.1
"""Times that more rows were seen, from which on spectra are learned anew: in any case, and where
so many pixels stand out of a piece that more is to be known."""


class BatchSample:
    """Rows that come in batches: all while they are few, then a random sample and what stands out.

    Args:
        most: rows of the sample.
        seed: of the choice.
        likelihood: makes the fit of a data set.
    """

    def __init__(self, most: int, seed: int, likelihood: Likelihood) -> None:
        self.random, self.likelihood = Reservoir(most, seed), likelihood
        self.known: Known | None = None
        self._known_at, self._choice = 0, generator(seed)
        self.standing: Array = np.empty((0, 0))
        """Rows that stand out; `numbers`: which ones they are of all, `scores`: by how much."""
        self.numbers, self.scores = np.empty(0, dtype=int), np.empty(0)

    def add(self, batch: Array, learn: Learn) -> None:
        """Take in rows; those kept are copied."""
        before = self.random.seen_rows
        sampled = before + len(batch) > self.random.most
        if sampled and before <= self.random.most and before:  # none of them is lost yet
            self._learn(learn)
            self._look(self.random.rows, np.arange(before))
        self.random.add(batch)
        if not sampled:
            return
        seen, numbers = self.random.seen_rows, before + np.arange(len(batch))
        if self.known is None or seen >= GROWN * self._known_at:
            self._learn(learn)
        if self._look(batch, numbers) and seen >= CROWDED * self._known_at:
            self._learn(learn)
            self._look(batch, numbers)

    def _learn(self, learn: Learn) -> None:
        """Spectra of the sample as it is; what stands out of those before may not do so now."""
        rows = self.random.rows
        rows = rows[np.flatnonzero(rows.any(axis=1))]
        if len(rows) > ROWS:
            rows = rows[self._choice.choice(len(rows), ROWS, replace=False)]
        found = learn(rows) if len(rows) > 1 else None
        if found is not None:
            self.meet(common(found))
        self._known_at = self.random.seen_rows

    def meet(self, found: Result) -> None:
        """Hold what stands out against the spectra that a fit has found."""
        rows = self.random.rows
        few = self._choice.choice(len(rows), min(COMPANY, len(rows)), replace=False)
        self.known = Known.of(found, self.likelihood, rows[few][rows[few].any(axis=1)])
        if len(self.standing):
            again = foremost(self.known.scores(self.standing), MOST_OF_ALL)
            kept = again.rows.numpy()
            self.standing, self.numbers = self.standing[kept], self.numbers[kept]
            self.scores = again.scores.numpy()

    def _look(self, rows: Array, numbers: Array) -> bool:
        """Keep rows that stand out; whether they are so many that more is to be known."""
        crowded = False
        for part, which in _pieces(rows, numbers):
            if self.known is None or not len(part):
                continue
            picked = foremost(self.known.scores(part))
            crowded |= picked.crowded
            index = picked.rows.numpy()
            self._keep(part[index], which[index], picked.scores.numpy())
        return crowded

    def _keep(self, rows: Array, numbers: Array, score: Array) -> None:
        new = ~np.isin(numbers, self.numbers)
        if not new.any():
            return
        if len(self.standing):
            rows = np.concatenate([self.standing, rows[new]])
        numbers = np.concatenate([self.numbers, numbers[new]])
        score = np.concatenate([self.scores, score[new]])
        kept = np.sort(np.argsort(-score, kind="stable")[:MOST_OF_ALL])
        self.standing, self.numbers, self.scores = rows[kept], numbers[kept], score[kept]

    # ---- the answer --------------------------------------------------------------------------

    def weighted(self) -> tuple[Array, Array]:
        """(rows, how many each stands for): those drawn for all others, one that stands out for
        itself."""
        drawn, seen = self.random.rows, self.random.seen_rows
        own = ~np.isin(self.numbers, self.random.numbers)
        if not own.any():
            return drawn, np.full(len(drawn), seen / len(drawn))
        alone = self.standing[own]
        each = np.full(len(drawn), (seen - len(alone)) / len(drawn))
        return np.concatenate([drawn, alone]), np.concatenate([each, np.ones(len(alone))])

    def completed(self, found: Result, most: int, **options: Any) -> Result:
        """An answer of the sample with a component of what stands out, where one is over.

        Args:
            found: the answer; most: components that were asked for.
            options: of `fusion.fit`.

        Returns:
            The answer with the factor "S" alone changed; the same where nothing stands out, or all
            components are needed.
        """
        model, loss = fitted(found)
        if not len(self.standing) or not of_known_noise(loss):
            return found
        self.meet(found)
        if not len(self.standing):
            return found
        S, means = model.factor("S")().detach(), self._means()
        if S.shape[1] == most:
            over = self._surplus(model, loss, means)
            if over is None:
                return found
            S = without_column(model, loss, over, **options)["S"]
            S = S[:, [k for k in range(most) if k != over]]
        spectrum = self._spectrum(S, means)
        if spectrum is None or not bool(spectrum.any()):
            return found
        S = torch.cat([S, spectrum[:, None]], 1).numpy()
        n = len(self.standing)
        told = f"component {S.shape[1]}: of {n} pixel{'s' * (n > 1)} that stand out of all others"
        messages = [*found.messages, told]
        return replace(found, factors={**found.factors, "S": S}, messages=messages)

    def _surplus(self, model: Model, loss: Loss, means: dict[str, Tensor]) -> int | None:
        """The component that the sample needs least, where one is over."""
        assert self.known is not None
        objective = self.known.problem.on(loss.datasets)
        values = {n: v.detach().to(objective.like) for n, v in model.factors.items()}
        here = {n: v[None] for n, v in values.items()}
        sides = sides_of(objective, here, means, damped=0.0)
        return None if sides is None else surplus(sides, values, self._uneven(loss, means))

    def _uneven(self, loss: Loss, of_channels: dict[str, Tensor]) -> float:
        """Mean square of how much larger the variance of a pixel is than those of all."""
        if all(fit.entrywise is SQUARE for _, _, fit in loss.fits):
            return 1.0
        rows, means = self.random.rows, of_channels["data"].numpy()
        share = rows @ np.divide(1, means, out=np.zeros_like(means), where=means > 0)
        return float(np.mean(share**2) / max(np.mean(share) ** 2, 1e-300))

    def _spectrum(self, S: Tensor, means: dict[str, Tensor]) -> Tensor | None:
        """What the pixels that stand out share beside these spectra, of unit norm."""
        assert self.known is not None
        sides = sides_of(*self.known.met(self.standing), means)
        if sides is None:
            return None
        own = torch.from_numpy(self.scores), S.shape[1], torch.from_numpy(self.numbers)
        found = Standouts(sides, *own).spectrum({"S": S})["S"]
        return found / torch.linalg.vector_norm(found).clamp_min(1e-300)

    def _means(self) -> dict[str, Tensor]:
        """Of every channel, for the noise of counts."""
        return {"data": torch.from_numpy(self.random.rows.mean(axis=0, dtype=float))}


def _pieces(rows: Array, numbers: Array) -> Iterator[tuple[Array, Array]]:
    """Rows with something in them, some at a time."""
    for first in range(0, len(rows), PIECE):
        part = rows[first : first + PIECE]
        some = part.any(axis=1)
        yield part[some], numbers[first : first + PIECE][some]
