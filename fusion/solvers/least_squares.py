"""What `ALS`, `MALS` and `HALS` share: the quadratic that a least-squares loss is in one factor."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, States, Values
from fusion.solvers.alternating import Alternating, allowed


class LeastSquares(Alternating):
    """One factor after the other by its own quadratic gᵀδ + ½ δᵀBδ, B one block for every row.

    For models that are linear in every factor by itself, fits of least squares, and penalties that
    are quadratic row by row.
    """

    pace: ClassVar[int] = 8
    wants: ClassVar[str] = "a term quadratic in each factor, row by row"

    def suits(self, term: Any) -> bool:
        return term.quadratic

    def check(self, objective: Objective) -> None:
        super().check(objective)
        for slot in objective.slots:
            if not _is_linear(objective, slot):
                raise ValueError(
                    f"`{type(self).__name__}`: the predictions are not linear in {slot.name!r} "
                    "by itself: use `GaussNewton()`."
                )

    @abstractmethod
    def step(self, slot: Slot, x: Tensor, g: Tensor, blocks: Tensor) -> Tensor:
        """The rows x (start, row, width) after a step, from gradient and blocks there."""

    def update(self, objective: Objective, slot: Slot, values: Values, states: States) -> Tensor:
        """The factor after a step on its quadratic, within its bound, known entries held."""
        assert slot.module is not None
        with torch.enable_grad():
            leaf = values[slot.name].detach().requires_grad_()
            values_at_leaf = values | {slot.name: leaf}
            total = (
                objective.fits(values_at_leaf, states).sum()
                + objective.penalties(values_at_leaf, states).sum()
            )
            (g,) = torch.autograd.grad(total, leaf)
            bend = objective.fit_curvature(values_at_leaf, states).sum(1)
            bend = bend + objective.penalty_curvature(values_at_leaf, states).sum(1)
            hessian = Hessian(bend, {slot.name: leaf})
        old = leaf.detach()
        width = old.shape[-1] if old.ndim == 3 else old[0].numel()  # a core is one block
        blocks = row_blocks(hessian, slot.name, old, width)
        x, g = old.reshape(len(old), -1, width), g.reshape(len(old), -1, width)
        x = _without_unseen(x, g, blocks)
        if slot.module.known is not None:
            g, blocks = known_held(slot.module.known.reshape(-1, width), g, blocks)
        return allowed(slot, self.step(slot, x, g, blocks).reshape(old.shape), old)


def _without_unseen(x: Tensor, g: Tensor, blocks: Tensor) -> Tensor:
    """The rows with zeros where nothing is said of them, as of masked data, while others are seen.

    Else they would take up the norms of other factors again and again, with nothing that ends it.
    """
    seen = (g != 0).any(-1) | (blocks.diagonal(dim1=-2, dim2=-1) != 0).any(-1)  # (start, row)
    return torch.where((seen | ~seen.any(-1, keepdim=True))[..., None], x, 0)


def known_held(known: Tensor, g: Tensor, blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient and blocks of the unknown entries alone; known ones (row, width) do not move."""
    pairs = known[:, :, None] | known[:, None, :]
    return torch.where(known, 0, g), torch.where(pairs, 0, blocks)


def _is_linear(objective: Objective, slot: Slot) -> bool:
    """Whether the predictions M(x) are affine in one factor.

    Then ⟨M, M⟩ is quadratic along any line, and its third difference vanishes but for rounding.
    """
    generator = torch.Generator().manual_seed(0)
    points = {}
    for other in objective.slots:
        point = torch.rand((2, *other.shape), generator=generator, dtype=torch.float64)
        point = point.to(objective.like) + 0.5
        steps = torch.arange(4).to(point).reshape(4, *(1,) * (point.ndim - 1))
        points[other.name] = point[:1] + (steps if other is slot else 0 * steps) * point[1:]

    def size(model: Any, _: Any) -> Tensor:
        predictions = model.predict().values()
        return torch.stack(
            [
                M.matrix.square().sum() if isinstance(M, Expanded) else M.inner(M)
                for M in predictions
            ]
        ).sum()

    with torch.no_grad():
        f = objective.each([(0, 1.0, size)], points, objective.no_states())[:, 0]
    third = f[3] - 3 * f[2] + 3 * f[1] - f[0]
    return bool(third.abs() <= torch.finfo(objective.like.dtype).eps ** 0.5 * f.abs().max())
