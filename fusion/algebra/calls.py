"""Calls that cannot be: what is missing or too much is named, with what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from math import inf
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fusion.algebra.memory import is_out_of_memory, out_of_memory
from fusion.algebra.words import meant_option

P = ParamSpec("P")
T = TypeVar("T")


def checked_call(function: Callable[P, T]) -> Callable[P, T]:
    """The same, its wrong calls told in words: unknown options, values missing or too many.

    Raises:
        TypeError: naming what was meant, or the options that there are.
        ValueError: where memory did not suffice: how much was asked for, and what would fit.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> T:
        try:
            return function(*args, **options)
        except TypeError:
            try:  # now, not before every call: steps make thousands of them
                signature.bind(*args, **options)
            except TypeError:
                raise TypeError(_told(function, signature, args, options)) from None
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory(function.__qualname__.removesuffix(".__init__"), error) from error

    return checked


def checked_class(kind: type[T]) -> type[T]:
    """A class whose `__init__` is made by `dataclass`, with wrong calls told."""
    kind.__init__ = checked_call(kind.__init__)
    return kind


def whole_number(call: str, value: Any, least: float = 1, most: int | None = None) -> int:
    """The number, NumPy's or Python's, if it is a whole one within its bounds.

    Args:
        call: what is complained of, such as "fit(starts=0)".
        value: that was given.
        least: the lowest that means something; `most`: the highest.

    Raises:
        ValueError: if it is none.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    number = int(value) if whole else 0
    if not whole or number < least or (most is not None and number > most):
        bounds = "" if least == -inf else f" of {least} or more"
        bounds = f" from {least} to {most}" if most is not None else bounds
        raise ValueError(f"`{call}`: give a whole number{bounds}.")
    return number


def in_call(given: Any) -> str:
    """A data set as calls name it; of anything else its type."""
    return format(given) if hasattr(given, "matrix_shape") else type(given).__name__


def path_of(call: str, given: Any) -> Path:
    """The path that was given, of a file.

    Raises:
        ValueError: if it is none, or that of a folder.
    """
    if not isinstance(given, str | PathLike):
        raise ValueError(f"`{call}({type(given).__name__})`: give the path of a file.")
    path = Path(given)
    if path.is_dir() and path.suffix != ".zspy":
        raise ValueError(
            f"`{call}({str(path)!r})`: is a folder: give a file in it, {str(path / 'name.npz')!r}."
        )
    return path


def _told(
    function: Callable[..., Any],
    signature: inspect.Signature,
    args: Sequence[Any],
    options: Mapping[str, Any],
) -> str:
    """What is wrong with a call, in a line."""
    name, parameters = function.__name__, list(signature.parameters.values())
    if parameters and parameters[0].name == "self":
        name = type(args[0]).__name__ if name == "__init__" else name
        parameters, args = parameters[1:], args[1:]
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for option in options:
        if option not in named:
            return f"`{name}`: there is no option {option!r}{meant_option(option, named)}."
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    optional = [n for n in named if n not in plain and n != "progress"]
    rest = ["…"] * bool(optional)
    kinds = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
    rest += [f"name={kind if kind == 'axes' else kind.removesuffix('s')}" for kind in kinds]
    call = f"`{name}({', '.join([*plain, *rest])})`"
    needed = [p.name for p in parameters if p.default is p.empty and p.name in named]
    if missing := [n for n in needed if n not in plain[: len(args)] and n not in options]:
        told = [f"`{name}(…, {n}=…)`" for n in missing if n not in plain]
        return f"`{name}`: {' and '.join(missing)} missing: {told[0] if told else call}."
    if len(args) > len(plain):
        by_name = f", and by name {', '.join(optional)}" if optional else ""
        sets = sum(hasattr(arg, "channels") and hasattr(arg, "pixels") for arg in args)
        shared = "; several data sets go into `SharedMaps(a, b, K=3)`" if sets > 1 else ""
        return f"`{name}`: {len(args)} values without a name are too many: {call}{by_name}{shared}."
    twice = next(n for n in plain[: len(args)] if n in options)
    return f"`{name}`: {twice} is given twice: once is enough."
