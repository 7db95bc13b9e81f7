"""Canonical polyadic decomposition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from string import ascii_uppercase
from typing import Any

import numpy as np

from fusion.algebra.arrays import as_tensor
from fusion.algebra.calls import checked_call
from fusion.algebra.column_signs import with_positive_columns
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_datasets, check_rank

STEPS = 100
"""Multiplicative steps for the amounts of a start; a start need not be exact."""


class CPD(Model):
    """X ≈ ⟦A, B, C, …⟧: one non-negative factor (n, K) for every axis of the data. Review, fig. 7.

    A, of the first axis, holds the amount; all others have unit columns. From three axes on the
    factors are, as a rule, unique: no further constraint is needed.

    Args:
        data: the data set, of two or more axes, compared as it is.
        K: number of components, up to the number that can represent any data of this shape.
        names: of the factors, one for every axis; default "A", "B", "C", …

    Raises:
        ValueError: if the data have one axis, K is out of range, or the names do not fit.

    Example:
        >>> array = np.random.default_rng(0).random((5, 6, 7))
        >>> data = fu.Dataset("tilts", array, axes=["tilt", "x", "energy"])
        >>> model = fu.models.CPD(data, K=2, names=["T", "C", "S"])
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> result["T"].shape, result.structure
        ((5, 2), ('cp', ('T', 'C', 'S')))
    """

    @checked_call
    def __init__(self, data: Dataset, K: int, *, names: Sequence[str] | None = None) -> None:
        super().__init__()
        call = f"CPD({data}, {K})"
        check_datasets(call, [data])
        self.modes = mode_names(call, data, names)
        most = prod(data.shape) // max(data.shape)
        check_rank(call, K, most, f"{most} components represent any data of shape {data.shape}")
        self.data_name = data.name
        self.interchangeable, self.structure = self.modes, ("cp", self.modes)
        for name, axis in zip(self.modes, data.axes, strict=True):
            scale = [] if name == self.modes[0] else [UnitColumns()]
            setattr(self, name, Factor((axis, K), NonNegative(), *scale))

    def forward(self) -> dict[str, Prediction]:
        return {self.data_name: cp(*(getattr(self, name) for name in self.modes))}

    @classmethod
    def from_tensorly(cls, data: Dataset, tensor: Any) -> CPD:
        """The model of a tensorly `CPTensor`, its values the guess that a fit starts from.

        Args:
            data: the data set.
            tensor: anything with `weights` and `factors`, NumPy or torch; columns that are negative
                in pairs are turned, what is negative then becomes 0.

        Raises:
            ValueError: if the factors do not fit the data set.
        """
        tensors = [as_tensor(factor).cpu().double() for factor in tensor.factors]
        if tensor.weights is not None:
            tensors[0] = tensors[0] * as_tensor(tensor.weights).cpu().double()
        factors = [nonnegative(factor) for factor in with_positive_columns(tensors)]
        model = cls(data, factors[0].shape[-1])
        check_factors(f"CPD.from_tensorly({data}, …)", data, factors)
        norms = [np.linalg.norm(factor, axis=0) for factor in factors[1:]]
        factors[0] = factors[0] * np.prod(norms, axis=0)  # the amount of unit columns
        for name, factor in zip(model.modes, factors, strict=True):
            setattr(model, name, factor)
        return model

    @classmethod
    def from_svd(cls, data: Dataset, K: int) -> CPD:
        """The model with tensorly's NNDSVD start, from every unfolding, as its guess.

        The first factor is then a least-squares one: tensorly leaves the amount open.

        Args:
            data: the data set; what is masked counts as 0.
            K: number of components.

        References:
            Boutsidis & Gallopoulos, Pattern Recognition 41:1350 (2008).
        """
        import tensorly as tl
        from tensorly.cp_tensor import CPTensor
        from tensorly.decomposition._cp import initialize_cp

        cls(data, K)  # complain of K before the work
        X = unmasked_values(data)
        with tl.backend_context("numpy", local_threadsafe=True):  # pyright: ignore
            _, factors = initialize_cp(X, K, init="svd", non_negative=True, random_state=0)
            products = tl.cp_tensor.unfolding_dot_khatri_rao(X, (None, factors), 0)
            gram = np.prod([factor.T @ factor for factor in factors[1:]], axis=0)
            factors[0] = nnls(products, lambda A: A @ gram)
            return cls.from_tensorly(data, CPTensor((None, factors)))


def mode_names(call: str, data: Dataset, names: Sequence[str] | None) -> tuple[str, ...]:
    """One factor name for every axis of the data.

    Raises:
        ValueError: if there are fewer than two axes, or the names do not fit them.
    """
    axes = len(data.axes)
    if not 2 <= axes <= len(ascii_uppercase):
        raise ValueError(
            f"`{call}`: data of shape {data.shape}: a tensor decomposition needs two or more axes."
        )
    modes = tuple(ascii_uppercase[:axes]) if names is None else tuple(names)
    unusable = [name for name in modes if not name.isidentifier() or hasattr(Model, name)]
    if len(set(modes)) != axes or len(modes) != axes or unusable:
        raise ValueError(
            f"`{call}`: names {modes} for {axes} axes: give a Python name for each, all different"
            f"{f', and not {unusable[0]!r}' if unusable else ''}."
        )
    return modes


def check_factors(call: str, data: Dataset, factors: Sequence[np.ndarray]) -> None:
    """Complain of factors whose rows do not fit the axes of the data."""
    if tuple(f.shape[0] for f in factors) != data.shape:
        raise ValueError(
            f"`{call}`: factors of shapes {[f.shape for f in factors]} for data {data.shape}: "
            "give one (n, K) for every axis."
        )


def nonnegative(values: Any) -> np.ndarray:
    """A NumPy copy ≥ 0, float64."""
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    return np.maximum(np.array(values, dtype=float), 0)


def nnls(products: np.ndarray, gram: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """x > 0 near the least ½⟨x, gram(x)⟩ − ⟨products, x⟩, by multiplicative steps; all are ≥ 0."""
    x, tiny = np.ones_like(products), np.finfo(float).tiny
    for _ in range(STEPS):
        x = x * products / np.maximum(gram(x), tiny)
    return x


def unmasked_values(data: Dataset) -> np.ndarray:
    """The data as float64 with zeros for what is masked or negative."""
    values = data.tensor.cpu().double().numpy()
    hidden = ~np.isfinite(values)
    if data.mask is not None:
        hidden |= np.broadcast_to(data.mask.numpy(), values.shape)
    return np.where(hidden, 0, np.maximum(values, 0))
