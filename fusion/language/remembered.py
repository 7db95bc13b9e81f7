"""What a model made of some of its tensors, kept while these are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor

_PLAIN: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def remembering() -> Iterator[None]:
    """Within it what models make of plain tensors, outside any transformation, is kept.

    What follows derivatives along some variables asks for the same of all others again.
    """
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


class Remembered:
    """The last thing that was made under `remembering`; never copied nor stored with a model."""

    def __init__(self) -> None:
        self._inputs: Sequence[Tensor] = ()
        self._made: Tensor | None = None

    def of(self, inputs: Sequence[Tensor], make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives; what it gave, where every input is the very tensor of then."""
        pairs = zip(self._inputs, inputs, strict=False)
        if self._made is not None and all(then is now for then, now in pairs):
            return self._made
        made = make()
        if _PLAIN.get():
            self._inputs, self._made = tuple(inputs), made.detach()
        return made

    def __deepcopy__(self, memo: Any) -> Remembered:
        return Remembered()

    def __reduce__(self) -> tuple[type[Remembered], tuple[()]]:
        return Remembered, ()
