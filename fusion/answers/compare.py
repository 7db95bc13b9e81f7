"""`compare`: one verb for results, references and other programs' answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.answers.comparison import Comparison
from fusion.answers.components import names_of
from fusion.answers.matching import (
    Array,
    angle,
    columns,
    correlation,
    finite_rows,
    match_with_sign,
    scale,
)
from fusion.answers.result import Result
from fusion.data.dataset import Dataset

__all__ = ["compare"]


@checked_call
def compare(
    *answers: Any, names: Sequence[str] | None = None, factors: Sequence[str] | None = None
) -> Comparison:
    """Match the components of several answers with those of the first; tell how alike they are.

    Factors are compared that have one name and, where axes are known, run along the same; those
    left are told by their length. A component has one partner, in all factors at once: the
    assignment with the largest sum of |cosines|, their mean over the factors. Neither order nor
    scale matters, nor the sign of a component that is turned in all its factors, as by a PCA.

    Args:
        answers: two or more, the first the reference: a `Result`; a `Simulation` (its truth); a
            mapping of factor name → array (n, K); one array (n, K) or (n,), components in columns;
            a `Dataset` (k, channel) of spectra, or an image; anything with `components_` (K, n).
        names: of the answers; default: solver, "truth", data set, class, or "answer 1".
        factors: names of the reference's factors to compare; default: all that another one has.

    Returns:
        Partners, angles and correlations: a table when printed, `.plot()` draws it.

    Raises:
        ValueError: if there are fewer than two answers, an answer is no array (n, K), has nothing
            in common with the first, or more than one factor that would fit.

    References:
        Muto & Shiga, Microscopy (2019): cross-check by several methods. Spectral angle: Kruse et
        al., Remote Sens. Environ. 44:145 (1993).

    Example:
        >>> from fusion.simulate import layers
        >>> scene = layers(shape=(8, 10), channels=60)
        >>> data = scene.datasets["net"]
        >>> model = fu.models.NMF(data, 3)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> fu.compare(scene, result, factors=["S"]).worst < 60  # degrees
        True
    """
    if len(answers) == 1 and isinstance(answers[0], list | tuple):
        raise ValueError(
            f"`compare`: a {type(answers[0]).__name__} of {len(answers[0])}: give them one by one, "
            "`compare(*answers)`."
        )
    if len(answers) < 2:
        raise ValueError(
            f"`compare`: {len(answers)} of at least two answers: give the reference first, then "
            "what is compared with it."
        )
    reference, *others = _renamed([_answer_of(x, i) for i, x in enumerate(answers, start=1)], names)
    first = reference.select(factors)
    pairs = [_pair_factors(first, other) for other in others]
    first = first.select([f for f in first.factors if any(f in same for same in pairs)])
    K = first.rank()
    comparison = Comparison(
        names=(first.name, *(other.name for other in others)),
        components=tuple(names_of(first, K)),
        factors={first.name: first.factors},
        axes=dict(first.axes),
    )
    for other, same in zip(others, pairs, strict=True):
        for f, g in same.items():
            comparison.axes[f] = comparison.axes[f] or other.axes.get(g)
        unpaired = [g for g in other.factors if g not in same.values()]
        renamed = replace(other, factors={f: other.factors[g] for f, g in same.items()}, axes={})
        _add_answer(comparison, first, renamed)
        comparison.messages.extend(_not_compared_text(other, unpaired))
    comparison.messages.extend(
        _not_compared_text(reference, [f for f in reference.factors if f not in first.factors])
    )
    return comparison


def _add_answer(table: Comparison, first: _Answer, other: _Answer) -> None:
    """Match one answer, its factors named as the reference's, and enter it."""
    a, b = {f: first.factors[f] for f in other.factors}, other.factors
    K, name = other.rank(), other.name
    both = {f: finite_rows(f"`compare`: {f} of {first.name} and {name}", a[f], b[f]) for f in b}
    partners, sign = match_with_sign(a, b, both)
    seen = partners >= 0
    turned = {f: np.where(seen, sign * y[:, partners], np.nan) for f, y in b.items()}

    def by_factor(measure: Any) -> dict[str, Array]:
        values = {f: np.full(len(partners), np.nan) for f in a}
        for f, rows in both.items():
            values[f][seen] = measure(a[f][rows][:, seen], turned[f][rows][:, seen])
        return values

    table.partners[name] = partners
    table.component_names[name] = tuple(names_of(other, K))
    table.unmatched[name] = tuple(k for k in range(K) if k not in partners)
    table.angles[name], table.correlations[name] = by_factor(angle), by_factor(correlation)
    table.factors[name] = {f: y * scale(a[f][both[f]], y[both[f]]) for f, y in turned.items()}
    for f, rows in both.items():
        if not rows.all():
            table.messages.append(
                f"{f}: {(~rows).sum()} of {len(rows)} rows are not finite in {first.name} or "
                f"{name}: left out"
            )
    if table.unmatched[name]:
        numbers = ", ".join(table.component_names[name][k] for k in table.unmatched[name])
        table.messages.append(f"{name}: nothing in {first.name} is left for component {numbers}")


def _not_compared_text(answer: _Answer, unpaired: Sequence[str]) -> list[str]:
    text = ", ".join(f"{f} {answer.factors[f].shape}" for f in unpaired)
    return [f"{answer.name}: not compared: {text}"] if unpaired else []


@dataclass(frozen=True)
class _Answer:
    """One answer: factors of more than one row, what their rows run along, components' names."""

    name: str
    factors: dict[str, Array]
    axes: dict[str, Axes | None] = field(default_factory=dict)
    component_names: tuple[str, ...] = ()

    def select(self, chosen: Sequence[str] | None) -> _Answer:
        """The same with these factors, in this order."""
        if chosen is None:
            return self
        if missing := [f for f in chosen if f not in self.factors]:
            raise ValueError(
                f"`compare(factors={list(chosen)})`: {self.name} has no factor {missing[0]!r}: "
                f"choose of {', '.join(self.factors)}."
            )
        factors = {f: self.factors[f] for f in chosen}
        return _Answer(
            self.name, factors, {f: self.axes.get(f) for f in chosen}, self.component_names
        )

    def rank(self) -> int:
        """Number of components."""
        ranks = {f: x.shape[1] for f, x in self.factors.items()}
        if len(set(ranks.values())) > 1:
            text = ", ".join(f"{f} {K}" for f, K in ranks.items())
            raise ValueError(
                f"`compare`: {self.name} has different numbers of components ({text}): choose "
                "factors that belong together, `factors=[…]`."
            )
        return next(iter(ranks.values()))

    def describe(self, f: str) -> str:
        axes = self.axes.get(f)
        along = f" along {', '.join(axis.label for axis in axes)}" if axes else ""
        return f"{f} {self.factors[f].shape}{along}"


def _answer_of(given: Any, number: int) -> _Answer:
    """An answer of anything that `compare` takes; its name, if none is given, may not be unique."""
    name, axes, components = f"answer {number}", {}, ()
    if isinstance(given, Result):
        core = given.structure[1][0] if given.structure and given.structure[0] == "tucker" else None
        name, components = given.solver.partition("(")[0], given.component_names
        axes = {f: a[0] for f, a in given.axes.items()}
        factors = {f: given.factors[f] for f in axes if f != core and given.factors[f].ndim == 2}
    elif isinstance(given, Dataset):
        name, factors, axes = _dataset_factors(given)
    elif hasattr(given, "truth") and hasattr(given, "datasets"):
        name, components, K = "truth", tuple(given.components), (len(given.components),)
        factors = {f: x for f, x in given.truth.items() if x.ndim == 2 and x.shape[1:] == K}
        axes = {f: _simulated_axes(given, f) for f in factors}
    elif isinstance(given, Mapping):
        factors = given
    elif hasattr(given, "components_"):
        name, factors = type(given).__name__, {"S": np.asarray(given.components_).T}
    else:
        factors = {"factor": given}
    arrays = {str(f): columns(f"`compare`: {f} of answer {number}", x) for f, x in factors.items()}
    arrays = {f: x for f, x in arrays.items() if len(x) > 1}  # of one row: always 0 degrees
    if not arrays:
        raise ValueError(
            f"`compare`: answer {number} has no factor of two or more rows: give arrays (n, K)."
        )
    return _Answer(name, arrays, axes, components)


def _dataset_factors(data: Dataset) -> tuple[str, dict[str, Array], dict[str, Axes | None]]:
    """(name, factors, axes): spectra in columns, or an image as one map; masked is NaN."""
    values = data.numpy().astype(float)
    if data.mask is not None:
        values = np.where(data.mask.expand(data.shape).numpy(), np.nan, values)
    values = values.reshape(data.matrix_shape)
    if data.signal == 0:
        return data.name, {"C": values}, {"C": data.pixels}
    return data.name, {"S": values.T}, {"S": data.channels}


def _simulated_axes(simulation: Any, f: str) -> Axes | None:
    """Axes of the data that a simulated factor runs along: by length; S_eels those of eels."""
    n, fits = len(simulation.truth[f]), []
    for data in simulation.datasets.values():
        own = f.endswith(f"_{data.name}")
        parts = (data.pixels, data.channels)
        fits += [(own, p) for p in parts if p and prod(a.size or 0 for a in p) == n]
    best = [part for own, part in fits if own] or [part for _, part in fits]
    return best[0] if best and all(part == best[0] for part in best) else None


def _renamed(answers: list[_Answer], names: Sequence[str] | None) -> list[_Answer]:
    """The answers with these names, or with their own, those that come again numbered."""
    if names is None:
        own = [answer.name for answer in answers]
        before = [own[:i].count(name) for i, name in enumerate(own)]
        names = [f"{n} #{b + 1}" if b else n for n, b in zip(own, before, strict=True)]
    names = [str(name) for name in names]
    if len(names) != len(answers) or len(set(names)) < len(names):
        raise ValueError(
            f"`compare(names={names})`: {len(set(names))} different names for {len(answers)} "
            "answers: give each a name of its own."
        )
    return [replace(answer, name=name) for answer, name in zip(answers, names, strict=True)]


def _pair_factors(first: _Answer, other: _Answer) -> dict[str, str]:
    """The reference's factor → the other's: by name, what is left by length and axes."""

    def compatible(f: str, g: str) -> bool:
        same = len(first.factors[f]) == len(other.factors[g])
        return same and _same_axes(first.axes.get(f), other.axes.get(g))

    pairs = {f: f for f in first.factors if f in other.factors and compatible(f, f)}
    unpaired = [f for f in first.factors if f not in pairs]
    for g in [g for g in other.factors if g not in pairs]:
        fits = [f for f in unpaired if compatible(f, g)]
        rivals = [pairs[f] for f in fits if f in pairs]
        if len(fits) > 1 or rivals:
            several = f"{g} of {other.name} fits {' and '.join(fits)} of {first.name}"
            if rivals:
                several = f"{rivals[0]} and {g} of {other.name} both fit {fits[0]} of {first.name}"
            raise ValueError(
                f"`compare`: {several}: give a mapping {{'{fits[0]}': array}}, or `factors=[…]`."
            )
        pairs |= dict.fromkeys(fits, g)
    if not pairs:
        factors = [", ".join(map(answer.describe, answer.factors)) for answer in (first, other)]
        raise ValueError(
            f"`compare`: {first.name} has {factors[0]}; {other.name} has {factors[1]}: nothing in "
            "common: give factors (n, K) of the same length, components in columns."
        )
    return pairs


def _same_axes(a: Axes | None, b: Axes | None) -> bool:
    """Whether rows may run along the same: what has no unit fits anything of its length."""
    if not a or not b or len(a) != len(b):
        return True
    return all(_same_axis(x, y) for x, y in zip(a, b, strict=True))


def _same_axis(a: Axis, b: Axis) -> bool:
    """Whether two axes of a unit have one unit and positions within half a step."""
    if a.size != b.size or not (a.units and b.units):
        return a.size == b.size
    step = np.abs(np.diff(a.values)).min(initial=np.inf)
    return a.units == b.units and np.allclose(a.values, b.values, rtol=0, atol=step / 2)
