"""The algebra of terms: a weighted sum that reads like the equation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import inf, prod
from numbers import Real

import torch
from torch import Tensor

from fusion.algebra.memory import total_bytes
from fusion.data.dataset import Dataset
from fusion.language.balance import caution_of_imbalance
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.prior import Prior, as_surrogate
from fusion.language.surrogate import Surrogate
from fusion.language.term import State, Term


class Loss:
    """A weighted sum of terms: what is minimised."""

    def __init__(self, terms: Sequence[tuple[float, Term]]) -> None:
        self.terms = tuple(terms)

    @cached_property
    def surrogates(self) -> tuple[tuple[float, Surrogate], ...]:
        """The terms with their weights as the engine reads them, in the order of `terms`."""
        return tuple((w, as_surrogate(t)) for w, t in self.terms)

    @property
    def fits(self) -> list[tuple[int, float, Fit]]:
        """(position, weight, term) of the terms that read data."""
        return [(i, w, t) for i, (w, t) in enumerate(self.surrogates) if isinstance(t, Fit)]

    @property
    def penalties(self) -> list[tuple[int, float, Surrogate]]:
        """(position, weight, term) of all others."""
        return [(i, w, t) for i, (w, t) in enumerate(self.surrogates) if not isinstance(t, Fit)]

    @property
    def priors(self) -> list[tuple[int, float, Prior]]:
        """(position, weight, term) of those with moves, or with components to switch off."""
        return [(i, w, t) for i, (w, t) in enumerate(self.surrogates) if isinstance(t, Prior)]

    @property
    def datasets(self) -> dict[str, Dataset]:
        """Data sets by name."""
        return {t.dataset.name: t.dataset for _, _, t in self.fits}

    @property
    def larger_than_memory(self) -> bool:
        """Whether what is lazy of the data exceeds a quarter of what memory there is."""
        lazy = [data.lazy for data in self.datasets.values() if data.lazy is not None]
        size = sum(prod(array.shape) * array.dtype.itemsize for array in lazy)
        return size > (total_bytes() or inf) / 4

    def compressed(self, model: Model) -> Loss | None:
        """The loss on compressed data, fit by fit where that pays; None where it never does."""
        quick = {i: made for i, _, t in self.fits if (made := t.compressed(model)) is not None}
        if not quick:
            return None
        return Loss([(w, quick.get(i, t)) for i, (w, t) in enumerate(self.terms)])

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
            parts = zip(self.surrogates, states, strict=True)
            return torch.stack([w * t.value(model, s).double() for (w, t), s in parts]).sum()

    def _states(self, model: Model) -> Sequence[State]:
        """The lagged pieces of every term at the model's own values."""
        from fusion.engine.curvature import settled_states

        return settled_states(model, self)

    def check(self, model: Model) -> None:
        """Complain of everything that does not fit together; run by `fit` before the first step.

        Raises:
            ValueError: naming the factor or data set and both sizes.
        """
        if not self.terms:
            raise ValueError(
                "`Loss([])`: the loss is empty: add a fit, for instance `Frobenius(data)`."
            )
        names = [t.dataset for _, _, t in self.fits]
        for i, dataset in enumerate(names):
            for other in names[:i]:
                if dataset.name == other.name and dataset is not other:
                    raise ValueError(
                        f"`{self}`: two data sets are named {dataset.name!r}: "
                        "give each its own name."
                    )
        self._check_repeated()
        for _, t in self.terms:
            t.check(model)
        if not self.fits:
            return
        unread = [name for name in model.predict() if name not in self.datasets]
        if unread:
            raise ValueError(
                f"`{self}`: no term reads what the model predicts of "
                f"{', '.join(map(repr, unread))}: add a fit of it, or take a model without it "
                "(`0 * …` leaves data out on purpose)."
            )
        caution_of_imbalance([(w, t) for _, w, t in self.fits if w > 0], model)

    def _check_repeated(self) -> None:
        """Complain of data that count twice: errors would come out too small."""
        read = [(type(t), t.dataset.name) for _, w, t in self.fits if w > 0]
        for kind, name in read:
            if read.count((kind, name)) > 1:
                raise ValueError(
                    f"`{self}`: {kind.__name__}({name}) stands there {read.count((kind, name))} "
                    f"times: once is enough; `2 * {kind.__name__}({name})` if a weight is meant."
                )

    def formula(self) -> tuple[str, str]:
        """The loss as (plain text, LaTeX)."""
        parts = [(w, *t.formula()) for w, t in self.terms]
        text = " + ".join(t if w == 1 else f"{w:g}·{t}" for w, t, _ in parts)
        return text, " + ".join(t if w == 1 else rf"{w:g}\,{t}" for w, _, t in parts)

    def summary(self, model: Model) -> str:
        """A table: terms with weight and value here, factors with their constraints, data sets."""
        lines = [f"loss = {self.formula()[0]}", "", f"{'weight':>10}  {'value':>12}  term"]
        with torch.no_grad(), model.once():
            for (w, t), state in zip(self.surrogates, self._states(model), strict=True):
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
        text, formula = str(self), self.formula()[0]
        return text if formula.replace("·", " * ") == text else f"{text}\n  = {formula}"

    def _repr_latex_(self) -> str:
        return f"${self.formula()[1]}$"


Term._sum = Loss  # terms are added into one; they cannot know it, as it knows them
