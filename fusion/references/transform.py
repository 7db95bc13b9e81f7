"""New data under the spectra of a result: `Result.transform`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.axes_array import AxesArray
from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.labelled import COMPONENT
from fusion.algebra.waiting import waiting
from fusion.answers.components import names_of
from fusion.data.dataset import Dataset, check_dataset
from fusion.data.scan import Scan
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.references.known_spectra import Detector, Maps, known_maps
from fusion.references.result_spectra import (
    check_variance,
    fit_of,
    level_of,
    may_be_negative,
    on_channels,
    same_channels,
    spectra_of,
)

if TYPE_CHECKING:
    from fusion.answers.result import Result

Labelled = AxesArray | dict[str, AxesArray]
Given = dict[str, tuple[float | None, Dataset | Fit]]
"""By the name of the result's data set: weight, where one was given, and what was given."""


@checked_call
def transform(
    result: Result,
    data: Dataset | Mapping[str, Dataset] | Fit | Loss,
    *,
    errors: bool = False,
    device: Any = None,
    progress: bool = True,
) -> Any:
    """Maps of new data, in one pass; see `Result.transform`."""
    with waiting("transform", progress):
        given = _given(result, data)
        groups = _groups(result, {name: _detector(result, name, *each, len(given) > 1)
                                  for name, each in given.items()})  # fmt: skip
        if errors:
            _check_errors(groups)
        found = [(group, _maps(result, group, errors, device)) for group in groups]
    maps = _labelled(result, found, lambda each: each.c)
    return (maps, _labelled(result, found, Maps.errors)) if errors else maps


def _given(result: Result, data: Any) -> Given:
    """What was given, by the data sets of the result whose spectra it has.

    Raises:
        ValueError: if it is no data set, or it is not clear whose spectra it has.
    """
    if isinstance(data, Loss):
        fits = [(weight, fit) for _, weight, fit in data.fits if weight > 0]
        return {_name(result, fit.dataset, len(fits)): (w, fit) for w, fit in fits}
    if isinstance(data, Fit):
        return {_name(result, data.dataset, 1): (None, data)}
    if isinstance(data, Mapping):
        named = {
            str(name): check_dataset("result.transform(…)", each) for name, each in data.items()
        }
        renamed = [each.renamed(name) for name, each in named.items()]
        return {_name(result, each, len(renamed)): (None, each) for each in renamed}
    data = check_dataset("result.transform(…)", data)
    return {_name(result, data, 1): (None, data)}


def _name(result: Result, data: Dataset, count: int) -> str:
    """Which data set of the result has these channels: that of its name, or the only one."""
    names = list(result.data)
    if data.name in names:
        return data.name
    if count == 1 and same_channels(result):
        return names[0]
    mend = f"say which are meant, `{data.name}.renamed({names[0]!r})`"
    raise ValueError(
        f"`result.transform({data})`: the result has spectra of {', '.join(map(repr, names))}, "
        f"none of {data.name!r}: {'leave it out, or ' * (count > 1)}{mend}."
    )


def _detector(
    result: Result, name: str, weight: float | None, given: Dataset | Fit, several: bool
) -> Detector:
    """The fit of what was given, with its spectra and its weight beside others."""
    told, fit = (None, given) if isinstance(given, Fit) else fit_of(result, name, given, several)
    weight = told if weight is None else weight
    fit, S = on_channels(result, name, fit, spectra_of(result, name))
    check_variance(result, name, fit, several)
    scale = level_of(result, name, fit) if several else 1.0
    return Detector(fit, S, (1.0 if weight is None else weight) * scale)


def _groups(result: Result, detectors: dict[str, Detector]) -> list[dict[str, Detector]]:
    """Those whose maps are the same, together; a result's data set is in one group.

    Raises:
        ValueError: if detectors that share their maps do not have the same pixels.
    """
    groups: dict[Any, dict[str, Detector]] = {}
    for name, detector in detectors.items():
        roles = result.roles.get(name, ((name,), ()))[0]
        groups.setdefault(roles, {})[name] = detector
    for group in groups.values():
        if len(group) > 1:
            Scan(*(each.term.dataset.renamed(name) for name, each in group.items()))
    return list(groups.values())


def _check_errors(groups: list[dict[str, Detector]]) -> None:
    """Complain where no standard errors are known."""
    for group in groups:
        each = list(group.values())
        if not all(d.closed for d in each):
            told = " + ".join(str(d.term) for d in each)
            raise ValueError(
                f"`result.transform(…, errors=True)`: errors of maps are known under least squares "
                f"and counts alone, here the fit is {told}: leave `errors` out."
            )


def _maps(result: Result, group: dict[str, Detector], errors: bool, device: Any) -> Maps:
    signed = any(may_be_negative(result, name) for name in group)
    signed = signed and not any(each.counts for each in group.values())
    if device is None:
        data = next(iter(group.values())).term.dataset
        held = None if data.lazy is not None else data.entries.x if data.entries else data.tensor
        device = None if held is None else held.device
    return known_maps(list(group.values()), signed=signed, errors=errors, device=device)


def _labelled(result: Result, found: Any, what: Any) -> Labelled:
    """Maps or errors in the shape of the scan, with its axes; by data set where they differ."""
    made = {}
    for group, maps in found:
        data = next(iter(group.values())).term.dataset
        values = np.asarray(what(maps))
        K = values.shape[1]
        shape = tuple(axis.size or 1 for axis in data.pixels)
        axes = (*data.pixels, Axis(COMPONENT, offset=1.0, size=K))
        array = AxesArray(values.reshape(*shape, K), axes, names_of(result, K))
        made |= dict.fromkeys(group, array)
    return next(iter(made.values())) if len(found) == 1 else made
