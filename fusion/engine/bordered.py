"""A few variables that meet everything, as amplitudes and exponents of a background do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Border:
    """[A B; Bᵀ C]⁻¹ from an approximate inverse P of A: with the small C − Bᵀ P B, by blocks.

    Where that is not positive definite, as P may be too rough, C stands alone.

    Args:
        places: of the few variables in the flat vector, (m,).
        columns: of the damped curvature, (m, start, n).
        precondition: P, (start, n) → (start, n), symmetric; what it leaves at the few is ignored.
        free: which variables move, (start, n) of 0 and 1.
    """

    def __init__(
        self,
        places: Tensor,
        columns: Tensor,
        precondition: Callable[[Tensor], Tensor],
        free: Tensor,
    ) -> None:
        self.places, self.few = places, free[:, places]
        apart = torch.diag_embed(1 - self.few)
        both = self.few[:, :, None] * self.few[:, None]
        corner = columns[:, :, places].permute(1, 2, 0) * both + apart
        self.met = columns * free * self.few.T[:, :, None]
        self.met[:, :, places] = 0
        self.solved = torch.empty_like(self.met)
        for column, into in zip(self.met, self.solved, strict=True):
            into.copy_(precondition(column))
        self.solved[:, :, places] = 0
        small = (corner - torch.einsum("isn,jsn->sij", self.met, self.solved)).double()
        root, info = torch.linalg.cholesky_ex(0.5 * (small + small.mT))
        sound = ((info == 0) & torch.isfinite(root).all((1, 2)))[:, None, None]
        alone, _ = torch.linalg.cholesky_ex(0.5 * (corner + corner.mT).double())
        self.root = torch.where(sound, root, alone)
        self.sound = sound[:, :, 0].to(free)

    def add(self, z: Tensor, r: Tensor) -> None:
        """Correct z = P r, in place."""
        z[:, self.places] = 0
        rest = r[:, self.places] - torch.einsum("jsn,sn->sj", self.met, z) * self.sound
        y = torch.cholesky_solve(rest[..., None].double(), self.root)[..., 0].to(z) * self.few
        z.sub_(torch.einsum("jsn,sj->sn", self.solved, y * self.sound))
        z[:, self.places] = y
