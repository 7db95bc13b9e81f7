"""Where a fit starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.search.start_scale import rescaled_to_data

DEVIATION = 0.1
"""Size at which a factor of any sign starts, beside others of size 1: away from zero, and small."""


class Init(ABC):
    """A way to start: values for every factor."""

    @abstractmethod
    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        """Flat raw variables (start, n): `count` starts, or fewer where there are no more."""


@dataclass(frozen=True)
class Random(Init):
    """Random values that the constraints allow, scaled to the data.

    Guesses that were assigned are the first start.
    """

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        values = {slot.name: [] for slot in objective.slots}
        for start in range(count):
            generator = torch.Generator().manual_seed(start_seed(seed, start))
            for name, value in random_values(objective, generator).items():
                values[name].append(value)
        return with_guesses(
            objective, {name: torch.stack(v).to(objective.like) for name, v in values.items()}
        )


@dataclass(frozen=True)
class Current(Init):
    """The model's own values, as they are: one start."""

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        return objective.current()


def random_values(objective: Objective, generator: torch.Generator) -> dict[str, Tensor]:
    """One random value a variable, float64 on the CPU; columns of norm 1, deviations smaller."""
    values = {}
    for slot in objective.slots:
        if slot.module is None:
            values[slot.name] = objective.split(objective.current())[slot.name][0]
            continue
        value = slot.module.sample(generator)
        if not slot.module.scale_free and slot.module.known is None:
            norm = torch.linalg.vector_norm(value, dim=0 if value.ndim == 2 else None)
            value = value / norm.clamp_min(torch.finfo(value.dtype).tiny)
        if slot.module.own_scale:
            value = slot.module.sample(generator)
        elif slot.module.signed:
            value = DEVIATION * value
        values[slot.name] = value
    return values


def scalable(objective: Objective) -> list[str]:
    """Factors that may be multiplied by a number: no constraint on their scale, nothing known."""
    return [
        s.name
        for s in objective.slots
        if s.module is not None
        and not (s.module.scale_free or s.module.own_scale)
        and s.module.known is None
    ]


def with_guesses(objective: Objective, values: Values) -> Tensor:
    """Flat starts of these values, scaled to the data; the first with the guesses assigned."""
    rest = rescaled_to_data(objective, values, scalable(objective))
    guessed = [s.name for s in objective.slots if s.module is not None and s.module.assigned]
    if guessed:
        own = objective.values(objective.current())
        first = {
            name: own[name] if name in guessed else value[:1] for name, value in values.items()
        }
        first = rescaled_to_data(
            objective, first, [name for name in scalable(objective) if name not in guessed]
        )
        rest = {name: torch.cat([first[name].detach(), value[1:]]) for name, value in rest.items()}
    return objective.raws(rest)


def start_seed(seed: int, start: int) -> int:
    """One seed a start: start i is the same however many there are."""
    return (int(seed) * 1_000_003 + start) % 2**63
