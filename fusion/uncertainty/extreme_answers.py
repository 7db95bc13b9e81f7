"""Pulling components towards and away from each other, as far as the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State
from fusion.solvers import GaussNewton, Watch
from fusion.uncertainty.rotation import mixed_starts
from fusion.uncertainty.standard_errors import FittedPoint

BATCH = 2**23
"""Numbers of all the starts that go down together."""
ROUNDS = 6
"""How often the pulls are weighed anew, until each costs what the noise allows."""
FIRST = 1e-5
"""Share of the data's squares with which one pulls at first: far, where nothing holds."""
SETTLED = 1e-4
"""How far a component has mixed with another one when a round ends, to so much."""
STEPS = 40
"""Outer steps of one round."""
BETWEEN = (0.2, 0.4, 0.6, 0.8)
"""Shares of the way from an answer that fits to one that does not."""
SHORT = 4
"""Steps from there."""
NEAR = (0.8, 1.02)
"""Share of the allowed loss at which a pull is not weighed any more."""


class MixingPull(Surrogate):
    """−Σ p_m t_m, t_m how much of component j is in component k of a factor, between −1 and 1.

    With a = ⟨s_j*, s_k⟩ and b = ⟨s_k*, s_k⟩ in the dual basis s* of the answer t is a / √(a² + b²),
    so that no pull is without end.

    p is a variable of the model that is held: every start of a batch has its own.
    """

    def __init__(self, mixes: Sequence[tuple[str, int, int]], duals: dict[str, Tensor]) -> None:
        self.mixes, self.duals = mixes, duals

    def mixing(self, model: Model) -> Tensor:
        """All t, (mix,)."""
        parts = []
        inner = {name: dual @ model.factor(name)() for name, dual in self.duals.items()}
        for name, j, k in self.mixes:
            a, b = inner[name][j, k], inner[name][k, k]
            parts.append(a / (a.square() + b.square()).clamp_min(1e-30).sqrt())
        return torch.stack(parts)

    def value(self, model: Model, state: State) -> Tensor:
        return -(model.pull * self.mixing(model)).sum()

    def curvature(self, model: Model, state: State) -> None:
        return None


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
        self.allowed, self.size, self.empty, self.cost = allowed, size, empty, 0.0
        model = deepcopy(point.model)
        mixes, duals = [], {}
        for name in names:
            value = model.factor(name)().detach()
            scale = value.norm(dim=0)
            alive = [k for k in range(value.shape[1]) if float(scale[k]) > 0]
            duals[name] = torch.linalg.pinv(value)
            mixes += [(name, j, k) for k in alive for j in alive if j != k]
        self.term = MixingPull(mixes, duals)
        model.pull = nn.Parameter(point.flat.new_zeros(len(mixes)))
        with torch.no_grad():
            quick = point.loss.compressed(model)
        loss = point.loss if quick is None else quick
        self.objective = Objective(model, loss + self.term)
        self.objective.held.add("pull")
        self.pull = next(s for s in self.objective.slots if s.name == "pull")
        self.columns = [i for i, n in enumerate(self.objective.order) if n < len(loss.terms)]
        self.flats: list[Tensor] = []
        self.losses: list[Tensor] = []

    def run(self) -> None:
        """Find the answers at the edges."""
        start = self.objective.current()
        start = self.objective.retract(torch.maximum(start, self.objective.lower()))
        self.lowest = self.size  # for the tolerance of the first descent
        nothing = torch.zeros_like(self.pull.of(start))
        start, loss = self._descend(start, nothing, start.new_full((1, 1), self.allowed))
        self.lowest = self.start_loss = float(loss[0])
        signs = self._pull_signs().to(start)
        self._explore_all(start, signs)
        for pair in sorted({(min(j, k), max(j, k)) for _, j, k in self.term.mixes}):
            if empty := self.empty(pair):
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
        nothing, weight = (
            torch.zeros_like(self.pull.of(start)),
            start.new_full((1, 1), self.allowed),
        )
        start, loss = self._descend(start, nothing, weight)
        self.cost = float(loss[0]) - self.lowest
        self._explore_all(start, signs)
        self.objective.still, self.cost = None, 0.0

    def _explore_all(self, start: Tensor, signs: Tensor) -> None:
        """All these pulls from an answer."""
        for batch in signs.split(max(1, BATCH // self.objective.size)):
            self._explore_batch(start, batch)

    def _explore_batch(self, start: Tensor, signs: Tensor) -> None:
        """One batch of pulls."""
        weight = start.new_full((len(signs), 1), max(self.allowed, FIRST * self.size))
        flat, ahead = self._mixed_starts(start, signs)
        far = flat.clone()
        low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        going = torch.arange(len(signs), device=flat.device)
        for _ in range(ROUNDS):
            w = weight[going]
            pulled, loss = self._descend(flat[going], w * signs[going], w)
            share = (loss[:, None].to(w) - self.lowest) / self.allowed
            fits = share <= NEAR[1]
            far[going] = torch.where(fits, far[going], pulled)
            flat[going] = torch.where(fits | (not ahead), pulled, flat[going])
            low[going] = torch.where(fits, w, low[going])
            high[going] = torch.where(fits, high[going], w)
            weight[going] = _updated_weights(w, share, low[going], high[going])
            going = going[~(fits & (share >= NEAR[0]))[:, 0]]
            if not len(going):
                return
        gaps = going[torch.isfinite(high[going, 0])]
        if len(gaps):
            self._explore_between(torch.where(low[gaps] > 0, flat[gaps], start), far[gaps])

    def _explore_between(self, near: Tensor, far: Tensor) -> None:
        """Answers between one that fits and one that does not, where no pull ends.

        A loss that rises less and less lets a pull go to neither end or to the other: a few steps
        without one lead from the straight line to where the loss is low, and hardly along it.
        """
        flat = torch.cat([torch.lerp(near, far, share) for share in BETWEEN])
        nothing, weight = torch.zeros_like(self.pull.of(flat)), flat.new_full((1, 1), self.allowed)
        self._descend(flat, nothing, weight, steps=SHORT)

    def _pull_signs(self) -> Tensor:
        """Every mix up and down, and with the one the other way round: (pull, mix) of −1, 0, 1."""
        mixes, rows = self.term.mixes, []
        unit = torch.eye(len(mixes))
        for i, (name, j, k) in enumerate(mixes):
            back = mixes.index((name, k, j))
            rows += [unit[i], -unit[i]]
            if i < back:
                rows += [a * unit[i] + b * unit[back] for a in (1, -1) for b in (1, -1)]
        return torch.stack(rows)

    def _mixed_starts(self, start: Tensor, signs: Tensor) -> tuple[Tensor, bool]:
        """A start for every pull: as far as mixing alone gets, where the model is a product."""
        flat = mixed_starts(self.objective, start, signs, self.term.mixes)
        if flat is None:
            return start.expand(len(signs), -1).clone(), False
        n = len(signs)
        weight, nothing = start.new_full((1, 1), self.allowed), torch.zeros_like(self.pull.of(flat))
        moved, loss = self._descend(flat, nothing, weight, steps=0)
        good = loss.to(moved) - self.lowest <= self.allowed
        return torch.where(good[:n, None], moved[:n], start), True

    def _descend(
        self, flat: Tensor, pull: Tensor, weight: Tensor, *, steps: int = STEPS
    ) -> tuple[Tensor, Tensor]:
        """Down under these pulls; where that ends, and the loss there without them."""
        flat = flat.clone()
        flat[:, self.pull.part] = pull
        most, least = float(weight.max()), float(weight.min())
        tolerance = SETTLED * least / (abs(self.lowest) + most)
        solver = GaussNewton(tolerance=max(tolerance, 1e-15), window=3, damping=1e-4)
        outcome = solver.minimise(self.objective, flat, Watch(), steps)
        loss = outcome.terms[:, self.columns].sum(1)
        self.lowest = min(self.lowest, float(loss.min()))
        self.flats.append(outcome.flat)
        self.losses.append(loss - self.cost)
        return outcome.flat, self.losses[-1]

    @property
    def beaten(self) -> bool:
        """Whether a pull ended below the fit's own minimum by more than the noise."""
        return self.start_loss - self.lowest > self.allowed

    def solutions(self) -> tuple[Values, Tensor]:
        """Values of all answers within the noise, (answer, …), and by how much the loss rises."""
        flat, rises = torch.cat(self.flats), torch.cat(self.losses) - self.lowest
        good = rises <= NEAR[1] * self.allowed
        return self.objective.values(flat[good]), rises[good]


def _updated_weights(weight: Tensor, share: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pulls that should cost just what is allowed: the loss rises with their square.

    Between one that was too weak and one that was too strong, where both are known.
    """
    wanted = weight * (0.95 / share.clamp_min(1e-6)).sqrt().clamp(0.01, 10)
    between = (low * high).sqrt()
    return torch.where((wanted > low) & (wanted < high), wanted, between)
