"""Pulling components towards and away from each other, as far as the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from fusion.engine.variables import Values
from fusion.uncertainty.pulled_descents import NEAR, PulledDescents
from fusion.uncertainty.rotation import mixed_starts
from fusion.uncertainty.standard_errors import FittedPoint
from fusion.uncertainty.tangent_pulls import proposals

BATCH = 2**23
"""Numbers of all the starts that go down together."""
ROUNDS = 16
"""How often the pulls are weighed anew, until each costs what the noise allows."""
FIRST = 1e-5
"""Share of the data's squares with which one pulls at first: far, where nothing holds."""
BETWEEN = (0.2, 0.4, 0.6, 0.8)
"""Shares of the way from an answer that fits to one that does not."""
SHORT, ROUGH = 4, 8
"""Steps from there, and curvature products within one, at most."""
FULL = 0.98
"""Share of it to which pulled answers are moved along the line from the start."""
STRETCHED = (0.3, 2.0)
"""Shares from which they are."""
LENGTHS = (1.0, 0.5, 0.25)
"""Shares of the way to a proposal at which it is looked at: bounds may be in between."""
LESS = 0.85
"""Share of a pull that was too strong with which it is tried again, at most."""
SAME = 0.01
"""Distance of two ends, a share of the way there, up to which they are one."""
TIGHT = 1.1
"""Ratio of a pull that is too strong to one that fits, below which a loss jumps between them."""


class BandSearch:
    """All pulls at once, as a batch, each weighed until it costs what the noise allows.

    Twice: as the model is, and for every pair of components with those numbers held at zero that
    are nothing but noise in both, as `empty` says of a pair. Where two components are absent, noise
    leaves a little of one or the other, and then no mixture of them keeps both positive: what is
    free without that would seem determined by it.
    """

    def __init__(
        self,
        point: FittedPoint,
        names: Sequence[str],
        allowed: float,
        size: float,
        empty: Callable[[tuple[int, int]], Values],
    ) -> None:
        self.allowed, self.size, self.empty = allowed, size, empty
        self.tell: Callable[[str], object] = lambda now: None
        """Told what is done now."""
        self.down = PulledDescents(point, names, allowed, size)
        self.objective, self.term, self.pull = self.down.objective, self.down.term, self.down.pull

    def run(self) -> None:
        """Find the answers at the edges."""
        start = self.objective.current()
        start = self.objective.retract(torch.maximum(start, self.objective.lower()))
        nothing = torch.zeros_like(self.pull.of(start))
        start, loss = self.down.descend(start, nothing, start.new_full((1, 1), self.allowed))
        self.down.lowest = self.down.start_loss = float(loss[0])
        signs = self.term.signs().to(start)
        self.doing = "pulls"
        self._explore_all(start, signs)
        for pair in sorted({(min(j, k), max(j, k)) for _, j, k in self.term.mixes}):
            if empty := self.empty(pair):
                self.doing = f"components {pair[0] + 1} and {pair[1] + 1} apart"
                other = [set(pair) != {j, k} for _, j, k in self.term.mixes]
                self._explore_without(start, signs[(signs[:, other] == 0).all(1)], empty)

    def _explore_without(self, start: Tensor, signs: Tensor, empty: Values) -> None:
        """Pulls with these numbers at zero; what the zeros cost is none of theirs."""
        still = torch.zeros_like(start, dtype=torch.bool)
        for slot in self.objective.slots:
            if slot.name in empty:
                slot.of(still)[:] = empty[slot.name]
        self.objective.still = still[0]
        start = torch.where(still, self.objective.lower(), start)
        nothing = torch.zeros_like(self.pull.of(start))
        start, loss = self.down.descend(start, nothing, start.new_full((1, 1), self.allowed))
        self.down.cost = float(loss[0]) - self.down.lowest
        if isfinite(self.down.cost):  # else a likelihood that forbids these zeros
            self._explore_all(start, signs)
        self.objective.still, self.down.cost = None, 0.0

    def _explore_all(self, start: Tensor, signs: Tensor) -> None:
        """All these pulls from an answer."""
        for batch in signs.split(max(1, BATCH // self.objective.size)):
            self._explore_batch(start, batch)

    def _explore_batch(self, start: Tensor, signs: Tensor) -> None:
        """One batch of pulls."""
        flat, weight, ahead, signs = self._first_pulls(start, signs)
        near, far = start.repeat(len(flat), 1), flat.clone()
        low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        going = torch.arange(len(signs), device=flat.device)
        gaps = going[:0]
        for number in range(ROUNDS):
            self.tell(f"{self.doing}, {len(going)} of {len(flat)} on their way, round {number + 1}")
            w = weight[going]
            pulled, loss = self.down.descend(flat[going], w * signs[going], w)
            share = self.down.share(loss)
            fits = share <= NEAR[1]
            # a pull on its way goes on as it is, unless it has left for good
            told = self.down.settled | (share > STRETCHED[1])
            far[going] = torch.where(fits, far[going], pulled)
            near[going] = torch.where(fits, pulled, near[going])
            goes_on = fits | (share < STRETCHED[1]) | (not ahead)
            flat[going] = torch.where(goes_on, pulled, flat[going])
            low[going] = torch.where(told & fits, w, low[going])
            high[going] = torch.where(told & ~fits, w, high[going])
            anew = _updated_weights(w, share, low[going], high[going])
            weight[going] = torch.where(told, anew, w)
            done = told & fits & (share >= NEAR[0])
            done |= self._stretched(start, pulled, share, flat, going) & told
            gap = (low[going] > 0) & (high[going] < TIGHT * low[going]) & ~done
            gaps = torch.cat([gaps, going[gap[:, 0]]])
            done |= gap
            done |= ends_of_others(self._ways(start, pulled), told)
            going = going[~done[:, 0]]
            if not len(going):
                break
        gaps = torch.cat([gaps, going[torch.isfinite(high[going, 0])]])
        if len(gaps):
            self._explore_between(near[gaps], far[gaps])

    def _ways(self, start: Tensor, pulled: Tensor) -> Tensor:
        """From the start to ends of pulls, every variable as a share of its size there."""
        moved, parts = pulled - start, []
        for slot in self.objective.slots:
            if slot.name != self.pull.name:
                size = slot.of(start).norm().clamp_min(torch.finfo(start.dtype).tiny)
                parts.append(slot.of(moved).flatten(1) / size)
        return torch.cat(parts, 1)

    def _stretched(
        self, start: Tensor, pulled: Tensor, share: Tensor, flat: Tensor, going: Tensor
    ) -> Tensor:
        """Pulled answers moved along the line from the start to where just as much is allowed.

        The next round goes on from there; where a parabola was right it is the end, (going, 1).
        """
        done = torch.zeros_like(share, dtype=torch.bool)
        rows = ((share > STRETCHED[0]) & (share < STRETCHED[1]))[:, 0].nonzero()[:, 0]
        if not len(rows):
            return done
        length = (FULL / share[rows]).sqrt()
        moved, loss = self.down.descend(
            torch.maximum(torch.lerp(start, pulled[rows], length), self.objective.lower()),
            torch.zeros_like(self.pull.of(pulled[rows])), self.allowed * torch.ones_like(length),
            steps=0,
        )  # fmt: skip
        found = self.down.share(loss)
        done[rows] = (found >= NEAR[0]) & (found <= NEAR[1])
        good = (found <= NEAR[1])[:, 0]
        flat[going[rows[good]]] = moved[good]
        return done

    def _explore_between(self, near: Tensor, far: Tensor) -> None:
        """Answers between one that fits and one that does not, where no pull ends.

        A loss that rises less and less lets a pull go to neither end or to the other: a few steps
        without one lead from the straight line to where the loss is low, and hardly along it.
        """
        flat = torch.cat([torch.lerp(near, far, share) for share in BETWEEN])
        nothing, weight = torch.zeros_like(self.pull.of(flat)), flat.new_full((1, 1), self.allowed)
        self.down.descend(flat, nothing, weight, steps=SHORT, products=ROUGH)

    def _first_pulls(self, start: Tensor, signs: Tensor) -> tuple[Tensor, Tensor, bool, Tensor]:
        """Where pulls begin, and how strong they are, (pull, 1); whether mixing alone led there.

        And the pulls, without those that lead where others do.
        """
        flat, ahead = self._mixed_starts(start, signs)
        weight = start.new_full((len(signs), 1), max(self.allowed, FIRST * self.size))
        told = proposals(self.objective, self.term, self.pull, start, signs, FULL * self.allowed)
        rows = (told.near & ~told.again).nonzero()[:, 0]
        if len(rows):
            weight[rows] = told.weight[rows]
            flat[rows] = self._lowest_of(start, flat, told.direction, weight * signs, rows)
        kept = ~told.again
        return self.objective.retract(flat)[kept], weight[kept], ahead, signs[kept]

    def _lowest_of(
        self, start: Tensor, flat: Tensor, direction: Tensor, pull: Tensor, rows: Tensor
    ) -> Tensor:
        """For some pulls the start, what mixing gave, or a point on the way to the proposal."""
        lower = self.objective.lower()
        tried = [flat[rows], start.expand(len(rows), -1)]
        tried += [torch.maximum(start + share * direction[rows], lower) for share in LENGTHS]
        best = torch.stack([self.down.total(points, pull[rows]) for points in tried]).argmin(0)
        return torch.stack(tried)[best, torch.arange(len(rows), device=best.device)]

    def _mixed_starts(self, start: Tensor, signs: Tensor) -> tuple[Tensor, bool]:
        """A start for every pull: as far as mixing alone gets, where the model is a product."""
        flat = mixed_starts(self.objective, start, signs, self.term.mixes)
        if flat is None:
            return start.expand(len(signs), -1).clone(), False
        n = len(signs)
        weight, nothing = start.new_full((1, 1), self.allowed), torch.zeros_like(self.pull.of(flat))
        moved, loss = self.down.descend(flat, nothing, weight, steps=0)
        good = loss.to(moved) - self.down.lowest <= self.allowed
        return torch.where(good[:n, None], moved[:n], start), True


def ends_of_others(way: Tensor, settled: Tensor) -> Tensor:
    """Which settled pulls ended where one before them did, (pull, 1): from there they go on alike.

    Args:
        way: from the start to their ends, (pull, n).
        settled: (pull, 1) bool.
    """
    apart, length = torch.cdist(way, way), way.norm(dim=1)
    alike = apart <= SAME * torch.maximum(length[:, None], length)
    return (alike & settled & settled.T).tril(-1).any(1, keepdim=True)


def _updated_weights(weight: Tensor, share: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pulls that should cost just what is allowed: the loss rises with their square.

    Between one that was too weak and one that was too strong, where both are known.
    """
    step = (0.95 / share.clamp_min(1e-6)).sqrt().clamp(0.01, 10)
    wanted = weight * torch.where(share > NEAR[1], step.clamp_max(LESS), step)
    between = (low * high).sqrt()
    return torch.where((wanted > low) & (wanted < high), wanted, between)
