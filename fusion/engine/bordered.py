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
        columns: (start, n, m) of the damped curvature.
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
        self.places = places
        few = free[:, places]
        corner = columns[:, places] * few[:, :, None] * few[:, None] + torch.diag_embed(1 - few)
        self.met = columns * free[:, :, None] * few[:, None]
        self.met[:, places] = 0
        made = [precondition(column).clone() for column in self.met.unbind(-1)]
        self.solved = torch.stack(made, -1)
        self.solved[:, places] = 0
        small = (corner - self.met.mT @ self.solved).double()
        root, info = torch.linalg.cholesky_ex(0.5 * (small + small.mT))
        sound = ((info == 0) & torch.isfinite(root).all((1, 2)))[:, None, None]
        alone, _ = torch.linalg.cholesky_ex(0.5 * (corner + corner.mT).double())
        self.root = torch.where(sound, root, alone)
        self.met, self.solved = self.met * sound, self.solved * sound
        self.few = few

    def add(self, z: Tensor, r: Tensor) -> None:
        """Correct z = P r, in place."""
        z[:, self.places] = 0
        rest = r[:, self.places] - (self.met.mT @ z[..., None])[..., 0]
        y = torch.cholesky_solve(rest[..., None].double(), self.root)[..., 0].to(z) * self.few
        z.sub_((self.solved @ y[..., None])[..., 0])
        z[:, self.places] = y
