"""Backgrounds that fall as a power of the energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.constraints.contract import Constraint


class PowerLaw(Constraint):
    """Decaying power laws a_k (E / E₀)^(−r_k), a_k, r_k ≥ 0: the raw variable is (2, K), a above r.

    E₀ is the geometric mean of the energies, where a and r are least coupled. Review, eq. (15).

    Args:
        energy: the energy axis (an `Axis`, a data set's `.channels`, or positions), all > 0.

    Raises:
        ValueError: if there is more than one axis, or an energy is not positive.

    Example:
        >>> from fusion.constraints import PowerLaw
        >>> energy = fu.Axis("energy loss", scale=1, offset=400, units="eV", size=50)
        >>> model = fu.Model()
        >>> model.N = fu.Factor((energy, 2), PowerLaw(energy))
        >>> model.N.shape
        torch.Size([50, 2])
    """

    kind, lower = "sign", 0.0

    @checked_call
    def __init__(self, energy: Axis | Axes | Any) -> None:
        super().__init__()
        if isinstance(energy, tuple) and len(energy) == 1:
            energy = energy[0]
        values = as_tensor(energy.values if isinstance(energy, Axis) else energy).double()
        if values.ndim != 1 or not bool((values > 0).all()):
            raise ValueError(
                f"`PowerLaw`: energies of shape {tuple(values.shape)}, "
                f"lowest {float(values.min()):g}: "
                "give one energy axis, all values > 0 (E^(−r) has no value at 0)."
            )
        log = values.log()
        self.register_buffer("log_energy", log - log.mean())
        self.log_energy: Tensor

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[0] != len(self.log_energy):
            raise ValueError(
                f"`PowerLaw`: {len(self.log_energy)} energies for a factor of shape {shape}: "
                "give its own axis."
            )
        return (2, *shape[1:])

    def forward(self, raw: Tensor) -> Tensor:
        amplitude, exponent = raw.clamp_min(0)
        return amplitude * torch.exp(-self.log_energy[:, None] * exponent)

    def batched(self, raw: Tensor) -> Tensor:
        amplitude, exponent = raw.clamp_min(0).split(1, 1)
        return amplitude * torch.exp(-self.log_energy[:, None] * exponent)

    def jacobian(
        self, raw: Tensor
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        amplitude, exponent = raw.clamp_min(0).split(1, 1)
        above = (raw >= 0).to(raw)  # below its bound the value stands still
        by_amplitude = torch.exp(-self.log_energy[:, None] * exponent)
        by_exponent = -self.log_energy[:, None] * amplitude * by_amplitude

        def push(v: Tensor) -> Tensor:
            first, second = (above * v).split(1, 1)
            return by_amplitude * first + by_exponent * second

        def pull(w: Tensor) -> Tensor:
            parts = [(by_amplitude * w).sum(1), (by_exponent * w).sum(1)]
            return above * torch.stack(parts, 1)

        return push, pull

    def right_inverse(self, value: Tensor) -> Tensor:
        """Weighted line through log value; a column without positive values has amplitude 0."""
        positive = value > 0
        w = torch.where(positive, value, 0).square()
        w = w / w.sum(0).clamp_min(torch.finfo(value.dtype).tiny)
        y = torch.where(positive, value, 1).log()
        x = self.log_energy.to(value)[:, None]
        mx, my = (w * x).sum(0), (w * y).sum(0)
        spread = (w * (x - mx).square()).sum(0)
        slope = (w * (x - mx) * (y - my)).sum(0) / torch.where(spread > 0, spread, 1)
        exponent = torch.where(spread > 0, -slope, 3.0).clamp_min(0)
        amplitude = torch.where(positive.any(0), (my + exponent * mx).exp(), 0)
        return torch.stack([amplitude, exponent])

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        a, r = torch.rand(self.raw_shape(shape), generator=generator, dtype=torch.float64)
        return PowerLaw.forward(self, torch.stack([0.5 + a, 2 + 2 * r]))
