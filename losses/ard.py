"""Components that are not needed switch off."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.factor import FactorModule
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.prior import Move, Prior
from fusion.language.surrogate import FitInformation
from fusion.language.term import State
from fusion.losses.amount_prior import Amounts, Exponential

PAIRS = 4
"""How many of the most similar pairs are tried as merges at a time."""
FEW = 4
"""Components up to which no more than two are merged at a time."""
LEAST = 0.1
"""Amount, as a share of the mean at the start, below which the largest component is let alone."""
GROWTH, STEPS = 1.2, 30
"""Amounts that are tried for one that shared the data with others: up to 200 times what it had."""


class ARD(FactorTerm, Prior):
    """Switch off surplus components: (n + a + 1) Σ_k log(b + Σ_i C_ik).

    A prior on column k of C with scale λ_k ~ InvGamma(a, b), taken at its best value
    λ_k = (b + Σ_i C_ik) / (n + a + 1) at every outer step and held within it; n and the sums are of
    rows that are not masked. Review, figs 4 and 5.
    With `HalfNormal()` Σ_i C_ik is ½ Σ_i C_ik² and n is n/2. The noise must be known: a variance,
    or `Gaussian`, which learns it, or `Poisson`. Where the descent has ended, merges of similar
    components and removals of weak ones are tried and kept if the marginal objective falls.
    One component stays: to shrink the largest below a tenth of the mean amount at the start, or of
    what it has when others are left out, saves nothing, so where noise is all there is, it is left
    free and the result says so.
    What is off is left out, and the others go down to their own minimum.
    `result.history["λ of ARD('C')"]` has the scales at every step, (step, K).

    The prior takes from the amounts, too: of counts, n + a + 1 from every component (n + 2a + 2
    under `HalfNormal`), one for every pixel, which is much where there are few. For amounts without
    that fit once more without `ARD`, with `init=result` and K that were left.

    Args:
        factor: name of a non-negative factor, shape (n, K), that holds the amount.
        a: shape of the prior, > 0, no unit.
        b: scale of the prior, > 0, in the unit of λ; None: a small share of the mean size of a
            column at the start.
        prior: `Exponential()` for sparse maps, `HalfNormal()` for few components that fill theirs.

    Raises:
        ValueError: if a or b is not positive; by `check`, if the factor can be negative or has unit
            columns.

    References:
        Tan & Févotte, TPAMI 35:1592 (2013); Shiga et al., Ultramicroscopy 170:43 (2016).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> loss = fu.losses.Gaussian(data) + fu.losses.ARD("C")
        >>> fu.fit(fu.models.NMF(data, K=6), loss, starts=3, progress=False).n_components
        3
    """

    falls_with_scale = True

    quadratic = True

    warm_up = 12

    @checked_call
    def __init__(
        self,
        factor: str,
        *,
        a: float = 1.0,
        b: float | None = None,
        prior: Amounts = Exponential(),  # noqa: B008 (frozen)
    ) -> None:
        if not isinstance(factor, str):
            raise ValueError("`ARD`: give a factor's name: whole components are switched off.")
        super().__init__(factor)
        if not a > 0 or (b is not None and not b > 0):
            raise ValueError(f"`ARD({factor!r}, a={a}, b={b})`: a and b must be > 0.")
        if not isinstance(prior, Amounts):
            raise ValueError(
                f"`ARD({factor!r}, prior={prior!r})`: give `Exponential()` or `HalfNormal()`."
            )
        self.a, self.b, self.prior = float(a), b, prior

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        C = self._seen(model).detach()
        sizes, sums = self.prior.size(C), C.sum(0, dtype=torch.float64)
        if state:
            b, amount, before = state["b"], state["amount"], (state["last"] > 0).any()
        else:
            begun, amount = sizes.mean(), sums.mean()
            b = self.prior.floor * begun if self.b is None else torch.full_like(begun, self.b)
            before = torch.zeros_like(begun, dtype=torch.bool)
        largest = torch.arange(len(sizes), device=sizes.device) == sizes.argmax()
        last = (largest & (before | (sums.amax() < LEAST * amount))).to(sizes)
        # let alone at the cost it has then
        least = torch.where(before, state.get("least", b), sizes.amax())
        scales = (sizes + b) / self._count(model)
        return {"b": b, "amount": amount, "least": least, "scales": scales, "last": last}

    def learned(self, state: State) -> Mapping[str, Tensor]:
        return {"λ": state["scales"]}

    def value(self, model: Model, state: State) -> Tensor:
        scales, last, b = state["scales"], state["last"], state["b"]
        sizes = self.prior.size(self._seen(model))
        count = self._count(model)
        # count·ln(1 + sizes/b) at the best λ
        costs = (sizes + b) / scales + count * ((count * scales / b).log() - 1)
        least = count * (state["least"] / b).log1p()
        return torch.where(last > 0, least, costs).sum()

    def curvature(self, model: Model, state: State) -> Tensor | None:
        return self.value(model, state) if self.prior.power > 1 else None  # the scales held

    def _count(self, model: Model) -> float:
        seen = model.factor(self.factor or "").seen
        n = self.of(model).shape[0] if seen is None else int(seen.sum())
        return self.prior.count(n) + self.a + 1

    def _seen(self, model: Model) -> Tensor:
        """The factor without what no data set shows, which is no amount of anything."""
        C, seen = self.of(model), model.factor(self.factor or "").seen
        return C if seen is None else C * seen.to(C)[:, None]

    def moves(self, model: Model) -> Sequence[Move]:
        C = self._seen(model)
        K, sums, sizes = C.shape[1], C.sum(0), self.prior.size(C)
        b = self.prior.floor * float(sizes.max()) if self.b is None else self.b
        alive = [k for k in range(K) if float(sizes[k]) > self.prior.empty * b]
        if len(alive) < 2:
            return ()
        module = model.factor(self.factor or "")
        rank = {name: m for name, m in model.factor_modules().items() if m.shape[1:] == (K,)}
        maps = [
            name
            for name, m in rank.items()
            if m.axes[0] == module.axes[0] and m.shape == module.shape
        ]
        partners = [name for name in rank if name not in maps]
        alike = torch.ones(K, K, dtype=C.dtype, device=C.device)
        for name in partners or maps:
            U = torch.nn.functional.normalize(rank[name]().to(C.dtype), dim=0)
            alike = alike * (U.T @ U)
        pairs = sorted(combinations(alive, 2), key=lambda p: -float(alike[p]))[:PAIRS]
        merges = [self._merge(rank, maps, i, [j], sums) for i, j in pairs]
        if len(alive) > FEW:
            merges.append(self._merge_half(rank, maps, alive, alike, sums))
        weakest = min(alive, key=lambda k: float(sums[k]))
        return (
            *merges,
            Move(
                f"component {weakest + 1} removed",
                {m: _with_zero_column(rank[m](), weakest) for m in maps},
            ),
        )

    @classmethod
    def _merge_half(
        cls,
        rank: Mapping[str, FactorModule],
        maps: Sequence[str],
        alive: Sequence[int],
        alike: Tensor,
        sums: Tensor,
    ) -> Move:
        """Each component of the weaker half into that of the stronger half which it is most like.

        Where far too many were asked for, one at a time takes long.
        """
        order = sorted(alive, key=lambda k: -float(sums[k]))
        kept, gone = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]
        into = {j: max(kept, key=lambda i, j=j: float(alike[i, j])) for j in gone}
        values: dict[str, Tensor] = {}
        for i in kept:
            members = [j for j in gone if into[j] == i]
            if members:
                values |= cls._merge(rank, maps, i, members, sums, values).values
        return Move(
            f"components {', '.join(str(k + 1) for k in sorted(gone))} merged into others", values
        )

    @staticmethod
    def _merge(
        rank: Mapping[str, FactorModule],
        maps: Sequence[str],
        i: int,
        others: Sequence[int],
        sums: Tensor,
        before: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Move:
        """Other components into i: amounts added, the other factors averaged by amount."""
        together = [i, *others]
        share = sums[together] / sums[together].sum()
        values = {}
        for name, module in rank.items():
            value = before[name].clone() if name in before else module().clone()
            columns = value[:, together]
            if name in maps:
                value[:, i] = columns.sum(1)
                value[:, others] = 0
            else:
                value[:, i] = columns @ share.to(columns)
            values[name] = value
        text = ", ".join(str(k + 1) for k in others)
        return Move(f"component{'s' * (len(others) > 1)} {text} merged into {i + 1}", values)

    def off(self, model: Model, state: State) -> Tensor:
        sizes = self.prior.size(self._seen(model))
        off = sizes <= self.prior.empty * state["b"]
        off[sizes.argmax()] = False
        return off

    def left(
        self, model: Model, state: State, kept: Sequence[int], fit: Callable[..., float]
    ) -> State:
        kept = list(kept)
        scales, last = state["scales"][kept], state["last"][kept]
        amount = state["amount"] * len(state["scales"]) / len(kept)
        C = self._seen(model).detach()
        sums, flagged = C.sum(0, dtype=torch.float64), bool((last > 0).any())
        if flagged or float(sums.amax()) < LEAST * float(amount):
            # as one of many that share the data it may have seemed noise: is it, now?
            alone = last > 0 if flagged else sums == sums.amax()
            size, held = self.prior.size(C)[alone].sum(), C * ~alone
            costs = self._count(model) * float((size / state["b"]).log1p())
            if fit(**{str(self.factor): held}) - fit() > costs:
                last = torch.zeros_like(last)
                amount = self._threshold(model, alone, amount, state["b"], fit)
        return {**state, "amount": amount, "scales": scales, "last": last}

    def _threshold(
        self, model: Model, alone: Tensor, amount: Tensor, b: Tensor, fit: Callable[..., float]
    ) -> Tensor:
        """The amount of which a component has to keep a tenth: less for one on its way up.

        The prior had left it little among many. Where loss and prior end as it grows, the others
        held, tells whether it will be more than noise.
        """
        C, count = self._seen(model).detach(), self._count(model)
        own = C.sum(0, dtype=torch.float64)[alone].sum()

        def value(times: float) -> float:
            scaled = torch.where(alone, times * C, C)
            cost = count * float((self.prior.size(scaled)[alone].sum() / b).log1p())
            return fit(**{str(self.factor): scaled}) + cost

        if float(own) >= LEAST * float(amount):
            return amount
        grown = float(own) * min((GROWTH**i for i in range(STEPS)), key=value)
        return own.to(amount) if grown >= LEAST * float(amount) else amount

    def remarks(self, state: State) -> Sequence[str]:
        if not bool((state["last"] > 0).any()):
            return ()
        return (
            f"{self}: the data support no component beyond their noise; the one that is left is "
            "what fits best, and was kept from being switched off: look at `fu.rank`",
        )

    def check(self, model: Model) -> None:
        super().check(model)
        module = model.factor(self.factor or "")
        if module.scale_free:
            raise ValueError(
                f"`{self}`: the columns of {self.factor!r} have unit norm, "
                "so its sums say nothing of the amount: "
                "put `UnitColumns` on the other factors."
            )
        if bool((module.sample(torch.Generator().manual_seed(0)) < 0).any()):
            raise ValueError(
                f"`{self}`: {self.factor!r} can be negative: "
                "`ARD` is a prior on amounts, use `NonNegative`."
            )

    def formula(self) -> tuple[str, str]:
        n, size, n_, size_ = self.prior.formula(self.symbol)
        return (
            f"({n} + a + 1) Σₖ ln(b + {size})",
            rf"({n_} + a + 1)\sum_k \ln\left(b + {size_}\right)",
        )


def _with_zero_column(value: Tensor, k: int) -> Tensor:
    """A copy with column k zero."""
    value = value.clone()
    value[:, k] = 0
    return value
