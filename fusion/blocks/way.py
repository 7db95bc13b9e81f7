"""The way from the factors of a sample to those of all data: passes, steps, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.blocks.checkpoint import as_saved
from fusion.blocks.descent import Descent, Lagged, Left, Point
from fusion.blocks.extrapolation import Extrapolation
from fusion.blocks.first_look import Begun
from fusion.blocks.passes import Traffic
from fusion.blocks.rare import take_in
from fusion.blocks.work import Sums
from fusion.engine.status import Status

ROUNDING = 1e-9
"""Share of the loss by which it may seem to rise."""
TOLERANCE = 1e-7
"""Share of the loss that a step on the sample promises, below which no further pass is made."""
BACK = 0.3
"""Share of a step that is kept where the loss of all data rose."""


@dataclass
class Way:
    """Where a fit stands between two passes.

    Attributes:
        values, lagged: with which the next pass is made.
        best: the lowest point so far; plain: where the step alone led from it, if something else
            is tried first.
        ahead: the steps so far, which are mixed.
        terms: of every pass, weighted; promised: what the last step is to bring.
    """

    values: dict[str, Tensor]
    lagged: Lagged
    best: Point | None = None
    plain: dict[str, Tensor] | None = None
    ahead: Extrapolation = field(default_factory=Extrapolation)
    terms: list[Tensor] = field(default_factory=list)
    promised: float = np.inf

    @property
    def arrived(self) -> bool:
        """Whether steps promise nothing more."""
        known = self.best is not None and bool(np.isfinite(self.best.loss))
        return known and self.promised <= TOLERANCE * abs(self.best.loss)  # type: ignore[union-attr]

    @property
    def status(self) -> Status:
        """Why it ended."""
        return Status.CONVERGED if self.arrived else Status.MAX_STEPS

    def next(self, descent: Descent, begun: Begun) -> None:
        """A pass, and the step from there."""
        if not self.terms:
            point, some = descent.picking(self.values, self.lagged)
            self.terms.append(point.terms)
            found = take_in(descent, begun, point, some)
            if found is not None:  # on from there: the noise that it was may well have been lower
                self.values = point.values | descent.in_place(found)
                self.lagged = point.lagged
                self.values |= descent.lifted(self.values, self.lagged)
                return
        else:
            point = descent.at(self.values, self.lagged)
            self.terms.append(point.terms)
        best = self.best
        if best is None or point.loss <= best.loss:
            self.best, self.lagged = point, point.lagged
            new, self.promised = descent.step(point)
            at = {n: point.values[n] for n in descent.shared}
            there = self.ahead.next(at, new, _bends(point))
            self.plain = None if len(self.ahead.steps) == 1 else descent.in_place(new)
            self.values = point.values | descent.in_place(there)
            return
        self.ahead.forget()
        if self.plain is not None:
            self.values, self.plain = self.values | self.plain, None
            return
        back = {n: best.values[n] + BACK * (v - best.values[n]) for n, v in self.values.items()}
        self.values = self.values | descent.in_place({n: back[n] for n in descent.shared})

    def end(self, descent: Descent, *, more: bool = True) -> tuple[Point, Left]:
        """The last pass: at the point that the last step led to, if that is not higher.

        Args:
            more: whether another pass may follow where it is; else blocks are settled at the
                lowest point so far, too.
        """
        assert self.best is not None
        new, best = (self.values, self.lagged), (self.best.values, self.best.lagged)
        if not more:
            (end, left), lowest = descent.ends([new, best])
            return lowest if self._higher(end) else (end, left)
        ((end, left),) = descent.ends([new])
        return descent.ends([best])[0] if self._higher(end) else (end, left)

    def _higher(self, end: Point) -> bool:
        assert self.best is not None
        return not end.loss <= self.best.loss + ROUNDING * abs(self.best.loss)

    # ---- kept in a checkpoint --------------------------------------------------------------------

    def kept(self, shared: list[str], traffic: Traffic) -> dict[str, Any]:
        """All of it, as tensors and numbers."""
        assert self.best is not None
        return {
            "values": as_saved(self.values),
            "lagged": _kept_lagged(self.lagged),
            "best": as_saved({n: self.best.values[n] for n in shared}),
            "best lagged": _kept_lagged(self.best.lagged),
            "best terms": self.best.terms,
            "plain": None if self.plain is None else as_saved(self.plain),
            "steps": [(as_saved(at), as_saved(to)) for at, to in self.ahead.steps],
            "terms": self.terms,
            "promised": float(self.promised),
            "traffic": [traffic.passes, traffic.bytes, traffic.seconds],
        }

    @classmethod
    def again(cls, kept: Mapping[str, Any], traffic: Traffic) -> Way:
        """The same from what was kept."""
        lagged, best_lagged = (Lagged(*kept[key]) for key in ("lagged", "best lagged"))
        values = dict(kept["values"])
        best = Point(values | kept["best"], best_lagged, kept["best terms"], Sums())
        ahead = Extrapolation()
        ahead.steps = [(dict(at), dict(to)) for at, to in kept["steps"]]
        traffic.passes, traffic.bytes, traffic.seconds = kept["traffic"]
        return cls(
            values, lagged, best, kept["plain"], ahead, list(kept["terms"]), kept["promised"]
        )


def _kept_lagged(lagged: Lagged) -> tuple[dict[str, Any], dict[int, Any]]:
    return (
        {name: as_saved(state) for name, state in lagged.fits.items()},
        {place: as_saved(state) for place, state in lagged.beliefs.items()},
    )


def _bends(point: Point) -> dict[str, Tensor]:
    """About how the loss bends by each entry of the shared factors, where these are counts."""
    return {
        name: torch.as_tensor(bend).clamp_min(1e-300) for name, bend in point.sums.bends.items()
    }
