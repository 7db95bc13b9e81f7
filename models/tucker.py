"""Tucker decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from fusion.algebra.arrays import as_tensor
from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.column_signs import with_positive_modes
from fusion.algebra.prediction import Prediction, tucker
from fusion.constraints import NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_datasets
from fusion.models.cpd import check_factors, mode_names, nnls, nonnegative, unmasked_values


class Tucker(Model):
    """X ≈ G ×₁ A ×₂ B …: a core G (r₁, r₂, …), a factor (n, r) for every axis. Review, fig. 7.

    All are non-negative; the core holds the amount, the factors have unit columns. Entry (p, q, …)
    of the core says how much of column p of A goes with column q of B.

    Args:
        data: the data set, of two or more axes, compared as it is.
        ranks: (r₁, r₂, …), one for every axis.
        names: of the factors, one for every axis; default "A", "B", "C", … The core is "core".

    Raises:
        ValueError: if the data have one axis, a rank is out of range, or the names do not fit.

    Example:
        >>> array = np.random.default_rng(0).random((5, 6, 7))
        >>> data = fu.Dataset("tilts", array, axes=["tilt", "x", "energy"])
        >>> model = fu.models.Tucker(data, ranks=(2, 3, 3))
        >>> {name: tuple(factor.shape) for name, factor in model.factors.items()}
        {'core': (2, 3, 3), 'A': (5, 2), 'B': (6, 3), 'C': (7, 3)}
    """

    @checked_call
    def __init__(
        self, data: Dataset, ranks: Sequence[int], *, names: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        if not isinstance(ranks, Sequence | np.ndarray) or isinstance(ranks, str):
            raise ValueError(
                f"`Tucker({in_call(data)}, {ranks!r})`: give one number of components for each "
                "axis, (3, 3, 4)."
            )
        ranks = tuple(ranks)
        call = f"Tucker({data}, {ranks})"
        check_datasets(call, [data])
        self.modes = mode_names(call, data, names)
        if "core" in self.modes:
            raise ValueError(
                f"`{call}`: the names {self.modes}: 'core' is the core's: choose another."
            )
        _check_ranks(call, data, ranks)
        self.data_name, self.structure = data.name, ("tucker", ("core", *self.modes))
        self.core = Factor(ranks, NonNegative())
        for name, axis, rank in zip(self.modes, data.axes, ranks, strict=True):
            setattr(self, name, Factor((axis, rank), NonNegative(), UnitColumns()))

    def forward(self) -> dict[str, Prediction]:
        factors = (getattr(self, name) for name in self.modes)
        return {self.data_name: tucker(self.core, *factors)}

    @classmethod
    def from_tensorly(cls, data: Dataset, tensor: Any) -> Tucker:
        """The model of a tensorly `TuckerTensor`, its values the guess that a fit starts from.

        Args:
            data: the data set.
            tensor: anything with `core` and `factors`, NumPy or torch; mostly negative columns are
                turned with the core, what is negative then becomes 0.

        Raises:
            ValueError: if core and factors do not fit the data set.
        """
        core, factors = with_positive_modes(
            as_tensor(tensor.core).cpu().double(),
            [as_tensor(factor).cpu().double() for factor in tensor.factors],
        )
        core, factors = nonnegative(core), [nonnegative(factor) for factor in factors]
        model = cls(data, core.shape)
        check_factors(f"Tucker.from_tensorly({data}, …)", data, factors)
        for mode, factor in enumerate(factors):  # the amount of unit columns goes into the core
            norms = np.linalg.norm(factor, axis=0)
            core = core * norms.reshape(-1, *(1,) * (core.ndim - 1 - mode))
        model.core = core
        for name, factor in zip(model.modes, factors, strict=True):
            setattr(model, name, factor)
        return model

    @classmethod
    def from_svd(cls, data: Dataset, ranks: Sequence[int]) -> Tucker:
        """The model with tensorly's NNDSVD start, from every unfolding, as its guess.

        The core is then a least-squares one: tensorly's takes the factors to be orthogonal.

        Args:
            data: the data set; what is masked counts as 0.
            ranks: (r₁, r₂, …), one for every axis.
        """
        import tensorly as tl
        from tensorly.decomposition._tucker import initialize_tucker
        from tensorly.tucker_tensor import TuckerTensor

        cls(data, ranks)  # complain of the ranks before the work
        X, modes = unmasked_values(data), list(range(len(data.axes)))
        with tl.backend_context("numpy", local_threadsafe=True):  # pyright: ignore
            _, factors = initialize_tucker(X, list(ranks), modes, 0, init="svd", non_negative=True)
            product = tl.tenalg.multi_mode_dot  # pyright: ignore
            grams = [factor.T @ factor for factor in factors]  # pyright: ignore
            core = nnls(product(X, factors, transpose=True), lambda G: product(G, grams))
            return cls.from_tensorly(data, TuckerTensor((core, factors)))


def _check_ranks(call: str, data: Dataset, ranks: tuple[int, ...]) -> None:
    """Complain of ranks that no data of this shape need."""
    if len(ranks) != len(data.axes):
        raise ValueError(
            f"`{call}`: {len(ranks)} ranks for data of shape {data.shape}: give one for every axis."
        )
    for axis, size, rank in zip(data.axes, data.shape, ranks, strict=True):
        if not isinstance(rank, Integral) or not 1 <= rank <= size:
            raise ValueError(
                f"`{call}`: rank {rank} for axis {axis.name!r}: it must be 1 to {size}."
            )
        if rank * rank > prod(ranks):
            raise ValueError(
                f"`{call}`: rank {rank} for axis {axis.name!r} is above the product of the others, "
                f"{prod(ranks) // rank}: {prod(ranks) // rank} represent the same data."
            )
