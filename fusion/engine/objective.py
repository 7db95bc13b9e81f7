"""What solvers see of a model: a loss over a batch of starts, each a flat vector of raw variables.

raw θ (start, n)  →  values {factor: (start, …)}  →  predictions  →  terms  →  (start,)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fusion.algebra.arrays import defined_beside
from fusion.engine.batching import over_starts
from fusion.engine.column_maps import ColumnMaps
from fusion.engine.variables import States, Values, Variables
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import FitInformation
from fusion.language.term import State


class _Holder(nn.Module):
    """Evaluates a term for one start at given factor values: a module for `functional_call`."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, values: Values, function: Callable[[Model], Tensor]) -> Tensor:
        with self.model.once(values):
            return function(self.model)


class Objective(Variables):
    """A model and a loss as functions of many starts at once.

    Args:
        model: its factors and plain parameters are the unknowns; never changed.
        loss: what is minimised.
    """

    def __init__(self, model: Model, loss: Loss) -> None:
        super().__init__(model)
        self.loss, self._holder = loss, _Holder(model)
        self.maps = ColumnMaps()
        """How factors enter the tensors of predictions, found once."""
        self.gauges: dict[str, Any] | None = None
        """Where norms of unit columns go, once `fusion.solvers.gauge` has found it."""
        self._batched_values = self._with("batched_value", "value")
        self._batched_refreshes = self._with("batched_refresh", "refresh")

    def _with(self, helper: str, main: str) -> set[int]:
        """Positions of the terms that say a member for all starts at once beside that for one.

        And beside `of`, which says what a term is of.
        """
        terms = enumerate(self.loss.surrogates)
        return {
            i
            for i, (_, t) in terms
            if all(defined_beside(type(t), helper, known) for known in (main, "of"))
        }

    # ---- terms -----------------------------------------------------------------------------------

    def _map(self, function: Callable[[Model, States], Any], values: Values, states: States) -> Any:
        """function(model, states) for every start, (start, …)."""

        def one(values: Values, states: States) -> Tensor:
            inner = {name: value for name, value in values.items() if name not in self.extras}
            call = lambda model: function(model, states)  # noqa: E731
            if not self.extras:
                return self._holder(inner, call)
            return functional_call(
                self._holder, {f"model.{name}": values[name] for name in self.extras}, (inner, call)
            )

        return over_starts(one, values, states)

    def fits(self, values: Values, states: States) -> Tensor:
        """Weighted terms that read data, (start, term), float64."""
        return self.each([(i, w, t.value) for i, w, t in self.loss.fits], values, states)

    def penalties(self, values: Values, states: States) -> Tensor:
        """Weighted terms that do not, (start, term), float64."""
        made, rest = {}, []
        for i, weight, term in self.loss.penalties:
            known = i in self._batched_values
            value = term.batched_value(self.model, values, states[i]) if known else None
            if value is None:
                rest.append((i, weight, term.value))
            else:
                made[i] = (weight * value).to(torch.float64)
        if not made:
            return self.each(rest, values, states)
        if rest:
            columns = self.each(rest, values, states).unbind(1)
            made |= {i: column for (i, *_), column in zip(rest, columns, strict=True)}
        return torch.stack([made[i] for i, *_ in self.loss.penalties], 1)

    def fit_curvature(self, values: Values, states: States) -> Tensor:
        """Scalars, (start, term), whose Hessians here add up to the fits' Gauss–Newton matrix."""
        return self.fit_curvature_of(range(len(self.loss.terms)), values, states)

    def fit_curvature_of(self, which: Sequence[int], values: Values, states: States) -> Tensor:
        """The same of some of the fits, by their positions in the loss."""
        chosen = [(i, w, t.curvature) for i, w, t in self.loss.fits if i in which]
        return self.each(chosen, values, states)

    def closed(self, values: Values) -> tuple[list[Tensor], list[tuple[int, Any, Any, list]]]:
        """The tensors in which the fits' curvature has a closed form, and where they belong.

        Returns:
            Tensors (start, …), and for each fit that has some (position in the loss, form, metric,
            for each of its tensors the factor that it is, or None).
        """
        places: list[tuple[int, Any, Any, list]] = []

        def each(model: Model, _: States) -> tuple[Tensor, ...]:
            places.clear()
            known = {id(module()): name for name, module in model.factor_modules().items()}
            tensors: list[Tensor] = []
            for i, _weight, term in self.loss.fits:
                parts = term.closed(model)
                if parts is not None:
                    form, metric, parts_of_fit = parts
                    places.append((i, form, metric, [known.get(id(x)) for x in parts_of_fit]))
                    tensors += parts_of_fit
            return tuple(tensors)

        return list(self._map(each, values, self.no_states())), places

    def learn(self, values: Values) -> tuple[list[Tensor], list[tuple[int, Any, Any, list]], list]:
        """How factors enter the predictions here; noted in `maps`.

        Returns:
            What `closed` returns, with a graph from the values, and the factors in every tensor.
        """
        with torch.enable_grad():
            leaves = {
                n: v if v.is_leaf and v.requires_grad else v.detach().requires_grad_()
                for n, v in values.items()
            }
            tensors, places = self.closed(leaves)
            names = [name for *_, names in places for name in names]
            entering = self.maps.entering(tensors, names, leaves)
        self.maps.asked, self.maps.places = True, list(places)
        if len(places) < len(self.loss.fits):  # some fit is not of these tensors
            self.maps.replayed = None
        return tensors, self.maps.places, entering

    def penalty_curvature(self, values: Values, states: States) -> Tensor:
        """The same for the penalties."""
        return self.each([(i, w, t.curvature) for i, w, t in self.loss.penalties], values, states)

    def likeness(self, values: Values) -> tuple[Tensor, Tensor, Tensor]:
        """Sums of `Fit.likeness` over the fits: distance, its curvature, ½⟨M, M⟩; (start,) each."""

        def each(model: Model, _: States) -> Tensor:
            triples = [torch.stack(t.likeness(model)) for _, _, t in self.loss.fits]
            return torch.stack(triples).sum(0)

        sums = self._map(each, values, self.no_states())
        return sums[:, 0], sums[:, 1], sums[:, 2]

    def products(self, values: Values) -> Tensor:
        """Σ over the fits of ½⟨M, M⟩ − ⟨M, M₀⟩ over ‖X‖², M₀ = M here, (start,)."""

        def each(model: Model, _: States) -> Tensor:
            return torch.stack([t.products_over_size(model) for _, _, t in self.loss.fits]).sum()

        return self._map(each, values, self.no_states())

    def each(
        self, parts: Sequence[tuple[int, float, Callable]], values: Values, states: States
    ) -> Tensor:
        """Weighted functions of model and state, (start, function), float64."""
        first = next(iter(values.values()))
        if not parts:
            return first.new_zeros((first.shape[0], 0), dtype=torch.float64)
        nothing = first.new_zeros((), dtype=torch.float64)

        def each(model: Model, states: States) -> Tensor:
            weighted = [(w, function(model, states[i])) for i, w, function in parts]
            return torch.stack(
                [
                    nothing if value is None else (w * value).to(torch.float64)
                    for w, value in weighted
                ]
            )

        return self._map(each, values, states)

    @property
    def order(self) -> list[int]:
        """Positions in the loss of the columns that fits and penalties make, in this order."""
        return [i for i, _, _ in self.loss.fits] + [i for i, _, _ in self.loss.penalties]

    @property
    def fixed(self) -> list[bool]:
        """For every column whether the term is one fixed objective, in `order`."""
        return [self.loss.surrogates[i][1].potential for i in self.order]

    # ---- lagged pieces ---------------------------------------------------------------------------

    @property
    def lagged(self) -> bool:
        """Whether any term has pieces to refresh."""
        return any(t.lagged for _, t in self.loss.surrogates)

    def no_states(self) -> States:
        """States before the first step."""
        return [{} for _ in self.loss.terms]

    def refresh_fits(self, values: Values, states: States) -> States:
        """States with those of the fits taken anew."""
        return self._refresh([(i, t) for i, _, t in self.loss.fits], values, states, {})

    def refresh_penalties(
        self, values: Values, states: States, fits: Mapping[str, FitInformation]
    ) -> States:
        """States with those of the penalties taken anew, given what the fits say."""
        return self._refresh([(i, t) for i, _, t in self.loss.penalties], values, states, fits)

    def learned(self, states: States) -> dict[str, Tensor]:
        """What the terms learn, as they call it, (start, …)."""
        pairs = zip(self.loss.surrogates, states, strict=True)
        told = ((term, term.learned(state)) for (_, term), state in pairs if state)
        return {f"{name} of {term}": v for term, found in told for name, v in found.items()}

    def _refresh(self, terms: Sequence, values: Values, states: States, fits: Mapping) -> States:
        states = list(states)
        told = {name: (info.gradient, info.curvature) for name, info in fits.items()}
        with torch.no_grad():
            for i, term in terms:
                if term.lagged:
                    made = None
                    if i in self._batched_refreshes:
                        made = term.batched_refresh(self.model, values, states[i], fits)
                    if made is None:
                        made = self.refreshed(term, values, states[i], told)
                    states[i] = made
        return states

    def refreshed(self, term: Any, values: Values, state: State, told: Mapping) -> State:
        """The state of one term taken anew start by start, given what the fits say."""

        def one(values: Values, state: State, told: Mapping) -> State:
            fits = {name: FitInformation(*pair) for name, pair in told.items()}
            with self.model.once(values):
                return dict(term.refresh(self.model, state, fits))

        inner = {name: value for name, value in values.items() if name not in self.extras}
        return over_starts(one, inner, dict(state), dict(told))

    @property
    def wanted(self) -> list[str]:
        """Factors of which some term wants to know what the fits say."""
        return sorted({name for _, t in self.loss.surrogates for name in t.needs()})
