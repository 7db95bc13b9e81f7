"""A result with its components by other names, or in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axes_array import AxesArray
from fusion.answers import components
from fusion.answers.labelled_parts import by_dataset
from fusion.answers.roles import maps_and_spectra
from fusion.engine.evaluation import evaluate
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.language.model import Model

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[Any]
SAME = 1e-6
"""Relative change of the loss, above which an order of components means something."""


def renamed(result: Result, names: Mapping[Any, str] | Sequence[str]) -> Result:
    """See `Result.renamed`."""
    call = f"result.renamed({_shown(names)})"
    called = components.names_of(result, components.count(result, call))
    return replace(result, component_names=tuple(components.renamed(call, called, names)))


def sorted_by(result: Result, key: Any, energy: Any, data: str | None, reverse: bool) -> Result:
    """See `Result.sorted_by`."""
    call = f"result.sorted_by({_options(key, energy, data)})"
    if key is not None and energy is not None:
        raise ValueError(f"`{call}`: the key and the energy are two orders: give one.")
    called = components.names_of(result, components.count(result, call))
    if key is None or callable(key):
        order = _order_by_value(result, call, key, energy, data, len(called))
    else:
        order = _order_told(call, called, key)
    return in_order(result, call, order[::-1] if reverse else order)


def in_order(result: Result, call: str, order: Sequence[int]) -> Result:
    """The result with its components in this order, from 0.

    Raises:
        ValueError: if the fitted model gives the places of its components a meaning.
    """
    K, order = len(order), list(order)
    swapped = [name for name, F in result.factors.items() if F.ndim == 2 and F.shape[1] == K]
    called = components.names_of(result, K)
    names = [called[k] for k in order]
    if any(map(components.is_number, called)):  # what has no name goes by its new number
        names = [str(k + 1) if components.is_number(n) else n for k, n in enumerate(names)]
    shares = {
        name: replace(d, component_variance=_columns(d.component_variance, order))
        for name, d in result.data.items()
    }
    return replace(
        result,
        factors={n: _columns(F, order) if n in swapped else F for n, F in result.factors.items()},
        data=shares,
        history={n: _columns(x, order) for n, x in result.history.items()},
        component_names=tuple(names) if result.component_names else (),
        model=_model_in_order(result, call, swapped, order),
        messages=[*result.messages, *_told_of_numbers(result, order)],
    )


def _columns(values: Any, order: Sequence[int]) -> Any:
    """The columns, last axis, of what has one for every component, or more (those that are off)."""
    if values is None or values.ndim == 0 or (values.ndim == 1 and len(values) != len(order)):
        return values
    if values.shape[-1] < len(order):
        return values
    rest = range(len(order), values.shape[-1])
    return values[..., [*order, *rest]]


def _model_in_order(
    result: Result, call: str, swapped: Sequence[str], order: Sequence[int]
) -> Model | None:
    """The fitted model in this order, if that changes nothing that was minimised."""
    model = result.model
    if model is None or list(order) == sorted(order):
        return model
    own = [name for name in swapped if name in model.factor_modules()]
    ordered = model.select(own, order)
    if result.minimised is not None:
        before, after = (_loss_of(m, result.minimised) for m in (model, ordered))
        if not abs(after - before) <= SAME * max(abs(before), np.finfo(float).tiny):
            raise ValueError(
                f"`{call}`: in this order the loss is {after:.6g}, not {before:.6g}: the model or "
                "the loss gives the places of the components a meaning: sort the arrays "
                "`result.maps` and `result.spectra` yourself."
            )
    return ordered


def _loss_of(model: Model, loss: Loss) -> float:
    objective = Objective(model, loss)
    terms, _, _ = evaluate(objective, objective.current(), objective.no_states())
    return float(terms.double().sum())


def _told_of_numbers(result: Result, order: Sequence[int]) -> list[str]:
    """That messages from before have the numbers from before."""
    if list(order) == sorted(order) or not any("component" in text for text in result.messages):
        return []
    moved = ", ".join(
        f"{k + 1} is {place}" for place, k in enumerate(order, start=1) if k + 1 != place
    )
    return [f"components were sorted after these messages: what was {moved} now"]


def _order_told(call: str, called: Sequence[str], key: Any) -> list[int]:
    """An order by numbers or names."""
    each = (
        [key] if isinstance(key, str) or not isinstance(key, Sequence | np.ndarray) else list(key)
    )
    order = [components.index_of(call, called, k) for k in each]
    if sorted(order) != list(range(len(called))):
        raise ValueError(
            f"`{call}`: {len(order)} of {len(called)} components, "
            f"{len(order) - len(set(order))} of them twice: name each once, {', '.join(called)}, "
            "or give a function of a spectrum, or `energy=`."
        )
    return order


def _order_by_value(
    result: Result,
    call: str,
    key: Callable[[AxesArray], Any] | None,
    energy: Any,
    data: str | None,
    K: int,
) -> list[int]:
    """The components by a number of each."""
    found = by_dataset(result, "spectra", call)
    if data is not None and data not in found:
        raise ValueError(
            f"`{call}`: no data set {data!r} with spectra; there are {', '.join(found)}."
        )
    name = next(iter(found)) if data is None else data
    if key is not None:
        S = found[name]
        spectra = [AxesArray(S.values[..., k], S.axes[:-1]) for k in range(K)]
        return sorted(range(K), key=[key(each) for each in spectra].__getitem__)
    amounts = (
        _intensities(result, found, data)
        if energy is None
        else _shares_at(call, found[name], energy)
    )
    return np.argsort(-np.nan_to_num(amounts), kind="stable").tolist()


def _intensities(result: Result, spectra: Mapping[str, AxesArray], data: str | None) -> Array:
    """Share of every component in what is fitted, added up over the data sets, (K,)."""
    total: Any = 0.0
    for name, S in spectra.items():
        maps = maps_and_spectra(result, name)[0]  # of a single spectrum they have no axes
        if (data in (None, name)) and maps:
            C = sum(result.factors[each] for each in maps)
            amount = np.nansum(C, 0) * np.nansum(_flat(S), 0)
            total = total + amount / max(abs(amount).sum(), np.finfo(float).tiny)
    return np.asarray(total)


def _shares_at(call: str, S: AxesArray, energy: Any) -> Array:
    """Share of every component's own intensity in a window, or at a channel, (K,)."""
    if len(S.axes) != 2:
        raise ValueError(f"`{call}`: the spectra run along {len(S.axes) - 1} axes: give a key.")
    axis = S.axes[0]
    if isinstance(energy, Real) and not isinstance(energy, bool):
        i = int(np.abs(axis.values - float(energy)).argmin())
        half = np.abs(np.diff(axis.values)).max(initial=0.0) / 2
        inside = abs(axis.values[i] - float(energy)) <= half * (1 + 1e-6)
        part = slice(i, i + 1) if inside else None
    else:
        try:
            part = axis.window(*energy)
        except (TypeError, ValueError):
            part = None
    if part is None:
        x = axis.values
        raise ValueError(
            f"`{call}`: {axis.name} runs from {min(x):g} to {max(x):g} {axis.units}".rstrip()
            + ": give a position inside, or (first, last)."
        )
    whole = np.abs(np.nan_to_num(S.values)).sum(0)
    return np.nansum(S.values[part], 0) / np.maximum(whole, np.finfo(float).tiny)


def _flat(array: AxesArray) -> Array:
    return array.values.reshape(-1, array.values.shape[-1])


def _shown(names: Any) -> str:
    text = repr(dict(names)) if isinstance(names, Mapping) else repr(names)
    return text if len(text) < 60 else "…"


def _options(key: Any, energy: Any, data: Any) -> str:
    """What was asked for, as it was written, a function aside."""
    first = [] if key is None else ["…" if callable(key) else _shown(key)]
    given = {"energy": energy, "data": data}
    return ", ".join([*first, *(f"{n}={v!r}" for n, v in given.items() if v is not None)])
