"""What a model shows of itself: its equations, its factors, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fusion.algebra.display import Display, Facts, Part, Table
from fusion.algebra.prediction import CP, Prediction, Sum, Tucker
from fusion.algebra.text_columns import in_one_line
from fusion.constraints import Constraint

if TYPE_CHECKING:
    from fusion.language.factor import FactorModule
    from fusion.language.model import Model

QUICK = 10**6
"""Numbers in all factors from which the model's equation is asked for without any values."""
UNKNOWN = "f(…)"


def model_display(model: Model) -> Display:
    """Equations, then a row for every factor."""
    modules = model.factor_modules()
    ranks = {m.shape[-1] for m in modules.values() if len(m.shape) == 2}
    title = type(model).__name__ + (f", K = {ranks.pop()}" if len(ranks) == 1 else "")
    rows = [_factor_row(name, module) for name, module in modules.items()]
    rows += [(name, _size(p.shape), "", "a plain parameter") for name, p in _plain(model)]
    parts: list[Part] = [
        Facts([(in_one_line(name), f"≈ {told}") for name, told in equations(model).items()])
    ]
    if rows:
        parts.append(Table(("factor", "shape", "rows along", "values"), rows, left=4))
    return Display(title, parts)


def _factor_row(name: str, module: FactorModule) -> tuple[str, ...]:
    """Name, shape, axes of its rows, constraints in words."""
    along = ", ".join(axis.name for axis in module.axes[0] or ())
    return name, _size(module.shape), along or "–", ", ".join(map(in_words, module.chain))


def in_words(constraint: Constraint) -> str:
    """What a constraint says; of one that does not say, its name in words."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(constraint).__name__).lower()
    return constraint.words or name


def _plain(model: Model) -> Iterator[tuple[str, Tensor]]:
    """Parameters that are no factors."""
    raws = {id(module.raw) for module in model.factor_modules().values()}
    return ((name, p) for name, p in model.named_parameters() if id(p) not in raws)


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def equations(model: Model) -> dict[str, str]:
    """For every data set what the model says of it: "C Sᵀ", "⟦A, B, C⟧", "(C + N) S1ᵀ".

    As `forward` puts it together; "f(C)" is a function of a factor. Nothing where its `forward`
    does not run, or, of large factors, needs their values.
    """
    modules = model.factor_modules()
    large = sum(module.raw.numel() for module in modules.values()) > QUICK
    try:
        with torch.enable_grad():
            values = {n: _without_values(m) if large else _copy(m) for n, m in modules.items()}
            with model.once(values):
                predictions = model.predict()
    except Exception:  # it is not whole yet, or does not fit together: a fit says why
        return {}
    names = {id(value): name for name, value in values.items()}
    names |= {id(p): name for name, p in _plain(model)}
    return {data: _product(M, names) for data, M in predictions.items()}


def _copy(module: FactorModule) -> Tensor:
    """The value of a factor as a variable of its own."""
    return module().detach().requires_grad_()


def _without_values(module: FactorModule) -> Tensor:
    """A tensor that has the shape of the factor, and no memory."""
    return torch.empty(module.shape, dtype=module.raw.dtype, device="meta", requires_grad=True)


def _product(M: Prediction, names: Mapping[int, str]) -> str:
    """A prediction as it is written."""
    if isinstance(M, Sum):
        return " + ".join(_product(part, names) for part in M.parts)
    if isinstance(M, CP):
        factors = [_expression(f, names) for f in M.factors]
        if len(factors) == 2:
            return f"{_in_brackets(factors[0])} {_in_brackets(factors[1])}ᵀ"
        return f"⟦{', '.join(factors)}⟧"
    if isinstance(M, Tucker):
        factors = [_expression(f, names) for f in M.factors]
        return f"⟦{_expression(M.core, names)}; {', '.join(factors)}⟧"
    return _function(getattr(M, "tensor", M.like), names)


def _in_brackets(text: str) -> str:
    return f"({text})" if " + " in text else text


def _expression(value: Tensor, names: Mapping[int, str]) -> str:
    """A factor by its name, a sum of some, or a function of them."""
    if id(value) in names:
        return names[id(value)]
    node = value.grad_fn
    if node is not None and node.name() == "AddBackward0":
        parts = [getattr(given, "variable", None) for given, _ in node.next_functions]
        if all(id(part) in names for part in parts):
            return " + ".join(names[id(part)] for part in parts)
    return _function(value, names)


def _function(value: Tensor, names: Mapping[int, str]) -> str:
    """ "f(C, S)" of the factors that it is made of."""
    made_of = [name for key, name in names.items() if key in set(_leaves(value.grad_fn))]
    return f"f({', '.join(made_of)})" if made_of else "known" if value.grad_fn is None else UNKNOWN


def _leaves(node: Any) -> Iterator[int]:
    """All variables behind a node of autograd's graph."""
    waiting, seen = [node], {id(None)}
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if (variable := getattr(node, "variable", None)) is not None:
            yield id(variable)
        waiting += [before for before, _ in node.next_functions]
