"""Components by their names, or by their numbers from 1, as pictures, tables and files have them.

Everything that tells components apart asks here, so that a name given once is met everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fusion.answers.result import Result


class Named(Protocol):
    """A result, a model, a band of answers: what may name its components."""

    @property
    def component_names(self) -> Sequence[str]: ...


def names_of(named: Named, K: int) -> list[str]:
    """The names of K components; numbers from 1 where they have none, or are not those named."""
    own = named.component_names
    return [str(name) for name in own] if len(own) == K else numbers(K)


def count(result: Result, call: str) -> int:
    """How many components the result has: as its spectra have, or else all its factors.

    Raises:
        ValueError: if factors differ in that, or the model is a Tucker decomposition, whose
            factors have components of their own.
    """
    tucker = result.structure is not None and result.structure[0] == "tucker"
    each = widths(result)
    if tucker or len(each) != 1 or None in each:
        columns = [f"{name} {F.shape[-1]}" for name, F in result.factors.items()]
        raise ValueError(
            f"`{call}`: the factors have components of their own ({', '.join(columns)}), and no "
            "name or order would mean the same in all: take them by their columns, "
            f"{{'shell': result[{_widest(result)!r}][:, 0], …}}."
        )
    return int(each.pop() or 0)


def _widest(result: Result) -> str:
    """The matrix with the most columns."""
    return max(
        result.factors,
        key=lambda name: (result.factors[name].ndim == 2, result.factors[name].shape[-1]),
    )


def widths(result: Result) -> set[int | None]:
    """How many columns the factors along channels have; where there are none, all factors."""
    channels = [d.axes[len(d.axes) - d.signal :] for d in result.data.values() if d.signal]
    along = {
        F.shape[1]
        for name, F in result.factors.items()
        if F.ndim == 2 and (result.axes.get(name) or (None,))[0] in channels
    }
    return along or {result.n_components}


def numbers(K: int) -> list[str]:
    """ "1" … "K"."""
    return [str(k + 1) for k in range(K)]


def is_number(called: str) -> bool:
    """Whether a component goes by its number."""
    return called.isascii() and called.isdecimal()


def in_words(called: str) -> str:
    """ "component 2", or the name alone."""
    return f"component {called}" if is_number(called) else called


def index_of(call: str, called: Sequence[str], component: Any) -> int:
    """Which column a component is, from 0.

    Args:
        call: what is complained of, such as "result.map(0)".
        called: the names, or numbers, of all.
        component: a name, or a number from 1.

    Raises:
        ValueError: if there is no such component; with those that there are.
    """
    if isinstance(component, str):
        if component in called:
            return list(called).index(component)
    elif isinstance(component, Integral) and not isinstance(component, bool):
        k = int(component) - 1
        if 0 <= k < len(called):
            return k
    raise ValueError(f"`{call}`: there is no such component: {_known(called)}.")


def renamed(
    call: str, called: Sequence[str], names: Mapping[Any, str] | Sequence[str]
) -> list[str]:
    """The names after some, or all, were given anew.

    Args:
        call: what is complained of.
        called: the names until now.
        names: {number from 1, or name: new name}, or a new name for each.

    Raises:
        ValueError: if a name is no text, is empty, is a number or comes twice, or there is no such
            component.
    """
    pairs = dict(names) if isinstance(names, Mapping) else _one_each(call, called, names)
    after = list(called)
    for component, name in pairs.items():
        after[index_of(call, called, component)] = _checked(call, component, name)
    twice = next((name for name in after if after.count(name) > 1), None)
    if twice is not None:
        which = " and ".join(str(k + 1) for k, name in enumerate(after) if name == twice)
        raise ValueError(
            f"`{call}`: components {which} would both be called {twice!r}: give each a name of its "
            "own."
        )
    return after


def no_factor(name: Any, result: Result) -> KeyError:
    """That there is no such factor, and what was meant, if that is known."""
    known = ", ".join(result.factors)
    meant = {"maps": "`result.maps`", "spectra": "`result.spectra`"}.get(str(name), "")
    number = isinstance(name, Integral) and not isinstance(name, bool)
    if number or name in result.component_names:
        k = max(int(name), 1) if number else repr(name)  # from 1: 0 is none
        meant = f"one component is `result.map({k})`, `result.spectrum({k})`"
    return KeyError(f"no factor {name!r}; the result has {known}{f': {meant}' if meant else ''}")


def _one_each(call: str, called: Sequence[str], names: Any) -> dict[int, Any]:
    """{number: name} of a list of names."""
    if isinstance(names, str) or not isinstance(names, Sequence) or len(names) != len(called):
        said = repr(names) if isinstance(names, str) else type(names).__name__
        said = f"{len(names)} names" if isinstance(names, list | tuple) else said
        raise ValueError(
            f"`{call}`: {said} for {len(called)} components: give {{number: name}}, such as "
            '{1: "shell"}, or a list of one name for each.'
        )
    return dict(enumerate(names, start=1))


def _checked(call: str, component: Any, name: Any) -> str:
    """A name, without blanks around it."""
    if not isinstance(name, str):
        raise ValueError(
            f"`{call}`: {name!r} for component {component} is of type {type(name).__name__}: give "
            "a text."
        )
    short = name.strip()
    if not short or not short.isprintable():
        raise ValueError(
            f"`{call}`: {name!r} for component {component} is "
            + ("empty" if not short else "more than one line of letters")
            + ": give a name of one line, in any script."
        )
    if is_number(short):
        raise ValueError(
            f"`{call}`: {name!r} for component {component} is a number, by which components "
            "without a name go: give a word."
        )
    return short


def _known(called: Sequence[str]) -> str:
    """What there is, in words."""
    K = len(called)
    numbers_told = f"give a number from 1 to {K}" if K > 1 else "give 1"
    named = [repr(name) for name in called if not is_number(name)]
    return numbers_told + (f", or a name: {', '.join(named)}" if named else "")
