"""Names of components that go on from the result that a fit sets out from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.answers.components import is_number, names_of
from fusion.answers.matching import match, spectral_angle
from fusion.answers.result import Result

FAR = 15.0
"""Degrees from what had a name, in spectrum and map, from which it is told that they differ."""


def with_names_of(init: Any, result: Result) -> Result:
    """The result with the names of the one it set out from: each goes to what is most like it.

    Of several starts all must have the same names. Components may have been left out on the way,
    or have changed places: a name stays with its spectrum and its map.

    Args:
        init: as in `fit`.
        result: the answer of that.
    """
    before, K = _named(init), result.n_components
    if before is None or K is None:
        return result
    pairs = {
        name: (F, before.factors[name])
        for name, F in result.factors.items()
        if F.ndim == 2 and F.shape[1] == K and _is_like(before, name, F)
    }
    if not pairs:
        return result
    partners = match(*({name: pair[i] for name, pair in pairs.items()} for i in (0, 1)))
    called = [before.component_names[j] if j >= 0 else "" for j in partners]
    own = names_of(result, K)
    _tell_of_others(pairs, partners, called)
    names = [own[k] if not name or is_number(name) else name for k, name in enumerate(called)]
    return replace(result, component_names=tuple(names)) if len({*names}) == K else result


def _tell_of_others(
    pairs: Mapping[str, tuple[Any, Any]], partners: Any, called: Sequence[str]
) -> None:
    """Say where what has a name now is far, in every factor, from what had it."""
    for k, (j, text) in enumerate(zip(partners, called, strict=True)):
        if not text or is_number(text):
            continue
        columns = [(F[:, k : k + 1], G[:, j : j + 1]) for F, G in pairs.values()]
        angle = float(np.nanmin([spectral_angle(*both).item() for both in columns]))
        if angle > FAR:
            warnings.warn(
                f"`fit`: component {k + 1} has the name {text!r} of what it set out from, and is "
                f"{angle:.0f}° off that: `result.renamed({{{k + 1}: …}})` if it is another phase.",
                ClaimWarning,
                stacklevel=users_line(),
            )


def _named(init: Any) -> Result | None:
    """A result with names for its components; of several the first, if all have the same."""
    several = isinstance(init, Sequence) and not isinstance(init, Result | str)
    given = [each for each in (init if several else [init]) if isinstance(each, Result)]
    names = {each.component_names for each in given}
    return given[0] if len(names) == 1 and names != {()} else None


def _is_like(before: Result, name: str, F: Any) -> bool:
    """Whether the result has this factor, with a column for each of its names."""
    wanted = (len(F), len(before.component_names))
    return name in before.factors and before.factors[name].shape == wanted
