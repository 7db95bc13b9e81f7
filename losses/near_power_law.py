"""Backgrounds that fall nearly as a power law."""

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm, expected_size
from fusion.language.surrogate import Surrogate
from fusion.language.term import State

STEEPEST = 10.0
"""Largest exponent r; those of EELS backgrounds are 2 to 6."""
GRID = 41
"""Exponents, evenly spaced, from which the best one's neighbourhood is found."""
NEWTON = 8
"""Steps that make it exact."""


class NearPowerLaw(FactorTerm, Surrogate):
    """½ Σ_k min_{A, r} ‖f_k − A E^(−r)‖² / s²: columns are near power laws, r from 0 to 10.

    Beside the constraint `PowerLaw` it is a belief: a background that bends, as the extrapolation
    over a wide range does, an edge's tail before the window, or a detector's offset, may leave the
    law by about s where the data want it.

    Args:
        factor: name of a factor built from one energy axis, all energies > 0.
        scale: s, the expected size of the deviation, > 0, in the unit of the factor.

    Raises:
        ValueError: if the scale is not positive; by `check`, if the factor has no such axis.
    """

    @checked_call
    def __init__(self, factor: str, scale: float = 1.0) -> None:
        if not isinstance(factor, str):
            raise ValueError("`NearPowerLaw`: give a factor's name: its axis says the energies.")
        super().__init__(factor)
        self.scale = expected_size(f"NearPowerLaw({factor!r}, {scale})", scale)

    def value(self, model: Model, state: State) -> Tensor:
        # the best law is at a minimum, so that its change does not enter the gradient
        f = self.of(model)
        law, _ = best_power_law(f.detach(), self._log_energy(model).to(f))
        return 0.5 * ((f - law) / self.scale).square().sum(dtype=torch.float64)

    def curvature(self, model: Model, state: State) -> Tensor:
        """½ ‖f − its part along the law's change with A and r‖² / s²."""
        f = self.of(model)
        _, along = best_power_law(f.detach(), self._log_energy(model).to(f))
        rest = f - (along * (along * f[:, None]).sum(0)).sum(1)
        return 0.5 * (rest / self.scale).square().sum(dtype=torch.float64)

    def check(self, model: Model) -> None:
        super().check(model)
        self._log_energy(model)

    def _log_energy(self, model: Model) -> Tensor:
        """ln E less its mean, (n,)."""
        axes = model.factor(self.factor or "").axes[0]
        if not axes or len(axes) != 1:
            raise ValueError(
                f"`{self}`: {self.factor!r} was not built from one energy axis: "
                "`Factor((data.channels, K))` tells its energies."
            )
        energy = torch.as_tensor(axes[0].values)
        if not bool((energy > 0).all()):
            raise ValueError(
                f"`{self}`: energies from {float(energy.min()):g}: a power law needs all > 0: "
                "crop the data first."
            )
        return energy.log() - energy.log().mean()

    def __str__(self) -> str:
        return f"NearPowerLaw({self.factor!r}, {self.scale:g})"

    def formula(self) -> tuple[str, str]:
        f, s = self.symbol, "" if self.scale == 1 else f"/{self.scale:g}"
        return f"½‖({f} − A E^(−r)){s}‖²", rf"\tfrac12\|({f} - A E^{{-r}}){s}\|_F^2"


def best_power_law(f: Tensor, log_energy: Tensor) -> tuple[Tensor, Tensor]:
    """The power law A E^(−r), A ≥ 0 and r from 0 to 10, that is nearest to each column.

    With e_r = E^(−r) the best A is ⟨f, e_r⟩ / ⟨e_r, e_r⟩, and the best r makes ⟨f, e_r⟩² /
    ⟨e_r, e_r⟩ largest: the highest on a grid, then Newton steps in its logarithm.

    Args:
        f: (n, K).
        log_energy: (n,), mean 0.

    Returns:
        The laws (n, K), and an orthonormal basis of how they change with A and r (n, 2, K); the
        second is zero where r is at an end.
    """
    x = log_energy[:, None]
    grid = torch.linspace(0, STEEPEST, GRID, dtype=f.dtype, device=f.device)
    basis = torch.exp(-x * grid)
    heights = (f.T @ basis) / torch.linalg.vector_norm(basis, dim=0)
    r, spacing = grid[heights.argmax(1)], STEEPEST / (GRID - 1)
    low, high = (r - spacing).clamp_min(0), (r + spacing).clamp_max(STEEPEST)
    for _ in range(NEWTON):
        e = torch.exp(-x * r)
        a, b = (f * e).sum(0), e.square().sum(0)
        a1, b1 = -(f * x * e).sum(0), -2 * (x * e.square()).sum(0)
        a2, b2 = (f * x.square() * e).sum(0), 4 * (x.square() * e.square()).sum(0)
        a = torch.where(a > 0, a, torch.inf)  # no law there
        slope = 2 * a1 / a - b1 / b
        bend = 2 * (a2 / a - (a1 / a).square()) - b2 / b + (b1 / b).square()
        step = torch.where(bend < 0, -slope / bend, 0.1 * spacing * slope.sign())
        r = torch.minimum(torch.maximum(r + step, low), high)
    e = torch.exp(-x * r)
    unit = e / torch.linalg.vector_norm(e, dim=0)
    turn = x * unit - unit * (x * unit.square()).sum(0)
    size = torch.linalg.vector_norm(turn, dim=0)
    inside = (r > 0) & (r < STEEPEST) & (size > 0)
    turn = torch.where(inside, turn / torch.where(size > 0, size, 1), 0)
    height = (f * unit).sum(0)
    return unit * height.clamp_min(0), torch.stack([unit, turn], 1) * (height > 0)
