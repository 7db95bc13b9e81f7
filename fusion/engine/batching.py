"""A function of one start, for all starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.func import vmap


def over_starts(function: Callable[..., Any], *given: Any) -> Any:
    """function(…) for every start: tensors in, tensors out, starts in front, in nested containers.

    As `vmap` does; one start alone is handed over as it is, which costs less.
    """
    first = _first_tensor(given)
    if first is None or first.shape[0] != 1:
        return vmap(function, randomness="same")(*given)
    made = function(*_map_tensors(given, lambda x: x.squeeze(0)))
    return _map_tensors(made, lambda x: x.unsqueeze(0))


def _first_tensor(given: Any) -> Tensor | None:
    """Some tensor in it."""
    if isinstance(given, Tensor):
        return given
    parts = given.values() if isinstance(given, Mapping) else given
    return next((x for part in parts if (x := _first_tensor(part)) is not None), None)


def _map_tensors(given: Any, turn: Callable[[Tensor], Tensor]) -> Any:
    """The same containers with every tensor turned."""
    if isinstance(given, Tensor):
        return turn(given)
    if isinstance(given, (dict, Mapping)):  # the first is told at once
        return {
            key: turn(value) if isinstance(value, Tensor) else _map_tensors(value, turn)
            for key, value in given.items()
        }
    return type(given)(
        [turn(each) if isinstance(each, Tensor) else _map_tensors(each, turn) for each in given]
    )
