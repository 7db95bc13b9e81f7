"""Facts about a factor, always true: small parametrisations that stack.

A factor's raw variable goes through its constraints in order; `right_inverse` goes back. A
constraint of one's own needs `forward` and `right_inverse`, on tensors (n, K).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from fusion.arrays import as_tensor
from fusion.axis import Axes, Axis
from fusion.closure import Simplex
from fusion.constraint import Constraint
from fusion.norms import UnitNorm
from fusion.order import Monotone, Unimodal

__all__ = [
    "Absent",
    "Constraint",
    "Exp",
    "Fixed",
    "Free",
    "Monotone",
    "NonNegative",
    "PowerLaw",
    "Simplex",
    "Softplus",
    "Square",
    "Unimodal",
    "UnitColumns",
    "UnitNorm",
    "check_chain",
]


class NonNegative(Constraint):
    """≥ 0, as a bound: the raw variable is the value, clamped at 0; zeros are reached and left."""

    kind, lower, local = "sign", 0.0, True

    def forward(self, raw: Tensor) -> Tensor:
        return raw.clamp_min(0)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(0)

    def derivative(self, raw: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda v: v  # the solver keeps to the bound


class Free(Constraint):
    """Any sign."""

    kind, local = "sign", True

    def forward(self, raw: Tensor) -> Tensor:
        return raw

    def right_inverse(self, value: Tensor) -> Tensor:
        return value

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)


class _Smooth(Constraint):
    """Positive through a smooth function: for solvers without bounds.

    Values below `floor` are lifted on the way back.
    """

    kind, local = "sign", True
    floor = 1e-12

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) + 1e-3


class Softplus(_Smooth):
    """> 0 as log(1 + exp(raw)); zeros are only approached."""

    def forward(self, raw: Tensor) -> Tensor:
        return torch.nn.functional.softplus(raw)

    def right_inverse(self, value: Tensor) -> Tensor:
        value = value.clamp_min(self.floor)
        return value + torch.log(-torch.expm1(-value))


class Square(_Smooth):
    """≥ 0 as raw²; a zero is never left (its gradient vanishes), so prefer `NonNegative`."""

    def forward(self, raw: Tensor) -> Tensor:
        return raw.square()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(0).sqrt()


class Exp(_Smooth):
    """> 0 as exp(raw)."""

    def forward(self, raw: Tensor) -> Tensor:
        return raw.exp()

    def right_inverse(self, value: Tensor) -> Tensor:
        return value.clamp_min(self.floor).log()


class UnitColumns(Constraint):
    """Every column has ℓ2 norm 1, whatever its sign; a zero column stays zero. Review, eq. (10).

    Example:
        >>> from fusion.constraints import Free, UnitColumns
        >>> model = fu.Model()
        >>> model.C = fu.Factor((4, 2), Free(), UnitColumns())
        >>> model.C = [[1, 0], [1, 0], [1, 0], [1, 2]]
        >>> model.C[:, 0].tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    kind, scale_free = "scale", True

    def forward(self, raw: Tensor) -> Tensor:
        norm2 = raw.square().sum(0)
        return raw / torch.where(norm2 > 0, norm2, 1).sqrt()

    def right_inverse(self, value: Tensor) -> Tensor:
        return self(value)

    def derivative(self, raw: Tensor) -> Callable[[Tensor], Tensor]:
        norm = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        norm = torch.where(norm > 0, norm, 1)
        unit = raw / norm
        return lambda v: (v - unit * (unit * v).sum(1, keepdim=True)) / norm

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return self(torch.randn(shape, generator=generator, dtype=torch.float64))


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


class Fixed(Constraint):
    """Known values beside free ones: last in the chain, never rescaled, never changed.

    Args:
        values: shape of the factor; or (n, number of `components`) if those are named. NaN = free.
        components: the columns that `values` holds, in order.
        where: True = known, shape of the factor, where not all of `values` is.

    Raises:
        ValueError: if the sizes disagree, or nothing is known.

    Example:
        >>> from fusion.constraints import Fixed, NonNegative
        >>> model = fu.Model()
        >>> known = np.array([0.0, 1.0, 2.0, 1.0])
        >>> model.S = fu.Factor((4, 2), NonNegative(), Fixed(known[:, None], components=[0]))
        >>> model.S[:, 0].tolist()
        [0.0, 1.0, 2.0, 1.0]
    """

    kind, local = "known", True

    def __init__(
        self, values: Any, *, components: Sequence[int] | None = None, where: Any = None
    ) -> None:
        super().__init__()
        values = as_tensor(values).double()
        known = ~torch.isnan(values)
        if where is not None:
            where = as_tensor(where).bool()
            if where.shape != values.shape:
                raise ValueError(
                    f"`Fixed`: where has shape {tuple(where.shape)}, values {tuple(values.shape)}: "
                    "give equal ones."
                )
            known = known & where
        if components is not None and (values.ndim != 2 or values.shape[1] != len(components)):
            raise ValueError(
                f"`Fixed`: values of shape {tuple(values.shape)} "
                f"for components {list(components)}: "
                "give one column for every component named."
            )
        if not bool(known.any()):
            raise ValueError("`Fixed`: nothing is known: give values that are not NaN.")
        self.components = None if components is None else tuple(int(k) for k in components)
        self.register_buffer("values", torch.where(known, values, 0.0))
        self.register_buffer("known", known)
        self.values: Tensor
        self.known: Tensor

    def spread(self, shape: tuple[int, ...]) -> Fixed:
        """The same with `values` and `known` of the factor's full shape.

        Raises:
            ValueError: if they do not fit it.
        """
        values, known = self.values, self.known
        if self.components is not None:
            if not all(-shape[-1] <= k < shape[-1] for k in self.components):
                raise ValueError(
                    f"`Fixed`: components {list(self.components)} of a factor with {shape[-1]}: "
                    "count from 0."
                )
            full = torch.full(shape, torch.nan, dtype=values.dtype)
            if values.shape[0] == shape[0]:
                full[:, list(self.components)] = torch.where(known, values, torch.nan)
                return Fixed(full)
        if tuple(values.shape) != tuple(shape):
            raise ValueError(
                f"`Fixed`: values of shape {tuple(values.shape)} "
                f"for a factor of shape {tuple(shape)}."
            )
        return self

    def forward(self, raw: Tensor) -> Tensor:
        return torch.where(self.known, self.values.to(raw.dtype), raw)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return self(torch.rand(shape, generator=generator, dtype=torch.float64))

    def select(self, components: Sequence[int]) -> Fixed:
        columns = list(components)
        kept = torch.where(self.known, self.values, torch.nan)[..., columns]
        return Fixed(kept) if bool((~torch.isnan(kept)).any()) else Free()  # type: ignore[return-value]


class Absent(Fixed):
    """Components that are known to be absent from a region: zeros there, free elsewhere.

    Selectivity, or local rank where it holds for all components but some: what is known of where a
    component can be makes an answer unique that non-negativity alone leaves open. Pixels of a map,
    or channels of a spectrum (a line that a site cannot have, an edge before its onset).

    Args:
        regions: component → rows of the factor without it, bool, of the size of the factor's axes
            (a map of a scan may be given as it is, (y, x)).

    Raises:
        ValueError: if a region is not boolean, they differ in size, or nothing is absent.

    References:
        de Juan & Tauler, Crit. Rev. Anal. Chem. 36:163 (2006).

    Example:
        >>> from fusion.constraints import Absent, NonNegative
        >>> model = fu.Model()
        >>> vacuum = np.array([True, False, False, True])
        >>> model.C = fu.Factor((4, 2), NonNegative(), Absent({1: vacuum}))
        >>> model.C = np.ones((4, 2))
        >>> model.C[:, 1].tolist()
        [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, regions: Mapping[int, Any]) -> None:
        rows = {int(k): as_tensor(region).flatten() for k, region in regions.items()}
        for k, region in rows.items():
            if region.dtype is not torch.bool:
                raise ValueError(
                    f"`Absent({{{k}: …}})`: a region of type {region.dtype}: "
                    "give booleans, True = absent."
                )
        sizes = {k: len(region) for k, region in rows.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(
                f"`Absent`: regions of sizes {sizes} (component: rows): give one or more, all of "
                "the factor's length."
            )
        where = torch.stack(list(rows.values()), 1)
        if not bool(where.any()):
            raise ValueError("`Absent`: no row is marked: give True where a component is absent.")
        super().__init__(torch.where(where, 0.0, torch.nan), components=list(rows))


def check_chain(constraints: Sequence[Constraint]) -> None:
    """Complain of two constraints that exclude each other, or stand in the wrong order.

    Raises:
        ValueError: naming both and what to do.
    """
    order = {"sign": 0, "scale": 1, "known": 2}
    ranked = [c for c in constraints if c.kind is not None]
    for earlier, later in pairwise(ranked):
        a, b = order[earlier.kind or ""], order[later.kind or ""]
        if a == b:
            raise ValueError(
                f"`Factor(…, {earlier}, {later})`: both decide the {earlier.kind}: "
                "keep one of them."
            )
        if a > b:
            raise ValueError(f"`Factor(…, {earlier}, {later})`: write {later} before {earlier}.")
    if any(c.kind == "known" for c in constraints[:-1]):
        raise ValueError(
            "`Factor(…, Fixed(…))`: write `Fixed` last: known values are not transformed."
        )
    last, closed = constraints[-1], any(isinstance(c, Simplex) for c in constraints)
    if closed and isinstance(last, Fixed) and bool((last.values != 0).any()):
        raise ValueError(
            "`Factor(…, Simplex(), Fixed(…))`: known values other than 0 would come on top of "
            "rows that sum to 1: keep zeros (`Absent`) only."
        )
