"""Where a fit starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion.arrays import as_tensor
from fusion.constraints import Free
from fusion.hessian import Hessian
from fusion.model import FactorModule
from fusion.objective import Objective, Values

DEVIATION = 0.1
"""Size at which a factor of any sign starts, beside others of size 1: away from zero, and small."""


class Init(ABC):
    """A way to start: values for every factor."""

    @abstractmethod
    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        """Flat raw variables (start, n): `count` starts, or fewer where there are no more."""


@dataclass(frozen=True)
class Random(Init):
    """Random values that the constraints allow, scaled to the data.

    Guesses that were assigned are the first start.
    """

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        values = {slot.name: [] for slot in objective.slots}
        for start in range(count):
            generator = torch.Generator().manual_seed(_mix(seed, start))
            for name, value in sample(objective, generator).items():
                values[name].append(value)
        return _with_guesses(
            objective, {name: torch.stack(v).to(objective.like) for name, v in values.items()}
        )


@dataclass(frozen=True)
class Current(Init):
    """The model's own values, as they are: one start."""

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        return objective.current()


@dataclass(frozen=True)
class Given(Init):
    """A list of starts, each {factor: array}, a tensorly CP or Tucker tensor, or a result.

    Factors that a start leaves out are random.
    """

    given: Sequence[Any]

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        if not self.given:
            raise ValueError("`fit(init=[])`: no start is given: give at least one, or `Random()`.")
        values: dict[str, list[Tensor]] = {slot.name: [] for slot in objective.slots}
        for start, entry in enumerate(self.given):
            told = _as_values(objective, entry)
            sampled = sample(objective, torch.Generator().manual_seed(_mix(seed, start)))
            made = {
                name: told.get(name, value).to(objective.like)[None]
                for name, value in sampled.items()
            }
            made = scaled(objective, made, [n for n in _scalable(objective) if n not in told])
            for name, value in made.items():
                values[name].append(value[0])
        return objective.raws({name: torch.stack(v) for name, v in values.items()})


@dataclass(frozen=True)
class FromData(Init):
    """Maps and spectra read off the data: one start, the same for every seed."""

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        values = sample(objective, torch.Generator().manual_seed(_mix(seed, 0)))
        maps: dict[Any, Tensor] = {}
        for _, _, fit in objective.loss.fits:
            data = fit.dataset
            assert data is not None
            spectra = _owner(objective, data.channels)
            if spectra is None or spectra[1].shape[1] > min(data.matrix_shape):
                continue
            form = data.form(data.matrix_shape, objective.like.device, objective.like.dtype)
            X, K = form.whole(), spectra[1].shape[1]
            C, S = _measured(X, form.weights.rows, K, self.factorise)
            if data.pixels in maps and maps[data.pixels].shape[1] == C.shape[1]:
                S = torch.linalg.lstsq(maps[data.pixels], X).solution.T.clamp_min(0)
            values[spectra[0]] = S
            owner = _owner(objective, data.pixels)
            if owner is not None and data.pixels not in maps and owner[1].shape == tuple(C.shape):
                maps[data.pixels] = values[owner[0]] = C
        if not maps:
            raise ValueError(
                f"`{self}`: no factor was built from the axes of a data set "
                "as (pixels, K) and (channels, K): "
                "use `Random()`, or give a list of starts."
            )
        made = {name: value.to(objective.like)[None] for name, value in values.items()}
        return _with_guesses(objective, made)

    @abstractmethod
    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        """(maps (pixel, K), spectra (channel, K)) ≥ 0 of a matrix (pixel, channel)."""


class NNDSVD(FromData):
    """Positive parts of the singular vectors, zeros filled with a little of the mean.

    References:
        Boutsidis & Gallopoulos, Pattern Recognition 41:1350 (2008).
    """

    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        U, s, V = svd(X, K)
        C, S = torch.zeros_like(U), torch.zeros_like(V)
        for k in range(K):  # once a fit: the choice of sign is one of each pair
            best = max(
                (
                    (u, v)
                    for u, v in (
                        (U[:, k].clamp_min(0), V[:, k].clamp_min(0)),
                        ((-U[:, k]).clamp_min(0), (-V[:, k]).clamp_min(0)),
                    )
                ),
                key=lambda pair: float(pair[0].norm() * pair[1].norm()),
            )
            size = best[0].norm() * best[1].norm()
            C[:, k] = (s[k] * size).sqrt() * torch.nn.functional.normalize(best[0], dim=0)
            S[:, k] = (s[k] * size).sqrt() * torch.nn.functional.normalize(best[1], dim=0)
        return C.clamp_min(1e-2 * float(C.mean())), S.clamp_min(1e-2 * float(S.mean()))


def _measured(X: Tensor, weight: Tensor | None, K: int, factorise) -> tuple[Tensor, Tensor]:
    """(maps, spectra) of the pixels that are not masked; the others have the mean of the maps."""
    seen = None if weight is None else weight > 0
    if seen is None or bool(seen.all()) or int(seen.sum()) < K:
        return factorise(X, K)
    part, S = factorise(X[seen], K)
    C = part.mean(0).repeat(len(X), 1)
    C[seen] = part
    return C, S


def svd(X: Tensor, K: int) -> tuple[Tensor, Tensor, Tensor]:
    """Leading singular triplets (U, s, V) from the Gram matrix of the shorter side."""
    if X.shape[0] < X.shape[1]:
        V, s, U = svd(X.T, K)
        return U, s, V
    values, vectors = torch.linalg.eigh(X.T @ X)
    V = vectors[:, -K:].flip(1)
    s = values[-K:].flip(0).clamp_min(torch.finfo(X.dtype).tiny).sqrt()
    return X @ V / s, s, V


def _owner(objective: Objective, axes: Any) -> tuple[str, FactorModule] | None:
    """The first factor (n, K) built from these axes that is no deviation of any sign."""
    for slot in objective.slots:
        module = slot.module
        if (
            module is not None
            and len(module.shape) == 2
            and module.axes[0] == axes
            and module.raw.shape == module.shape
        ) and not any(isinstance(c, Free) for c in module.chain):
            return slot.name, module
    return None


def sample(objective: Objective, generator: torch.Generator) -> dict[str, Tensor]:
    """One random value a variable, float64 on the CPU; columns of norm 1, deviations smaller."""
    values = {}
    for slot in objective.slots:
        if slot.module is None:
            values[slot.name] = objective.split(objective.current())[slot.name][0]
            continue
        value = slot.module.sample(generator)
        if not slot.module.scale_free and slot.module.known is None:
            norm = torch.linalg.vector_norm(value, dim=0 if value.ndim == 2 else None)
            value = value / norm.clamp_min(torch.finfo(value.dtype).tiny)
        if any(isinstance(c, Free) for c in slot.module.chain):
            value = DEVIATION * value
        values[slot.name] = value
    return values


def _scalable(objective: Objective) -> list[str]:
    """Factors that may be multiplied by a number: no constraint on their scale, nothing known."""
    return [
        s.name
        for s in objective.slots
        if s.module is not None and not s.module.scale_free and s.module.known is None
    ]


def _with_guesses(objective: Objective, values: Values) -> Tensor:
    """Flat starts of these values, scaled to the data; the first with the guesses assigned."""
    rest = scaled(objective, values, _scalable(objective))
    guessed = [s.name for s in objective.slots if s.module is not None and s.module.assigned]
    if guessed:
        own = objective.values(objective.current())
        first = {
            name: own[name] if name in guessed else value[:1] for name, value in values.items()
        }
        first = scaled(
            objective, first, [name for name in _scalable(objective) if name not in guessed]
        )
        rest = {name: torch.cat([first[name].detach(), value[1:]]) for name, value in rest.items()}
    return objective.raws(rest)


def scaled(objective: Objective, values: Values, names: Sequence[str], rounds: int = 40) -> Values:
    """The values, each named factor times the number that brings M nearest to the data.

    Damped Newton steps in one number a factor, on Σ over data sets of ½‖X − M‖² / ‖X‖².
    """
    if not names or not objective.loss.fits:
        return values
    values = _facing(objective, values, names)
    scale = {name: objective.like.new_ones(values[name].shape[0]) for name in names}
    for _ in range(rounds):
        with torch.enable_grad():
            leaves = {name: s.detach().requires_grad_() for name, s in scale.items()}
            grown = {n: v * _like(leaves[n], v) if n in leaves else v for n, v in values.items()}
            distance, curvature = objective.likeness(grown)
            size, met = _sizes(objective, distance, curvature)
            made = torch.autograd.grad(
                distance.sum(), list(leaves.values()), retain_graph=True, allow_unused=True
            )
            hessian = Hessian(curvature, leaves)
        g = torch.stack(
            [
                torch.zeros_like(s) if x is None else x
                for x, s in zip(made, leaves.values(), strict=True)
            ],
            -1,
        )
        columns = [
            torch.stack(list(hessian({n: torch.ones_like(leaves[n])}).values()), -1) for n in names
        ]
        s = torch.stack([scale[n] for n in names], -1)
        # by relative change: unknowns of one size
        H = torch.stack(columns, -1) * s[:, :, None] * s[:, None, :]
        ridge = 1e-6 * H.diagonal(dim1=-2, dim2=-1).amax(-1) + torch.finfo(s.dtype).tiny
        step = -torch.linalg.solve(H + torch.diag_embed(ridge[:, None].expand_as(s)), g * s)
        factor = (1 + step).clamp(0.1, 1e3)
        alike = size.clamp_min(torch.finfo(size.dtype).tiny) ** (-0.5 / len(names))
        factor = torch.where(met[:, None] > 0, factor, alike.clamp(0.1, 1e3)[:, None].to(factor))
        scale = {n: s[:, i] * factor[:, i] for i, n in enumerate(names)}
        if bool((factor - 1).abs().max() < 0.01):
            break
    return {n: (v * _like(scale[n], v)).detach() if n in scale else v for n, v in values.items()}


def _sizes(objective: Objective, distance: Tensor, curvature: Tensor) -> tuple[Tensor, Tensor]:
    """(⟨M, M⟩, ⟨X, M⟩) over ‖X‖², (start,); both 1 under general weights: not at hand."""
    half = -curvature.detach()  # ½⟨M, M⟩
    met = 0.5 * len(objective.loss.fits) + half - distance.detach()
    known = half > 0
    return torch.where(known, 2 * half, 1), torch.where(known, met, 1)


def _facing(objective: Objective, values: Values, names: Sequence[str]) -> Values:
    """The values, one factor of any sign turned round where M points away from the data."""
    free = [n for n in names if all(isinstance(c, Free) for c in objective.model.factor(n).chain)]
    if not free:
        return values
    with torch.no_grad():
        _, met = _sizes(objective, *objective.likeness(values))
    sign = torch.where(met < 0, -1.0, 1.0).to(values[free[0]])
    return values | {free[0]: values[free[0]] * _like(sign, values[free[0]])}


def _like(s: Tensor, v: Tensor) -> Tensor:
    """(start,) made to multiply (start, …)."""
    return s.reshape(-1, *(1,) * (v.ndim - 1))


def _mix(seed: int, start: int) -> int:
    """One seed a start: start i is the same however many there are."""
    return (int(seed) * 1_000_003 + start) % 2**63


def _as_values(objective: Objective, entry: Any) -> dict[str, Tensor]:
    """{factor: value} of one entry of a list of starts."""
    factors = getattr(entry, "factors", entry)
    if not isinstance(factors, Mapping):
        names = [s.name for s in objective.slots]
        core, weights = getattr(entry, "core", None), getattr(entry, "weights", None)
        parts = [as_tensor(f) for f in factors]
        if core is not None:
            parts = [as_tensor(core), *parts]
        elif weights is not None:
            parts[0] = parts[0] * as_tensor(weights)
        if len(parts) != len(names):
            raise ValueError(
                f"`init`: a tensor of {len(parts)} parts for a model "
                f"with the factors {', '.join(names)}: give a dict."
            )
        factors = dict(zip(names, parts, strict=True))
        if core is None:
            factors = _balanced(objective, factors)
    known, told = {s.name: s for s in objective.slots}, {}
    for name, value in factors.items():
        if name not in known:
            raise ValueError(
                f"`init`: the model has no factor {name!r}; it has {', '.join(known)}."
            )
        module = known[name].module
        want = known[name].shape if module is None else module.shape
        value = told[name] = as_tensor(value).to(torch.float64)
        if tuple(value.shape) != want:
            raise ValueError(
                f"`init`: {name!r} of shape {tuple(value.shape)} for a factor of shape {want}."
            )
        if (count := int((~torch.isfinite(value)).sum())) > 0:
            raise ValueError(
                f"`init`: {name!r} holds {count} NaN or infinite values of {value.numel()}."
            )
    return told


def _balanced(objective: Objective, factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A CP tensor's factors, the norms of unit columns moved into the first that may hold them."""
    units = [s.name for s in objective.slots if s.module is not None and s.module.scale_free]
    amount = next((name for name in factors if name not in units), None)
    if amount is None:
        return factors
    for name in units:
        norm = torch.linalg.vector_norm(factors[name], dim=0)
        factors[amount] = factors[amount] * norm
    return factors
