"""Starts read off the data: singular vectors, and what all such starts share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.completion import complete
from fusion.algebra.truncated_svd import truncated_svd
from fusion.engine.objective import Objective
from fusion.forms.weights import Weights
from fusion.language.factor import FactorModule
from fusion.search.initialisation import Init, random_values, start_seed, with_guesses


@dataclass(frozen=True)
class FromData(Init):
    """Maps and spectra read off the data: one start, the same for every seed."""

    def starts(self, objective: Objective, count: int, seed: int) -> Tensor:
        values = random_values(objective, torch.Generator().manual_seed(start_seed(seed, 0)))
        maps: dict[Any, Tensor] = {}
        for _, _, fit in objective.loss.fits:
            data = fit.dataset
            assert data is not None
            spectra = _factor_over(objective, data.channels)
            if spectra is None or spectra[1].shape[1] > min(data.matrix_shape):
                continue
            place, weighted = objective.like, fit.weighted_by_variance
            form = data.form(data.matrix_shape, place.device, place.dtype, variance=weighted)
            X, K = form.whole(), spectra[1].shape[1]
            C, S = _factorise_unmasked(X, form.weights, K, self.factorise)
            owner = _factor_over(objective, data.pixels)
            if owner is not None and owner[1].scale_free:
                C, S = _unit_columns_of(C, S)
            elif spectra[1].scale_free:
                S, C = _unit_columns_of(S, C)
            if data.pixels in maps and maps[data.pixels].shape[1] == C.shape[1]:
                S = torch.linalg.lstsq(maps[data.pixels], X).solution.T.clamp_min(0)
            values[spectra[0]] = S
            if owner is not None and data.pixels not in maps and owner[1].shape == tuple(C.shape):
                maps[data.pixels] = values[owner[0]] = C
        if not maps:
            raise ValueError(
                f"`{self}`: no factor was built from the axes of a data set "
                "as (pixels, K) and (channels, K): "
                "use `Random()`, or give a list of starts."
            )
        values_of_start = {name: value.to(objective.like)[None] for name, value in values.items()}
        return with_guesses(objective, values_of_start)

    @abstractmethod
    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        """(maps (pixel, K), spectra (channel, K)) ≥ 0 of a matrix (pixel, channel)."""


class NNDSVD(FromData):
    """Positive parts of the singular vectors, zeros filled with a little of the mean.

    References:
        Boutsidis & Gallopoulos, Pattern Recognition 41:1350 (2008).
    """

    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        U, s, V = truncated_svd(X, K)
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


def _unit_columns_of(unit: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
    """The first with columns of norm 1, their norms in the second: a constraint would drop them."""
    norms = torch.linalg.vector_norm(unit, dim=0)
    return unit / torch.where(norms > 0, norms, 1), partner * norms


def _factorise_unmasked(
    X: Tensor, weights: Weights, K: int, factorise: Callable[[Tensor, int], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """(maps, spectra) of what is not masked: the rows of pixels and channels left out are means.

    Single entries that are masked are filled by a low-rank fit of the others.
    """
    seen = weights.chunk(slice(None), (X.shape[0], X.shape[1]))
    if seen is None or bool((seen > 0).all()):
        return factorise(X, K)
    seen = (seen > 0).expand(X.shape)
    rows, columns = seen.any(1), seen.any(0)
    if min(int(rows.sum()), int(columns.sum())) < K:
        return factorise(torch.where(seen, X, 0), K)
    part, known = X[rows][:, columns], seen[rows][:, columns]
    maps, spectra = factorise(part if bool(known.all()) else _filled(part, known, K), K)
    return _spread(maps, rows), _spread(spectra, columns)


def _spread(values: Tensor, kept: Tensor) -> Tensor:
    """(n, K) with these rows where they belong, and their mean in all others."""
    full = values.mean(0).repeat(len(kept), 1)
    full[kept] = values
    return full


def _filled(X: Tensor, known: Tensor, K: int) -> Tensor:
    """X ≥ 0 where it is known, and a fit of rank K of the rest."""
    means = torch.where(known, X, 0).sum(0) / known.sum(0)
    guess = torch.where(known, X, means)
    V = truncated_svd(guess, K)[2]
    values, hidden, spectra = (a.cpu().numpy() for a in (guess, ~known, V))
    filled = torch.from_numpy(complete(values, hidden, spectra)[0]).to(X)
    return torch.where(known, X, filled.clamp_min(0))


def _factor_over(objective: Objective, axes: Any) -> tuple[str, FactorModule] | None:
    """The first factor (n, K) built from these axes that is no deviation of any sign."""
    for slot in objective.slots:
        module = slot.module
        if (
            module is not None
            and len(module.shape) == 2
            and module.axes[0] == axes
            and module.raw.shape == module.shape
        ) and not module.signed:
            return slot.name, module
    return None
