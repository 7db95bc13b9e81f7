"""Beliefs and their algebra: weighted terms, added into a loss that reads like the equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from fusion.dataset import Dataset
from fusion.model import Model

State = Mapping[str, Tensor]
"""What a term holds fixed within an outer step: multipliers, scales …; tensors, at first `{}`."""


@dataclass(frozen=True)
class FitInformation:
    """What the fits say about one factor at the present point: both of shape (n, K)."""

    gradient: Tensor
    curvature: Tensor
    """Diagonal of the Gauss–Newton matrix in the factor's value."""


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


class Term:
    """A belief about the model: a number that is small where the belief holds.

    Terms are weighted and added: `number * term`, `term + term`. A subclass gives `value`, and
    `check` and `formula` where it can say more. A piece that is not smooth and convex gives
    `refresh`, called once an outer step, and writes `value` with what it returns held fixed.
    """

    factor: str | None = None
    """The factor that the term is about, where it is one."""
    dataset: Dataset | None = None
    """The data that it reads, where it is a fit."""
    potential: bool = True
    """Whether it is one fixed function of the model; else comparisons of answers leave it out."""

    def value(self, model: Model, state: State) -> Tensor:
        """The term, a scalar, with its lagged pieces as in `state`."""
        raise NotImplementedError

    def curvature(self, model: Model, state: State) -> Tensor | None:
        """A scalar whose Hessian here is positive semi-definite and stands for the term's own.

        None = no curvature.
        """
        return self.value(model, state)

    def closed(self, model: Model) -> tuple[Any, type, tuple[Tensor, ...]] | None:
        """(form of the data, metric, tensors) of a curvature in closed form; None: `curvature`."""
        return None

    def compressed(self, model: Model) -> Term | None:
        """The same term on compressed data; None where there is none, or it would not pay."""
        return None

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        """The lagged pieces at the present point, from those of the step before."""
        return state

    def settled(self, state: State) -> State:
        """The lagged pieces as a descent leaves them at last, for a value outside one."""
        return state

    def learned(self, state: State) -> Mapping[str, Tensor]:
        """Of the lagged pieces what a user may want to follow, by name, kept in the history."""
        return {}

    def needs(self) -> Sequence[str]:
        """Factors of which `refresh` wants to know what the fits say."""
        return ()

    @property
    def lagged(self) -> bool:
        """Whether it has pieces to refresh."""
        return type(self).refresh is not Term.refresh

    quadratic: bool = False
    """Whether it is quadratic in every factor by itself, row by row, its lagged pieces held."""
    warm_up: int | None = None
    """Outer steps until its moves begin, from the best start alone; None: at the descent's end."""

    def moves(self, model: Model) -> Sequence[Move]:
        """Jumps that no small step finds, tried where the descent has ended.

        For one start: the model stands at its values.
        """
        return ()

    def stand_in(self) -> Term | None:
        """An easier term with nearly the same minimum, to come near the data with; None: itself."""
        return None

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

    def check(self, model: Model) -> None:
        """Complain, before the first step, of what does not fit the model.

        Raises:
            ValueError: naming the factor or data set, with both sizes.
        """
        if self.factor is not None:
            try:
                model.factor(self.factor)
            except ValueError as error:
                raise ValueError(f"`{self}`: {error}") from None

    def formula(self) -> tuple[str, str]:
        """The term as (plain text, LaTeX)."""
        return str(self), rf"\mathrm{{{type(self).__name__}}}"

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}({self.factor!r})"
            if self.factor
            else f"{type(self).__name__}(…)"
        )

    def __call__(self, model: Model) -> Tensor:
        return Loss([(1.0, self)])(model)

    def __add__(self, other: Term | Loss) -> Loss:
        return Loss([(1.0, self)]) + other

    def __mul__(self, weight: float) -> Loss:
        return Loss([(1.0, self)]) * weight

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return Loss([(1.0, self)])._repr_latex_()


class Loss:
    """A weighted sum of terms: what is minimised."""

    def __init__(self, terms: Sequence[tuple[float, Term]]) -> None:
        self.terms = tuple(terms)

    @property
    def fits(self) -> list[tuple[int, float, Term]]:
        """(position, weight, term) of the terms that read data."""
        return [(i, w, t) for i, (w, t) in enumerate(self.terms) if t.dataset is not None]

    @property
    def penalties(self) -> list[tuple[int, float, Term]]:
        """(position, weight, term) of all others."""
        return [(i, w, t) for i, (w, t) in enumerate(self.terms) if t.dataset is None]

    @property
    def datasets(self) -> dict[str, Dataset]:
        """Data sets by name."""
        return {t.dataset.name: t.dataset for _, _, t in self.fits if t.dataset is not None}

    def compressed(self, model: Model) -> Loss | None:
        """The loss on compressed data, term by term where that pays; None where it never does."""
        quick = [(w, t.compressed(model)) for w, t in self.terms]
        if all(t is None for _, t in quick):
            return None
        pairs = zip(quick, self.terms, strict=True)
        return Loss([(w, t if q is None else q) for (_, q), (w, t) in pairs])

    def __add__(self, other: Loss | Term) -> Loss:
        if isinstance(other, Term):
            other = Loss([(1.0, other)])
        return Loss((*self.terms, *other.terms)) if isinstance(other, Loss) else NotImplemented

    def __mul__(self, weight: float) -> Loss:
        if not isinstance(weight, Real):
            return NotImplemented
        if not 0 <= float(weight) < float("inf"):
            raise ValueError(f"`{weight} * {self}`: a weight must be 0 or more, and finite.")
        return Loss([(float(weight) * w, t) for w, t in self.terms])

    __rmul__ = __mul__

    def __call__(self, model: Model) -> Tensor:
        """The loss of a model, a scalar with gradient: for any loop of one's own.

        Lagged pieces are taken at this point.
        """
        states = self._states(model)
        with model.once():
            parts = zip(self.terms, states, strict=True)
            return torch.stack([w * t.value(model, s).double() for (w, t), s in parts]).sum()

    def _states(self, model: Model) -> Sequence[State]:
        """The lagged pieces of every term at the model's own values."""
        from fusion.curvature import states_at
        from fusion.objective import Objective  # the engine's own view of a loss, over starts

        with torch.no_grad():
            states = states_at(Objective(model, self))
        return [t.settled(s) for (_, t), s in zip(self.terms, states, strict=True)]

    def check(self, model: Model) -> None:
        """Complain of everything that does not fit together; run by `fit` before the first step.

        Raises:
            ValueError: naming the factor or data set and both sizes.
        """
        if not self.terms:
            raise ValueError(
                "`Loss([])`: the loss is empty: add a fit, for instance `Frobenius(data)`."
            )
        names = [t.dataset for _, _, t in self.fits if t.dataset is not None]
        for i, dataset in enumerate(names):
            for other in names[:i]:
                if dataset.name == other.name and dataset is not other:
                    raise ValueError(
                        f"`{self}`: two data sets are named {dataset.name!r}: "
                        "give each its own name."
                    )
        for _, t in self.terms:
            t.check(model)
        if not self.fits:
            return
        unread = set(model.predict()) - set(self.datasets)
        if unread == set(model.predict()):
            raise ValueError(f"`{self}`: reads none of the model's predictions {sorted(unread)}.")

    def formula(self) -> tuple[str, str]:
        """The loss as (plain text, LaTeX)."""
        parts = [(w, *t.formula()) for w, t in self.terms]
        text = " + ".join(t if w == 1 else f"{w:g}·{t}" for w, t, _ in parts)
        return text, " + ".join(t if w == 1 else rf"{w:g}\,{t}" for w, _, t in parts)

    def summary(self, model: Model) -> str:
        """A table: terms with weight and value here, factors with their constraints, data sets."""
        lines = [f"loss = {self.formula()[0]}", "", f"{'weight':>10}  {'value':>12}  term"]
        with torch.no_grad(), model.once():
            for (w, t), state in zip(self.terms, self._states(model), strict=True):
                lines.append(f"{w:10.4g}  {float(t.value(model, state)):12.5g}  {t}")
        lines += ["", f"{'factor':>10}  {'shape':>14}  constraints"]
        for name, module in model.factor_modules().items():
            lines.append(f"{name:>10}  {module.shape!s:>14}  {', '.join(map(str, module.chain))}")
        lines += ["", f"{'data set':>10}  {'shape':>14}  axes"]
        for name, dataset in self.datasets.items():
            lines.append(
                f"{name:>10}  {dataset.shape!s:>14}  "
                f"{', '.join(axis.label for axis in dataset.axes)}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return " + ".join(str(t) if w == 1 else f"{w:g} * {t}" for w, t in self.terms)

    def __repr__(self) -> str:
        return self.formula()[0]

    def _repr_latex_(self) -> str:
        return f"${self.formula()[1]}$"
