"""Problems: data, a start, the loss that judges, and how each side writes it down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

import fusion as fu
from benchmarks import likelihood
from fusion.losses import Frobenius, Poisson, SquaredNorm
from fusion.models import CPD, NMF, SoftlyCoupled, Tucker

Array = NDArray[Any]
Factors = dict[str, Array]
Written = Callable[[Mapping[str, Tensor]], Tensor]


class Problem(ABC):
    """Data, and the start that all methods are given.

    Attributes:
        title: one line that says what it is.
        start: values of all factors by the names they have in this software's model.
        free: factors of any sign.
        unit: factors whose columns have norm 1 by definition, where their scale matters.
        nbytes: that have to be read to see the data once.
        flops: of one product of the data with the columns of a factor.
        dtype: of the data.
    """

    title: str
    start: Factors
    free: Mapping[str, float] = {}
    unit: tuple[str, ...] = ()
    nbytes: int
    flops: float
    dtype: np.dtype

    @abstractmethod
    def loss(self, factors: Factors) -> float:
        """The loss that all methods are judged by, float64."""

    @abstractmethod
    def written(self, device: str = "cpu") -> Written:
        """The loss as a user of torch would write it, over a number of its size."""

    @abstractmethod
    def ours(self) -> tuple[fu.Model, Any]:
        """Model and loss of this software; the data set is made here, so within the time."""


class Matrix(Problem):
    """½‖X − C Sᵀ‖²."""

    def __init__(self, title: str, X: Array, start: Factors) -> None:
        self.title, self.X, self.start = title, X, start
        self.nbytes, self.dtype = X.nbytes, X.dtype
        self.flops = 2.0 * X.size * start["C"].shape[1]

    def loss(self, factors: Factors) -> float:
        return likelihood.half_squares(self.X, factors["C"], factors["S"])

    def written(self, device: str = "cpu") -> Written:
        X = torch.from_numpy(self.X).to(device)
        size = X.square().sum()
        return lambda f: (X - f["C"] @ f["S"].T).square().sum() / size

    def ours(self) -> tuple[fu.Model, Any]:
        data = fu.Dataset("data", self.X)
        return NMF(data, self.start["C"].shape[1]), 1.0 * Frobenius(data)


class Counts(Problem):
    """Σ (m − x ln m) of sparse counts, M = C Sᵀ."""

    def __init__(self, title: str, X: csr_matrix, start: Factors) -> None:
        self.title, self.X, self.start = title, X, start
        self.nbytes = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        self.flops, self.dtype = 2.0 * X.nnz * start["C"].shape[1], X.dtype

    def loss(self, factors: Factors) -> float:
        return likelihood.poisson(self.X, factors["C"], factors["S"])

    def written(self, device: str = "cpu") -> Written:
        coo = self.X.tocoo()
        row, column = (torch.from_numpy(i.astype(np.int64)).to(device) for i in (coo.row, coo.col))
        x = torch.from_numpy(coo.data).to(device)
        size = x.sum()

        def value(f: Mapping[str, Tensor]) -> Tensor:
            # index_select, since the gradient of C[row] is far slower on a CPU
            m = (f["C"].index_select(0, row) * f["S"].index_select(0, column)).sum(1)
            return (f["C"].sum(0) @ f["S"].sum(0) - x @ m.log()) / size

        return value

    def ours(self) -> tuple[fu.Model, Any]:
        data = sparse_dataset("counts", self.X)
        return NMF(data, self.start["C"].shape[1]), 1.0 * Poisson(data)


class Polyadic(Problem):
    """½‖X − ⟦A, B, C⟧‖²."""

    def __init__(self, title: str, X: Array, start: Factors) -> None:
        self.title, self.X, self.start = title, X, start
        self.nbytes, self.dtype = X.nbytes, X.dtype
        self.flops = 2.0 * X.size * start["A"].shape[1]

    def loss(self, factors: Factors) -> float:
        rest = likelihood.khatri_rao(factors["B"], factors["C"])
        return likelihood.half_squares(self.X.reshape(len(self.X), -1), factors["A"], rest)

    def written(self, device: str = "cpu") -> Written:
        X = torch.from_numpy(self.X).to(device)
        size = X.square().sum()

        def value(f: Mapping[str, Tensor]) -> Tensor:
            M = torch.einsum("ik,jk,lk->ijl", f["A"], f["B"], f["C"])
            return (X - M).square().sum() / size

        return value

    def ours(self) -> tuple[fu.Model, Any]:
        data = fu.Dataset("data", self.X)
        return CPD(data, self.start["A"].shape[1]), 1.0 * Frobenius(data)


class Core(Problem):
    """½‖X − G ×₁ A ×₂ B ×₃ C‖²."""

    def __init__(self, title: str, X: Array, start: Factors) -> None:
        self.title, self.X, self.start = title, X, start
        self.nbytes, self.dtype = X.nbytes, X.dtype
        self.flops = 2.0 * X.size * min(start["core"].shape)

    def loss(self, factors: Factors) -> float:
        rest = np.einsum(
            "pqr,jq,lr->jlp", factors["core"], factors["B"], factors["C"], optimize=True
        )
        rest = rest.reshape(-1, rest.shape[-1])
        return likelihood.half_squares(self.X.reshape(len(self.X), -1), factors["A"], rest)

    def written(self, device: str = "cpu") -> Written:
        X = torch.from_numpy(self.X).to(device)
        size = X.square().sum()

        def value(f: Mapping[str, Tensor]) -> Tensor:
            M = torch.einsum("pqr,ip->iqr", f["core"], f["A"])
            M = torch.einsum("iqr,jq,lr->ijl", M, f["B"], f["C"])
            return (X - M).square().sum() / size

        return value

    def ours(self) -> tuple[fu.Model, Any]:
        data = fu.Dataset("data", self.X)
        return Tucker(data, self.start["core"].shape), 1.0 * Frobenius(data)


class Joint(Problem):
    """½‖(X₁ − (C + N) S₁ᵀ)/σ₁‖² + ½‖(X₂ − C S₂ᵀ)/σ₂‖² + ½‖N/s‖². Review, eq. (14).

    C has unit columns; the variances are one for every channel.
    """

    unit = ("C",)

    def __init__(
        self, title: str, data: Mapping[str, tuple[Array, Array]], scale: float, start: Factors
    ) -> None:
        self.title, self.data, self.scale, self.start = title, data, scale, start
        self.free = {"N": scale}
        arrays = [X for X, _ in data.values()]
        self.nbytes, self.dtype = sum(X.nbytes for X in arrays), arrays[0].dtype
        self.flops = sum(2.0 * X.size * start["C"].shape[1] for X in arrays)

    def loss(self, factors: Factors) -> float:
        norm = np.linalg.norm(factors["C"].astype(float), axis=0)
        C, N = factors["C"] / norm, factors["N"].astype(float)
        (X1, v1), (X2, v2) = self.data["eels"], self.data["edxs"]
        return (
            likelihood.half_squares(X1, C + N, factors["S_eels"], v1)
            + likelihood.half_squares(X2, C, factors["S_edxs"], v2)
            + 0.5 * float(np.sum((N / self.scale) ** 2))
        )

    def written(self, device: str = "cpu") -> Written:
        tensors = {name: torch.from_numpy(X).to(device) for name, (X, _) in self.data.items()}
        sigma = {
            name: torch.from_numpy(np.sqrt(v).astype(X.dtype)).to(device)
            for name, (X, v) in self.data.items()
        }
        size = float(sum(X.numel() for X in tensors.values()))

        def value(f: Mapping[str, Tensor]) -> Tensor:
            C = f["C"] / torch.linalg.vector_norm(f["C"], dim=0)
            E1 = (tensors["eels"] - (C + f["N"]) @ f["S_eels"].T) / sigma["eels"]
            E2 = (tensors["edxs"] - C @ f["S_edxs"].T) / sigma["edxs"]
            penalty = (f["N"] / self.scale).square().sum()
            return (E1.square().sum() + E2.square().sum() + penalty) / size

        return value

    def ours(self) -> tuple[fu.Model, Any]:
        eels, edxs = (fu.Dataset(name, X, variance=v) for name, (X, v) in self.data.items())
        loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", self.scale)
        return SoftlyCoupled(eels, edxs, self.start["C"].shape[1]), loss


def sparse_dataset(name: str, X: csr_matrix) -> fu.Dataset:
    """A data set of sparse counts; of dense ones where `Dataset` takes no scipy matrix."""
    try:
        return fu.Dataset(name, X)
    except (TypeError, ValueError):
        return fu.Dataset(name, X.toarray())
