"""Maps and spectra of a result in their shape, with their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra import labelled
from fusion.algebra.axes_array import AxesArray
from fusion.algebra.axis import Axis
from fusion.answers.components import index_of, names_of
from fusion.answers.roles import maps_and_spectra

if TYPE_CHECKING:
    from fusion.answers.result import Result


class ByDataset(dict[str, AxesArray]):
    """{data set: maps, or spectra}; what is none of it says how to ask."""

    def __init__(self, what: str, arrays: dict[str, AxesArray]) -> None:
        super().__init__(arrays)
        self._what = what

    def _told(self) -> str:
        known = ", ".join(f"result.{self._what}[{name!r}]" for name in self)
        return f"every data set has {self._what} of its own: {known}."

    def __missing__(self, key: Any) -> AxesArray:
        raise ValueError(f"`result.{self._what}[{_short(key)}]`: {self._told()}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled
            raise AttributeError(name)
        raise AttributeError(f"`result.{self._what}.{name}`: {self._told()}")


def maps(result: Result) -> AxesArray | ByDataset:
    """See `Result.maps`."""
    return _merged(result, "maps")


def spectra(result: Result) -> AxesArray | ByDataset:
    """See `Result.spectra`."""
    return _merged(result, "spectra")


def one(result: Result, what: str, component: int | str, data: str | None) -> AxesArray:
    """See `Result.map` and `Result.spectrum`."""
    call = f"result.{what}({component!r}{f', data={data!r}' if data is not None else ''})"
    plural = "maps" if what == "map" else "spectra"
    arrays = by_dataset(result, plural, call)
    if data is not None and data not in arrays:
        raise ValueError(f"`{call}`: no data set {data!r} with such; there are {_listed(arrays)}.")
    if data is None and not _all_same(result, plural, arrays):
        told = ", ".join(f"data={name!r}" for name in arrays)
        raise ValueError(f"`{call}`: every data set has its own: add one of {told}.")
    array = arrays[next(iter(arrays)) if data is None else data]
    k = index_of(call, array.components, component)
    return AxesArray(array.values[..., k], array.axes[:-1])


def by_dataset(result: Result, what: str, call: str) -> dict[str, AxesArray]:
    """{data set: its maps or spectra}, of those that have some; equal ones are one object.

    Raises:
        ValueError: if none has.
    """
    made: dict[tuple[str, ...], AxesArray] = {}
    found = {}
    for name in result.data:
        factors = maps_and_spectra(result, name)[what == "spectra"]
        if factors and _has_axes(result, name, what):
            found[name] = made.setdefault(factors, _array(result, factors))
    if not found:
        _refuse(result, what, call)
    return found


def to_xarray(result: Result) -> Any:
    """See `Result.to_xarray`."""
    arrays: dict[str, AxesArray] = {}
    for what in ("maps", "spectra"):
        if not any(_has_axes(result, name, what) for name in result.data):
            continue  # a single spectrum has no maps, images have no spectra
        found = by_dataset(result, what, "result.to_xarray()")
        single = _all_same(result, what, found)
        arrays |= {what if single else f"{what}_{name}": array for name, array in found.items()}
    told = {"status": result.status, "loss": result.loss, "formula": result.formula}
    return labelled.dataset(arrays, told)


def _merged(result: Result, what: str) -> AxesArray | ByDataset:
    """The only one, or all by data set."""
    arrays = by_dataset(result, what, f"result.{what}")
    return (
        next(iter(arrays.values())) if _all_same(result, what, arrays) else ByDataset(what, arrays)
    )


def _all_same(result: Result, what: str, arrays: dict[str, AxesArray]) -> bool:
    """Whether all data sets that have such axes have one array."""
    wanted = [name for name in result.data if _has_axes(result, name, what)]
    return set(wanted) == set(arrays) and len({id(array) for array in arrays.values()}) == 1


def _array(result: Result, factors: tuple[str, ...]) -> AxesArray:
    """The sum of factors, unfolded; components last."""
    values = sum((result.factors[name] for name in factors[1:]), result.factors[factors[0]])
    axes = (result.axes.get(factors[0]) or (None,))[0] or (Axis("index", size=len(values)),)
    K = values.shape[1]
    shape = [axis.size or 1 for axis in axes]
    along = (*axes, Axis(labelled.COMPONENT, offset=1.0, size=K))
    return AxesArray(np.asarray(values).reshape(*shape, K), along, names_of(result, K))


def _has_axes(result: Result, name: str, what: str) -> bool:
    """Whether a data set has such axes at all: an image has no channels."""
    data = result.data[name]
    return bool(data.signal if what == "spectra" else len(data.axes) - data.signal)


def _refuse(result: Result, what: str, call: str) -> None:
    known = []
    for name in result.factors:
        axes = (result.axes.get(name) or (None,))[0]
        along = " and ".join(axis.name for axis in axes) if axes else "no axis"
        known.append(f"result[{name!r}] (along {along})")
    raise ValueError(
        f"`{call}`: no factor, nor the sum of two, are the {what} of this model: take of "
        f"{', '.join(known)}."
    )


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names))


def _short(key: Any) -> str:
    return repr(key) if isinstance(key, str | int | float) else "…"
