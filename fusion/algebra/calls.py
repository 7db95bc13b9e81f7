"""Calls that cannot be: what is missing or too much is named, with what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from math import inf
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

from fusion.algebra.memory import is_out_of_memory, out_of_memory

P = ParamSpec("P")
T = TypeVar("T")

MEANT = {
    "K": ("k", "n_components", "components", "rank", "n_endmembers", "n_factors", "ncomp"),
    "starts": ("n_starts", "n_init", "restarts", "n_restarts", "n_repeats"),
    "max_steps": ("max_iter", "maxiter", "n_iter", "n_iter_max", "iterations", "epochs", "steps"),
    "max_seconds": ("timeout", "max_time", "seconds", "time_limit"),
    "tolerance": ("tol", "rtol", "eps", "epsilon"),
    "threads": ("n_jobs", "n_threads", "num_threads", "workers", "n_workers", "cores"),
    "seed": ("random_state", "rng", "generator"),
    "progress": ("verbose", "show_progressbar", "quiet"),
    "init": ("initial", "x0", "guess", "initialization", "start"),
    "solver": ("method", "algorithm", "optimizer", "optimiser"),
    "weight": ("alpha", "strength", "lam", "lambda_", "penalty", "regularization"),
    "units": ("unit",),
    "scale": ("step", "spacing", "pixel_size", "dispersion"),
    "offset": ("origin",),
    "mask": ("navigation_mask", "signal_mask"),
    "variance": ("var", "sigma", "noise"),
    "axes": ("axis", "names"),
    "signal": ("name", "dataset", "key"),
}
"""What an option is called elsewhere."""

BELONGS = {
    "K": "the model has the number of components: `NMF(data, K=3)`",
    "tolerance": "the solver has it: `solver=GaussNewton(tolerance=1e-9)`",
    "weight": "a weight stands before the term in the loss: `0.1 * L1('C')`",
    "max_steps": "`fit` has it: `fit(model, loss, max_steps=100)`",
    "starts": "`fit` has it: `fit(model, loss, starts=10)`",
    "seed": "`fit` has it: `fit(model, loss, seed=0)`",
    "init": "`fit` has it: `fit(model, loss, init=…)`",
    "solver": "`fit` has it: `fit(model, loss, solver=…)`",
}
"""Where an option stands that a call does not have."""


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
            signature.bind(*args, **options)
        except TypeError:
            raise TypeError(_told(function, signature, args, options)) from None
        try:
            return function(*args, **options)
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
            return f"`{name}`: there is no option {option!r}{_meant(option, named)}."
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = ["…"] * (len(named) > len(plain))
    rest += [f"name={p.name[:-1]}" for p in parameters if p.kind is p.VAR_KEYWORD]
    call = f"`{name}({', '.join([*plain, *rest])})`"
    needed = [p.name for p in parameters if p.default is p.empty and p.name in named]
    if missing := [n for n in needed if n not in plain[: len(args)] and n not in options]:
        return f"`{name}`: {' and '.join(missing)} missing: {call}."
    if len(args) > len(plain):
        others = ", ".join(n for n in named if n not in plain)
        by_name = f", and by name {others}" if others else ""
        return f"`{name}`: {len(args)} values without a name are too many: {call}{by_name}."
    twice = next(n for n in plain[: len(args)] if n in options)
    return f"`{name}`: {twice} is given twice: once is enough."


def _meant(option: str, named: Sequence[str]) -> str:
    """What to write in place of an option that there is not."""
    usual = next((ours for ours, theirs in MEANT.items() if option in (ours, *theirs)), "")
    if usual in named and usual:
        return f": use `{usual}=`"
    if usual in BELONGS:
        return f": {BELONGS[usual]}"
    if close := get_close_matches(option, named, 1):
        return f": use `{close[0]}=`"
    return f"; there are {', '.join(named)}" if named else "; it has none"
