"""Priors that jump: moves between minima, exact zeros, components that are switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from fusion.language.model import Model
from fusion.language.surrogate import PlainTerm, Surrogate, deprecated_members
from fusion.language.term import State, Term


@dataclass(frozen=True)
class Move:
    """New values for some factors, tried where the descent has ended.

    Attributes:
        label: what it does, in words, for the log.
        values: factor name → value of the factor's shape.
        simpler: whether it is kept where the loss stays the same, too.
    """

    label: str
    values: Mapping[str, Tensor]
    simpler: bool = False


class Prior(Surrogate):
    """A belief with more to it than a slope: what it proposes, switches off, and says at the end.

    Attributes:
        factor: the factor that it is about, where it is one.
        warm_up: outer steps until its moves begin, from the best start alone; None: at the
            descent's end.
    """

    factor: str | None = None
    warm_up: int | None = None

    def moves(self, model: Model) -> Sequence[Move]:
        """Jumps that no small step finds, tried where the descent has ended.

        For one start: the model stands at its values.
        """
        return ()

    def finish(self, model: Model) -> Mapping[str, Tensor]:
        """Values, by factor, of what the descent only approaches: an exact zero."""
        return {}

    def off(self, model: Model, state: State) -> Tensor | None:
        """Components of `factor` that it has switched off, (K,) bool; None where it never does."""
        return None

    def left(
        self, model: Model, state: State, kept: Sequence[int], fit: Callable[..., float]
    ) -> State:
        """The lagged pieces to go on from where these components are left; {}: taken anew.

        `fit(C=…)` is the loss of the fits, in units of the term, where factors had such values.
        """
        return {}

    def remarks(self, state: State) -> Sequence[str]:
        """What a user should know of the answer, in words, from the lagged pieces there."""
        return ()


MEMBERS = (
    *("potential", "quadratic", "curvature", "refresh", "settled", "learned", "needs"),
    *("warm_up", "moves", "finish", "off", "left", "remarks"),
)
"""What every term had until there were classes for it."""


class LegacyPrior(Prior, PlainTerm):
    """A plain term with members of a prior, as it could have them before this class was."""

    def __init__(self, term: Term, members: Sequence[str]) -> None:
        super().__init__(term)
        self.factor = getattr(term, "factor", None)
        for name in members:
            setattr(self, name, getattr(term, name))


def as_surrogate(term: Term) -> Surrogate:
    """The term as the engine reads it."""
    if isinstance(term, Surrogate):
        return term
    members = deprecated_members(term, MEMBERS)
    return LegacyPrior(term, members) if members else PlainTerm(term)
