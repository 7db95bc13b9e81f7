"""Entries that are known: given values, and zeros where a component is absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.calls import checked_call
from fusion.constraints.contract import Constraint
from fusion.constraints.sign import Free


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

    kind, entrywise, words = "known", True, "some entries known"

    @checked_call
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

    def known_entries(self) -> Tensor:
        return self.known

    def for_shape(self, shape: tuple[int, ...]) -> Fixed:
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

    words = "absent from regions"

    @checked_call
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
