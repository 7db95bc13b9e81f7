"""Penalties: beliefs about factors, and functions of the model as terms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.term import State, Term


class FactorTerm(Term):
    """A penalty on a factor, or on a tensor made from the model.

    Args:
        factor: name of a factor, or a function of the model: `lambda m: m.S[:, :2]`.

    Attributes:
        falls_with_scale: whether it falls as all of the factor is made smaller: `fit` refuses it
            where another factor takes that up.
    """

    falls_with_scale: bool = False

    @checked_call
    def __init__(self, factor: str | Callable[[Any], Tensor]) -> None:
        self.factor = factor if isinstance(factor, str) else None
        self._function = None if isinstance(factor, str) else factor

    def of(self, model: Model) -> Tensor:
        """The penalised tensor."""
        if self._function is not None:
            return self._function(model)
        module = model.factor(self.factor or "")
        return module()

    def check(self, model: Model) -> None:
        if self.factor is not None:
            try:
                model.factor(self.factor)
            except ValueError as error:
                raise ValueError(f"`{self}`: {error}") from None
        if self._function is not None:
            try:
                with torch.no_grad(), model.once():
                    penalised = self._function(model)
            except AttributeError as error:
                raise ValueError(
                    f"`{self}`: {error}; the model has {', '.join(model.factor_modules())}."
                ) from None
            if not isinstance(penalised, Tensor):
                raise ValueError(
                    f"`{self}`: the function gives a {type(penalised).__name__}: return a tensor."
                )

    def __str__(self) -> str:
        name = type(self).__name__
        return f"{name}({self.factor!r})" if self.factor else f"{name}(…)"

    @property
    def symbol(self) -> str:
        """The penalised tensor in a formula."""
        return self.factor or "f(model)"


def expected_size(call: str, scale: float) -> float:
    """The size that a penalty expects, checked.

    Raises:
        ValueError: if it is not positive and finite.
    """
    if not 0 < scale < float("inf"):
        raise ValueError(f"`{call}`: the scale is an expected size: give a number > 0.")
    return float(scale)


class FunctionTerm(Term):
    """A function of the model as a term; made by `@term`."""

    def __init__(self, function: Callable[..., Tensor], *args: Any, **options: Any) -> None:
        self.function, self.args, self.options = function, args, options

    def value(self, model: Model, state: State) -> Tensor:
        return self.function(model, *self.args, **self.options)

    def check(self, model: Model) -> None:
        with torch.no_grad(), model.once():
            made = self.value(model, {})
        if not isinstance(made, Tensor) or made.numel() != 1:
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ValueError(
                f"`@term {self}`: the function gives {got}: return one number, a 0-d tensor."
            )

    def __str__(self) -> str:
        given = [*map(str, self.args), *(f"{key}={value}" for key, value in self.options.items())]
        name = getattr(self.function, "__name__", "term")
        return f"{name}({', '.join(given) if given else 'model'})"

    def formula(self) -> tuple[str, str]:
        return str(self), rf"\mathrm{{{str(self).replace('_', chr(92) + '_')}}}"


def term(function: Callable[..., Tensor]) -> Any:
    """Make a term of a function of the model.

    `@term def closure(m): return ((m.C.sum(1) - 1) ** 2).sum()`. With further arguments the
    decorated name takes them: `@term def near(m, reference): …` gives `near(S0)`.

    Args:
        function: f(model, …) → scalar tensor, differentiable by autograd.

    Returns:
        A `Term`; or, if the function has further parameters without default, a function of those
        that returns one.

    Example:
        >>> @fu.term
        ... def closure(model):
        ...     return 0.5 * ((model.C.sum(-1) - 1) ** 2).sum()
        >>> 10 * closure
        10 * closure(model)
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if any(
        p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        for p in parameters
    ):
        return update_wrapper(
            lambda *args, **options: FunctionTerm(function, *args, **options), function
        )
    return FunctionTerm(function)
