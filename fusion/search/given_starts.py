"""Starts that the user hands in: arrays by name, tensorly's tensors, results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis_differences import axis_differences
from fusion.algebra.column_signs import with_positive_columns, with_positive_modes
from fusion.engine.objective import Objective
from fusion.search.initialisation import Init, random_values, scalable, start_seed
from fusion.search.start_scale import rescaled_to_data


@dataclass(frozen=True)
class Given(Init):
    """A list of starts, each {factor: array}, a tensorly CP or Tucker tensor, or a result.

    Factors that a start leaves out are random.
    """

    given: Sequence[Any]

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        if not self.given:
            raise ValueError("`fit(init=[])`: no start is given: give at least one, or `Random()`.")
        values: dict[str, list[Tensor]] = {slot.name: [] for slot in objective.slots}
        for start, entry in enumerate(self.given):
            given_values = _values_of(objective, entry)
            _check_axes(objective, getattr(entry, "axes", {}), given_values)
            sampled = random_values(
                objective, torch.Generator().manual_seed(start_seed(seed, start))
            )
            complete = {
                name: given_values.get(name, value).to(objective.like)[None]
                for name, value in sampled.items()
            }
            complete = rescaled_to_data(
                objective, complete, [n for n in scalable(objective) if n not in given_values]
            )
            for name, value in complete.items():
                values[name].append(value[0])
        return objective.raws({name: torch.stack(v) for name, v in values.items()})


def _check_axes(objective: Objective, axes: Any, names: Iterable[str]) -> None:
    """Complain of a result whose factors run along other energies or pixels than the model's."""
    channels = [d.channels for d in objective.loss.datasets.values() if d.signal]
    modules = {s.name: s.module for s in objective.slots if s.module is not None}
    for name in names:
        ours, theirs = (modules[name].axes if name in modules else ()), axes.get(name) or ()
        for one, other in zip(ours, theirs, strict=False):
            pairs = list(zip(one or (), other or (), strict=False))
            said = [
                f"{a.name}: {text}"
                for a, b in pairs
                for text in axis_differences(a, b, origin=one in channels)
            ]
            if said:
                raise ValueError(
                    f"`init`: {name} of the model and of the result do not run along the same "
                    f"axis: {'; '.join(said)}: resample it, or give {{{name!r}: array}} if it is "
                    "meant all the same."
                )


def _values_of(objective: Objective, entry: Any) -> dict[str, Tensor]:
    """{factor: value} of one entry of a list of starts."""
    factors = getattr(entry, "factors", entry)
    if not isinstance(factors, Mapping):
        names = [s.name for s in objective.slots]
        core, weights = getattr(entry, "core", None), getattr(entry, "weights", None)
        parts = [as_tensor(f) for f in factors]
        if core is not None:
            parts = [as_tensor(core), *parts]
        elif weights is not None:
            parts[0] = parts[0] * as_tensor(weights)
        signed = [slot.module is not None and slot.module.signed for slot in objective.slots]
        if not any(signed) and core is None:
            parts = with_positive_columns([part.double() for part in parts])
        elif not any(signed):
            core, parts = with_positive_modes(parts[0].double(), [x.double() for x in parts[1:]])
            parts = [core, *parts]
        if len(parts) != len(names):
            raise ValueError(
                f"`init`: a tensor of {len(parts)} parts for a model "
                f"with the factors {', '.join(names)}: give a dict."
            )
        factors = dict(zip(names, parts, strict=True))
        if core is None:
            factors = _norms_into_amounts(objective, factors)
    known, values = {s.name: s for s in objective.slots}, {}
    for name, value in factors.items():
        if name not in known:
            raise ValueError(
                f"`init`: the model has no factor {name!r}; it has {', '.join(known)}."
            )
        module = known[name].module
        want = known[name].shape if module is None else module.shape
        value = values[name] = as_tensor(value).to(torch.float64)
        if tuple(value.shape) != want:
            raise ValueError(
                f"`init`: {name!r} of shape {tuple(value.shape)} for a factor of shape {want}."
            )
        if (count := int((~torch.isfinite(value)).sum())) > 0:
            raise ValueError(
                f"`init`: {name!r} holds {count} NaN or infinite values of {value.numel()}."
            )
    return values


def _norms_into_amounts(objective: Objective, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A CP tensor's factors, the norms of unit columns moved into the first that may hold them."""
    units = [s.name for s in objective.slots if s.module is not None and s.module.scale_free]
    amount = next((name for name in factors if name not in units), None)
    if amount is None:
        return factors
    for name in units:
        norm = torch.linalg.vector_norm(factors[name], dim=0)
        factors[amount] = factors[amount] * norm
    return factors
