"""Terms that the engine replaces, at every outer step, by what touches them there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.language.model import Model
from fusion.language.term import State, Term


@dataclass(frozen=True)
class FitInformation:
    """What the fits say about one factor at the present point: both of shape (n, K)."""

    gradient: Tensor
    curvature: Tensor
    """Diagonal of the Gauss–Newton matrix in the factor's value."""


@dataclass(frozen=True)
class FactorCurvature:
    """The Hessian of a term in one factor, of all starts at once."""

    product: Callable[[Tensor], Tensor]
    """δ ↦ H δ, (start, n, K)."""
    rows: Tensor
    """About what a row bends with itself, (start, n, K, K); (start, 1, K, K): all rows alike."""


class Surrogate(Term):
    """A term that is replaced at every outer step by one that touches it there.

    A piece that is not smooth and convex gives `refresh`, called once an outer step, and writes
    `value` with what it returns held fixed (majorise–minimise, lagged diffusivity, a multiplier
    rule). `curvature` is for what is not convex in the factors' values. Everything has a default,
    that of a plain `Term`.

    Attributes:
        potential: whether it is one fixed function of the model; else comparisons of answers leave
            it out.
        quadratic: whether it is quadratic in every factor by itself, row by row, its lagged pieces
            held.
    """

    potential: bool = True
    quadratic: bool = False

    def curvature(self, model: Model, state: State) -> Tensor | None:
        """A scalar whose Hessian here is positive semi-definite and stands for the term's own.

        None = no curvature.
        """
        return self.value(model, state)

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature | None:
        """The Hessian of `curvature` in the value of the one named factor that a term is about.

        None: autograd finds it. For speed alone; it is used where it stands in the class of
        `curvature`, `value` and `of`, or in one derived from these.

        Args:
            model: what the factor is, its axes and known entries; not its values.
            value: of the factor, of all starts at once, (start, n, K).
            state: the lagged pieces, (start, …) each.
        """
        return None

    def batched_value(
        self, model: Model, values: Mapping[str, Tensor], state: State
    ) -> Tensor | None:
        """`value` of all starts at once, (start,); None: one by one.

        For speed alone; it is used where it stands in the class of `value` and of `of`, or in one
        derived from these.

        Args:
            model: what the factors are, their axes and known entries; not their values.
            values: of factors and plain parameters by name, (start, …).
            state: the lagged pieces, (start, …) each.
        """
        return None

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        """The lagged pieces at the present point, from those of the step before."""
        return state

    def batched_refresh(
        self,
        model: Model,
        values: Mapping[str, Tensor],
        state: State,
        fits: Mapping[str, FitInformation],
    ) -> State | None:
        """`refresh` of all starts at once, as `batched_value` is of `value`; None: one by one."""
        return None

    def settled(self, state: State) -> State:
        """The lagged pieces as a descent leaves them at last, for a value outside one."""
        return state

    def on_sums(self, labels: Mapping[Axes, Tensor]) -> Surrogate | None:
        """A term about maps as it is where these are means over sums of pixels; None: left out.

        What all pixels have in common is found on such sums, and a term about neighbours says
        nothing there; a mean over the map is one of sums, too, each weighed by its pixels.

        Args:
            labels: of every scan's pixels, to which sum they belong, (pixel,).
        """
        return None

    def learned(self, state: State) -> Mapping[str, Tensor]:
        """Of the lagged pieces what a user may want to follow, by name, kept in the history."""
        return {}

    def needs(self) -> Sequence[str]:
        """Factors of which `refresh` wants to know what the fits say."""
        return ()

    @property
    def lagged(self) -> bool:
        """Whether it has pieces to refresh."""
        return getattr(self.refresh, "__func__", None) is not Surrogate.refresh


class PlainTerm(Surrogate):
    """A plain term as the engine reads it: `value` is all that it has."""

    def __init__(self, term: Term) -> None:
        self.term = term

    def value(self, model: Model, state: State) -> Tensor:
        return self.term.value(model, state)

    def check(self, model: Model) -> None:
        self.term.check(model)

    def formula(self) -> tuple[str, str]:
        return self.term.formula()

    def __str__(self) -> str:
        return str(self.term)


def deprecated_members(term: Term, names: Sequence[str]) -> list[str]:
    """Members of a fuller class that a plain term defines, with a warning that names the class."""
    own = [name for name in names if hasattr(type(term), name)]
    if own:
        warnings.warn(
            f"`{type(term).__name__}` defines {', '.join(own)} and is a plain `Term`: "
            "derive it from `fusion.losses.Prior` (or `Surrogate`, for curvature and lagged pieces "
            "alone); the engine reads these members of a plain term in this release only.",
            DeprecationWarning,
            stacklevel=4,
        )
    return own
