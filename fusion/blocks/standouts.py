"""Pixels that stand out of what is known so far, and a component of their own.

A phase of a few pixels among millions is in no sample, and adds less to the likelihood of all data
than a spectrum that follows their noise. It shows in its own pixels: their residuals are larger
than noise and alike. Where a component of the sample is no more than noise, the spectrum that these
pixels share takes its place, and is taken from them from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.batched_nnls import nnls
from fusion.engine.objective import Objective
from fusion.engine.variables import Values
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.likelihood.entry_losses import SQUARE

SCORE = 6.0
"""Robust standard deviations by which a pixel's residual is larger than others of its block."""
MOST, MOST_OF_ALL = 32, 256
"""Pixels that are picked of a block, and of all."""
DAMPED = 1.0
"""Counts that are added to a mean where residuals are weighed by it."""
EDGE = 1.1
"""Of the largest eigenvalue of noise, up to which nothing is seen."""
ALIKE, SWEEPS = 3.0, 30
"""Noise of a map above which a pixel has a part in a spectrum; rounds to find it."""


@dataclass(frozen=True)
class Picked:
    """Pixels of a block that stand out.

    Attributes:
        rows: their numbers in the block; scores: by how much.
        crowded: whether there are more of them than are picked.
    """

    rows: Tensor
    scores: Tensor
    crowded: bool = False


def scores(objective: Objective, values: Values) -> Tensor:
    """Σ w (x − m)² of every pixel, robustly standardised, (pixel,)."""
    total: Tensor | None = None
    with torch.no_grad(), objective.model.once({n: v[0] for n, v in values.items()}):
        for _, weight, fit in objective.loss.fits:
            squares = weight * _row_squares(fit, objective)
            total = squares if total is None else total + squares
    assert total is not None
    middle = total.median()
    spread = 1.4826 * (total - middle).abs().median()
    return (total - middle) / spread.clamp_min(torch.finfo(total.dtype).tiny ** 0.5)


def _row_squares(fit: Fit, objective: Objective) -> Tensor:
    form, M = fit.pair(objective.model)
    damped = None if fit.entrywise is SQUARE else DAMPED
    squares = form.residual_squares(*M.two_way(), damped)
    pixels = objective.model.predict()[fit.dataset.name].shape
    return squares if len(pixels) == 2 else squares.unflatten(0, pixels[:-1]).sum(0)


def picked(objective: Objective, values: Values) -> Picked:
    """The pixels of a block that stand out."""
    return foremost(scores(objective, values))


def foremost(score: Tensor, most: int = MOST) -> Picked:
    """So many at most of the pixels that stand out, by the scores of all."""
    order = torch.argsort(score, descending=True)[: most + 1]
    order = order[score[order] > SCORE]
    kept = order[:most].sort().values
    return Picked(kept, score[kept], crowded=len(order) > most)


@dataclass
class Standouts:
    """Pixels that stand out, and the component that is theirs.

    Attributes:
        sides: of these pixels, see `sides_of`.
        scores: by how much they stand out.
        column: the component.
        rows: their numbers in the scan.
    """

    sides: Sequence[tuple[str, str, Tensor, Tensor]]
    scores: Tensor
    column: int
    rows: Tensor

    @property
    def names(self) -> set[str]:
        """The factors of spectra."""
        return {name for _, name, *_ in self.sides}

    def column_of(self, shared: Mapping[str, Tensor], model: Model) -> dict[str, Tensor]:
        """The factors of spectra with the column that these pixels have, of its norm."""
        found = self.spectrum(shared)
        units = [n for n in found if model.factor(n).scale_free]
        norm = torch.linalg.vector_norm(found[units[0]]).clamp_min(1e-300) if units else 1.0
        made = {}
        for name, column in found.items():
            made[name] = shared[name].clone()
            made[name][:, self.column] = column / norm
        return made

    def spectrum(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The column of every spectra factor as these pixels have it, given the other columns.

        Non-negative, of unit norm over all data sets together, each weighed by its noise.
        """
        X, rest, parts = self._whitened(shared)
        E = X - _amounts(X, rest) @ rest.T
        v = E[self.scores.argmax()].clamp_min(0)
        for _ in range(SWEEPS):
            v = v / torch.linalg.vector_norm(v).clamp_min(1e-300)
            c = _amounts(X, torch.cat([rest, v[:, None]], 1))
            a = torch.where(c[:, -1] > ALIKE, c[:, -1], 0)
            if not bool(a.any()):
                break
            v = (a @ (X - c[:, :-1] @ rest.T)).clamp_min(0)
        v = v / torch.linalg.vector_norm(v).clamp_min(1e-300)
        return {
            name: (part / scale.clamp_min(1e-300)).to(shared[name])
            for (name, scale), part in zip(parts, _split(v, parts), strict=True)
        }

    def _whitened(
        self, shared: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, list[tuple[str, Tensor]]]:
        """Pixels and spectra of the others in units of noise, the channels of all side by side."""
        blocks, spectra, parts = [], [], []
        for _, name, x, scale in self.sides:
            blocks.append(x * scale)
            spectra.append(shared[name].to(x) * scale[:, None])
            parts.append((name, scale))
        S = torch.cat(spectra)
        return torch.cat(blocks, 1), S[:, torch.arange(S.shape[1]) != self.column], parts


def _amounts(X: Tensor, S: Tensor) -> Tensor:
    """Of the spectra in every pixel, ≥ 0."""
    G = S.T @ S
    return nnls(G + torch.diag(1e-12 * G.diagonal().clamp_min(1e-300)), X @ S)[0]


def _split(v: Tensor, parts: Sequence[tuple[str, Tensor]]) -> Sequence[Tensor]:
    return torch.split(v, [len(scale) for _, scale in parts])


def sides_of(
    objective: Objective, values: Values, means: Mapping[str, Tensor], damped: float = DAMPED
) -> list[tuple[str, str, Tensor, Tensor]] | None:
    """(maps, spectra, values, 1 / noise of every channel) of every fit; None where none are plain.

    Args:
        objective: of some pixels.
        values: of all factors there.
        means: of every channel, by data set, for counts; damped: counts that are added to them.
    """
    with torch.no_grad():
        _, places = objective.closed(values)
    if len(places) < len(objective.loss.fits):
        return None
    made = []
    for i, form, _, sides in places:
        weight, fit = objective.loss.surrogates[i]
        if len(sides) != 2 or None in sides or form.weights.full is not None:
            return None
        w = float(weight)
        scale = torch.full((form.shape[1],), w, dtype=torch.float64, device=form.device)
        if fit.entrywise is not SQUARE:  # type: ignore[attr-defined]
            expected = means[fit.dataset.name].to(scale).clamp_min(0) + damped  # type: ignore[attr-defined]
            scale = torch.where(expected > 0, scale / expected.clamp_min(1e-300), 0)
        if form.weights.cols is not None:
            scale = scale * form.weights.cols.double()
        made.append((sides[0], sides[1], form.whole().double(), scale.sqrt()))
    return made if len({left for left, *_ in made}) == 1 else None


def surplus(
    sides: Sequence[tuple[str, str, Tensor, Tensor]],
    values: Mapping[str, Tensor],
    uneven: float = 1.0,
) -> int | None:
    """The component that the sample needs least, where it has more than stand out of its noise.

    So many stand out as singular values are larger than those of noise, √pixels + √channels. Least
    needed is that of the least part beside all others: its spectrum beside theirs, times its map.
    `uneven`: mean square of the variances of pixels, whose mean is 1; with it the edge rises.
    """
    scales = torch.cat([scale for *_, scale in sides])
    S = torch.cat([values[name].to(scale) * scale[:, None] for _, name, _, scale in sides])
    n, m = len(sides[0][2]), len(scales)
    gram = torch.cat([torch.cat([x.T @ y for _, _, y, _ in sides], 1) for _, _, x, _ in sides])
    edge = EDGE * (n**0.5 + (uneven * m) ** 0.5) ** 2
    seen = int((torch.linalg.eigvalsh(scales[:, None] * gram * scales) > edge).sum())
    if not 0 < seen < S.shape[1]:
        return None
    sizes, C = [], values[sides[0][0]].to(S)
    for k in range(S.shape[1]):
        rest, _ = torch.linalg.qr(torch.cat([S[:, :k], S[:, k + 1 :]], 1))
        beside = S[:, k] - rest @ (rest.T @ S[:, k])
        sizes.append(float(C[:, k].square().sum() * beside.square().sum()))
    return min(range(len(sizes)), key=sizes.__getitem__)
